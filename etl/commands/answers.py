"""What the commands answer: the values behind ``--json`` and behind the Lambdas' answers.

docs/schemas/ is made from them, and they are a contract: fields are added, never renamed. ``plain`` makes JSON's values
of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import ConfigDict

from etl.model.record import Finished, Load


class _Answer:
    """Says to pydantic that a field's docstring is its description in the schema, and that every field is there."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


@dataclass(frozen=True, slots=True)
class RunLoad(_Answer):
    """One table that a run has copied."""

    table: str
    """The table's name in the source, `schema.table`."""
    rows: int | None
    bytes: int | None
    """Bytes that went through the stream."""
    seconds: float
    """Wall time from the load's beginning until the table was staged."""
    copy_seconds: float | None
    index_seconds: float | None
    analyze_seconds: float | None

    @classmethod
    def of(cls, load: Load) -> RunLoad:
        """The answer's part for a load."""
        steps = load.copy_seconds, load.index_seconds, load.analyze_seconds
        return cls(load.table_name, load.rows, load.bytes, load.seconds, *steps)


@dataclass(frozen=True, slots=True)
class RunAnswer(_Answer):
    """A run that succeeded."""

    run_id: str
    status: str
    """`published`; or `staged`, where ETL_PUBLISH is defer."""
    tables: int
    rows: int
    bytes: int
    """Bytes that went through the stream."""
    seconds: float
    loads: tuple[RunLoad, ...]
    """The tables that this process has copied, in the order in which they were staged."""

    @classmethod
    def of(cls, finished: Finished) -> RunAnswer:
        """The answer for a run that has finished."""
        loads = tuple(map(RunLoad.of, finished.loads))
        figures = len(loads), finished.rows, finished.bytes, round(finished.seconds, 3)
        return cls(finished.run_id, finished.status, *figures, loads)


@dataclass(frozen=True, slots=True)
class PlanShard(_Answer):
    """A shard, and its tables as TABLES takes them."""

    shard: int
    """The shard's number, from 0 on: ETL_SHARD."""
    tables: str
    """A JSON array of names, as a text for TABLES."""
    expected_seconds: float
    """Seconds that the shard is expected to take, with ETL_JOBS loads at once."""


@dataclass(frozen=True, slots=True)
class PlanAnswer(_Answer):
    """A run's shards."""

    run_id: str
    shards: tuple[PlanShard, ...]


@dataclass(frozen=True, slots=True)
class BriefShard(_Answer):
    """A shard, and how many tables it has."""

    shard: int
    """The shard's number, from 0 on: ETL_SHARD."""
    tables: int
    """Number of the shard's tables; the ledger has their names."""
    expected_seconds: float
    """Seconds that the shard is expected to take, with ETL_JOBS loads at once."""


@dataclass(frozen=True, slots=True)
class PlanInBrief(_Answer):
    """A plan without the tables' names: it travels through a state machine, so its size must not grow with them."""

    run_id: str
    tables: int
    """Number of the tables of all shards."""
    shards: tuple[BriefShard, ...]


@dataclass(frozen=True, slots=True)
class SnapshotAnswer(_Answer):
    """A snapshot that is no longer needed."""

    run_id: str
    snapshot_id: str | None
    """Null if all tables were staged already, so that no snapshot was taken."""
    snapshot_at: datetime | None
    """The instant that the copied tables show."""
    tables: int
    reason: str
    """`staged` or `published`: how far the run was when the snapshot was let go."""
    seconds: float
    """For how long the snapshot was held."""


@dataclass(frozen=True, slots=True)
class PublishAnswer(_Answer):
    """A publish."""

    run_id: str
    tables: int
    seconds: float
    """Wall time, with the waiting for readers."""
    attempts: int
    """How often the publish asked for its locks; 0 if the run was published before."""
    blocked_ms: float
    """For how long readers may have waited, in milliseconds."""


