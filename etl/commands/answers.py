"""The commands' answers: the dataclasses that ``--json`` prints and that the Lambdas return, as JSON.

docs/schemas/ is generated from them. They are a contract: fields are added, never renamed. ``plain`` converts them to
JSON's values.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import ConfigDict

from etl.model.record import Finished, Load


class _Answer:
    """Tells pydantic that a field's docstring is its description in the schema, and that every field is required."""

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
    """Bytes that the stream had."""
    seconds: float
    """Wall time from the load's beginning until the table was staged."""
    copy_seconds: float | None
    index_seconds: float | None
    analyze_seconds: float | None

    @classmethod
    def of(cls, load: Load) -> RunLoad:
        """The answer about one load."""
        steps = load.copy_seconds, load.index_seconds, load.analyze_seconds
        return cls(load.table_name, load.rows, load.bytes, load.seconds, *steps)


@dataclass(frozen=True, slots=True)
class InitAnswer(_Answer):
    """A configuration file that was written."""

    file: str
    """Its name; `-` if it was printed."""
    tables: int
    """The tables that it names, without those that the source's role may not read."""
    masks: int
    """The columns that look like personal data; the file proposes a mask for each, commented out."""


@dataclass(frozen=True, slots=True)
class RunAnswer(_Answer):
    """A run that succeeded."""

    run_id: str
    status: str
    """`published`, also if `--only-failed` has found no table to run; or `staged`, if ETL_PUBLISH is defer."""
    tables: int
    rows: int
    bytes: int
    """Bytes that the streams had."""
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
    """A shard, and its tables in the form of TABLES."""

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
    """A shard, and the number of its tables."""

    shard: int
    """The shard's number, from 0 on: ETL_SHARD."""
    tables: int
    """Number of the shard's tables; the ledger has their names."""
    expected_seconds: float
    """Seconds that the shard is expected to take, with ETL_JOBS loads at once."""


@dataclass(frozen=True, slots=True)
class PlanInBrief(_Answer):
    """A plan without the tables' names: a state machine passes it on, so its size must not depend on their number."""

    run_id: str
    tables: int
    """Number of the tables of all shards."""
    shards: tuple[BriefShard, ...]


@dataclass(frozen=True, slots=True)
class SnapshotAnswer(_Answer):
    """A snapshot that its holder has released."""

    run_id: str
    snapshot_id: str | None
    """Null if all tables were staged already, so that no snapshot was taken."""
    snapshot_at: datetime | None
    """The instant that the copied tables show."""
    tables: int
    reason: str
    """`staged` or `published`: the state of the run when the holder released the snapshot."""
    seconds: float
    """How long the snapshot was held."""


@dataclass(frozen=True, slots=True)
class PublishAnswer(_Answer):
    """A publish."""

    run_id: str
    tables: int
    seconds: float
    """Wall time, including the waiting for readers."""
    attempts: int
    """How often the publish asked for its locks; 0 if the run was published before."""
    blocked_ms: float
    """How long readers may have waited for the publish, in milliseconds."""


@dataclass(frozen=True, slots=True)
class AbortAnswer(_Answer):
    """A run that was to be aborted."""

    run_id: str
    status: str | None
    """The run's status in the ledger: `failed`, `interrupted` or `stopped`; `published` if the run was published
    before; null if it is not in the ledger."""
    dropped: int
    """The number of staging tables dropped."""


@dataclass(frozen=True, slots=True)
class Comparison(_Answer):
    """The comparison of one table on both sides."""

    table: str
    rows: int | None
    """Rows in the source; null if a side could not be read."""
    checksum: str | None
    """The checksum of the source's rows, in hexadecimal digits."""
    difference: str | None
    """How the target differs, or why a side could not be read; null if both sides are equal."""


