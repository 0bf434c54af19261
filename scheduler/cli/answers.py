"""What ``--json`` prints of each command. A contract: fields may be added, but none is renamed or removed.

docs/jobs_commands.py makes the schemas from these classes and the texts below their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from scheduler.pools import Pool, Pools
from scheduler.records import BrokenJob, Registered, Run

from .diff import Change, Changed, Difference
from .moments import foreseen
from .writing import Written


class Answer:
    """Tells pydantic, which makes the schemas, that a field's docstring is its description."""

    __slots__ = ()
    __pydantic_config__ = {  # noqa: RUF012
        "use_attribute_docstrings": True,
        "json_schema_serialization_defaults_required": True,
    }


@dataclass(frozen=True, slots=True)
class JobAnswer(Answer):
    """A job as the registry has it, with what has become of it so far."""

    id: str
    status: str
    """`enabled`, `disabled`, `paused`, or `broken`: this version cannot read it, and all but `error` is null."""
    cron: str | None
    zone: str | None
    next_run_at: datetime | None
    """In the job's zone; null unless it is enabled."""
    settings_path: str | None
    source: str | None
    target: str | None
    overlap: str | None
    catch_up: str | None
    window_seconds: int | None
    pause_after: int | None
    topic: str | None
    slack_channel: str | None
    notify_when: str | None
    overrides: dict[str, Any] | None
    """Further fields of the state machine's input."""
    counters: dict[str, int] | None
    """`started`, `succeeded`, `failed`, `skipped`, `missed`, `waited` and `failures_in_row`."""
    last_run: str | None
    """The name of the last execution that was started."""
    last_status: str | None
    """How the last run that has ended did so."""
    error: str | None
    """Of the last run that has ended; of a broken job, what cannot be read."""

    @classmethod
    def of(cls, known: Registered | BrokenJob) -> JobAnswer:
        """The answer on a job."""
        if isinstance(known, BrokenJob):
            empty = dict.fromkeys(field.name for field in fields(cls))
            return cls(**{**empty, "id": known.job, "status": "broken", "error": known.why})  # type: ignore[arg-type]
        job, zone = known.job, known.job.schedule.timezone
        return cls(
            id=job.id,
            status=job.status.value,
            cron=job.schedule.cron,
            zone=job.schedule.zone,
            next_run_at=known.next_run_at.astimezone(zone) if known.next_run_at else None,
            settings_path=job.settings_path,
            source=job.source,
            target=job.target,
            overlap=job.overlap.value,
            catch_up=job.catch_up.value,
            window_seconds=int(job.window.total_seconds()),
            pause_after=job.pause_after,
            topic=job.notify.topic,
            slack_channel=job.notify.slack_channel,
            notify_when=job.notify.when.value,
            overrides=dict(job.overrides),
            counters=asdict(known.counters),
            last_run=known.last_run,
            last_status=known.last_status,
            error=known.last_error,
        )


@dataclass(frozen=True, slots=True)
class HolderAnswer(Answer):
    """An execution that holds a place in a pool."""

    run: str
    since: datetime


@dataclass(frozen=True, slots=True)
class PoolAnswer(Answer):
    """A pool in which a job's runs need a place."""

    id: str
    at_once: int | None
    """How many may use it at once; null: the deployment's number."""
    holders: tuple[HolderAnswer, ...]

    @classmethod
    def of(cls, pool: Pool, pools: Pools) -> PoolAnswer:
        """The answer on a pool, as it is now."""
        most = pool.at_once if pool.at_once is not None else pools.limit(pool.id)
        held = sorted(pools.holders(pool.id).items(), key=lambda each: each[1])
        return cls(pool.id, most, tuple(HolderAnswer(run, since) for run, since in held))


@dataclass(frozen=True, slots=True)
class ShowAnswer(Answer):
    """All that there is of a job."""

    job: JobAnswer
    next: tuple[datetime, ...]
    """The next five due times, in the job's zone; of a job that is not enabled, those that it would have."""
    pools: tuple[PoolAnswer, ...]


@dataclass(frozen=True, slots=True)
class RunAnswer(Answer):
    """One due time and its result."""

    run: str
    """The execution's name, which is the run's id."""
    status: str
    """`started`, `succeeded`, `failed`, `timed_out`, `aborted`, `skipped` or `missed`."""
    due: datetime
    started_at: datetime | None
    ended_at: datetime | None
    late_seconds: float | None
    """From the due time until it was started."""
    waits: int
    """How often it was put back because a pool was full."""
    error: str | None

    @classmethod
    def of(cls, run: Run, known: Registered | None) -> RunAnswer:
        """The answer on a run, its due time in the job's zone."""
        due = run.due if known is None else run.due.astimezone(known.job.schedule.timezone)
        started = run.started_at, run.ended_at, run.late_seconds
        return cls(run.name, run.status, due, *started, run.waits, run.error)


