"""The commands, one module each: run, plan, snapshot, publish, abort, verify, check, history, report.

Start with ``run``, which does a whole run (``whole``) or a shard of a run (``shard``). ``holder`` is ``etl snapshot``,
``deferred`` is ``etl publish``, ``control`` the control session. ``inputs`` has the commands' parameters, ``answers``
their results, ``command`` the type of the entries of ``etl.catalogue``, from which the command line and the Lambdas are
made. No module here reads the environment. The package imports ``loads``, ``publish`` and the packages that they
import.
"""
