"""The publish: one transaction in which a run's staging tables become what readers see.

Here live the attempts and their deadline (``publish``, ``attempts``, ``policy``), the two ways of publishing
(``swap``, ``inplace``), sessions that block it (``blockers``), snapshots that it waits for (``horizon``) and commits
whose answer was lost (``in_doubt``). It imports ``target`` and what that imports, and nothing of ``loads``. Start with
``publish``.
"""