@dataclass(frozen=True, slots=True)
class Finding(_Answer):
    """One line of `etl check`."""

    subject: str
    """A table of the source, or `source` or `target`."""
    text: str
    obstacle: bool = False
    """Whether it would make a run fail."""
    load: str | None = None
    """Of a table that is not always loaded whole: `full`, or `delta` if the next load would copy changes alone."""
    reason: str | None = None
    """Why the next load of the table would be full."""


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
    """Indexes and constraints that the load brought from the source."""
    staging_oid: int | None
    live_oid: int | None
    newest_xid: int | None
    snapshot_id: str | None
    masked: tuple[str, ...] | None
    """Columns that were masked; null if an older version wrote the row."""
    given_up: bool | None
    """Whether the load was stopped because its run had ended; null where an older version wrote the row."""
    where_digest: str | None
    """A digest of the option `where`, empty without one; null where an older version wrote the row."""
    shrink_at_most: str | None
    """The table's option of that name, as the gate judges it; null where an older version wrote the row."""
    rows_min: int | None
    """The table's option of that name; null where an older version wrote the row."""
    load: str | None
    """`full`, `delta` or `unchanged`; null where an older version wrote the row."""
    delta_oid: int | None
    """The staging table of a delta; `staging_oid` is null then."""
    reason: str | None
    """Why the load was full, a delta or unchanged; null where all rows are copied in any case."""
    base: dict[str, Any] | None
    """What the next load may be a delta of: the source's history, the snapshot's xmin, the rows, the definition."""
    base_run: str | None
    """The run of whose rows this load has the changes."""
    live_state: dict[str, Any] | None
    """The live table as the publish left it."""
    rows_changed: int | None
    """The changed rows that the load has copied; null if it copied all rows."""
    merge_seconds: float | None
    """How long the publish took to merge the table's rows; null if it merged none."""
    rows_deleted: int | None
    """The rows that the load deletes, by key; null if it copied all rows."""
    deleted_at_most: str | None
    """The table's option of that name, as the gate judges it; null where an older version wrote the row."""
    views: dict[str, Any] | None
    """What the publish has done with each materialized view on the live table, if it merged changes alone."""
    shape: str | None
    """A digest of the columns, indexes and other parts that the load brought; null if the live table stayed."""
    note: str | None
    """The table's option of that name."""
    retired_at: datetime | None
    """When `etl retire` has marked or dropped the live table after this load; null if it has not."""
    step: str | None
    """What the load does, or did last: `rows` or `indexes`; null before it is told."""
    rows_so_far: int | None
    """The rows that it had copied when that was told, estimated from the catalog."""
    bytes_so_far: int | None
    bytes_expected: int | None
    """The bytes of the table and its TOAST table in the source; those on the wire may be fewer or more."""
    told_at: datetime | None
    """When the run told this last; null of a load that has not begun or that was over soon."""
    outcome: str
    """`planned`, `waiting`, `loading`, `staged`, `published`; or, of a run that has failed, `failed` (the load itself
    did), `staged, dropped` or `given up`."""
    is_slow: bool | None = None
    """Of `--table`: whether the load is one of the slow ones at the end; null where that is not asked or not known."""


@dataclass(frozen=True, slots=True)
class HistoryRun(_Answer):
    """A row of the ledger's `etl.runs`, and its loads."""

    run_id: str
    status: str
    """`running`, `published`, `failed`, `interrupted` or `stopped`."""
    started_at: datetime
    finished_at: datetime | None
    snapshot_id: str | None
    snapshot_at: datetime | None
    tables: int | None
    rows: int | None
    bytes: int | None
    error: str | None
    publish: str | None
    """The run's ETL_PUBLISH."""
    kept_until: datetime | None
    """Until when the staging tables of a stopped run are kept; null if they are not."""
    passed_by: str | None
    """The database user who let a stopped run pass."""
    passed_reason: str | None
    """The reason that this user gave."""
    passed_error: str | None
    """The error with which the run had been stopped."""
    publish_way: str | None
    """`swap`, `merge` or `mixed`, as decided or set; null before that, and where an older version wrote the row."""
    is_alive: bool | None
    """Of a run that is `running`: whether a process has its lock; null of a run that has ended."""
    is_dead: bool
    """Whether a run that is `running` will never end by itself: its processes are gone, and it waits for nothing."""
    loads: tuple[HistoryLoad, ...]
    """The run's loads, in the order in which they began."""
    waiting: tuple[str, ...] = ()
    """Foreign keys that the run's publish has added NOT VALID, and that are not validated yet."""


