"""The scheduler Lambda: each minute it sends what is due up to the end of the next minute, and moves those jobs on.

A job is moved on only after the queue has accepted its message. Killed in between, the next tick sends the message
again; the runner starts a due time once, because the execution has its name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .deployment import Deployment
from .due import Decision, Waiting, decide, horizon
from .job import SHARDS
from .log import line, measured
from .message import Message
from .queue import BATCH, Queue
from .records import BrokenJob
from .registry import Registry

_CALLS = 32  # side by side, beside one query a shard

_PART = 200
"""So many jobs of a shard are sent and then moved on, before the next ones: a tick that is killed has done some."""


class TickIncomplete(Exception):
    """Some due times could not be sent, or some jobs not be read or moved on; the next tick tries again."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick has done.

    ``lost``: messages that the queue did not accept; ``broken``: jobs that cannot be read or moved on.
    """

    due: int = 0
    sent: int = 0
    moved: int = 0
    missed: int = 0
    lost: int = 0
    broken: int = 0

    def __add__(self, other: Ticked) -> Ticked:
        return Ticked(*(getattr(self, name) + getattr(other, name) for name in asdict(self)))


def handler(event: Mapping[str, Any] | None, context: object) -> dict[str, int]:
    """Does one tick; returns its numbers. Raises TickIncomplete if something is left for the next one."""
    del event, context
    deployment = Deployment.here()
    done = tick(deployment.registry, deployment.queue, datetime.now(UTC))
    measured("tick", dict.fromkeys(asdict(done), "Count"), **asdict(done))
    if done.lost or done.broken:
        raise TickIncomplete(f"{done.lost} messages not accepted, {done.broken} jobs broken; see the log")
    return asdict(done)


def tick(registry: Registry, queue: Queue, now: datetime) -> Ticked:
    """Asks all shards side by side. An error in one of them does not keep the others from their jobs."""
    with ThreadPoolExecutor(_CALLS) as calls, ThreadPoolExecutor(SHARDS) as shards:
        work = _Work(registry, queue, calls, now, time.monotonic())
        tasks = [shards.submit(work.shard, number) for number in range(SHARDS)]
    return sum((task.result() for task in tasks), Ticked())


@dataclass(frozen=True, slots=True)
class _Work:
    """What a tick does with one shard after the other. No job keeps the others from being sent."""

    registry: Registry
    queue: Queue
    calls: ThreadPoolExecutor
    now: datetime
    begun: float

    def shard(self, number: int) -> Ticked:
        """Sends what is due of a shard, and moves it on."""
        pages = self.registry.due(number, horizon(self.now))
        parts = (page[start : start + _PART] for page in pages for start in range(0, len(page), _PART))
        return sum(map(self._part, parts), Ticked())

    def _part(self, jobs: Sequence[Waiting | BrokenJob]) -> Ticked:
        decided = {job: what for job in jobs if isinstance(job, Waiting) and (what := self._decided(job))}
        messages = [message for job, what in decided.items() for message in _messages(job, what)]
        lost = self._lost(messages)
        failed = {message.job for message in lost}
        accepted = [(job, what) for job, what in decided.items() if job.id not in failed]
        for job in jobs:
            if isinstance(job, BrokenJob):
                line("job.broken", error=str(job))
        done = Ticked(due=len(decided), sent=len(messages) - len(lost), lost=len(lost), broken=len(jobs) - len(decided))
        return sum(self.calls.map(lambda each: self._moved(*each), accepted), done)

    def _lost(self, messages: Sequence[Message]) -> set[Message]:
        """Sends messages, and returns those that the queue has not accepted.

        Thousands take their time, by which the last ones' delays are shorter.
        """
        lost = set[Message]()
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            try:
                lost |= self.queue.send(batch, self.now + timedelta(seconds=time.monotonic() - self.begun))
            except (ClientError, BotoCoreError) as error:
                line("batch.refused", error=str(error))
                lost |= set(batch)
        return lost

    def _decided(self, job: Waiting) -> Decision | None:
        try:
            return decide(job, self.now, horizon(self.now))
        except (ValueError, ArithmeticError) as error:  # a time of no calendar
            line("job.broken", error=f"{job.id}: {error}")
            return None

    def _moved(self, job: Waiting, what: Decision) -> Ticked:
        try:
            is_moved = self.registry.move(job, what.next_run_at, what.missed - len(what.doubtful))
        except (ClientError, BotoCoreError) as error:
            line("job.broken", error=f"{job.id}: it cannot be moved on: {error}")
            return Ticked(broken=1)
        if is_moved and what.missed:
            line("job.missed", job=job.id, missed=what.missed, catch_up=job.catch_up)
        return Ticked(moved=1, missed=what.missed) if is_moved else Ticked()


def _messages(job: Waiting, what: Decision) -> list[Message]:
    schedule = str(job.schedule)
    started = [Message(job.id, due, schedule) for due in what.sent]
    return started + [Message(job.id, due, schedule, is_missed=True) for due in what.doubtful]
