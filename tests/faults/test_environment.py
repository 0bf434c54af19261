"""Faults of a run's environment: servers that refuse, tables that somebody changes, limited roles, full disks."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg
import pytest

from etl.sessions.stage import Stage
from tests.faults.breaker import Moment
from tests.faults.night import ORDERS, WAYS, Night, assert_whole
from tests.faults.test_stages import STAGES
from tests.situations import ended, locked, small_tablespace, until, waiting

BEFORE_THE_LOCKS = Moment("lock the source's tables", "operational", Stage.LOCK)


@contextmanager
def read_only(night: Night) -> Iterator[None]:
    """Makes the target read-only for new transactions, as a failover or a full disk does."""
    night.databases.reporting.server.psql("ALTER SYSTEM SET default_transaction_read_only = on")
    night.databases.reporting.server.psql("SELECT pg_reload_conf()")
    until(lambda: night.databases.reporting.value("SHOW default_transaction_read_only") == "on", "read only")
    try:
        yield
    finally:
        with night.databases.reporting.connect(options="-c default_transaction_read_only=off") as session:
            session.execute("ALTER SYSTEM RESET default_transaction_read_only")
            session.execute("SELECT pg_reload_conf()")


@contextmanager
def full(night: Night, side: str) -> Iterator[None]:
    """Takes all connections of a server."""
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(night.database(side).connect())
        yield


@contextmanager
def source_full(night: Night) -> Iterator[None]:
    """Leaves no connection at the source."""
    with full(night, "operational"):
        yield


@contextmanager
def target_full(night: Night) -> Iterator[None]:
    """Leaves no connection at the target."""
    with full(night, "reporting"):
        yield


@contextmanager
def live_table_locked(night: Night) -> Iterator[None]:
    """Holds a lock on a live table, as a migration does."""
    with locked(night.databases.reporting, "orders"):
        yield


@contextmanager
def live_table_locked_late(night: Night) -> Iterator[None]:
    """Holds a lock on a live table that its load has examined: one load stands still, the other is staged."""
    staged = f"SELECT count(*) FROM etl.loads WHERE run_id = '{night.run_id}' AND status = 'staged'"
    until(lambda: night.databases.reporting.value(staged) == 1, "the other load is staged")
    with live_table_locked(night):
        yield


@contextmanager
def small_disk(night: Night) -> Iterator[None]:
    """Puts new tables of the target on a disk that is nearly full."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounts a small tmpfs: run the tests as root, on Linux")
    database = night.databases.reporting
    with small_tablespace(database, "96k") as small:
        # for all of the server, because a role's setting does not reach the writers that have connected already
        database.server.psql(f"ALTER SYSTEM SET default_tablespace = {small}")
        database.server.psql("SELECT pg_reload_conf()")
        until(lambda: database.value("SHOW default_tablespace") == small, "the small disk is used")
        try:
            yield
        finally:
            database.server.psql("ALTER SYSTEM RESET default_tablespace")
            database.server.psql("SELECT pg_reload_conf()")
            until(lambda: database.value("SHOW default_tablespace") == "", "the small disk is used no more")


@dataclass(frozen=True)
class EnvironmentFault:
    """A fault that begins at a stage and is removed after the run, and the run's message."""

    makes: Callable[[Night], AbstractContextManager[None]]
    stage: str
    says: str


READ_ONLY = "cannot execute .* in a read-only transaction"
NO_SPACE = "could not extend file .*(No space left on device|Check free disk space)"
TOO_MANY = r"(operational|reporting) database \S+ cannot be reached: .*too many clients already"

