"""The values that every other package speaks of: names, tables, loads, errors. Nothing here asks a server.

Here live a table's name and ``TABLES`` (``selection``), a table as the source has it and as it will arrive
(``table``, ``shape``, ``mask``, ``split``), how columns have changed (``drift``), a load's record (``record``), and
the errors. It imports nothing of ``etl``. Start with ``selection`` and ``table``; ``errors`` draws the tree of what
may go wrong.
"""
