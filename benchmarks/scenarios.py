"""The scenarios of ``make bench``, as data: the copied tables, the peers and the ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from benchmarks import data
from benchmarks.data import Table


class Way(Enum):
    """How the clients reach both servers."""

    DIRECT = ""
    PLAIN = "without TLS"
    TLS = "TLS"
    RELAY = "relay, 0 ms"
    DELAYED = "relay, 20 ms"


ROUND_TRIP = {Way.RELAY: 0.0, Way.DELAYED: 0.020}
"""Seconds of a round trip."""


@dataclass(frozen=True, slots=True)
class Case:
    """One peer on one way."""

    peer: str
    way: Way = Way.DIRECT

    @property
    def name(self) -> str:
        """The case's name in tables and results."""
        return f"{self.peer}, {self.way.value}" if self.way.value else self.peer


@dataclass(frozen=True, slots=True)
class Scenario:
    """Some tables, and the peers that copy them in turns."""

    key: str
    title: str
    tables: tuple[Table, ...]
    peers: tuple[str, ...]
    ways: tuple[Way, ...] = (Way.DIRECT,)
    debian: bool = False  # use Debian's PostgreSQL instead of the wheel's
    rounds: int = 5  # in `make bench-full`
    quick: float = 0.1  # the part of the rows that `make bench` copies; 0 leaves the scenario out
    quick_rounds: int = 3
    disk: float = 15  # GB of disk for all rows on both servers, their WAL, and files of peers
    change: str = ""  # what the source does between the preparation and the measured copy, for {night}
    compare: bool = False  # compare every row of both sides after a copy, and not only their number
    many_files: bool = False  # keep the data in memory, because otherwise the benchmark would measure the file system

    @property
    def cases(self) -> list[Case]:
        """Every peer on every way."""
        return [Case(peer, way) for peer in self.peers for way in self.ways]


GIGABYTE = 4_620_000
"""Rows of lineitem whose binary COPY is 1 GB: 217 bytes each."""

_BIG = data.LINEITEM + data.LINEITEM_INDEXES
_JOB = (Table(_BIG, 3_000_000), Table(data.ACCOUNTS, 3_000_000), Table(data.EVENTS, 400_000))
_FAST = ("etl run", "limit", "psql | psql", "pg_dump -Fd -j2, pg_restore -j2", "pgcopydb")
_ALL = (*_FAST, "pg_dump | psql", "connectorx → COPY", "ADBC → ADBC", "pg-bulk-ingest", "sling", "dlt")
_TINY = ("etl run", "etl run, again", "psql | psql", "pg_dump | psql", "pg_dump -Fd -j2, pg_restore -j2", "pgcopydb")
_STREAM = ("the stream alone", "psql | psql, rows alone", "plain psycopg")
_CHANGES = ("etl run, changes", "etl run, again", "limit of a night", "sling, incremental", "dlt, incremental")
_NIGHT = (*_CHANGES, "pg_dump -Fd -j2, pg_restore -j2", "pgcopydb")
_NAMES = ("lineitem", "accounts", "events")
_DATED_BIG = data.LINEITEM + data.dated("lineitem") + data.LINEITEM_INDEXES
_DATED_JOB = (
    Table(_DATED_BIG, 3_000_000),
    Table(data.ACCOUNTS + data.dated("accounts"), 3_000_000),
    Table(data.EVENTS + data.dated("events"), 400_000),
)
_NEAR = ("etl run", "psql | psql", "pgcopydb")


def _night(share: float, size: str, tables: tuple[Table, ...], *names: str) -> Scenario:
    """A night after a day on which so large a share of the rows of these tables has changed."""
    day = f"a day that changed {share:.0%} of the rows" if share else "a day without a change"
    what = "one table of 5 GB" if size else "the job of (a)"
    change = data.changes(share, *names) if share else ""
    key, peers = f"night-{size}{share * 100:g}", _CHANGES if size else _NIGHT
    title = f"a night after {day}: {what}"
    return Scenario(key, title, tables, peers, quick_rounds=2, change=change, compare=True)


SCENARIOS = (
    Scenario(
        "a",
        "one job: lineitem 3 M rows with 3 indexes, accounts 3 M rows, jsonb events 400 k",
        _JOB,
        _ALL,
        quick_rounds=2,
    ),
    Scenario(
        "a-15",
        "the same job on Debian's PostgreSQL 15, where postgres_fdw is and which its pgcopydb was made for",
        _JOB,
        (*_FAST, "postgres_fdw"),
        debian=True,
        rounds=3,
        quick_rounds=2,
    ),
    Scenario("b-0.5", "one table of 0.5 GB", (Table(_BIG, GIGABYTE // 2),), _FAST, rounds=3),
    Scenario("b-5", "one table of 5 GB", (Table(_BIG, GIGABYTE * 5),), _FAST, rounds=3, quick=0, disk=40),
    Scenario(
        "c-1000",
        "1,000 tables of ten rows, in memory",
        (Table(data.TINY, 1000),),
        (*_TINY, "sling", "dlt"),
        rounds=3,
        quick=0.2,
        quick_rounds=2,
        disk=2,
        many_files=True,
    ),
    Scenario(
        "c-10000",
        "10,000 tables of ten rows, in memory",
        (Table(data.TINY, 10_000),),
        _TINY,
        rounds=2,
        quick=0,
        disk=4,
        many_files=True,
    ),
    Scenario("d", "100,000 rows with TOAST, 20 kB each", (Table(data.TOAST, 100_000),), _FAST, rounds=3),
    Scenario("e", "500,000 rows of 200 columns", (Table(data.WIDE, 500_000),), _FAST, rounds=3),
    Scenario(
        "f",
        "the job through TLS (sslmode=verify-full), on Debian's PostgreSQL 15",
        _JOB,
        _NEAR,
        (Way.PLAIN, Way.TLS),
        debian=True,
    ),
    Scenario("g", "the job with 20 ms between client and servers", _JOB, _NEAR, (Way.RELAY, Way.DELAYED)),
    Scenario(
        "g-tiny",
        "1,000 tables of ten rows, in memory, with 20 ms between client and servers",
        (Table(data.TINY, 1000),),
        ("etl run", "pg_dump -Fd -j2, pg_restore -j2"),
        (Way.RELAY, Way.DELAYED),
        rounds=3,
        quick=0.1,
        quick_rounds=2,
        disk=2,
        many_files=True,
    ),
    Scenario(
        "stream-wide", "rows alone, without indexes: lineitem 3 M rows", (Table(data.LINEITEM, 3_000_000),), _STREAM
    ),
    Scenario(
        "stream-narrow", "rows alone, without indexes: accounts 3 M rows", (Table(data.ACCOUNTS, 3_000_000),), _STREAM
    ),
    *(_night(share, "", _DATED_JOB, *_NAMES) for share in (0, 0.01, 0.1)),
    *(
        replace(_night(share, "5gb-", (Table(_DATED_BIG, GIGABYTE * 5),), "lineitem"), rounds=3, quick=0, disk=30)
        for share in (0, 0.01)
    ),
    Scenario(
        "s", "one table of ten rows: the start", (Table(data.TINY, 1),), ("etl run", "psql | psql"), rounds=9, quick=1
    ),
)


def wanted(only: tuple[str, ...], full: bool) -> list[Scenario]:
    """The scenarios to measure: those named by key, or by a letter that stands for several; else all of this size."""
    keys = {one.key for one in SCENARIOS}
    letters = {name for name in only if name not in keys}
    if only:
        return [one for one in SCENARIOS if one.key in only or one.key.partition("-")[0] in letters]
    return [one for one in SCENARIOS if full or one.quick]
