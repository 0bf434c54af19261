"""The values that all other packages use: names, tables, loads and errors. No module here connects to a server.

Here live the names of tables (``name``) and ``TABLES`` (``selection``), a table as the source's catalog describes it
(``catalog``) and as it will arrive (``table``, ``shape``, ``mask``, ``split``), the changes of a table's columns
(``drift``), the record of a load (``record``), and the errors. It imports nothing of ``etl``. Start with ``selection``
and ``table``; the docstring of ``errors`` has the tree of all errors.
"""
