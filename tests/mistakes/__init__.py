"""The tables of mistakes: transcripts of what a user does wrong, and all that ``etl`` says to it.

Each is a text that is meant to be read from top to bottom. A mistake is a heading, files, a command, all of standard
error (before it, what ``etl check`` finds not ready), and the exit status::

    a pattern without quotes
    > options.toml
    | [audit.*]
    $ etl run
    etl: ETL_OPTIONS_FILE (options.toml) line 1: [audit.*] needs quotes around the name; write ["audit.*"]
    exit 2

Settings stand before the command, as in a shell; ``env -u TABLES`` takes one away. A file options.toml is the one that
ETL_OPTIONS_FILE names. ``python -m tests.mistakes`` writes the transcripts that need no server anew, also the answers
to new mistakes, after whose command there is an empty line: read it then.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
ALONE = FOLDER / "alone.txt"
WITH_SERVERS = FOLDER / "with_servers.txt"
JOBS = FOLDER / "jobs.txt"

_BYTE = re.compile(rb"\\x([0-9a-f]{2})")
"""How a transcript writes a byte of a file that is no text, such as \\xff."""

Run = Callable[[Mapping[str, str | None], list[str]], tuple[int, str]]
"""Runs ``etl`` with changed settings and arguments; returns the exit status and standard error."""


@dataclass(slots=True)
class Mistake:
    """One mistake of a transcript: its lines before the answer, its files, and its command."""

    lines: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    command: str = ""

    def answered(self, run: Run, folder: Path) -> str:
        """The mistake, followed by what ``etl`` says now."""
        for name, lines in self.files.items():
            text = "".join(f"{line}\n" for line in lines).encode()
            (folder / name).write_bytes(_BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), text))
        variables: dict[str, str | None] = {}
        if "options.toml" in self.files:
            variables["ETL_OPTIONS_FILE"] = "options.toml"
        words = iter(shlex.split(self.command))
        for word in words:
            if word == "-u":
                variables[next(words)] = None
            elif word in {"etl", "nightly-jobs"}:
                break
            elif word != "env":
                name, _, value = word.partition("=")
                variables[name] = value
        status, said = run(variables, list(words))
        return "\n".join([*self.lines, *said.splitlines(), f"exit {status}"])


def answered(transcript: str, run: Run, folder: Path) -> str:
    """A transcript with what ``etl`` says now."""
    blocks = [
        block if isinstance(block, str) else block.answered(run, folder) for block in _blocks(transcript.splitlines())
    ]
    return "\n".join(blocks) + "\n"


def count(transcript: str) -> int:
    """The number of mistakes in a transcript."""
    return sum(line.startswith("$ ") for line in transcript.splitlines())


def _blocks(lines: list[str]) -> Iterator[str | Mistake]:
    """The headings and empty lines as they are, and the mistakes without their answers."""
    mistake: Mistake | None = None
    answer: list[str] = []
    for line in lines:
        if mistake is None and (not line or line.startswith("#")):
            yield line
        elif mistake is not None and mistake.command:
            is_new = not line and mistake.lines[-1].startswith("$ ") and not answer
            answer.append(line)
            if is_new or line.startswith("exit "):
                yield mistake
                mistake = None
            if is_new:
                yield line
        else:
            mistake, answer = mistake or Mistake(), []
            mistake.lines.append(line)
            if line.startswith("> "):
                mistake.files[line[2:]] = []
            elif line.startswith("|"):
                mistake.files[next(reversed(mistake.files))].append(line[2:])
            elif line.startswith("$ "):
                mistake.command = line[2:]
    if mistake is not None:
        yield mistake
