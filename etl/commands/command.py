"""A command as the list has it (``etl.catalogue``), a call of it, and the JSON of its result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Generic, TypeVar

from etl.commands.answers import plain
from etl.commands.inputs import Input
from etl.loads.progress import Progress
from etl.settings.config import Found
from etl.settings.settings import Settings

In = TypeVar("In", bound=Input)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call(Generic[In]):
    """One call of a command: the settings found, and what it is asked.

    ``is_function`` says that a Lambda is called, by a state machine that may ask for the same thing twice;
    ``seconds_left`` says how long Lambda still gives it.
    """

    found: Found
    asked: In
    progress: Progress = field(default_factory=Progress)
    is_function: bool = False
    seconds_left: Callable[[], float] = lambda: inf

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.found.settings


def _itself(result: Any) -> Any:
    return result


@dataclass(frozen=True, slots=True)
class Form(Generic[R]):
    """A result as JSON: its type, of which docs/schemas has the schema, and how it is made of a result."""

    type: Any
    make: Callable[[R], Any] = _itself

    def of(self, result: R) -> Any:
        """The JSON of a result."""
        return plain(self.make(result))


def _nothing(_: Any) -> Iterable[str]:
    return ()


def _accept(_: Any) -> None:
    """Finds no fault."""


@dataclass(frozen=True, slots=True)
class Command(Generic[In, R]):
    """A command.

    ``needs`` are the settings that it cannot do without (``config.load``), ``also`` those that hang on its input.
    ``json`` is what ``--json`` prints, None where the command line has no such command; ``answer`` what the Lambda
    answers, None where there is none. ``show`` prints a result for people, and is None where the log says it all.
    ``judge`` raises, once the command line has printed the result, what makes its exit status 1 all the same.
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
    also: Callable[[In], Iterable[str]] = _nothing
    has_bars: bool = False
    """A terminal sees bars while it works, and its result at the end; elsewhere the log has both."""
    is_json_in_pipes: bool = False
    """It prints JSON to everything but a terminal."""

    def needed(self, asked: In) -> set[str]:
        """The settings that a call needs."""
        return {*self.needs, *self.also(asked)}
