"""The target: staging tables, the live tables with all that is attached to them, and whose code may run there.

Here live the staging schemas (``staging``), live tables and their attachments (``live``, ``attachments``,
``additions``, ``views``), the merge of rows into them (``merge``), indexes and types, trust in other owners
(``trust``), masks that must stay (``disclosure``), and the locks between runs (``guard``). It imports ``source``,
``ledger`` and what they import. Start with ``staging`` and ``live``.
"""
