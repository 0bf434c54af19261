"""The file that a command writes with ``--output``: the whole of it or nothing, or standard output."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from etl.model.errors import ConfigurationError

STANDARD_OUTPUT = "-"


def write(output: str, text: str) -> None:
    """Writes a text to the file ``output``, or prints it if that is ``-``; raises ConfigurationError if it cannot."""
    if output == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    file = Path(output)
    try:
        if file.is_dir():  # also the empty name, which is the current folder's
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}; write --output with another name, or --output - to print it"
        ) from None
