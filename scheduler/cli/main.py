"""The start of ``nightly-jobs``, and the exit status with which it ends."""

from __future__ import annotations

import sys
from typing import NoReturn

NEEDED = ("boto3", "botocore", "click", "cronsim", "rich")


def main() -> NoReturn:
    """Runs the command line and ends the process: 0 done, 1 something failed, 2 bad configuration or usage."""
    try:
        from . import run
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        _end(2, f"{error.name} is not installed; pip install 'nightly-etl[scheduler]'")
    _end(*run.status(debug="--debug" in sys.argv[1:]))


def _end(status: int, *lines: str) -> NoReturn:
    for line in lines:
        sys.stderr.write(f"nightly-jobs: {line}\n")
    sys.exit(status)
