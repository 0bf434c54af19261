"""The scheduler Lambda: each minute it sends what is due up to the end of the next minute, and moves those jobs on.

A job is moved on only after the queue has accepted its message. Killed in between, the next tick sends the message
again; the runner starts a due time once, because the execution has its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from .deployment import Deployment
from .due import Decision, Waiting, decide, horizon
from .job import SHARDS
from .log import line, measured
from .message import Message
from .queue import Queue
from .records import BrokenJob
from .registry import Registry

_CALLS = 32  # side by side, beside one query a shard


class TickIncomplete(Exception):
    """Some due times could not be sent, or some jobs not be read; the next tick tries again."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick has done. ``lost``: messages that the queue did not accept; ``broken``: jobs that cannot be read."""

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
        tasks = [shards.submit(_shard, registry, queue, number, now, calls) for number in range(SHARDS)]
    return sum((task.result() for task in tasks), Ticked())


def _shard(registry: Registry, queue: Queue, number: int, now: datetime, calls: ThreadPoolExecutor) -> Ticked:
    done = Ticked()
    for page in registry.due(number, horizon(now)):
        broken = [job for job in page if isinstance(job, BrokenJob)]
        for job in broken:
            line("job.broken", error=str(job))
        waiting = [job for job in page if isinstance(job, Waiting)]
        done += _page(registry, queue, waiting, now, calls) + Ticked(broken=len(broken))
    return done


def _page(
    registry: Registry, queue: Queue, waiting: Iterable[Waiting], now: datetime, calls: ThreadPoolExecutor
) -> Ticked:
    decided = {job: decide(job, now, horizon(now)) for job in waiting}
    messages = [_message(job, due) for job, what in decided.items() for due in what.sent]
    lost = queue.send(messages, now)
    failed = {message.job for message in lost}
    accepted = [(job, what) for job, what in decided.items() if job.id not in failed]
    moved = list(calls.map(lambda each: _moved(registry, *each), accepted))
    return Ticked(len(decided), len(messages) - len(lost), sum(moved), sum(w.missed for _, w in accepted), len(lost))


def _message(job: Waiting, due: datetime) -> Message:
    return Message(job.id, due, str(job.schedule))


def _moved(registry: Registry, job: Waiting, what: Decision) -> bool:
    moved = registry.move(job, what.next_run_at, what.missed)
    if moved and what.missed:
        line("job.missed", job=job.id, missed=what.missed, catch_up=job.catch_up)
    return moved
