"""The loads: each copies one table from the source into its staging table, in one stream or in page ranges.

Start with ``load``. The other modules are the ways of loading (``way``, ``whole``, ``ranges``, and ``delta`` with what
it is based on, ``basis``, with its steps ``counting``, ``gone`` and ``proof``, and within its ``budget``), a load's
last step (``finish``), the loads of a run together (``loading``, ``survey``, ``schedule``, ``progress``; ``prospects``
and the ``decision`` how its tables become live), and the copying of a table in batches, outside of any run
(``batches``). The package imports ``target`` and what that imports, and nothing of ``publish``.
"""
