"""The answers that tell of a run what the ledger has: its history, how far it is, how it ended. A contract, too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl.commands.answer import Answer


@dataclass(frozen=True, slots=True)
class HistoryLoad(Answer):
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
    """Whether the load was stopped because its run had ended, or because another run had taken its table over; null
    where an older version wrote the row."""
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
    verify_seconds: float | None
    """The part of `copy_seconds` in which hashes of the rows were compared; null if none were."""
    drift: str | None
    """How the columns differed from those of the live table before; null if they did not."""
    outcome: str
    """`planned`, `waiting`, `loading`, `staged`, `published`; or, of a run that has failed, `failed` (the load itself
    did), `staged, dropped` or `given up`."""
    is_slow: bool | None = None
    """Of `--table`: whether the load is one of the slow ones at the end; null where that is not asked or not known."""


@dataclass(frozen=True, slots=True)
class HistoryRun(Answer):
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
    job: str | None
    """The job whose run it is (ETL_JOB), if one deployment serves many."""
    is_alive: bool | None
    """Of a run that is `running`: whether a process has its lock; null of a run that has ended."""
    is_dead: bool
    """Whether a run that is `running` will never end by itself: its processes are gone, and it waits for nothing."""
    loads: tuple[HistoryLoad, ...]
    """The run's loads, in the order in which they began."""
    waiting: tuple[str, ...] = ()
    """Foreign keys that the run's publish has added NOT VALID, and that are not validated yet."""


@dataclass(frozen=True, slots=True)
class SlowTable(Answer):
    """One of the slowest tables of a run."""

    table: str
    seconds: float
    median_seconds: float | None
    """Over the table's last 10 published loads before this run; null if there are none."""
    rows: int | None


@dataclass(frozen=True, slots=True)
class FailedTable(Answer):
    """A table whose load failed."""

    table: str
    error: str
    """The first 500 characters of the error."""


@dataclass(frozen=True, slots=True)
class WatchedLoad(Answer):
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
class Watched(Answer):
    """How far a run is."""

    run_id: str
    status: str
    """`running`, `published`, `failed`, `interrupted`, `stopped`; or `dead`, if the ledger has it as running, and its
    processes are gone."""
    at: datetime
    """When this was so."""
    phase: str
    """`planned` (`etl plan --save` has it, and nothing of it has begun), `loading`, `publishing`, `staged` (it
    waits for `etl publish`) or `ended`."""
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
class PublishedRun(Answer):
    """The run that was published last, whose tables readers see."""

    run_id: str
    snapshot_at: datetime | None
    """The instant that the run's tables show."""


@dataclass(frozen=True, slots=True)
class Report(Answer):
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
    page: str | None = None
    """Where the Lambda has written the run's page, `s3://BUCKET/KEY`; null without ETL_REPORT_BUCKET."""
    page_error: str | None = None
    """Why it could not, in one line."""
