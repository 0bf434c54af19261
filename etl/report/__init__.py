"""The output for people on a terminal: progress bars and tables. Only this package uses rich.

Start with ``console``. The package imports ``commands`` and the packages that ``commands`` imports.
"""
