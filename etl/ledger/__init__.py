"""The ledger: the record of every run and load, in the schema ``etl`` of the target, and the only use of SQLAlchemy.

Here live its tables (``book``), what is written and asked (``ledger``), and where copies in batches stopped
(``watermark``). It imports ``model`` and ``sessions``. Start with ``ledger``.
"""
