"""Writes the transcripts that need no server anew."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from pathlib import Path

from tests.mistakes import ALONE, JOBS, answered
from tests.mistakes.alone import run
from tests.mistakes.nightly_jobs import run as run_nightly_jobs

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for transcript, program in ((ALONE, run), (JOBS, run_nightly_jobs)):
            text = answered(transcript.read_text(encoding="utf-8"), program, Path(folder))
            transcript.write_text(text, encoding="utf-8")
