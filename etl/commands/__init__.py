"""The commands: run, plan, snapshot, publish, abort, verify, check, history, report; one module each.

``run`` is a whole run, or a shard of one (``shard``) beside the holder of the snapshot (``holder``); ``control`` is
the run's own session. The command line and the Lambdas call these modules, and nothing here reads the environment. It
imports ``loads``, ``publish`` and what they import. Start with ``run``.
"""
