"""The file that a command writes with ``--output``: the whole of it or nothing, or standard output."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from pathlib import Path

from etl.model.errors import ConfigurationError

STANDARD_OUTPUT = "-"


def write(output: str, text: str) -> None:
    """Writes a text to the file ``output``, or prints it if that is ``-``; raises ConfigurationError if it cannot."""
    if output == STANDARD_OUTPUT:
        _print(text)
        return
    file = Path(output)
    try:
        if file.is_dir():  # also the empty name, which is the current folder's
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if file.exists() and not file.is_file():  # a pipe, or /dev/stdout, which root could replace by a file
            file.write_text(text, encoding="utf-8")
        else:
            _replace(Path(os.path.realpath(file)), text)  # what a link names, so that the link stays
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}; write --output with another name, or --output - to print it"
        ) from None


def _print(text: str) -> None:
    """Prints a text as a file would have it: in UTF-8, whatever the terminal has. The log is on standard error."""
    assert sys.__stdout__ is not None
    sys.__stdout__.flush()
    sys.__stdout__.buffer.write(text.encode())
    sys.__stdout__.buffer.flush()


def _replace(file: Path, text: str) -> None:
    """Writes beside the file, under a name that nobody can have put a link under, and renames. The mode stays."""
    new = file.with_name(f".etl-{secrets.token_hex(8)}.new")
    opened = new.open("x", encoding="utf-8")
    try:
        with opened:
            if file.exists():
                shutil.copymode(file, new)  # before it has the text, which others may not read
            opened.write(text)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
