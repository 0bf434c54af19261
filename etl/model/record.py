"""The results of a load, of a run and of a batch, as the ledger and the log record them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from etl.model.clock import Began
from etl.model.name import TargetName
from etl.model.redaction import Redacted
from etl.model.status import LoadKind, LoadStatus, RunStatus


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a table within a run, as the ledger and the log record it.

    ``carried`` names the indexes and constraints that came from the source; by these names the next load recognizes
    the indexes that somebody added in the target. ``masked`` names the columns that were masked, now or when they were
    last copied. ``staging_oid`` is the oid of the staging table that the load filled, because another table may have
    taken its name since. ``snapshot_id`` is the snapshot from which the rows were read. ``newest_xid`` is the newest
    transaction that wrote the rows; it is None if they are frozen. ``given_up`` says that the load did not fail itself,
    but was stopped because its run had ended. ``where_digest`` is a digest of the option ``where``, empty without one.
    ``shrink_at_most``, ``rows_min`` and ``deleted_at_most`` are the table's options for the gate. ``rows_changed`` and
    ``rows_deleted`` are the rows that a load of changes writes and deletes, and None if all rows were copied.
    ``shape`` is a digest of the columns, indexes and other parts that the table has in the source. ``note`` is the
    table's option of that name.
    ``load`` says which rows were copied, and ``reason`` why. The staging table of a delta is ``delta_oid``, so that an
    older version, which would take it for the whole table, does not find what it may publish. ``base`` is what the next
    load may be a delta of, as JSON; ``base_run`` is the run of whose rows this load has the changes. ``rows``,
    ``bytes`` (on the wire) and the seconds of each step are None if the load did not reach that step.
    ``verify_seconds`` are the part of ``copy_seconds`` in which hashes of the rows were compared; None if none were.
    ``drift`` says how the columns differ from those of the live table, as it was before; None if they do not.
    """

    table_name: str
    schema_name: str
    relation_name: str
    status: LoadStatus
    started_at: datetime
    finished_at: datetime
    rows: int | None = None
    bytes: int | None = None
    copy_seconds: float | None = None
    index_seconds: float | None = None
    analyze_seconds: float | None = None
    carried: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    error: Redacted | None = None
    staging_oid: int | None = None
    snapshot_id: str | None = None
    newest_xid: int | None = None
    given_up: bool = False
    where_digest: str | None = None
    shrink_at_most: str | None = None
    rows_min: int | None = None
    rows_changed: int | None = None
    rows_deleted: int | None = None
    deleted_at_most: str | None = None
    load: LoadKind = LoadKind.FULL
    delta_oid: int | None = None
    reason: Redacted | None = None
    base: str | None = None
    base_run: str | None = None
    shape: str | None = None
    note: Redacted | None = None
    verify_seconds: float | None = None
    drift: Redacted | None = None

    @classmethod
    def failed(
        cls, table_name: str, live: TargetName, began: Began, error: Redacted, drift: Redacted | None = None
    ) -> Load:
        """A load that has just failed."""
        names = table_name, live.schema, live.name
        return cls(*names, LoadStatus.FAILED, began.at, began.now(), error=error, drift=drift)

    @property
    def seconds(self) -> float:
        """Wall time of the load, start to finish."""
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a run: its status in the ledger (STAGED if the publish is deferred), and its loads."""

    run_id: str
    status: RunStatus | LoadStatus
    loads: tuple[Load, ...]
    seconds: float

    @property
    def rows(self) -> int:
        """Rows copied, over all tables."""
        return sum(load.rows or 0 for load in self.loads)

    @property
    def bytes(self) -> int:
        """Bytes that went through the stream, over all tables."""
        return sum(load.bytes or 0 for load in self.loads)


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of a batch: the last id that it copied, the number of its rows, and whether no rows are left."""

    last_id: int | None
    rows: int
    done: bool
