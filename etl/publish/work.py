"""The work of one publish: its session, its run, its tables and its policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeVar

from etl.model import limits
from etl.model.name import TargetName
from etl.publish.parts import Parts
from etl.publish.policy import Policy
from etl.sessions.postgres import Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """The tables of a run that a session publishes.

    ``in_place`` are those whose rows are replaced, ``parts`` those of them of which only changes are staged.
    ``committed`` is called once, as soon as the publish is committed, with the number of attempts and the milliseconds
    for which readers may have waited. ``as_of`` is the time of the run's snapshot, if the tables' comments are to say
    it. ``numbers`` yields the number of the next attempt.
    """

    target: Target
    run_id: str
    tables: Sequence[TargetName]
    policy: Policy
    in_place: Sequence[TargetName]
    committed: Callable[[int, float], None]
    parts: Parts = field(default_factory=dict)
    as_of: datetime | None = None
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def swapped(self) -> list[TargetName]:
        """The tables whose staging table becomes the live one."""
        return [table for table in self.tables if table not in self.in_place]

    @property
    def patience(self) -> tuple[float, ...]:
        """For how many seconds the publish is tried, and again after the blockers were ended, if the policy says so."""
        last_try = (limits.PUBLISH_LAST_TRY_SECONDS,) if self.policy.ends_blockers else ()
        return (self.policy.deadline, *last_try)

    @property
    def is_lost(self) -> bool:
        """Whether the connection of the session that publishes is closed or broken."""
        return self.target.closed or self.target.broken

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A transaction if rows are replaced in place, within which each attempt is a savepoint; else nothing."""
        return self.target.transaction() if self.in_place else nullcontext()
