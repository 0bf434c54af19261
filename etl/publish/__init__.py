"""The publish: one transaction in which a run's staging tables become the live tables.

Start with ``publish``. Its parameters and its preparation are in ``work``, ``policy`` and ``dependents``, its attempts
in ``attempts`` and ``message``, the two ways of publishing in ``way``, ``swap`` and ``inplace``. ``replacement``
and ``filling`` do what in place needs before the swap of the other tables; ``parts`` are loads of changes alone.
``blockers`` has the sessions that block it, ``horizon`` the snapshots for which it waits, ``in_doubt`` the commits
whose answer was lost. The package imports ``target`` and the packages that ``target`` imports, and nothing of
``loads``.
"""