@dataclass(frozen=True, slots=True)
class AbortAnswer(_Answer):
    """A run that was to be aborted."""

    run_id: str
    status: str | None
    """The ledger's status of the run: `failed` or `interrupted`; `published`, which stays so; null where there is no
    such run."""
    dropped: int
    """How many staging tables were dropped."""


@dataclass(frozen=True, slots=True)
class Comparison(_Answer):
    """One table on both sides."""

    table: str
    rows: int | None
    """Rows in the source; null where a side could not be read."""
    checksum: str | None
    """The checksum of the source's rows, in hexadecimal digits."""
    difference: str | None
    """How the target differs, or why a side could not be read; null where both are the same."""


@dataclass(frozen=True, slots=True)
class Finding(_Answer):
    """One line of the preflight."""

    subject: str
    """A table of the source, or `source` or `target`."""
    text: str
    obstacle: bool = False
    """Whether it would make a run fail."""


@dataclass(frozen=True, slots=True)
class HistoryLoad(_Answer):
    """A row of the ledger's `etl.loads`."""

    run_id: str
    table_name: str
    shard: str | None
    status: str
    """`planned`, `loading`, `staged`, `published` or `failed`."""
    rows: int | None
    bytes: int | None
    started_at: datetime | None
    finished_at: datetime | None
    copy_seconds: float | None
    index_seconds: float | None
    analyze_seconds: float | None
    published_at: datetime | None
    error: str | None
    schema_name: str | None
    """The live table's schema."""
    relation_name: str | None
    """The live table's name."""
    carried: tuple[str, ...] | None
    """Indexes and constraints that came from the source."""
    staging_oid: int | None
    live_oid: int | None
    newest_xid: int | None
    snapshot_id: str | None
    masked: tuple[str, ...] | None
    """Columns that were masked; null where an older version wrote the row."""
    given_up: bool | None
    """Whether the load was stopped because its run had ended; null where an older version wrote the row."""


@dataclass(frozen=True, slots=True)
class HistoryRun(_Answer):
    """A row of the ledger's `etl.runs`, and its loads."""

    run_id: str
    status: str
    """`running`, `published`, `failed` or `interrupted`."""
    started_at: datetime
    finished_at: datetime | None
    snapshot_id: str | None
    snapshot_at: datetime | None
    tables: int | None
    rows: int | None
    bytes: int | None
    error: str | None
    publish: str | None
    """ETL_PUBLISH of the run."""
    loads: tuple[HistoryLoad, ...]
    """In the order in which they began."""


@dataclass(frozen=True, slots=True)
class SlowTable(_Answer):
    """A table that took long."""

    table: str
    seconds: float
    median_seconds: float | None
    """Over the table's last 10 published loads before this run; null if there are none."""
    rows: int | None


@dataclass(frozen=True, slots=True)
class FailedTable(_Answer):
    """A table that failed."""

    table: str
    error: str
    """The first 500 characters of the error."""


@dataclass(frozen=True, slots=True)
class PublishedRun(_Answer):
    """The run that was published last: what readers see."""

    run_id: str
    snapshot_at: datetime | None
    """The instant that the run's tables show."""


@dataclass(frozen=True, slots=True)
class Report(_Answer):
    """How a run ended, as the ledger has it."""

    run_id: str
    status: str
    """`running`, `published`, `failed` or `interrupted`; `failed` too where the ledger does not know the run."""
    snapshot_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    """Null until the run has ended."""
    tables: int
    rows: int
    bytes: int
    slowest: tuple[SlowTable, ...]
    """Up to 10, the slowest first."""
    failed: tuple[FailedTable, ...]
    """Up to 100. Loads that were stopped because the run had failed are not among them."""
    failed_count: int
    """Number of failed tables, with those that `failed` does not name."""
    last_published: PublishedRun | None
    """Null where no run has been published yet."""
    error: str | None


def plain(value: Any) -> Any:
    """An answer as JSON has it: objects, arrays, and timestamps as texts of ISO 8601."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
