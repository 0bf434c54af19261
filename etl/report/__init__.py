"""The output for people: progress bars and tables on a terminal, with rich, and the night as one page (``page``).

``bucket`` writes that page into S3. Start with ``console``. The package imports ``commands`` and the packages that
``commands`` imports.
"""
