"""What is told of a load, of a whole run, and of a batch: the ledger keeps it, the log says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from etl.model.clock import Began
from etl.model.name import TargetName
from etl.model.redaction import Redacted
from etl.model.status import LoadStatus, RunStatus


@dataclass(frozen=True, slots=True)
class Load:
    """One table's journey within a run, as the ledger and the log have it.

    ``carried`` names the indexes and constraints that came from the source, so that the next load can tell them
    from those that the reporting side added; ``masked`` the columns that were masked, now or when they last arrived;
    ``staging_oid`` tells the staging table that was filled from any that
    has taken its place since; ``snapshot_id`` is what its rows were read from, ``newest_xid`` the newest transaction
    that wrote them, where they are not frozen. ``given_up`` says that the load was stopped because its run had ended,
    and has not failed itself. ``rows``, ``bytes`` (on the wire) and the seconds of each step are None where the load
    did not get there.
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

    @classmethod
    def failed(cls, table_name: str, live: TargetName, began: Began, error: Redacted) -> Load:
        """Gives a load that failed just now."""
        return cls(table_name, live.schema, live.name, LoadStatus.FAILED, began.at, began.now(), error=error)

    @property
    def seconds(self) -> float:
        """Wall time of the load, start to finish."""
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended: its ledger status, or that its loads are staged where the publish is deferred; and its loads."""

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
    """What a batch did: the id where the next one goes on, the rows that it copied, whether there are no more."""

    last_id: int | None
    rows: int
    done: bool
