"""The publish: one transaction in which a run's staging tables become what readers see.

Here live what a publish does once (``publish``, ``work``, ``policy``, ``dependents``) and its attempts (``attempts``,
``message``), the two ways of publishing (``way``, ``swap``, ``inplace``), sessions that block it (``blockers``),
snapshots that it waits for (``horizon``) and commits whose answer was lost (``in_doubt``). It imports ``target`` and
what that imports, and nothing of ``loads``. Start with ``publish``.
"""
