"""The start of the process for ``etl`` and ``python -m etl``."""

# docs/decisions.md, "A run does not import what it does not need"

import gc
import sys
from importlib import import_module
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line, with the garbage collector off during the imports.

    Imports leave no garbage, and the collector would take a tenth of the start's CPU time to find none
    (benchmarks/NOTES.md, Start-up).
    """
    gc.disable()
    import_structlog()
    from etl import cli

    cli.main()


def import_structlog() -> None:
    """Imports structlog as if rich were not installed.

    structlog imports rich for tracebacks, and the log has none. That is a tenth of a start's CPU time. Only the start
    of the process may do so: another program that imports ``etl`` may want structlog as it is.
    """
    if {"rich", "structlog"}.isdisjoint(sys.modules):
        sys.modules["rich"] = None  # type: ignore[assignment]  # so that the import of it fails
        import_module("structlog")
        del sys.modules["rich"]


if __name__ == "__main__":
    main()
