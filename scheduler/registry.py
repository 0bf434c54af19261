"""The registry: a DynamoDB table of jobs with their counters and runs, and the index of what is due.

Partition key ``id``, sort key ``item``. An enabled job has ``due_shard`` and ``next_run_at``, so that only enabled jobs
are in the index ``due``. docs/scheduler.md has all items with their attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from .cron import Schedule
from .due import Waiting
from .job import CatchUp, Job, Notify, Overlap, Status, When, due_shard

INDEX = "due"

WATCH = timedelta(minutes=30)
"""After so long, a run whose end nobody has told is looked at, and so again and again until it has ended."""

_RUNNING = "running"  # the partition of the index with such runs

_JOB, _POOL = "job", "pool"
_PARTS = 16  # of a scan
_RUNS_KEPT = timedelta(days=90)  # as long as Step Functions keeps an execution, and its name is taken


@dataclass(frozen=True, slots=True)
class Counters:
    """What has become of a job's due times so far, and of its runs."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    """Due times at which the last execution was still running."""
    missed: int = 0
    waited: int = 0
    """How often a due time was put back because a pool was full."""
    failures_in_row: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """A job as the registry has it. ``last_run`` is the name of its last execution."""

    job: Job
    counters: Counters
    next_run_at: datetime | None
    last_run: str | None
    last_status: str | None
    last_error: str | None
    paused_told: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one due time. ``pools`` are those in which its execution holds a lease."""

    name: str
    status: str
    due: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    late_seconds: float | None = None
    waits: int = 0
    error: str | None = None
    pools: tuple[str, ...] = ()
    is_noted: bool = False
    """Whether the runner has written what it did, and not only the end."""
    told: bool = False


class Registry:
    """Jobs and their runs in a table. ``client`` is boto3's low-level client of DynamoDB, which threads may share."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    # jobs

    def get(self, job: str) -> Registered | None:
        """A job as it is now; None if there is none of this id."""
        item = self._client.get_item(TableName=self._table, Key=_key(job), ConsistentRead=True).get("Item")
        return _registered(_read(item)) if item else None

    def jobs(self) -> list[Registered | BrokenJob]:
        """All jobs, in no order; see ``contents``."""
        return self.contents()[0]

    def contents(self) -> tuple[list[Registered | BrokenJob], dict[str, int]]:
        """All jobs, and the pools that have a number of their own, in no order.

        Reads the whole table, with the runs of ninety days; so it reads parts of it side by side.
        """
        with ThreadPoolExecutor(_PARTS) as threads:
            items = list(chain.from_iterable(threads.map(self._scanned, range(_PARTS))))
        limits = {item["id"]: int(item["at_once"]) for item in items if item["item"] == _POOL and "at_once" in item}
        return [_readable(item) for item in items if item["item"] == _JOB], limits

    def put(self, job: Job, now: datetime) -> None:
        """Writes a job's definition over the one that is there; see ``put_over``."""
        self.put_over(self.get(job.id), job, now)

    def put_over(self, known: Registered | None, job: Job, now: datetime) -> None:
        """Writes a job's definition over the one that was read, or as a new job's.

        Its counters stay; so does its next run, if schedule and status are the same. Enabling forgets the failures in a
        row. Raises ChangedMeanwhile if the definition is another than the one that was read.
        """
        fresh = {name: value for name, value in _written(job).items() if value is not None}
        gone = sorted(set(_written(job)) - set(fresh))
        if known is None or known.job.status is not job.status:
            fresh |= _forgotten(job.status)
        is_same = known is not None and (known.job.schedule, known.job.status) == (job.schedule, job.status)
        if not is_same:
            fresh, gone = _ahead(job, fresh, gone, job.schedule.next(now))
        if not self._put(job.id, fresh, gone, {} if known is None else _written(known.job)):
            raise ChangedMeanwhile(f"job {job.id} has been changed meanwhile; retry")

    def set_status(self, job: Job, status: Status, now: datetime) -> None:
        """Enables or disables a job. Enabling forgets the failures in a row, and the due times until now.

        Raises ChangedMeanwhile if its schedule is another than when it was read, or if it is gone.
        """
        fresh = {"status": status, **_forgotten(status)}
        fresh, gone = _ahead(replace(job, status=status), fresh, [], job.schedule.next(now))
        if not self._put(job.id, fresh, gone, {"cron": job.schedule.cron, "zone": job.schedule.zone}):
            raise ChangedMeanwhile(f"job {job.id} has been changed meanwhile; retry")

    def pause(self, job: str) -> bool:
        """Pauses a job that is enabled; returns whether it is paused now by this call."""
        return self._changed(
            Key=_key(job),
            UpdateExpression="SET #status = :paused REMOVE due_shard, next_run_at",
            ConditionExpression="#status = :enabled",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=_values(paused=Status.PAUSED, enabled=Status.ENABLED),
        )

    def has_told(self, job: str) -> None:
        """Notes that somebody was told of the pause."""
        self._changed(
            Key=_key(job),
            UpdateExpression="SET paused_told = :yes",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=_values(yes=True),
        )

    def remove(self, job: str) -> None:
        """Removes a job; its runs stay until they expire."""
        self._client.delete_item(TableName=self._table, Key=_key(job))

    # what is due

    def due(self, shard: int, until: datetime) -> Iterator[list[Waiting | BrokenJob]]:
        """The jobs of a partition of the index that are due up to a moment, the oldest first, a page at a time.

        The index may be a second behind (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
        What it has too late is due at the next tick; what it still has is moved on only if it is true.
        """
        for page in self._index(due_shard(shard), until):
            yield [_waiting(_read(item)) for item in page["Items"]]

    def move(self, job: Waiting, next_run_at: datetime | None, missed: int) -> bool:
        """Moves a job on to its next due time; returns False if it has been moved, changed or disabled meanwhile."""
        named = {"#zone": "zone"}
        ahead = "SET next_run_at = :next" if next_run_at else "REMOVE due_shard, next_run_at"
        return self._changed(
            Key=_key(job.id),
            UpdateExpression=f"{ahead} ADD missed :missed",
            ConditionExpression="next_run_at = :was AND cron = :cron AND #zone = :zone",
            ExpressionAttributeNames=named,
            ExpressionAttributeValues=_values(
                was=int(job.next_run_at.timestamp()),
                cron=job.schedule.cron,
                zone=job.schedule.zone,
                missed=missed,
                **({"next": int(next_run_at.timestamp())} if next_run_at else {}),
            ),
        )

    # runs

    def runs(self, job: str, most: int) -> list[Run]:
        """The last due times of a job that something became of, the newest first."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="id = :id AND begins_with(#item, :run)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues=_values(id=_partition(job), run="run#"),
            ScanIndexForward=False,
            Limit=most,
            ConsistentRead=True,
        )
        return [_run(_read(item)) for item in answer["Items"]]

    def run(self, job: str, name: str) -> Run | None:
        """What became of the due time of this execution's name; None if nothing did yet."""
        key = _run_key(job, name)
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return _run(_read(item)) if item else None

    def note(self, job: str, run: Run, counted: str) -> bool:
        """Writes that a due time was started, skipped or missed, and counts it, once; returns False if it was before.

        A run that has ended before this is written keeps its end.
        """
        fresh: dict[str, Any] = {"due": int(run.due.timestamp()), "expires_at": int((run.due + _RUNS_KEPT).timestamp())}
        fresh |= {"name": run.name, "waits": run.waits, "pools": list(run.pools), "noted": True}
        if run.started_at is not None:
            fresh |= {"started_at": run.started_at.isoformat(), "late_seconds": str(run.late_seconds)}
            fresh |= {"due_shard": _RUNNING, "next_run_at": int((run.started_at + WATCH).timestamp())}
        sets = ", ".join(f"#{name} = :{name}" for name in fresh)
        last = ", last_run = :name" if run.started_at is not None else ""
        write = {
            "TableName": self._table,
            "Key": _run_key(job, run.name),
            "UpdateExpression": f"SET {sets}, #status = if_not_exists(#status, :status)",
            "ConditionExpression": "attribute_not_exists(noted)",
            "ExpressionAttributeNames": {f"#{name}": name for name in [*fresh, "status"]},
            "ExpressionAttributeValues": _values(status=run.status, **fresh),
        }
        count = {
            "TableName": self._table,
            "Key": _key(job),
            "UpdateExpression": f"SET seen = :one{last} ADD {counted} :one",
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeValues": _values(one=1, **({"name": run.name, "status": run.status} if last else {})),
        }
        return self._both(write, count)

    def end(self, job: str, run: Run) -> bool:
        """Writes a run's end, and counts it, once; returns False if it was written before."""
        is_good = run.status == "succeeded"
        fresh: dict[str, Any] = {"status": run.status, "name": run.name, "due": int(run.due.timestamp())}
        fresh |= {"expires_at": int((run.due + _RUNS_KEPT).timestamp()), "error": run.error or ""}
        fresh |= {"ended_at": (run.ended_at or datetime.now(UTC)).isoformat()}
        sets = ", ".join(f"#{name} = :{name}" for name in fresh)
        write = {
            "TableName": self._table,
            "Key": _run_key(job, run.name),
            "UpdateExpression": f"SET {sets} REMOVE due_shard, next_run_at",
            "ConditionExpression": "attribute_not_exists(ended_at)",
            "ExpressionAttributeNames": {f"#{name}": name for name in fresh},
            "ExpressionAttributeValues": _values(**fresh),
        }
        row = "failures_in_row = :none" if is_good else "failures_in_row = if_not_exists(failures_in_row, :none) + :one"
        count = {
            "TableName": self._table,
            "Key": _key(job),
            "UpdateExpression": f"SET {row}, last_ended = :name, last_status = :status, last_error = :error"
            f" ADD {'succeeded' if is_good else 'failed'} :one",
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeValues": _values(
                none=0, one=1, name=run.name, status=run.status, error=run.error or ""
            ),
        }
        return self._both(write, count)

    def overdue(self, now: datetime) -> Iterator[tuple[str, str]]:
        """The runs whose end nobody has told for long, each with its job; the oldest first."""
        for page in self._index(_RUNNING, now):
            for item in page["Items"]:
                found = _read(item)
                job = found["id"].removeprefix("job#")
                yield job, f"{job}-{found['item'].removeprefix('run#')}"

    def watch(self, job: str, name: str, again: datetime | None) -> None:
        """Has a run be looked at again then, or never."""
        ahead = "SET next_run_at = :again" if again else "REMOVE due_shard, next_run_at"
        values = {"ExpressionAttributeValues": _values(again=int(again.timestamp()))} if again else {}
        self._changed(
            Key=_run_key(job, name),
            UpdateExpression=ahead,
            ConditionExpression="attribute_exists(due_shard)",
            **values,
        )

    def has_told_run(self, job: str, name: str) -> None:
        """Notes that a run's end was told."""
        self._changed(
            Key=_run_key(job, name),
            UpdateExpression="SET told = :yes",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=_values(yes=True),
        )

    def count_wait(self, job: str) -> None:
        """Counts that a due time was put back."""
        self._changed(
            Key=_key(job),
            UpdateExpression="ADD waited :one",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=_values(one=1),
        )

    # how it is written

    def _index(self, partition: str, until: datetime) -> Iterator[Mapping[str, Any]]:
        pages: Iterator[Mapping[str, Any]] = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="due_shard = :shard AND next_run_at <= :until",
            ExpressionAttributeValues=_values(shard=partition, until=int(until.timestamp())),
        )
        return pages

    def _put(self, job: str, fresh: Mapping[str, Any], gone: Sequence[str], was: Mapping[str, Any]) -> bool:
        """Writes attributes of a job that has those that were read; without any, of one that is absent."""
        removal = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        same = [
            f"attribute_not_exists(#{name})" if value is None else f"#{name} = :was_{name}"
            for name, value in was.items()
        ]
        values = {f"was_{name}": value for name, value in was.items() if value is not None}
        return self._changed(
            Key=_key(job),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in fresh) + removal,
            ConditionExpression=" AND ".join(same) or "attribute_not_exists(id)",
            ExpressionAttributeNames={f"#{name}": name for name in {*fresh, *gone, *was}},
            ExpressionAttributeValues=_values(**fresh, **values),
        )

    def _scanned(self, part: int) -> list[dict[str, Any]]:
        """The jobs and pools of one part of the table."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="#item IN (:job, :pool)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues=_values(job=_JOB, pool=_POOL),
            ConsistentRead=True,
            Segment=part,
            TotalSegments=_PARTS,
        )
        return [_read(item) for page in pages for item in page["Items"]]

    def _changed(self, **update: Any) -> bool:
        """Updates an item; returns False if the update's condition does not hold."""
        try:
            self._client.update_item(TableName=self._table, **update)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _both(self, write: Mapping[str, Any], count: Mapping[str, Any]) -> bool:
        """Updates a run and its job together; returns False if it was done before, or if the job is gone."""
        try:
            self._client.transact_write_items(TransactItems=[{"Update": write}, {"Update": count}])
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            if not any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                raise
            return False
        return True


