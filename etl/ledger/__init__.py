"""The ledger: the record of every run and load, in the schema ``etl`` of the target.

Here live its tables (``tables``, the only use of SQLAlchemy) and their names (``parts``), its creation and upgrade
(``book``), the functions on runs (``runs``), on loads (``loads``) and on foreign keys that wait (``validations``), the
interface to these (``ledger``), and the positions of copies in batches (``watermark``). Their statements are the files
of ``sql/ledger/``. It imports ``model`` and ``sessions``. Start with ``ledger``.
"""
