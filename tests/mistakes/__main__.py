"""Writes the transcript that needs no server anew."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from pathlib import Path

from tests.mistakes import ALONE, answered
from tests.mistakes.alone import run

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        ALONE.write_text(answered(ALONE.read_text(encoding="utf-8"), run, Path(folder)), encoding="utf-8")