class ChangedMeanwhile(Exception):
    """A job is not as it was read: somebody else, or a pause, has changed it."""


class BrokenJob(Exception):
    """A job of which the registry has what this version cannot read: its id, and why."""

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"{job}: {why}")
        self.job, self.why = job, why


def _broken(item: Mapping[str, Any], error: Exception) -> BrokenJob:
    why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return BrokenJob(str(item.get("id")).removeprefix("job#"), why)


def _readable(item: Mapping[str, Any]) -> Registered | BrokenJob:
    try:
        known = _registered(item)
        _ = known.job.schedule.timezone  # which this machine may not know
        return known
    except (KeyError, ValueError) as error:
        return _broken(item, error)


def _forgotten(status: Status) -> dict[str, Any]:
    """What enabling a job forgets."""
    return {"failures_in_row": 0, "paused_told": False} if status is Status.ENABLED else {}


def _partition(job: str) -> str:
    return f"job#{job}"


def _key(job: str) -> dict[str, Any]:
    return _values_plain(id=_partition(job), item=_JOB)


def _run_key(job: str, name: str) -> dict[str, Any]:
    return _values_plain(id=_partition(job), item=f"run#{name.removeprefix(f'{job}-')}")


_write, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def _values_plain(**values: Any) -> dict[str, Any]:
    return {name: _write(value) for name, value in values.items()}


