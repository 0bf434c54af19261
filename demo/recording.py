"""``make recording``: runs ``etl`` on a terminal and draws its output over time, as docs/recording.svg.

The two servers and the shop are the demo's. The picture is one SVG animated by CSS; it needs no JavaScript, so GitHub
shows it in a README. If the reader's system asks for less motion, it stands still at its last frame.

The known tools for this are not maintained: termtosvg has been archived since 2020, and svg-term-cli's issues get no
answers. pyte, the terminal emulator behind termtosvg, is maintained; it computes the screen's contents.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from demo.stage import Stage

FILE = Path(__file__).parents[1] / "docs" / "recording.svg"

COMMANDS = ("etl run", "etl verify")

ROWS = 2_000_000
COLUMNS, LINES = 96, 30

STEP = 0.2
"""Seconds between two frames, at least. Rich draws ten times a second; half of that still looks like motion."""

READ = 1.5
"""Seconds for which a command's result stands before the next command."""

HOLD = 6.0
"""Seconds for which the last frame stands before the animation begins again."""

_WIDTH, _HEIGHT, _BORDER = 8.4, 18, 14
"""Pixels of a character, and of the margin."""

_COLOURS = {
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",  # as pyte calls ANSI's yellow
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
}
_FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_BACKGROUND, _TEXT, _FRAME = "#0d1117", "#e6edf3", "#484f58"


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent characters of one line with the same style, and the column of the first."""

    column: int
    text: str
    colour: str = ""
    bold: bool = False


Line = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """The screen's contents from this second on."""

    second: float
    lines: tuple[Line, ...]


class Recorder:
    """A terminal of a given size, and its frames so far."""

    def __init__(self) -> None:
        import pyte

        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._began = time.monotonic()
        self.frames: list[Frame] = []

    def run(self, command: str) -> None:
        """Runs a shell command on the terminal to its end. Raises CalledProcessError when it fails."""
        self._show(f"\x1b[1;36m$ {command}\x1b[0m\r\n".encode())
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
        with subprocess.Popen(command, shell=True, stdin=its, stdout=its, stderr=its, env=environment) as process:
            os.close(its)
            for piece in _pieces(ours):
                self._show(piece)
        os.close(ours)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        self._screen.reset_mode(25, private=True)
        self._take()

    def wait(self, seconds: float) -> None:
        """Adds a pause to the recording, without waiting."""
        self._began -= seconds

    def _show(self, piece: bytes) -> None:
        self._stream.feed(piece)
        if not self.frames or self._second() - self.frames[-1].second >= STEP:
            self._take()

    def _take(self) -> None:
        lines = tuple(_line(self._screen.buffer[number]) for number in range(LINES))
        if not self.frames or self.frames[-1].lines != lines:
            self.frames.append(Frame(self._second(), lines))

    def _second(self) -> float:
        return time.monotonic() - self._began


def _pieces(terminal: int) -> Iterator[bytes]:
    """The output on a terminal, until the last process has closed it."""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux raises EIO when no process has the terminal open
            return
        if not piece:
            return
        yield piece


def _line(cells: Mapping[int, Any]) -> Line:
    """One line of pyte's screen as runs. Blank characters are left out."""
    runs = []
    alike = groupby(
        range(COLUMNS), key=lambda column: (cells[column].fg, cells[column].bold, cells[column].data == " ")
    )
    for (colour, bold, blank), columns in alike:
        if not blank:
            first, *others = columns
            text = "".join(cells[column].data for column in (first, *others))
            runs.append(Run(first, text, "" if colour == "default" else colour, bold))
    return tuple(runs)


def svg(frames: Sequence[Frame]) -> str:
    """The frames as one animated SVG: a strip of frames behind a window, which moves from one to the next.

    A line that several frames show is written once.
    """
    used = 1 + max(number for frame in frames for number, line in enumerate(frame.lines) if line)
    height = used * _HEIGHT
    numbers: dict[Line, int] = {}
    strip = []
    for place, frame in enumerate(frames):
        for row, line in enumerate(frame.lines):
            if line:
                number = numbers.setdefault(line, len(numbers))
                strip.append(f'<use href="#l{number}" y="{place * height + row * _HEIGHT}"/>')
    defined = [f'<text id="l{number}" y="{_HEIGHT - 5}">{_drawn(line)}</text>' for line, number in numbers.items()]
    width = round(COLUMNS * _WIDTH)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * _BORDER} {height + 2 * _BORDER}"'
            ' role="img" aria-labelledby="title">',
            '<title id="title">etl run copies six tables, with progress, and publishes them; etl verify compares all'
            " rows of both sides.</title>",
            f"<style>{_style(frames, height)}</style>",
            f'<rect x="0.5" y="0.5" width="{width + 2 * _BORDER - 1}" height="{height + 2 * _BORDER - 1}" rx="8"'
            f' fill="{_BACKGROUND}" stroke="{_FRAME}"/>',
            f"<defs>{''.join(defined)}</defs>",
            f'<svg x="{_BORDER}" y="{_BORDER}" width="{width}" height="{height}"><g class="strip">',
            "".join(strip),
            "</g></svg>",
            "</svg>",
            "",
        ]
    )


def _drawn(line: Line) -> str:
    return "".join(_tspan(run) for run in line)


def _tspan(run: Run) -> str:
    """A run at its column, as wide as its characters whatever font the reader has."""
    names = " ".join(name for name, on in ((_name(run.colour), run.colour), ("b", run.bold)) if on)
    looks = f' class="{names}"' if names else ""
    place = f'x="{run.column * _WIDTH:.1f}" textLength="{len(run.text) * _WIDTH:.1f}"'
    return f"<tspan {place}{looks}>{escape(run.text, quote=False)}</tspan>"


def _name(colour: str) -> str:
    return f"c{colour}"


def _style(frames: Sequence[Frame], height: int) -> str:
    """The colours, and the strip's way: each frame stands until the next one's second."""
    length = frames[-1].second + HOLD
    stops = [
        f"{100 * frame.second / length:.2f}%{{transform:translateY({-place * height}px)}}"
        for place, frame in enumerate(frames)
    ]
    last = f"translateY({-(len(frames) - 1) * height}px)"
    colours = {run.colour for frame in frames for line in frame.lines for run in line if run.colour}
    return "".join(
        [
            f"text{{font:14px {_FONTS};fill:{_TEXT};white-space:pre}}",
            ".b{font-weight:bold}",
            *(f".{_name(colour)}{{fill:{_COLOURS.get(colour) or '#' + colour}}}" for colour in sorted(colours)),
            f".strip{{transform:{last};animation:play {length:.1f}s step-end infinite}}",
            f"@keyframes play{{{''.join(stops)}100%{{transform:{last}}}}}",
            "@media (prefers-reduced-motion:reduce){.strip{animation:none}}",
        ]
    )


def main() -> None:
    """Makes the recording."""
    with ExitStack() as stack:
        stage = Stage.build(stack)
        stage.fill(ROWS)
        stage.store_urls()
        recorder = Recorder()
        for command in COMMANDS:
            recorder.run(command)
            recorder.wait(READ)
    FILE.write_text(svg(recorder.frames), encoding="utf-8")
    print(f"{FILE.name}: {len(recorder.frames)} frames, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
