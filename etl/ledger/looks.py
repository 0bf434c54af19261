"""Rows of the ledger as those read them who look at a run from outside: ``etl watch``, and the page of a night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """A load of a run that is watched: a row of ``ledger/watched.sql``."""

    table_name: str
    shard: str | None
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    rows: int | None
    bytes: int | None
    load: str | None
    step: str | None
    rows_so_far: int | None
    bytes_so_far: int | None
    bytes_expected: int | None
    told_at: datetime | None
    rows_changed: int | None
    error: str | None
    given_up: bool | None


@dataclass(frozen=True, slots=True)
class PastNightRow:
    """A published load with its run: a row of ``ledger/past_nights.sql``."""

    run_id: str
    way: str | None
    run_started_at: datetime
    run_finished_at: datetime
    table_name: str
    shard: str | None
    load: str
    started_at: datetime
    finished_at: datetime
    rows_changed: int | None
    merge_seconds: float | None


@dataclass(frozen=True, slots=True)
class PastLoadRow:
    """A load of another run's, of a table that a run has: a row of ``ledger/past_of_tables.sql``."""

    run_id: str
    table_name: str
    status: str
    load: str
    rows: int | None
    bytes: int | None
    rows_changed: int | None
    rows_deleted: int | None
    seconds: float | None
    has_failed: bool
    """Whether the load itself has failed; its run may have failed because of another one."""


@dataclass(frozen=True, slots=True)
class SeenRow:
    """What readers saw in a live table when a run had ended: a row of ``ledger/readers_see.sql``."""

    table_name: str
    snapshot_at: datetime | None
    """The instant of the source; None if no run had published the table."""
    is_past: bool
    """Whether a later run has published the table since."""
