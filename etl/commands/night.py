"""One night as data: what the page of ``etl report --output`` shows, and ``etl report --json`` prints. A contract."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

from etl.commands.accounts import Report
from etl.commands.answer import Answer


@dataclass(frozen=True, slots=True)
class Usual(Answer):
    """How long something usually takes, in seconds: over the published nights before."""

    nights: int
    """How many nights tell it."""
    median: float
    p10: float
    """A tenth of the nights was shorter."""
    p90: float
    """A tenth of the nights was longer."""


@dataclass(frozen=True, slots=True)
class Past(Answer):
    """A table's loads of the nights before. Each list has a value a night, in the order of the night's `before`.

    A value is null where the table was not loaded, or where it is not known.
    """

    seconds: tuple[float | None, ...]
    rows: tuple[int | None, ...]
    bytes: tuple[int | None, ...]
    changed: tuple[int | None, ...]
    """Rows written, changed or deleted; null where all rows were copied."""
    loads: tuple[str | None, ...]
    """`full`, `delta` or `unchanged`; `failed`; or `not published`, if the run has failed for another reason."""


@dataclass(frozen=True, slots=True)
class Steps(Answer):
    """What a load was busy with, in seconds, one after the other. A step that it did not reach is 0."""

    waiting: float
    """From the run's beginning until the load began."""
    copy: float
    """Copying rows, or finding those that have changed."""
    verify: float
    """Comparing the rows of both sides; 0, too, where that was not measured."""
    index: float
    """Building indexes and constraints."""
    analyze: float
    other: float
    """The rest: waiting for a session, tries that failed, commits."""
    merge: float
    """The table's part of the publish, if its rows were merged into the live table."""


@dataclass(frozen=True, slots=True)
class NightTable(Answer):
    """A table that the run loads."""

    table: str
    shard: str | None
    outcome: str
    """As in `etl history`: `planned`, `waiting`, `loading`, `staged`, `published`, `failed`, `staged, dropped` or
    `given up`."""
    load: str | None
    """`full`, `delta` or `unchanged`; null before it is known."""
    reason: str | None
    """Why it was that."""
    rows: int | None
    """Of a load without a result, those that it had copied when it last told of itself; so are its bytes."""
    changed: int | None
    """Rows written, changed or deleted; null if all rows were copied."""
    bytes: int | None
    started_at: datetime | None
    """Null where it never began, as far as is known."""
    finished_at: datetime | None
    """When it was staged, or failed."""
    seconds: float | None
    """How long the load took; of one that goes on, so far; of one that ended with its run, until its last sign."""
    steps: Steps
    usual: Usual | None
    """Null if fewer than three nights tell it."""
    is_slower: bool
    """Whether it took longer than nearly all nights before, and much longer than usual."""
    slow_since: str | None
    """The run since which the table is slow, if it is."""
    slow_before: float | None
    """The seconds that it usually took before that."""
    slow_after: float | None
    """The seconds that it has usually taken since: tonight's may be few, if no row had changed."""
    is_decisive: bool
    """Whether it was the last that was staged, so that the publish waited for it."""
    as_of: datetime | None
    """The instant of the source that readers saw in the live table when the run had ended."""
    drift: str | None
    """How the table's columns differed from the live table's when the run began."""
    note: str | None
    """The table's option of that name."""
    error: str | None
    past: Past


@dataclass(frozen=True, slots=True)
class NightShard(Answer):
    """A shard of the run: the tables that one process has loaded."""

    shard: str
    tables: int
    started_at: datetime | None
    finished_at: datetime | None
    """When the last of its loads ended, of those that have."""
    seconds: float
    """From the one to the other."""
    busy: float
    """The seconds of its loads, added up: more than `seconds`, if it loads several tables at once."""


@dataclass(frozen=True, slots=True)
class Move(Answer):
    """A table that `etl plan` would load in another shard."""

    table: str
    of: str
    """The shard that has loaded it."""
    to: str


@dataclass(frozen=True, slots=True)
class Rebalance(Answer):
    """What `etl plan` would change, by what the ledger knows now: its own plan knows the source, too."""

    longest_now: float
    """Seconds of the loads of the longest shard, with the tables as they are."""
    longest_then: float
    """The same, after the moves."""
    mean: float
    """Of all shards: no plan is shorter."""
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class PastNight(Answer):
    """A run before this one, of most of its tables; or this one."""

    run_id: str
    status: str
    """The run's status in the ledger; of this one, its `state`."""
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    """Of a run that goes on, so far; of a dead one, until the last sign of it."""
    tables: int
    rows: int
    bytes: int
    changed: int | None
    """Rows written, changed or deleted, of those tables of which only changes were copied; null if there were none."""
    changed_share: float | None
    """The same, as a part of the rows of these tables: from 0 to 1."""

    @property
    def is_bad(self) -> bool:
        """Whether the night has ended, or is dead, and nothing was published."""
        return self.status not in {"published", "running", "planned", "staged"}


@dataclass(frozen=True, slots=True)
class Night(Answer):
    """A run with the nights before it."""

    sentence: str
    """How the night is, in one sentence."""
    state: str
    """`published`, `failed`, `interrupted`, `stopped`, `running`, `staged` (it waits for `etl publish`) or `dead` (its
    processes are gone)."""
    at: datetime
    """When the ledger was read."""
    job: str | None
    publish_way: str | None
    """`swap`, `merge` or `mixed`."""
    staged_at: datetime | None
    """When the last table was staged; null until all are."""
    publish_seconds: float | None
    """From then until the run's end, with the waiting for readers; null if it was not published."""
    is_published_apart: bool
    """Whether another command published it, as after `ETL_PUBLISH=defer`: `publish_seconds` has the wait for that."""
    is_superseded: bool
    """Whether a later run has published one of the tables since: readers see that now."""
    usual: Usual | None
    """How long the published nights before took; null if fewer than three tell it."""
    expected_at: datetime | None
    """When a run that goes on will have finished."""
    slower: int
    """Number of the tables that were slower than usual."""
    tables: tuple[NightTable, ...]
    """Those that failed first, and then the longest loads."""
    shards: tuple[NightShard, ...]
    """Empty if one process has loaded all tables."""
    rebalance: Rebalance | None
    """Null where there are no shards, and where the ledger tells too little."""
    before: tuple[PastNight, ...]
    """At most 30, the oldest first."""
    tonight: PastNight
    error: str | None = None
    """Why the run failed or was stopped, in full: the report's own `error` is cut after 500 characters."""


@dataclass(frozen=True, slots=True)
class FullReport(Report):
    """How a run ended, and the night as the page shows it."""

    night: Night | None = None
    """Null if the run is not in the ledger."""
    is_newest: bool = False
    """Whether it is the newest night of its job: no later run had at least half of its tables."""

    @property
    def brief(self) -> Report:
        """The report without the night: a state machine passes it on, and its size must not depend on the tables."""
        return Report(**{field.name: getattr(self, field.name) for field in fields(Report)})