@dataclass(frozen=True, slots=True)
class RetireAnswer(_Answer):
    """A live table that is retired."""

    table: str
    """The live table, `schema.table`."""
    dropped: bool
    """Whether it was dropped; otherwise it is marked."""
    as_of: datetime | None
    """The instant of the source that its rows show; null if the ledger does not know it."""
    rows: int | None
    bytes: int
    """Its size with indexes."""
    dropped_with_it: tuple[str, ...]
    """What the reporting side had added to it, which was dropped with it."""


@dataclass(frozen=True, slots=True)
class SlowTable(_Answer):
    """One of the slowest tables of a run."""

    table: str
    seconds: float
    median_seconds: float | None
    """Over the table's last 10 published loads before this run; null if there are none."""
    rows: int | None


@dataclass(frozen=True, slots=True)
class FailedTable(_Answer):
    """A table whose load failed."""

    table: str
    error: str
    """The first 500 characters of the error."""


@dataclass(frozen=True, slots=True)
class WatchedLoad(_Answer):
    """A load that goes on."""

    table: str
    step: str
    """`rows`, or `indexes` when all rows have been copied."""
    seconds: float
    rows: int | None
    """Estimated from the catalog."""
    bytes: int | None
    share: float
    """The bytes that it has copied, as a part of the table's bytes in the source: from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Watched(_Answer):
    """How far a run is."""

    run_id: str
    status: str
    """`running`, `published`, `failed`, `interrupted`, `stopped`; or `dead`, if the ledger has it as running, and its
    processes are gone."""
    at: datetime
    """When this was so."""
    phase: str
    """`loading`, `publishing`, `staged` (it waits for `etl publish`) or `ended`."""
    started_at: datetime
    finished_at: datetime | None
    seconds: float
    """How long the run has taken so far, or in all."""
    tables: int
    staged: int
    """The tables that are staged or published."""
    waiting: int
    """The tables whose loads have not begun."""
    failed: int
    rows: int
    """The rows of the staged tables, and those that the others have copied so far."""
    bytes: int
    loading: tuple[WatchedLoad, ...]
    """The loads that go on, in the order in which they began."""
    failures: tuple[FailedTable, ...]
    expected_seconds: float | None
    """The seconds until the run will have finished, from the nights before; null if these tell too little."""
    expected_at: datetime | None
    without_history: int
    """The tables that are still to be loaded, and that no earlier night has loaded."""
    told_at: datetime | None
    """The last sign of a load that goes on."""
    error: str | None


@dataclass(frozen=True, slots=True)
class PublishedRun(_Answer):
    """The run that was published last, whose tables readers see."""

    run_id: str
    snapshot_at: datetime | None
    """The instant that the run's tables show."""


@dataclass(frozen=True, slots=True)
class Report(_Answer):
    """How a run ended, according to the ledger."""

    run_id: str
    status: str
    """`running`, `published`, `failed`, `interrupted` or `stopped`; `failed`, too, if the run is not in the ledger."""
    snapshot_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    """Null until the run has ended."""
    tables: int
    rows: int
    bytes: int
    slowest: tuple[SlowTable, ...]
    """Up to 10 tables, the slowest first."""
    failed: tuple[FailedTable, ...]
    """Up to 100. Loads that were stopped because the run had failed are not among them."""
    failed_count: int
    """Number of failed tables, with those that `failed` does not name."""
    last_published: PublishedRun | None
    """Null if no run has been published yet."""
    error: str | None
    kept_until: datetime | None
    """Until when a stopped run can be let pass; null if it cannot."""
    waiting: tuple[str, ...] = ()
    """Foreign keys that the run's publish has added NOT VALID, and that are not validated yet."""


def plain(value: Any) -> Any:
    """An answer as values of JSON; a timestamp becomes a string of ISO 8601."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
