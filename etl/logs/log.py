"""Logs: JSON lines on standard output (readable lines on a terminal), and errors also on standard error."""

from __future__ import annotations

import errno
import logging
import os
import sys
import termios
import unicodedata
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from structlog.typing import EventDict, WrappedLogger

from etl.model.redaction import Redacted, Redactor, own_words

Processor = Callable[[WrappedLogger, str, EventDict], EventDict]

FORMATS = ("json", "console")
LEVELS = ("debug", "info", "warning", "error")

_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # Unicode's explicit directions


class Log(Protocol):
    """A logger. The field ``error`` of a line is a text without secrets (``Redacted``); mypy checks every caller."""

    def info(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes a line of level info."""

    def warning(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes a line of level warning: somebody should look at it."""

    def error(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes a line of level error, also on standard error."""


def get_logger() -> Log:
    """The logger of a module; an entry point configures the format later (``configure``)."""
    log: Log = structlog.get_logger()
    return log


def configure(form: str, level: str, redact: Redactor = own_words, metrics: Processor | None = None) -> None:
    """Configures logging for the process.

    ``form`` is one of FORMATS, ``level`` one of LEVELS. ``redact`` removes secrets from all texts of a line, and
    ``metrics`` adds metrics to a line.
    """
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())  # libraries' own logs are not part of the contract
    renderers: list[Any] = [_for_eyes, _plain()] if form == "console" else [*([metrics] if metrics else []), _json()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redaction(redact),
            _told_on_standard_error(redact),
            _contract_first,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(_StandardOutput()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


def configure_level(level: str) -> None:
    """Leaves out all later lines below a level, one of LEVELS."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))


def bind(**values: object) -> None:
    """Adds values, such as ``run_id``, to every later line, in place of those that an earlier call added."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)


def printable(text: str) -> str:
    """Returns ``text`` with escapes for all characters that would act on a terminal.

    They are control characters, including line ends, which would make two messages of one, and the characters that
    change the direction of writing. The name of a table may contain them.
    """
    return "".join(repr(character)[1:-1] if _acts(character) else character for character in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(character) in _TURNS


def flush() -> None:
    """Flushes standard output. If its reader has gone, later output is discarded, and the run continues."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave_lost_terminal() -> None:
    """Discards all later output to a terminal that has been closed: writing to it is an error, as is all about it."""
    for number in (1, 2):
        try:
            termios.tcgetattr(number)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def tell(said: Redacted) -> None:
    """Writes a line on standard error, where users look for errors."""
    print(printable(f"etl: {said}"), file=sys.stderr, flush=True)


def _redaction(redact: Redactor) -> Processor:
    """A processor that removes secrets from every text of an event, in all fields."""

    def process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}

    return process


def _told_on_standard_error(redact: Redactor) -> Processor:
    """A processor that writes errors also on standard error, as plain text.

    If standard output and standard error are both a terminal, it writes them on standard error only.
    """

    def process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event["level"] == "error":
            subject = " ".join(str(event[key]) for key in ("event", "table") if key in event)
            tell(redact(f"{subject}: {event.get('error', 'failed')}"))
            if sys.stdout.isatty() and sys.stderr.isatty():
                raise structlog.DropEvent
        return event

    return process


def _contract_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = ("timestamp", "level", "event", "run_id", "job")
    return {key: event[key] for key in first if key in event} | dict(event)


def _for_eyes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leaves out the values that are the same on every line of a terminal: the date, the run's id, and its job."""
    shown = {
        key: printable(value) if isinstance(value, str) else value
        for key, value in event.items()
        if key not in {"run_id", "job"}
    }
    return shown | {"timestamp": event["timestamp"][11:19]}


def _plain() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=0, pad_level=False, sort_keys=False)


def _json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


class _StandardOutput:
    """The stream that ``sys.stdout`` is when a line is written; a progress display replaces it for a while."""

    def write(self, text: str) -> int:
        try:
            return sys.stdout.write(text)
        except BrokenPipeError:
            flush()
            return len(text)

    def flush(self) -> None:
        flush()
