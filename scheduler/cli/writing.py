"""Writes what a file changes: many jobs side by side, each by a write of its own that only holds for what was read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from scheduler.pools import Pool, Pools
from scheduler.registry import ChangedMeanwhile, Registry

from .aws import explained
from .diff import Change, Changed, Difference

T = TypeVar("T")

AT_ONCE = 32
"""Writes at once; as many connections as the clients have."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and a line for each thing that was not."""

    new: int
    changed: int
    removed: int
    limits: int
    failed: tuple[str, ...]


def write(registry: Registry, pools: Pools, todo: Difference, now: datetime, *, prune: bool) -> Written:
    """Writes a difference. The pools go first, so that the new jobs' runs keep to their numbers."""
    work = _Work()
    unlisted, absent = (todo.unlisted, todo.absent) if prune else ((), ())
    limits = work.do(lambda change: _allow(pools, change), [*todo.limits, *unlisted], lambda change: change.key)
    new = work.do(lambda each: _put(registry, each, now), todo.new, lambda each: each.job.id)
    changed = work.do(lambda each: _put(registry, each, now), todo.changed, lambda each: each.job.id)
    removed = work.do(lambda job: registry.remove(job, todo.as_read.get(job)), absent, str)
    return Written(new, changed, removed, limits, tuple(work.failed))


def _allow(pools: Pools, change: Change) -> None:
    pools.allow(Pool(change.key, None if change.new is None else int(change.new)))


def _put(registry: Registry, each: Changed, now: datetime) -> None:
    registry.put_over(each.known, each.job, now)


class _Work:
    """Writes that go on after a conflict, and stop at an error of AWS, which the next one would meet, too."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._stopped = threading.Event()

    def do(self, one: Callable[[T], None], items: Sequence[T], name: Callable[[T], str]) -> int:
        """Does one thing with each item; returns with how many it was done."""

        def attempt(item: T) -> bool:
            if self._stopped.is_set():
                return False
            try:
                one(item)
            except ChangedMeanwhile:
                self.failed.append(f"job {name(item)} has been changed meanwhile by somebody else; put the file again")
                return False
            except (ClientError, BotoCoreError) as error:
                if not self._stopped.is_set():
                    self._stopped.set()
                    said = "; ".join(explained(error).lines)
                    self.failed.append(
                        f"{name(item)}: {said}; then put the file again, for what follows is not written"
                    )
                return False
            return True

        with ThreadPoolExecutor(AT_ONCE) as threads:
            return sum(threads.map(attempt, items))
