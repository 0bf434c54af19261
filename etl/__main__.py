"""The start of the process: what ``etl`` and ``python -m etl`` do."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line, and looks for no garbage before its imports are done, which leave none.

    The collector would go over all of them: a tenth of the start's CPU (benchmarks/NOTES.md, Start-up).
    """
    gc.disable()
    from etl import cli

    cli.main()


if __name__ == "__main__":
    main()
