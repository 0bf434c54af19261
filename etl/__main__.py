"""The start of the process for ``etl`` and ``python -m etl``."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line, with the garbage collector off during the imports.

    Imports leave no garbage, and the collector would take a tenth of the start's CPU time to find none
    (benchmarks/NOTES.md, Start-up).
    """
    gc.disable()
    from etl import cli

    cli.main()


if __name__ == "__main__":
    main()
