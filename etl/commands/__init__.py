"""The commands: run, plan, snapshot, publish, abort, verify, check, history, report; one module each.

``run`` is a whole run, or a shard of one (``shard``) beside the holder of the snapshot (``holder``); ``control`` is
the run's own session. ``inputs`` is what the commands are asked, ``answers`` what they answer, ``command`` an entry of
``etl.catalogue``, of which the command line and the Lambdas are made. Nothing here reads the environment. It imports
``loads``, ``publish`` and what they import. Start with ``run``.
"""
