"""How the registry's records are written as items of DynamoDB, and read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from .cron import Schedule
from .due import Waiting
from .job import CatchUp, Job, Notify, Overlap, Status, When
from .records import BrokenJob, Counters, Registered, Run

_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ArithmeticError, OSError)  # what no scheduler wrote
_TEXTS = (
    *("cron", "zone", "settings_path", "source", "target", "topic", "slack_channel"),
    *("last_run", "last_status", "last_error"),
)
_LONGEST_WINDOW = timedelta(days=31)  # of which a tick looks at each due time; nightly-jobs allows a week

JOB = "job"
"""The sort key of a job's own item."""


def _broken(item: Mapping[str, Any], error: Exception) -> BrokenJob:
    why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return BrokenJob(str(item.get("id")).removeprefix("job#"), why)


def readable(item: Mapping[str, Any]) -> Registered | BrokenJob:
    """A job from its item, if this version can read it, and so can start it."""
    try:
        known = registered(item)
        for name in _TEXTS:
            if not isinstance(item.get(name, ""), str):
                raise TypeError(f"its {name} is {item[name]!r}, which is no text")
        if not isinstance(known.job.overrides, dict):
            raise TypeError(f"its overrides are {known.job.overrides!r}, which are no fields of an input")
        Schedule.of(known.job.schedule.cron, known.job.schedule.zone)
        return known
    except _UNREADABLE as error:
        return _broken(item, error)


def forgotten(status: Status) -> dict[str, Any]:
    """What enabling a job forgets."""
    return {"failures_in_row": 0, "paused_told": False} if status is Status.ENABLED else {}


def partition(job: str) -> str:
    """The partition key of a job's items."""
    return f"job#{job}"


def key(job: str) -> dict[str, Any]:
    """The key of a job's own item."""
    return _plain(id=partition(job), item=JOB)


def run_key(job: str, name: str) -> dict[str, Any]:
    """The key of a run's item."""
    return _plain(id=partition(job), item=f"run#{name.removeprefix(f'{job}-')}")


_write, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def _plain(**values: Any) -> dict[str, Any]:
    return {name: _write(value) for name, value in values.items()}


def values(**given: Any) -> dict[str, Any]:
    """Values of an expression, by their names in it."""
    return {f":{name}": _write(str(value) if isinstance(value, str) else value) for name, value in given.items()}


def read(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item's attributes, without their types."""
    return {name: _deserialize(value) for name, value in item.items()}


def ahead(
    job: Job, fresh: Mapping[str, Any], gone: Sequence[str], next_run_at: datetime | None
) -> tuple[dict[str, Any], list[str]]:
    """What is written and removed so that a job is in the index from its next run on, or not in it."""
    if job.status is Status.ENABLED and next_run_at is not None:
        return {**fresh, "due_shard": job.due_shard, "next_run_at": int(next_run_at.timestamp())}, [*gone]
    return dict(fresh), [*gone, "due_shard", "next_run_at"]


def written(job: Job) -> dict[str, Any]:
    """The attributes of a job's definition; None for those that it has not."""
    return {
        "cron": job.schedule.cron,
        "zone": job.schedule.zone,
        "status": job.status,
        "settings_path": job.settings_path,
        "source": job.source,
        "target": job.target,
        "overlap": job.overlap,
        "catch_up": job.catch_up,
        "window_seconds": int(job.window.total_seconds()),
        "pause_after": job.pause_after,
        "topic": job.notify.topic,
        "slack_channel": job.notify.slack_channel,
        "notify_when": job.notify.when,
        "overrides": json.dumps(dict(job.overrides), sort_keys=True),
    }


def registered(item: Mapping[str, Any]) -> Registered:
    """A job from its item; raises KeyError or ValueError if it is broken."""
    notify = Notify(item.get("topic"), item.get("slack_channel"), When(item["notify_when"]))
    job = Job(
        id=item["id"].removeprefix("job#"),
        schedule=Schedule(item["cron"], item["zone"]),
        settings_path=item["settings_path"],
        source=item["source"],
        target=item["target"],
        status=Status(item["status"]),
        overlap=Overlap(item["overlap"]),
        catch_up=CatchUp(item["catch_up"]),
        window=timedelta(seconds=int(item["window_seconds"])),
        pause_after=int(item["pause_after"]),
        notify=notify,
        overrides=json.loads(item["overrides"]),
    )
    counters = Counters(**{name: int(item.get(name, 0)) for name in Counters.__dataclass_fields__})
    next_run_at = _moment(item.get("next_run_at"))
    last = item.get("last_run"), item.get("last_status"), item.get("last_error") or None
    ended = datetime.fromisoformat(item["last_ended_at"]) if "last_ended_at" in item else None
    return Registered(job, counters, next_run_at, *last, bool(item.get("paused_told")), ended)


def waiting(item: Mapping[str, Any]) -> Waiting | BrokenJob:
    """A job that is due, from its item in the index."""
    try:
        window = timedelta(seconds=int(item["window_seconds"]))
        if window > _LONGEST_WINDOW:
            raise ValueError(f"its window is {window}, more than {_LONGEST_WINDOW}")
        return Waiting(
            id=item["id"].removeprefix("job#"),
            schedule=Schedule.of(item["cron"], item["zone"]),
            next_run_at=datetime.fromtimestamp(int(item["next_run_at"]), UTC),
            catch_up=CatchUp(item["catch_up"]),
            window=window,
        )
    except _UNREADABLE as error:
        return _broken(item, error)


def run(item: Mapping[str, Any]) -> Run:
    """A run from its item."""
    late = item.get("late_seconds")
    return Run(
        name=item["name"],
        status=item["status"],
        due=datetime.fromtimestamp(int(item["due"]), UTC),
        started_at=datetime.fromisoformat(item["started_at"]) if "started_at" in item else None,
        ended_at=datetime.fromisoformat(item["ended_at"]) if "ended_at" in item else None,
        late_seconds=None if late is None else float(late),
        waits=int(item.get("waits", 0)),
        error=item.get("error") or None,
        pools=tuple(item.get("pools", ())),
        is_noted=bool(item.get("noted")),
        told=bool(item.get("told")),
    )


def _moment(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
