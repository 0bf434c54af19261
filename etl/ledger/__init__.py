"""The ledger: the record of every run and load, in the schema ``etl`` of the target, and the only use of SQLAlchemy.

Here live its tables (``book``), the statements on runs (``runs``) and on loads (``loads``), the interface to both
(``ledger``), and the positions of copies in batches (``watermark``). It imports ``model`` and ``sessions``. Start with
``ledger``.
"""
