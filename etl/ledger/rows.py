"""Rows of the ledger. A status is a plain text here, because a later version may have written one that is new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl.model.name import TargetName
from etl.model.selection import named
from etl.model.status import LoadKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A row of ``etl.runs``; the fields are its columns."""

    run_id: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    snapshot_id: str | None = None
    snapshot_at: datetime | None = None
    tables: int | None = None
    rows: int | None = None
    bytes: int | None = None
    error: str | None = None
    publish: str | None = None
    kept_until: datetime | None = None
    passed_by: str | None = None
    passed_reason: str | None = None
    passed_error: str | None = None
    publish_way: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRow:
    """A row of ``etl.loads``; the fields are its columns. Older versions left those from ``schema_name`` on empty."""

    run_id: str
    table_name: str
    shard: str | None = None
    status: str
    rows: int | None = None
    bytes: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    copy_seconds: float | None = None
    index_seconds: float | None = None
    analyze_seconds: float | None = None
    published_at: datetime | None = None
    error: str | None = None
    schema_name: str | None = None
    relation_name: str | None = None
    carried: list[str] | None = None
    staging_oid: int | None = None
    live_oid: int | None = None
    newest_xid: int | None = None
    snapshot_id: str | None = None
    masked: list[str] | None = None
    given_up: bool | None = None
    where_digest: str | None = None
    shrink_at_most: str | None = None
    rows_min: int | None = None
    load: str | None = None
    delta_oid: int | None = None
    reason: str | None = None
    base: dict[str, Any] | None = None
    base_run: str | None = None
    live_state: dict[str, Any] | None = None
    rows_deleted: int | None = None
    deleted_at_most: str | None = None
    rows_changed: int | None = None
    merge_seconds: float | None = None
    views: dict[str, Any] | None = None
    shape: str | None = None
    note: str | None = None
    retired_at: datetime | None = None
    step: str | None = None
    rows_so_far: int | None = None
    bytes_so_far: int | None = None
    bytes_expected: int | None = None
    told_at: datetime | None = None
    verify_seconds: float | None = None
    drift: str | None = None

    @property
    def staged_oid(self) -> int | None:
        """The oid of the staging table, whether it has all rows or those that have changed."""
        return self.delta_oid if self.staging_oid is None else self.staging_oid

    @property
    def has_no_staging(self) -> bool:
        """Whether the load needs no staging table, because no row has changed."""
        return self.load == LoadKind.UNCHANGED

    @property
    def live(self) -> TargetName:
        """The live table; of a row that has none, because no table was renamed then, that of the source's name."""
        if self.schema_name is None or self.relation_name is None:
            source = named(self.table_name)
            return TargetName(source.schema, source.name)
        return TargetName(self.schema_name, self.relation_name)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: its status, its error, its snapshot, and the number of tables that are not staged."""

    status: str
    error: str | None
    snapshot_id: str | None
    unstaged: int


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A load that goes on: what it does, the rows and bytes that it has copied, and the bytes that it has in all.

    The rows are estimated, because none is decoded; the bytes in all are those of the catalog.
    """

    table_name: str
    began: datetime
    step: str
    rows: int
    bytes: int
    expected: int


@dataclass(frozen=True, slots=True)
class Partial:
    """A staged load that has only the changes of a table's rows, or none: its kind, and the run of its base."""

    schema: str
    name: str
    load: str
    rows: int | None
    base_run: str | None

    @property
    def live(self) -> TargetName:
        """The live table."""
        return TargetName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the last load brought that replaced a live table: the digest of all but the rows, and the rows' bytes.

    ``lacking`` are the indexes and constraints among it that the live table has no more.
    """

    schema: str
    name: str
    shape: str
    bytes: int
    lacking: list[str]

    @property
    def live(self) -> TargetName:
        """The live table."""
        return TargetName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class RecentLoad:
    """A published load: its shard and size, and its seconds where it has both times."""

    table_name: str
    shard: str | None
    rows: int | None
    bytes: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class PastLoads:
    """What the last published loads of a table tell of the next one: a row of ``past_loads.sql``.

    ``shard`` is that of the newest one. The seconds are those of the newest load that copied all rows (``whole``), and
    of the newest that did not. ``since_whole`` is the number of loads since, or None if no load counts that copied all
    rows. ``were_whole`` says that the last two copied all rows, or that no load may be a delta of the last one.
    """

    table_name: str
    shard: str | None
    whole_seconds: float | None
    changes_seconds: float | None
    since_whole: int | None
    were_whole: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A foreign key that waits for its validation: a row of ``etl.validations``, as ``waiting.sql`` reads it.

    ``table`` is the name that the live table has now. ``is_needed`` is false if the key is valid by now, or gone.
    """

    schema_name: str
    relation_name: str
    constraint_name: str
    run_id: str
    live_oid: int
    error: str | None
    schema: str | None
    name: str | None
    is_needed: bool

    @property
    def live(self) -> TargetName:
        """The live table that got the key."""
        return TargetName(self.schema_name, self.relation_name)

    @property
    def table(self) -> TargetName:
        """The table under its present name."""
        return TargetName(self.schema or self.schema_name, self.name or self.relation_name)

    def __str__(self) -> str:
        return f"foreign key {self.constraint_name} of {self.live}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A live table whose staging table a run that was stopped has left, and until when it is kept."""

    run_id: str
    kept_until: datetime | None
    schema: str
    name: str

    @property
    def live(self) -> TargetName:
        """The live table."""
        return TargetName(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Newer:
    """A table whose live table has changed: by a run that was published, or by a batch (None)."""

    table_name: str
    run_id: str | None

    def __str__(self) -> str:
        return f"{self.table_name} by {f'run {self.run_id}' if self.run_id else 'a batch'}"


@dataclass(frozen=True, slots=True)
class Watermark:
    """The last id that batches have copied of a table, and the live table (None: an older version wrote the row)."""

    last_id: int | None
    schema_name: str | None = None
    relation_name: str | None = None
