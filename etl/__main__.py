"""Lets ``python -m etl`` do what ``etl`` does."""

from etl.cli import main

if __name__ == "__main__":
    main()