def _values(**values: Any) -> dict[str, Any]:
    return {f":{name}": _write(str(value) if isinstance(value, str) else value) for name, value in values.items()}


def _read(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _ahead(
    job: Job, fresh: Mapping[str, Any], gone: Sequence[str], next_run_at: datetime | None
) -> tuple[dict[str, Any], list[str]]:
    """What is written and removed so that a job is in the index from its next run on, or not in it."""
    if job.status is Status.ENABLED and next_run_at is not None:
        return {**fresh, "due_shard": job.due_shard, "next_run_at": int(next_run_at.timestamp())}, [*gone]
    return dict(fresh), [*gone, "due_shard", "next_run_at"]


def _written(job: Job) -> dict[str, Any]:
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


def _registered(item: Mapping[str, Any]) -> Registered:
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
    return Registered(job, counters, next_run_at, *last, bool(item.get("paused_told")))


def _waiting(item: Mapping[str, Any]) -> Waiting | BrokenJob:
    try:
        return Waiting(
            id=item["id"].removeprefix("job#"),
            schedule=Schedule.of(item["cron"], item["zone"]),
            next_run_at=datetime.fromtimestamp(int(item["next_run_at"]), UTC),
            catch_up=CatchUp(item["catch_up"]),
            window=timedelta(seconds=int(item["window_seconds"])),
        )
    except (KeyError, ValueError) as error:
        return _broken(item, error)


def _run(item: Mapping[str, Any]) -> Run:
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
