"""The output for people: progress bars and tables on a terminal, with rich, and the night as one page (``page``).

Start with ``console``. The package imports ``commands`` and the packages that ``commands`` imports.
"""