@dataclass(frozen=True, slots=True)
class NewAnswer(Answer):
    """A job that the registry lacks."""

    id: str
    status: str
    next: tuple[datetime, ...]
    """Its next five due times, in its zone."""


@dataclass(frozen=True, slots=True)
class ChangeAnswer(Answer):
    """One attribute of a job, or the number of a pool."""

    key: str
    old: str | None
    new: str | None

    @classmethod
    def of(cls, change: Change) -> ChangeAnswer:
        """The answer on a change."""
        return cls(change.key, change.old, change.new)


@dataclass(frozen=True, slots=True)
class ChangedAnswer(Answer):
    """A job of which the file has something else."""

    id: str
    changes: tuple[ChangeAnswer, ...]
    next: tuple[datetime, ...]
    """Its next five due times if schedule or status change; else empty."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer(Answer):
    """How much was written."""

    new: int
    changed: int
    removed: int
    limits: int
    failed: tuple[str, ...]
    """A line for each thing that was not written."""


@dataclass(frozen=True, slots=True)
class PutAnswer(Answer):
    """What a file changes, and what was written of it."""

    new: tuple[NewAnswer, ...]
    changed: tuple[ChangedAnswer, ...]
    unchanged: int
    absent: tuple[str, ...]
    """Jobs of the registry that the file lacks; `--prune` removes them."""
    paused: tuple[str, ...]
    """Jobs of the file that are paused, and stay so."""
    broken: tuple[str, ...]
    """Jobs of the file whose items in the registry this version cannot read."""
    limits: tuple[ChangeAnswer, ...]
    """Pools that get another number; `key` is the pool's id."""
    unlisted: tuple[ChangeAnswer, ...]
    """Pools with a number that the file lacks; `--prune` gives them the deployment's number again."""
    written: WrittenAnswer | None
    """Null if nothing was to be written, or with `--dry-run`."""

    @classmethod
    def of(cls, todo: Difference, written: Written | None, now: datetime) -> PutAnswer:
        """The answer on a file."""
        return cls(
            new=tuple(NewAnswer(one.job.id, one.job.status.value, due_times(one, now)) for one in todo.new),
            changed=tuple(
                ChangedAnswer(one.job.id, tuple(map(ChangeAnswer.of, one.changes)), due_times(one, now))
                for one in todo.changed
            ),
            unchanged=todo.unchanged,
            absent=todo.absent,
            paused=todo.paused,
            broken=tuple(map(str, todo.broken)),
            limits=tuple(map(ChangeAnswer.of, todo.limits)),
            unlisted=tuple(map(ChangeAnswer.of, todo.unlisted)),
            written=WrittenAnswer(**asdict(written)) if written else None,
        )


@dataclass(frozen=True, slots=True)
class StatusAnswer(Answer):
    """A job's status, before and after."""

    id: str
    old: str
    new: str
    error: str | None
    """Why it stays as it was; null if it does not."""


@dataclass(frozen=True, slots=True)
class RunNowAnswer(Answer):
    """A run that was asked for."""

    job: str
    run: str
    """The name of the execution that the runner starts."""
    running: str | None
    """The job's last run, if the registry has no end of it yet."""


@dataclass(frozen=True, slots=True)
class RemoveAnswer(Answer):
    """Jobs that were removed."""

    removed: tuple[str, ...]


ANSWERS: Mapping[str, tuple[Any, bool]] = {
    "put": (PutAnswer, False),
    "list": (JobAnswer, True),
    "show": (ShowAnswer, False),
    "enable": (StatusAnswer, True),
    "disable": (StatusAnswer, True),
    "run-now": (RunNowAnswer, False),
    "history": (RunAnswer, True),
    "remove": (RemoveAnswer, False),
}
"""What each command prints, and whether that is an array of it."""


def due_times(one: Changed, now: datetime) -> tuple[datetime, ...]:
    """The next due times of a job that is new or rescheduled, if it has any."""
    return foreseen(one.job, now) if one.is_rescheduled and one.job.status == "enabled" else ()


def plain(value: Any) -> Any:
    """An answer as values of JSON; a timestamp becomes a string of ISO 8601."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
