"""Logs: JSON lines on standard output (or readable ones on a terminal), and errors on standard error too."""

from __future__ import annotations

import logging
import os
import sys
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
    """What writes log lines. An error on one is a text without secrets, which mypy holds every caller to."""

    def info(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes what happened."""

    def warning(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes what somebody should look at."""

    def error(self, event: str, /, *, error: Redacted = ..., **fields: object) -> None:
        """Writes what failed, on standard error too."""


def get_logger() -> Log:
    """The logger of a module; how its lines look is set up later, by an entry point."""
    log: Log = structlog.get_logger()
    return log


def configure(form: str, level: str, redact: Redactor = own_words, metrics: Processor | None = None) -> None:
    """Sets up logging for the process.

    Takes a format of FORMATS, a level of LEVELS, what takes secrets out of all texts of a line, and what makes metrics.
    """
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())  # libraries' own logs are not part of the contract
    console = form == "console"
    plain = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), pad_event_to=0, pad_level=False, sort_keys=False)
    renderers: list[Any] = [_for_eyes, plain] if console else [*([metrics] if metrics else []), _json()]
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


def bind(**values: object) -> None:
    """Puts values, such as ``run_id``, on every line from here on, and no others."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)


def printable(text: str) -> str:
    """Gives ``text`` with what would act on a terminal spelt out, such as a name that holds escape sequences.

    Control characters, line ends among them, which would make one message two; and those that turn writing round.
    """
    return "".join(repr(character)[1:-1] if _acts(character) else character for character in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"} or unicodedata.bidirectional(character) in _TURNS


def flush() -> None:
    """Flushes standard output. Once its reader has gone, what is written goes nowhere: a copy outlives its log."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(said: Redacted) -> None:
    """Writes a line on standard error, where users look for what went wrong."""
    print(printable(f"etl: {said}"), file=sys.stderr, flush=True)


def _redaction(redact: Redactor) -> Processor:
    """A processor that takes secrets out of every text of an event, whichever field it is in."""

    def process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}

    return process


def _told_on_standard_error(redact: Redactor) -> Processor:
    """A processor that writes errors as plain text on standard error too; on one terminal, only there."""

    def process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event["level"] == "error":
            subject = " ".join(str(event[key]) for key in ("event", "table") if key in event)
            tell(redact(f"{subject}: {event.get('error', 'failed')}"))
            if sys.stdout.isatty() and sys.stderr.isatty():
                raise structlog.DropEvent
        return event

    return process


def _contract_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    first = ("timestamp", "level", "event", "run_id")
    return {key: event[key] for key in first if key in event} | dict(event)


def _for_eyes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leaves out what is the same on every line of a terminal: the day, and the run's id."""
    shown = {
        key: printable(value) if isinstance(value, str) else value for key, value in event.items() if key != "run_id"
    }
    return shown | {"timestamp": event["timestamp"][11:19]}


def _json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


class _StandardOutput:
    """Whatever is standard output when a line is written: a progress display puts its own in place."""

    def write(self, text: str) -> int:
        try:
            return sys.stdout.write(text)
        except BrokenPipeError:
            flush()
            return len(text)

    def flush(self) -> None:
        flush()
