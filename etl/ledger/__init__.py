"""The ledger: the record of every run and load, in the schema ``etl`` of the target, and the only use of SQLAlchemy.

Here live its tables (``book``), what is written and asked of runs (``runs``) and of loads (``loads``), the door to both
(``ledger``), and where copies in batches stopped (``watermark``). It imports ``model`` and ``sessions``. Start with
``ledger``.
"""
