"""The runner Lambda: starts what the queue delivers, if it is still to be started and its pools have a place.

Each message is a due time. It is started under the due time's name, so once, however often the message comes. The steps
are ordered so that the runner may be killed between any two of them: the message comes again, and finds what was done.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from .deployment import Deployment
from .due import is_overtaken, is_too_late
from .job import Job, Status
from .log import line, measured
from .machine import Throttled
from .message import Message
from .pools import Pool, pools_of
from .queue import BATCH
from .records import Registered, Run

PUT_BACK = timedelta(seconds=30)
"""After so long, and up to half as long again, a due time whose pool is full is delivered again."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Handles the messages of an SQS event side by side; returns those that failed, which the queue delivers again."""
    del context
    deployment, records = Deployment.here(), event["Records"]
    with ThreadPoolExecutor(BATCH) as threads:
        done = list(threads.map(lambda record: _is_done(deployment, record), records))
    failed = [record["messageId"] for record, is_done in zip(records, done, strict=True) if not is_done]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _is_done(deployment: Deployment, record: Mapping[str, Any]) -> bool:
    """Handles one message; an error of one is none of the others'. The dead-letter queue gets what fails every time."""
    try:
        is_first = record["attributes"]["ApproximateReceiveCount"] == "1"
        handle(deployment, Message.read(record["body"]), datetime.now(UTC), is_first=is_first)
    except Exception as error:
        line("message.failed", error=f"{type(error).__name__}: {error}", body=record["body"][:500])
        return False
    return True


def handle(deployment: Deployment, message: Message, now: datetime, *, is_first: bool = True) -> str:
    """Does with a due time what is to be done; returns that: started, skipped, missed, cancelled, put_back or early.

    ``is_first``: the message has not been delivered before. One that has was not late: what was tried had failed.
    """
    known = deployment.registry.get(message.job)
    why = cancelled(known, message)
    if known is None or why:
        line("run.cancelled", job=message.job, run=message.name, reason=why)
        return "cancelled"
    noted = deployment.registry.run(message.job, message.name)
    if noted is not None and noted.is_noted:  # the message has come twice
        return noted.status
    if message.due > now:
        return _early(deployment, message, now)
    if why := missed(known.job, message, now, is_first=is_first):
        return _left(deployment, known.job, message, now, what="missed", why=why)
    return _started(deployment, known.job, message, now)


def cancelled(known: Registered | None, message: Message) -> str | None:
    """Why a due time is not to be started any more; None if it is. What a person has asked for needs no schedule."""
    if known is None:
        return "the job is gone"
    if message.schedule is None:
        return None
    if known.job.status is not Status.ENABLED:
        return f"the job is {known.job.status}"
    if str(known.job.schedule) != message.schedule:
        return "the job has another schedule"
    return None


def missed(job: Job, message: Message, now: datetime, *, is_first: bool) -> str | None:
    """Why a due time is not started any more, and counts as missed; None if it is to be started."""
    if message.is_missed:
        return "nothing ticked for it"
    if is_too_late(message.due, now, job.window):
        return f"it waited for {now - message.due}"
    is_new = is_first and message.waits == 0 and message.schedule is not None
    if is_new and is_overtaken(job.schedule, message.due, now):
        return f"it was delivered after {now - message.due}, and a later one is due"
    return None


def _started(deployment: Deployment, job: Job, message: Message, now: datetime) -> str:
    pools = pools_of(job)
    full = _full(deployment, pools, message.name, now)
    if full is not None and full.id == Pool.of_job(job.id).id:
        return _left(deployment, job, message, now, what="skipped", why="the last run is still running")
    if full is not None:
        return _put_back(deployment, message, full.id, now)
    try:
        if not deployment.machine.start(message.name, job.input(message.due)) and not _is_running(deployment, message):
            _release(deployment, pools, message.name)
    except Throttled:
        _release(deployment, pools, message.name)
        return _put_back(deployment, message, "StartExecution", now)
    return _noted(deployment, message, pools, now)


def _noted(deployment: Deployment, message: Message, pools: Sequence[Pool], now: datetime) -> str:
    """Notes a due time that is started."""
    run = Run(message.name, "started", message.due, now, waits=message.waits, pools=tuple(pool.id for pool in pools))
    run = replace(run, late_seconds=round((now - message.due).total_seconds(), 3))
    if deployment.registry.note(message.job, run, "started"):
        units = {"late_seconds": "Seconds", "waits": "Count"}
        measured("run.started", units, job=message.job, run=run.name, late_seconds=run.late_seconds, waits=run.waits)
    return "started"


def _full(deployment: Deployment, pools: list[Pool], name: str, now: datetime) -> Pool | None:
    """Takes a place in each pool; returns the first that is full, and gives the places before it back."""
    for taken, pool in enumerate(pools):
        if not deployment.pools.take(pool, name, now):
            _release(deployment, pools[:taken], name)
            return pool
    return None


def _release(deployment: Deployment, pools: list[Pool], name: str) -> None:
    """Gives places back, the first taken last: as long as it is held, no other delivery of the due time is at work."""
    for pool in reversed(pools):
        deployment.pools.release(pool.id, name)


def _is_running(deployment: Deployment, message: Message) -> bool:
    return deployment.machine.is_running(message.name) is True


def _early(deployment: Deployment, message: Message, now: datetime) -> str:
    """Has a due time come again at its second: the clock of who sent it is ahead of this one, or it is far away."""
    if deployment.queue.send([message], now):
        raise RuntimeError(f"the queue has not accepted {message.name} again")
    return "early"


def _put_back(deployment: Deployment, message: Message, full: str, now: datetime) -> str:
    delay = PUT_BACK * random.uniform(1, 1.5)  # noqa: S311 spreads those that wait for one pool
    if not deployment.queue.put_back(message, delay, now):
        raise RuntimeError(f"the queue has not accepted {message.name} again")
    deployment.registry.count_wait(message.job)
    line("run.waits", job=message.job, run=message.name, pool=full, waits=message.waits + 1)
    return "put_back"


def _left(deployment: Deployment, job: Job, message: Message, now: datetime, *, what: str, why: str) -> str:
    """Notes a due time that is not started; or that it is, if the runner was killed right after it had started it."""
    if deployment.machine.is_running(message.name) is not None:
        return _noted(deployment, message, pools_of(job), now)
    run = Run(message.name, what, message.due, waits=message.waits)
    if deployment.registry.note(message.job, run, what):
        line(f"run.{what}", job=message.job, run=message.name, reason=why)
    return what
