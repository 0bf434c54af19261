"""One table's journey from the source into staging, in one stream or in page ranges; and tables copied in batches.

``load`` is the file to read first. The others are the ways of loading (``way``, ``whole``, ``ranges``), its last step
(``finish``), and all loads of a run (``loading``, ``survey``, ``schedule``, ``progress``). It imports ``target`` and
what that imports, and nothing of ``publish``.
"""
