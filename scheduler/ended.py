"""The Lambda that is called when an execution has ended: it frees its places, writes its end, and tells of it.

The event may come twice, late, or not at all: Step Functions sends events as well as it can. So each step is done once,
whoever does it; and every ten minutes this Lambda looks at the runs whose end nobody has told for long.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from .deployment import Deployment
from .job import Status, When, job_and_due
from .log import line
from .machine import Ended, ended
from .pools import pools_of
from .records import Registered, Run
from .registry import WATCH

_SIDE_BY_SIDE = 8
"""Step Functions answers ten to fifteen DescribeExecution a second (docs/scheduler.md, "Quotas to raise")."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, bool]:
    """Takes an event "Step Functions Execution Status Change", or one of a schedule; returns whether it had work."""
    del context
    if event.get("detail-type") == "Scheduled Event":
        return {"settled": look(Deployment.here(), datetime.now(UTC)) > 0}
    detail = event["detail"]
    found = job_and_due(detail["name"])
    if found is None or detail["status"] == "RUNNING" or not _is_given(detail.get("input"), found[0]):
        return {"settled": False}
    stopped = detail.get("stopDate")
    at = datetime.fromtimestamp(stopped / 1000, UTC) if stopped else None
    end = ended(detail["status"], at, detail.get("error"), detail.get("cause"))
    return {"settled": settle(Deployment.here(), found[0], detail["name"], found[1], end)}


def _is_given(content: str | None, job: str) -> bool:
    """Whether an execution has a job's input: a person's may have a name like those of a job's.

    An event has no input that is too long for it; such a one is taken for the job's.
    """
    given = {"job": job} if content is None else json.loads(content)
    return isinstance(given, dict) and given.get("job") == job


def look(deployment: Deployment, now: datetime) -> int:
    """Looks at the runs whose end nobody has told for long; returns how many have ended.

    Raises the first error, after all were looked at: one run's is none of the others'.
    """
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
        looks = [threads.submit(_look, deployment, *each, now) for each in deployment.registry.overdue(now)]
    return sum(each.result() for each in looks)


def _look(deployment: Deployment, job: str, name: str, now: datetime) -> bool:
    found, end, registry = job_and_due(name), deployment.machine.ended(name), deployment.registry
    registry.watch(job, name, now + WATCH)  # before anything fails, so that it is not in the others' way each time
    if found is None or end is None:
        return False
    settled = settle(deployment, job, name, found[1], end)
    registry.watch(job, name, None)
    return settled


def settle(deployment: Deployment, job: str, name: str, due: datetime, end: Ended) -> bool:
    """Does what an execution's end asks for; returns False if the job is gone, and nothing was left to write."""
    known, registry = deployment.registry.get(job), deployment.registry
    run = registry.run(job, name)
    held = run.pools if run is not None and run.pools else [] if known is None else [p.id for p in pools_of(known.job)]
    for pool in held:
        deployment.pools.release(pool, name)
    ended_run = Run(name, end.status, due, ended_at=end.at, error=end.error)
    if known is None:
        is_written = registry.end_without_job(job, ended_run)
    else:
        is_written = registry.end(job, ended_run, is_latest=not known.has_ended_since(end.at))
    if is_written:
        line("run.ended", job=job, run=name, status=end.status, error=end.error)
    if known is None:
        return is_written
    _tell(deployment, name, end)
    return True


def _tell(deployment: Deployment, name: str, end: Ended) -> None:
    found = job_and_due(name)
    assert found is not None
    known, run = deployment.registry.get(found[0]), deployment.registry.run(found[0], name)
    if known is None:
        return
    # Each is noted by itself, and the run's end last: until then the run is looked at again.
    if _is_paused(deployment, known, name, end) and not known.paused_told:
        execution = deployment.machine.execution(name)
        deployment.teller.paused(known.job, execution, known.counters.failures_in_row, known.last_error)
        deployment.registry.has_told(known.job.id)
    if run is not None and not run.told:
        if end.status != "succeeded" or known.job.notify.when is When.ALWAYS:
            deployment.teller.end(known.job, name, end)
        deployment.registry.has_told_run(known.job.id, name)


def _is_paused(deployment: Deployment, known: Registered, name: str, end: Ended) -> bool:
    """Pauses a job that has failed too often in a row; returns whether it is paused now, by this end or before it."""
    job, failures = known.job, known.counters.failures_in_row
    if job.status is not Status.ENABLED or not 0 < job.pause_after <= failures:
        return job.status is Status.PAUSED
    if not deployment.registry.pause(job.id, job.pause_after, name):
        return False
    line("job.paused", job=job.id, failures=failures, error=end.error)
    return True
