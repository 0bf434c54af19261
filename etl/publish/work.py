"""What a publish has to do: its session, its run, its tables, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from etl.model.errors import PublishBlocked
from etl.model.name import TargetName
from etl.publish.policy import Policy
from etl.sessions.postgres import Target

LAST_TRY = 5.0
"""Seconds for another try after the sessions in the way were ended."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """The tables of a run that a session publishes; ``in_place`` are those whose rows are replaced.

    ``numbers`` has the number of each attempt, in order.
    """

    target: Target
    run_id: str
    tables: Sequence[TargetName]
    policy: Policy
    in_place: Sequence[TargetName]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def swapped(self) -> list[TargetName]:
        """The tables of which the staging table itself becomes the live one."""
        return [table for table in self.tables if table not in self.in_place]

    @property
    def is_lost(self) -> bool:
        """Whether the session that publishes is gone."""
        return self.target.closed or self.target.broken

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A transaction where rows are replaced in place: within it each attempt is a savepoint."""
        return self.target.transaction() if self.in_place else nullcontext()

    async def insist(self, step: Callable[[float], Awaitable[T]], end: Callable[[], Awaitable[None]]) -> T:
        """Does a step, which takes its deadline in seconds and raises PublishBlocked then.

        Where the policy says so, ``end`` then ends the sessions in the way, and the step is done once more.
        """
        try:
            return await step(self.policy.deadline)
        except PublishBlocked:
            if not self.policy.ends_blockers:
                raise
            await end()
            return await step(LAST_TRY)
