"""One table's journey from the source into staging, in one stream or in page ranges; and tables copied in batches.

``load`` is the file to read first: the others are its steps (``fill``, ``finish``) and what orders the loads of a run
(``survey``, ``schedule``, ``progress``). It imports ``target`` and what that imports, and nothing of ``publish``.
"""
