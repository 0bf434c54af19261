"""The registry: a DynamoDB table of jobs with their counters and runs, and the index of what is due.

Partition key ``id``, sort key ``item``. An enabled job has ``due_shard`` and ``next_run_at``, so that only enabled jobs
are in the index ``due``. docs/scheduler.md has all items with their attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from . import items, table
from .due import Waiting
from .job import Job, Status, due_shard
from .records import BrokenJob, Registered, Run

INDEX = "due"

WATCH = timedelta(minutes=30)
"""After so long, a run whose end nobody has told is looked at, and so again and again until it has ended."""

_RUNNING = "running"  # the partition of the index with such runs

_POOL = "pool"
_PARTS = 16  # of a scan
_RUNS_KEPT = timedelta(days=90)  # as long as Step Functions keeps an execution, and its name is taken


class Registry:
    """Jobs and their runs in a table. ``client`` is boto3's low-level client of DynamoDB, which threads may share."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._table = client, name

    # jobs

    def get(self, job: str) -> Registered | None:
        """A job as it is now; None if there is none of this id. Raises an error if it cannot be read at all."""
        item = self._item(job)
        return items.registered(item) if item else None

    def look_up(self, job: str) -> Registered | BrokenJob | None:
        """Likewise, and held against all that a job must have, as ``jobs`` does."""
        item = self._item(job)
        return items.readable(item) if item else None

    def jobs(self) -> list[Registered | BrokenJob]:
        """All jobs, in no order; see ``contents``."""
        return self.contents()[0]

    def contents(self) -> tuple[list[Registered | BrokenJob], dict[str, int]]:
        """All jobs, and the pools that have a number of their own, in no order.

        Reads the whole table, with the runs of ninety days; so it reads parts of it side by side.
        """
        with ThreadPoolExecutor(_PARTS) as threads:
            found = list(chain.from_iterable(threads.map(self._scanned, range(_PARTS))))
        limits = {item["id"]: int(item["at_once"]) for item in found if item["item"] == _POOL and "at_once" in item}
        return [items.readable(item) for item in found if item["item"] == items.JOB], limits

    def put(self, job: Job, now: datetime) -> None:
        """Writes a job's definition over the one that is there; see ``put_over``."""
        self.put_over(self.get(job.id), job, now)

    def put_over(self, known: Registered | None, job: Job, now: datetime) -> None:
        """Writes a job's definition over the one that was read, or as a new job's.

        Its counters stay; so does its next run, if schedule and status are the same. Enabling forgets the failures in a
        row. Raises ChangedMeanwhile if the definition is another than the one that was read.
        """
        fresh = {name: value for name, value in items.written(job).items() if value is not None}
        gone = sorted(set(items.written(job)) - set(fresh))
        if known is None or known.job.status is not job.status:
            fresh |= items.forgotten(job.status)
        is_same = known is not None and (known.job.schedule, known.job.status) == (job.schedule, job.status)
        if not is_same:
            fresh, gone = items.ahead(job, fresh, gone, job.schedule.next(now))
        if not self._put(job.id, fresh, gone, {} if known is None else items.written(known.job)):
            raise ChangedMeanwhile(f"job {job.id} has been changed meanwhile; retry")

    def set_status(self, job: Job, status: Status, now: datetime) -> None:
        """Enables or disables a job. Enabling forgets the failures in a row, and the due times until now.

        Raises ChangedMeanwhile if its schedule or status is another than when it was read, or if it is gone: a job that
        somebody else has just enabled would forget what was due since.
        """
        fresh = {"status": status, **items.forgotten(status)}
        fresh, gone = items.ahead(replace(job, status=status), fresh, [], job.schedule.next(now))
        was = {"cron": job.schedule.cron, "zone": job.schedule.zone, "status": job.status}
        if not self._put(job.id, fresh, gone, was):
            raise ChangedMeanwhile(f"job {job.id} has been changed meanwhile; retry")

    def pause(self, job: str, failures: int, run: str) -> bool:
        """Pauses a job that is enabled and has failed so often in a row; returns whether this run's end has paused it.

        The SDK asks again where an answer is lost, and then the job is paused already; so it is written whose end did.
        """
        values = items.values(paused=Status.PAUSED, enabled=Status.ENABLED, failures=failures, run=run, no=False)
        found = table.refused(
            self._client,
            TableName=self._table,
            Key=items.key(job),
            UpdateExpression="SET #status = :paused, paused_by = :run, paused_told = :no REMOVE due_shard, next_run_at",
            ConditionExpression="#status = :enabled AND failures_in_row >= :failures",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=values,
        )
        return found is None or (found.get("status"), found.get("paused_by")) == (values[":paused"], values[":run"])

    def has_told(self, job: str) -> None:
        """Notes that somebody was told of the pause."""
        self._changed(
            Key=items.key(job),
            UpdateExpression="SET paused_told = :yes",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=items.values(yes=True),
        )

    def remove(self, job: str, was: Job | None = None) -> None:
        """Removes a job; its runs stay until they expire.

        Raises ChangedMeanwhile if its definition is another than ``was``.
        """
        condition: dict[str, Any] = {}
        if was is not None:
            same, named, read = _as_read(items.written(was))
            condition = {"ConditionExpression": same, "ExpressionAttributeNames": named}
            condition["ExpressionAttributeValues"] = read
        if not table.removed(self._client, TableName=self._table, Key=items.key(job), **condition):
            raise ChangedMeanwhile(f"job {job} has been changed meanwhile; retry")

    # what is due

    def due(self, shard: int, until: datetime) -> Iterator[list[Waiting | BrokenJob]]:
        """The jobs of a partition of the index that are due up to a moment, the oldest first, a page at a time.

        The index may be a second behind (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
        What it has too late is due at the next tick; what it still has is moved on only if it is true.
        """
        for page in self._index(due_shard(shard), until):
            yield [items.waiting(items.read(item)) for item in page["Items"]]

    def move(self, job: Waiting, next_run_at: datetime | None, missed: int) -> bool:
        """Moves a job on to its next due time; returns False if it has been moved, changed or disabled meanwhile."""
        named = {"#zone": "zone"}
        ahead = "SET next_run_at = :next" if next_run_at else "REMOVE due_shard, next_run_at"
        return self._changed(
            Key=items.key(job.id),
            UpdateExpression=f"{ahead} ADD missed :missed",
            ConditionExpression="next_run_at = :was AND cron = :cron AND #zone = :zone",
            ExpressionAttributeNames=named,
            ExpressionAttributeValues=items.values(
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
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="id = :id AND begins_with(#item, :run)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues=items.values(id=items.partition(job), run="run#"),
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"MaxItems": most, "PageSize": most},
        )
        return [items.run(items.read(item)) for page in pages for item in page["Items"]]

    def run(self, job: str, name: str) -> Run | None:
        """The due time of this execution's name and its result; None if it has none yet."""
        key = items.run_key(job, name)
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return items.run(items.read(item)) if item else None

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
            "Key": items.run_key(job, run.name),
            "UpdateExpression": f"SET {sets}, #status = if_not_exists(#status, :status)",
            "ConditionExpression": "attribute_not_exists(noted)",
            "ExpressionAttributeNames": {f"#{name}": name for name in [*fresh, "status"]},
            "ExpressionAttributeValues": items.values(status=run.status, **fresh),
        }
        count = {
            "TableName": self._table,
            "Key": items.key(job),
            "UpdateExpression": f"SET seen = :one{last} ADD {counted} :one",
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeValues": items.values(one=1, **({"name": run.name} if last else {})),
        }
        return table.both(self._client, write, count)

    def end(self, job: str, run: Run, *, is_latest: bool = True) -> bool:
        """Writes a run's end, and counts it, once; returns False if it was written before.

        One that is not the latest, because its event was lost, is counted, but has no part in the row of failures.
        """
        is_good, values, sets = run.status == "succeeded", items.values(one=1), ""
        if is_latest:
            row = ":none" if is_good else "if_not_exists(failures_in_row, :none) + :one"
            sets = f"SET failures_in_row = {row}, last_ended = :name, last_status = :status, last_error = :error"
            values |= items.values(none=0, name=run.name, status=run.status, error=run.error or "")
            if run.ended_at is not None:
                sets += ", last_ended_at = :at"
                values |= items.values(at=run.ended_at.isoformat())
        count = {
            "TableName": self._table,
            "Key": items.key(job),
            "UpdateExpression": f"{sets} ADD {'succeeded' if is_good else 'failed'} :one",
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeValues": values,
        }
        return table.both(self._client, self._end(job, run), count)

    def end_without_job(self, job: str, run: Run) -> bool:
        """Writes the end of a run whose job was removed meanwhile, once. Nobody is told, or looks at it again."""
        write = self._end(job, run)
        write["UpdateExpression"] += " REMOVE due_shard, next_run_at"
        write["ConditionExpression"] += " AND attribute_exists(noted)"
        return table.changed(self._client, **write)

    def _end(self, job: str, run: Run) -> dict[str, Any]:
        fresh: dict[str, Any] = {"status": run.status, "name": run.name, "due": int(run.due.timestamp())}
        fresh |= {"expires_at": int((run.due + _RUNS_KEPT).timestamp()), "error": run.error or ""}
        fresh |= {"ended_at": (run.ended_at or datetime.now(UTC)).isoformat()}
        return {
            "TableName": self._table,
            "Key": items.run_key(job, run.name),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in fresh),
            "ConditionExpression": "attribute_not_exists(ended_at)",
            "ExpressionAttributeNames": {f"#{name}": name for name in fresh},
            "ExpressionAttributeValues": items.values(**fresh),
        }

    def overdue(self, now: datetime) -> Iterator[tuple[str, str]]:
        """The runs whose end nobody has told for long, each with its job; the oldest first."""
        for page in self._index(_RUNNING, now):
            for item in page["Items"]:
                found = items.read(item)
                job = found["id"].removeprefix("job#")
                yield job, f"{job}-{found['item'].removeprefix('run#')}"

    def watch(self, job: str, name: str, again: datetime | None) -> None:
        """Has a run be looked at again then, or never."""
        ahead = "SET next_run_at = :again" if again else "REMOVE due_shard, next_run_at"
        values = {"ExpressionAttributeValues": items.values(again=int(again.timestamp()))} if again else {}
        self._changed(
            Key=items.run_key(job, name),
            UpdateExpression=ahead,
            ConditionExpression="attribute_exists(due_shard)",
            **values,
        )

    def has_told_run(self, job: str, name: str) -> None:
        """Notes that a run's end was told, so that nobody looks at it again."""
        self._changed(
            Key=items.run_key(job, name),
            UpdateExpression="SET told = :yes REMOVE due_shard, next_run_at",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=items.values(yes=True),
        )

    def count_wait(self, job: str) -> None:
        """Counts that a due time was put back."""
        self._changed(
            Key=items.key(job),
            UpdateExpression="ADD waited :one",
            ConditionExpression="attribute_exists(id)",
            ExpressionAttributeValues=items.values(one=1),
        )

    # how it is written

    def _item(self, job: str) -> dict[str, Any] | None:
        item = self._client.get_item(TableName=self._table, Key=items.key(job), ConsistentRead=True).get("Item")
        return items.read(item) if item else None

    def _index(self, partition: str, until: datetime) -> Iterator[Mapping[str, Any]]:
        pages: Iterator[Mapping[str, Any]] = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=INDEX,
            KeyConditionExpression="due_shard = :shard AND next_run_at <= :until",
            ExpressionAttributeValues=items.values(shard=partition, until=int(until.timestamp())),
        )
        return pages

    def _put(self, job: str, fresh: Mapping[str, Any], gone: Sequence[str], was: Mapping[str, Any]) -> bool:
        """Writes attributes of a job that has those that were read; without any, of one that is absent.

        Where an answer is lost, the SDK asks again, and the job has what was to be written: that is no other's change.
        """
        removal = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        same, named, read = _as_read(was)
        new = items.values(**fresh)
        found = table.refused(
            self._client,
            TableName=self._table,
            Key=items.key(job),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in fresh) + removal,
            ConditionExpression=same or "attribute_not_exists(id)",
            ExpressionAttributeNames={**named, **{f"#{name}": name for name in (*fresh, *gone)}},
            ExpressionAttributeValues={**new, **read},
        )
        return found is None or (
            all(found.get(name) == new[f":{name}"] for name in fresh) and not set(gone) & found.keys()
        )

    def _scanned(self, part: int) -> list[dict[str, Any]]:
        """The jobs and pools of one part of the table."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="#item IN (:job, :pool)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues=items.values(job=items.JOB, pool=_POOL),
            ConsistentRead=True,
            Segment=part,
            TotalSegments=_PARTS,
        )
        return [items.read(item) for page in pages for item in page["Items"]]

    def _changed(self, **update: Any) -> bool:
        return table.changed(self._client, TableName=self._table, **update)


def _as_read(was: Mapping[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that an item still has the attributes that were read, with its names and values."""
    same = [
        f"attribute_not_exists(#{name})" if value is None else f"#{name} = :was_{name}" for name, value in was.items()
    ]
    values = items.values(**{f"was_{name}": value for name, value in was.items() if value is not None})
    return " AND ".join(same), {f"#{name}": name for name in was}, values


class ChangedMeanwhile(Exception):
    """A job is not as it was read: somebody else, or a pause, has changed it."""
