"""The types of a command (an entry of ``etl.catalogue``), of a call of it, and of the JSON of its result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, TypeVar

from etl.commands.answer import plain
from etl.commands.inputs import Input
from etl.loads.progress import Progress
from etl.settings.found import Found
from etl.settings.settings import Settings

In = TypeVar("In", bound=Input)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call(Generic[In]):
    """One call of a command, with its settings and its input.

    ``is_function`` says that a Lambda is called, by a state machine that may ask for the same thing twice;
    ``seconds_left`` says how long Lambda still gives it.
    """

    found: Found
    asked: In
    progress: Progress = field(default_factory=Progress)
    is_function: bool = False
    seconds_left: Callable[[], float] = lambda: inf
    environment: Mapping[str, str] = field(default_factory=dict)
    """The process's environment, for a program that the command starts."""

    @property
    def settings(self) -> Settings:
        """The settings, without their origins."""
        return self.found.settings


def _itself(result: Any) -> Any:
    return result


@dataclass(frozen=True, slots=True)
class Form(Generic[R]):
    """The JSON of a result: its type, whose schema is in docs/schemas, and the function that makes it of a result."""

    type: Any
    make: Callable[[R], Any] = _itself

    def of(self, result: R) -> Any:
        """The JSON of a result."""
        return plain(self.make(result))


def _nothing(_: Any) -> Iterable[str]:
    return ()


def _accept(_: Any) -> None:
    """Accepts every result."""


@dataclass(frozen=True, slots=True)
class Command(Generic[In, R]):
    """A command of the command line, of Lambda, or of both.

    ``needs`` are the settings that it requires (``config.load``); ``also`` returns those that its input requires, too.
    ``json`` is the form that ``--json`` prints, None if the command line does not have the command. ``answer`` is the
    form that the Lambda returns, None if there is no Lambda. ``show`` prints a result for people, None if the log
    suffices. ``judge`` raises an error for a result that has to make the exit status 1, after it was printed.
    """

    name: str
    help: str
    needs: Collection[str]
    input: type[In]
    work: Callable[[Call[In]], Coroutine[Any, Any, R]]
    json: Form[R] | None = None
    answer: Form[R] | None = None
    show: Callable[[R], None] | None = None
    judge: Callable[[R], None] = _accept
    after: Callable[[Call[In], R], Coroutine[Any, Any, None]] | None = None
    """What the command line does at last, after the result was printed: the command after the publish."""
    refuse: Callable[[Call[In]], None] = _accept
    """Raises an error, before the work, for what ``after`` could not do."""
    also: Callable[[In], Iterable[str]] = _nothing
    follow: Callable[[Call[In]], Coroutine[Any, Any, R]] | None = None
    """What the command line does without ``--json``, in place of ``work`` and ``show``: it prints while it goes on."""
    has_bars: bool = False
    """On a terminal it shows progress bars, and then its result; elsewhere the log has both."""
    is_json_in_pipes: bool = False
    """It prints JSON if standard output is not a terminal."""

    def needed(self, asked: In) -> set[str]:
        """The settings that a call with this input requires."""
        return {*self.needs, *self.also(asked)}
