"""Jobs that a command is given: by id, or by a pattern of ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from .problem import Problem, meant

T = TypeVar("T")

_WILD = frozenset("*?[")


def chosen(asked: Sequence[str], known: Mapping[str, T]) -> list[T]:
    """The jobs of these ids and patterns, in the order of their ids; raises Problem if one of them names none."""
    problems = [_unknown(name, known) for name in asked if not any(_is(job, name) for job in known)]
    if problems:
        raise Problem(*problems)
    return [known[job] for job in sorted(known) if any(_is(job, name) for name in asked)]


def unknown(job: str, known: Collection[str]) -> Problem:
    """That there is no job of an id."""
    return Problem(_unknown(job, known))


def _is(job: str, name: str) -> bool:
    return fnmatchcase(job, name) if _WILD & set(name) else job == name


def _unknown(name: str, known: Collection[str]) -> str:
    what = "no job matches" if _WILD & set(name) else "there is no job"
    return f"{what} {name}; {meant(name, known, 'nightly-jobs list has all of them')}"