FAULTS = (
    *(
        EnvironmentFault(read_only, stage, READ_ONLY)
        for stage in ("open the ledger", "catalog", "index build", "commit the load")
    ),
    EnvironmentFault(source_full, "open the ledger", TOO_MANY),
    EnvironmentFault(source_full, "ledger write", TOO_MANY),
    EnvironmentFault(target_full, "catalog", TOO_MANY),
    EnvironmentFault(live_table_locked, "catalog", r"the live table public\.orders was locked for over 30s"),
    EnvironmentFault(live_table_locked_late, "record the load", "the live tables were in use for 1 s.*held by pid"),
    # from "join the snapshot" on the tables may be there already, elsewhere; their indexes are not
    *(EnvironmentFault(small_disk, stage, NO_SPACE) for stage in ("open the ledger", "catalog", "index build")),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("one", FAULTS, ids=lambda one: f"{one.makes.__name__}-{one.stage}")
def test_a_fault_around_a_run(night: Night, one: EnvironmentFault, way: str) -> None:
    """Yesterday's tables stay whole, the message names the fault, and the next run succeeds without the fault."""
    night.publishes(way)
    night.passes()
    yesterday = night.live()
    stage = STAGES[one.stage]
    with ExitStack() as stack:
        with night.stopped_at(stage, ETL_PUBLISH_DEADLINE="1") as (process, _):
            stack.enter_context(one.makes(night))
            night.breakers[stage.side].release()
            done = ended(process)
        stack.close()
    assert done.status == 1
    assert re.search(one.says, done.stderr), done.stderr
    assert assert_whole(night, done, yesterday) == "yesterday"
    again = night.etl("run")
    assert (again.status, again.stderr) == (0, "")
    assert night.live() == night.sourced()
    assert night.unvalidated() == []
    assert night.ledger()[0] in {"failed", "interrupted", "absent"}
    until(lambda: night.traces() == [], "nothing is left behind")


@dataclass(frozen=True)
class Change:
    """What somebody does to a table of the source, and how it is undone, but for the rows.

    What is said where it comes before our locks: nothing, if the run copies what there is then; ``in_place``, if the
    table is published so.
    """

    does: str
    undoes: str
    says: str = "^$"
    in_place: str | None = None

    def tells(self, way: str) -> str:
        """What is said. A table of changes whose columns are others is swapped."""
        return self.says if way in {"swap", "changes"} or self.in_place is None else self.in_place


GONE = 'relation "public.orders" does not exist'
OTHER = "public.orders is published in place, and its columns are not the arriving ones"
EMPTY = "is stopped before its publish, because 1 table has too few rows.*public.orders has 0 rows now"
CHANGES = {
    "dropped": Change("DROP TABLE orders", ORDERS, GONE),
    "renamed": Change("ALTER TABLE orders RENAME TO moved", "ALTER TABLE moved RENAME TO orders", GONE),
    "truncated": Change("TRUNCATE orders", "", EMPTY),
    "altered": Change("ALTER TABLE orders ADD extra int DEFAULT 7", "ALTER TABLE orders DROP extra", in_place=OTHER),
    "retyped": Change(
        "ALTER TABLE orders ALTER night TYPE bigint", "ALTER TABLE orders ALTER night TYPE int", in_place=OTHER
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_table_that_is_changed_between_plan_and_load(night: Night, name: str, way: str) -> None:
    """The run copies the table as it is when the snapshot is taken.

    The error names a table that is missing or empty, or whose new columns a merge in place could not make.
    """
    change = CHANGES[name]
    night.publishes(way)
    night.passes()
    yesterday = night.live()
    with night.stopped_at(BEFORE_THE_LOCKS, ETL_KEEP_STOPPED="0") as (process, _):
        night.databases.operational.execute(change.does)
        night.breakers["operational"].release()
        done = ended(process)
    assert re.search(change.tells(way), done.stderr), done.stderr
    if done.status:
        assert night.live() == yesterday
    else:
        assert night.live() == night.sourced()
    undo(night, change)
    assert night.etl("run").status == 0
    assert night.live() == night.sourced()
    assert night.traces() == []


def undo(night: Night, change: Change) -> None:
    """Takes a change back, with its effect on the rows; the live table has the columns of the first night again."""
    night.databases.operational.execute(change.undoes)
    night.publishes("swap")  # first, because it writes all rows
    night.writes()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_table_that_is_changed_in_the_middle_of_its_load(night: Night, name: str, way: str) -> None:
    """The change waits until the last row is read, and the run shows the instant of its snapshot."""
    change = CHANGES[name]
    night.publishes(way)
    night.passes()
    today = night.sourced()
    with night.stopped_at(STAGES["COPY out"]) as (process, _):
        changing = threading.Thread(target=night.databases.operational.execute, args=(change.does,))
        changing.start()
        until(lambda: waiting(night.databases.operational, change.does), "the change waits for the run")
        night.breakers["operational"].release()
        done = ended(process)
        changing.join()
    assert (done.status, done.stderr) == (0, "")
    assert night.live() == today
    undo(night, change)
    assert night.etl("run").status == 0
    assert night.live() == night.sourced()
    assert night.traces() == []


LIMITS = {
    "statement_timeout": "300ms",
    "idle_in_transaction_session_timeout": "300ms",
    "idle_session_timeout": "300ms",
    "transaction_timeout": "300ms",
    "lock_timeout": "1ms",
}


@pytest.mark.parametrize(("way", "name"), [("swap", "COPY out"), ("swap", "COPY in"), ("in place", "merged")])
@pytest.mark.parametrize("setting", LIMITS)
def test_a_limit_of_the_role_does_not_end_a_night(night: Night, setting: str, way: str, name: str) -> None:
    """Settings of the role, made for interactive users, do not apply to the run, which stands still for a second."""
    stage = STAGES[name]
    side = stage.side
    night.publishes(way)
    night.passes()
    night.database(side).execute(f"ALTER ROLE postgres SET {setting} = '{LIMITS[setting]}'")
    try:
        with night.stopped_at(stage) as (process, link):
            pid = night.pid(stage, link)
            old = f"SELECT state_change < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE pid = {pid}"
            until(lambda: night.database(side).value(old), "a second passes")
            night.breakers[side].release()
            done = ended(process)
    finally:
        with night.database(side).connect(options=f"-c {setting}=0") as session:
            session.execute(f"ALTER ROLE postgres RESET {setting}".encode())
    assert (done.status, done.stderr) == (0, "")
    assert night.live() == night.sourced()
