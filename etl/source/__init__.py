"""The source: which tables it has, the one snapshot that a run copies, and the stream of rows out of it.

Here live the catalog's queries (``catalog``, ``choice``, ``proof``), locks and snapshot (``locks``, ``snapshot``),
page ranges (``ranges``), what deltas need (``history``, ``definitions``, ``changes``), the stream into the target
(``stream``) and the comparison of both sides (``checksum``). It imports ``settings`` and what that
imports. Start with ``snapshot``.
"""
