"""A run of several processes: a snapshot's holder, shards that join its snapshot, and one publish.

Also tests runs of which one process fails, is killed or is told to stop.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from tests.harness import Databases, Done, Etl
from tests.situations import ended, gate_closed, kill_holder, ledger, live, make_gated, reading, until, waiting

SHARED = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two tables of one row each in the source, and a view whose COPY a test can stop."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 1 AS id")
    make_gated(databases.operational)
    return databases


@pytest.fixture
def shard(etl: Etl) -> Etl:
    """``etl`` with the settings of a shard of tonight's run."""
    return etl.having(**SHARED)


@contextmanager
def holding(
    etl: Etl, tables: Databases, names: str = "orders,items", **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Runs ``etl snapshot`` for tonight; yields the process as soon as its snapshot is in the ledger."""
    with etl.started("snapshot", TABLES=names, ETL_RUN_ID="tonight", **variables) as process:
        until(lambda: has_snapshot(tables), "the snapshot in the ledger")
        yield process


def has_snapshot(tables: Databases) -> bool:
    """Tells whether tonight's snapshot is in the ledger."""
    return bool(
        tables.reporting.value("SELECT to_regclass('etl.runs') IS NOT NULL")
        and tables.reporting.rows("SELECT FROM etl.runs WHERE run_id = 'tonight' AND snapshot_id IS NOT NULL")
    )


def statuses(tables: Databases) -> dict[str, str]:
    """The status of each of tonight's loads."""
    return dict(tables.reporting.rows("SELECT table_name, status FROM etl.loads WHERE run_id = 'tonight'"))


def holders(tables: Databases) -> list[tuple[int]]:
    """The sessions in the source that are idle in a transaction."""
    return tables.operational.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    )


def succeeded(done: Done) -> Done:
    """Asserts that a process succeeded and printed nothing on standard error."""
    assert (done.status, done.stderr) == (0, "")
    return done


def test_shards_that_start_before_and_after_the_holder_copy_what_it_holds(
    tables: Databases, etl: Etl, shard: Etl
) -> None:
    """One shard waits for the snapshot and logs it; both copy its instant; the holder ends by itself; one publish."""
    with shard.started("run", TABLES="orders", ETL_SHARD="0") as early:
        until(lambda: tables.reporting.value("SELECT to_regclass('etl.runs') IS NOT NULL"), "the ledger")
        until(lambda: tables.reporting.rows("SELECT FROM etl.runs"), "the run in the ledger")
        with holding(etl, tables) as holder:
            tables.operational.execute("INSERT INTO items VALUES (2)")
            late = succeeded(shard("run", TABLES="items", ETL_SHARD="1"))
            first = succeeded(ended(early))
            held = succeeded(ended(holder))
    assert first.event("snapshot.awaited")["seconds"] == 3900
    assert {event["shard"] for event in late.events} == {1}
    released = held.event("snapshot.released")
    assert (released["reason"], released["seconds"] > 0) == ("staged", True)
    assert released["horizon_transactions"] >= 1, "the insert was after the snapshot"
    assert holders(tables) == []
    assert live(tables.reporting) == []
    assert succeeded(etl("publish", "tonight")).event("run.published")["tables"] == 2
    assert tables.reporting.rows("SELECT id FROM orders UNION ALL SELECT id FROM items") == [(1,), (1,)]
    assert tables.reporting.rows("SELECT table_name, shard FROM etl.loads ORDER BY 1") == [
        ("public.items", "1"),
        ("public.orders", "0"),
    ]
    assert tables.reporting.value(
        "SELECT count(DISTINCT l.snapshot_id) = 1 AND min(l.snapshot_id) = min(r.snapshot_id)"
        " FROM etl.loads l JOIN etl.runs r USING (run_id)"
    )


def test_each_shard_says_how_its_tables_have_changed(tables: Databases, etl: Etl, shard: Etl) -> None:
    """Each surveys its own; the ledger has the drift of both, and of the next night none."""
    assert etl("run", TABLES="orders,items", ETL_RUN_ID="yesterday").status == 0
    tables.operational.execute("ALTER TABLE orders ADD more text; ALTER TABLE items RENAME id TO number")
    with holding(etl, tables) as holder:
        for number, table in enumerate(("orders", "items")):
            done = succeeded(shard("run", TABLES=table, ETL_SHARD=str(number)))
            assert done.event("table.drifted")["table"] == f"public.{table}"
        succeeded(ended(holder))
    succeeded(etl("publish", "tonight"))
    assert etl("run", TABLES="orders,items", ETL_RUN_ID="tomorrow").status == 0
    drift = "SELECT run_id, table_name, drift FROM etl.loads WHERE drift IS NOT NULL ORDER BY 2"
    assert tables.reporting.rows(drift) == [
        ("tonight", "public.items", "renamed id to number"),
        ("tonight", "public.orders", "added more"),
    ]


ACCOUNTS = """
    CREATE TABLE branches (id int PRIMARY KEY, balance int NOT NULL DEFAULT 0);
    CREATE TABLE tellers (id int PRIMARY KEY, balance int NOT NULL DEFAULT 0);
    CREATE TABLE history (id bigserial PRIMARY KEY, delta int NOT NULL);
    INSERT INTO branches (id) VALUES (1), (2); INSERT INTO tellers (id) SELECT generate_series(1, 20);
    INSERT INTO history (delta) VALUES (0);
"""


@contextmanager
def transfers(databases: Databases) -> Iterator[list[int]]:
    """Transfers money as pgbench does, in transactions that keep all sums equal, for as long as the block lasts."""
    stop, done = threading.Event(), [0]

    def work() -> None:
        with databases.operational.connect() as session:
            while not stop.is_set():
                delta = done[0] % 1000 - 300
                with session.transaction():
                    session.execute(
                        "UPDATE branches SET balance = balance + %s WHERE id = %s", [delta, 1 + done[0] % 2]
                    )
                    session.execute(
                        "UPDATE tellers SET balance = balance + %s WHERE id = %s", [delta, 1 + done[0] % 20]
                    )
                    session.execute("INSERT INTO history (delta) VALUES (%s)", [delta])
                done[0] += 1
                stop.wait(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_two_shards_under_writes_publish_one_instant(databases: Databases, etl: Etl, shard: Etl) -> None:
    """Every transaction of the source keeps some sums equal, and they are equal in the copies of two processes."""
    databases.operational.execute(ACCOUNTS)
    with transfers(databases) as done, holding(etl, databases, "branches,tellers,history"):
        since = done[0]
        succeeded(shard("run", TABLES="branches"))
        until(lambda: done[0] > since + 20, "more transfers")
        succeeded(shard("run", TABLES="tellers,history"))
    succeeded(etl("publish", "tonight"))
    branches, tellers, history = (
        databases.reporting.value(f"SELECT sum({column}) FROM {table}")
        for table, column in (("branches", "balance"), ("tellers", "balance"), ("history", "delta"))
    )
    assert branches == tellers == history
    assert databases.reporting.value("SELECT count(*) FROM history") < databases.operational.value(
        "SELECT count(*) FROM history"
    )


def test_a_shard_that_was_killed_is_done_again_from_the_same_snapshot(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The shard skips staged tables, and logs it; the others show the same instant; the run is published."""
    with holding(etl, tables, "orders,items,gated") as holder:
        with ExitStack() as stack:
            stack.enter_context(gate_closed(tables.operational))
            killed = stack.enter_context(shard.started("run", TABLES="orders,gated", ETL_JOBS="1"))
            until(lambda: "staged" in statuses(tables).values() or waiting(tables.operational, "COPY"), "the COPY")
            # the larger comes first; orders is staged when the gated view is not
            until(lambda: waiting(tables.operational, "COPY (/* etl: copy out */ SELECT"), "the COPY stands still")
            killed.send_signal(signal.SIGKILL)
            ended(killed)
        tables.operational.execute("UPDATE orders SET id = 2; UPDATE items SET id = 2")
        assert ledger(tables.reporting) == ("running", None)
        staged = [name for name, status in statuses(tables).items() if status == "staged"]
        assert staged == ["public.orders"]
        again = succeeded(shard("run", TABLES="orders,gated"))
        assert again.event("table.skipped")["table"] == "public.orders"
        assert [event["table"] for event in again.events if event["event"] == "table.loaded"] == ["public.gated"]
        succeeded(shard("run", TABLES="items"))
        succeeded(ended(holder))
    succeeded(etl("publish", "tonight"))
    assert tables.reporting.rows("SELECT id FROM orders UNION ALL SELECT id FROM items") == [(1,), (1,)]


def test_a_shard_that_failed_keeps_what_it_staged_for_its_next_try(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The run continues, and publish refuses until the failed table is staged."""
    tables.operational.execute(
        "CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        "ALTER TABLE items ADD CHECK (public.odd(id))"  # a function that the target has not
    )
    with holding(etl, tables) as holder:
        failed = shard("run", TABLES="orders,items")
        assert failed.status == 1
        assert ledger(tables.reporting) == ("running", None)
        assert statuses(tables) == {"public.orders": "staged", "public.items": "failed"}
        refused = etl("publish", "tonight")
        assert (refused.status, "public.items failed" in refused.stderr) == (1, True)
        tables.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
        again = succeeded(shard("run", TABLES="orders,items"))
        assert again.event("table.skipped")["table"] == "public.orders"
        succeeded(ended(holder))
    succeeded(etl("publish", "tonight"))


def test_publish_refuses_while_a_planned_table_is_missing(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The tables of a shard that never started stay planned, and the error names them."""
    with holding(etl, tables):
        succeeded(shard("run", TABLES="orders"))
        done = etl("publish", "tonight")
    assert done.status == 1
    assert done.stderr == (
        "etl: run tonight cannot be published: public.items not staged, and perhaps never will be; start a new run\n"
    )
    assert live(tables.reporting) == []


def test_publish_refuses_tables_of_another_snapshot(tables: Databases, etl: Etl) -> None:
    """Two processes that each take a snapshot are two runs, even with the same ETL_RUN_ID."""
    deferred = {"ETL_RUN_ID": "tonight", "ETL_PUBLISH": "defer"}
    succeeded(etl("run", TABLES="orders", **deferred))
    succeeded(etl("run", TABLES="items", **deferred))
    done = etl("publish", "tonight")
    assert done.status == 1
    assert "run tonight cannot be published: public.orders not staged from its snapshot" in done.stderr
    assert live(tables.reporting) == []


def test_a_run_whose_holder_was_killed_fails_and_says_so(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The shard that finds the snapshot gone sets the run to failed in the ledger; it takes no other snapshot."""
    with holding(etl, tables) as holder:
        succeeded(shard("run", TABLES="orders"))
        holder.send_signal(signal.SIGKILL)
        ended(holder)
        until(lambda: holders(tables) == [], "the snapshot gone")
    second = etl("snapshot", TABLES="orders,items", ETL_RUN_ID="tonight")
    assert second.status == 1
    assert "etl: run tonight has 1 of 2 tables staged from snapshot" in second.stderr
    assert "start a new run" in second.stderr
    assert ledger(tables.reporting)[0] == "failed"
    done = shard("run", TABLES="items")
    assert (done.status, "etl: run tonight is failed already" in done.stderr) == (1, True)


def test_a_shard_tells_that_the_holder_is_gone(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The holder was killed before the shard began: one line with the remedy, the run failed, nothing staged."""
    with holding(etl, tables) as holder:
        holder.send_signal(signal.SIGKILL)
        ended(holder)
        until(lambda: holders(tables) == [], "the snapshot gone")
    done = shard("run", TABLES="orders")
    assert done.status == 1
    assert "is gone: the process that held it for run tonight has ended" in done.stderr
    assert "start a new run" in done.stderr
    assert ledger(tables.reporting)[0] == "failed"
    assert tables.staging_tables() == []


def test_a_holder_that_starts_again_before_anything_is_staged_takes_another_snapshot(
    tables: Databases, etl: Etl, shard: Etl
) -> None:
    """No table shows the first instant, so the run is whole with the second snapshot."""
    with holding(etl, tables) as first:
        first.send_signal(signal.SIGKILL)
        ended(first)
    before = tables.reporting.value("SELECT snapshot_id FROM etl.runs")
    tables.operational.execute("UPDATE orders SET id = 2")
    with etl.started("snapshot", TABLES="orders,items", ETL_RUN_ID="tonight") as second:
        until(lambda: tables.reporting.value("SELECT snapshot_id FROM etl.runs") != before, "the second snapshot")
        succeeded(shard("run", TABLES="orders,items"))
        succeeded(ended(second))
    succeeded(etl("publish", "tonight"))
    assert tables.reporting.rows("SELECT id FROM orders") == [(2,)]


def test_a_holder_whose_source_session_is_ended_fails_the_run(tables: Databases, etl: Etl) -> None:
    """A failover or an administrator may end it. The holder notices it within seconds: exit 1, reason in the ledger."""
    with holding(etl, tables) as holder:
        kill_holder(tables.operational)
        done = ended(holder)
    assert done.status == 1
    assert "etl: the source ended the session that held the snapshot of run tonight" in done.stderr
    status, error = ledger(tables.reporting)
    assert (status, error is not None and "start a new run" in error) == ("failed", True)


def test_a_run_has_one_holder(tables: Databases, etl: Etl) -> None:
    """A second one is refused, and the first goes on."""
    with holding(etl, tables):
        second = etl("snapshot", TABLES="orders,items", ETL_RUN_ID="tonight")
        assert second.status == 1
        assert (
            second.stderr
            == "etl: another process holds a snapshot for run tonight; one run has one snapshot, so stop this one\n"
        )
        assert ledger(tables.reporting) == ("running", None)


def test_a_holder_that_is_stopped_lets_go_and_tells_the_shards(tables: Databases, etl: Etl, shard: Etl) -> None:
    """SIGTERM: exit 143, the snapshot is released, and a shard that starts later gets the reason."""
    with holding(etl, tables) as holder:
        holder.send_signal(signal.SIGTERM)
        done = ended(holder, 10)
    assert (done.status, done.stderr) == (143, "etl: stopped by SIGTERM\n")
    assert done.event("snapshot.released")["reason"] == "failed"
    assert holders(tables) == []
    reason = "the process that held the snapshot was stopped by a signal"
    assert ledger(tables.reporting) == ("interrupted", reason)
    late = shard("run", TABLES="orders")
    assert (late.status, late.stderr) == (
        1,
        f"etl: run tonight is interrupted already ({reason}); start a new run\n",
    )


def test_a_snapshot_is_let_go_at_its_greatest_age(tables: Databases, etl: Etl) -> None:
    """The source's vacuum must not wait for ever for a shard that never starts; exit 1, and the run has failed."""
    done = etl("snapshot", TABLES="orders,items", ETL_RUN_ID="tonight", ETL_SNAPSHOT_MAX_AGE="1")
    assert done.status == 1
    assert done.stderr == (
        "etl: the snapshot of run tonight was held for 1 s, and 2 tables are not staged yet; raise"
        " ETL_SNAPSHOT_MAX_AGE or look for what keeps them, and start a new run\n"
    )
    assert ledger(tables.reporting)[0] == "failed"
    assert holders(tables) == []


def test_a_snapshot_that_is_not_on_this_host_is_told_from_one_that_is_gone(
    tables: Databases, etl: Etl, shard: Etl
) -> None:
    """A reader endpoint may lead to different hosts. Here the source's name leads to the wrong server."""
    tables.reporting.execute(f"CREATE DATABASE elsewhere_{tables.reporting.name}")
    elsewhere = replace(tables.reporting, name=f"elsewhere_{tables.reporting.name}")
    elsewhere.execute("CREATE TABLE orders AS SELECT 7 AS id")
    with holding(etl, tables):
        done = shard("run", TABLES="orders", ETL_OPERATIONAL_URL=elsewhere.url)
        assert ledger(tables.reporting) == ("running", None)
        succeeded(shard("run", TABLES="orders,items"))
    assert done.status == 1
    assert "is not on this host, though run tonight still holds it" in done.stderr
    assert "name the same single one for all" in done.stderr
    tables.reporting.execute(f"DROP DATABASE elsewhere_{tables.reporting.name} WITH (FORCE)")


def test_abort_ends_the_holder_and_the_shards_and_leaves_no_staging(tables: Databases, etl: Etl, shard: Etl) -> None:
    """One shard has staged, another is in the middle of a COPY: abort ends both, and they print the reason."""
    with holding(etl, tables, "orders,items,gated") as holder, ExitStack() as stack:
        succeeded(shard("run", TABLES="orders"))
        stack.enter_context(gate_closed(tables.operational))
        loading = stack.enter_context(shard.started("run", TABLES="items,gated"))
        until(lambda: waiting(tables.operational, "COPY (/* etl: copy out */ SELECT"), "the COPY stands still")
        until(lambda: statuses(tables)["public.items"] == "staged", "its other table is staged")
        aborted = succeeded(etl("abort", "tonight", "--error", "the boss said so"))
        assert aborted.event("run.aborted")["tables"] == 1, "the others are still the loading shard's"
        done, held = ended(loading, 15), ended(holder, 15)
    assert (done.status, held.status) == (1, 1)
    assert "run tonight is failed already (the boss said so)" in done.stderr
    assert "run tonight is failed: the boss said so; its snapshot was let go" in held.stderr
    assert tables.staging_tables() == []
    assert holders(tables) == []
    assert ledger(tables.reporting) == ("failed", "the boss said so")
    assert set(statuses(tables).values()) == {"failed"}
    assert etl("publish", "tonight").status == 1


def test_abort_stops_a_run_of_one_process_too(tables: Databases, etl: Etl) -> None:
    """Its staging tables are dropped, its live tables stay, and its error names the abort."""
    with gate_closed(tables.operational), etl.started("run", TABLES="orders,gated", ETL_RUN_ID="tonight") as process:
        until(lambda: waiting(tables.operational, "COPY (/* etl: copy out */ SELECT"), "the COPY stands still")
        succeeded(etl("abort", "tonight"))
        done = ended(process, 15)
    assert (done.status, done.stderr) == (1, "etl: run tonight is failed already (aborted); start a new run\n")
    assert tables.staging_tables() == []
    assert live(tables.reporting) == []
    assert ledger(tables.reporting) == ("failed", "aborted")


def test_abort_stops_a_publish_that_waits_for_readers(tables: Databases, etl: Etl) -> None:
    """A run that was given up must not become live later; its staging tables are dropped."""
    succeeded(etl("run", TABLES="orders,items"))
    before = live(tables.reporting)
    succeeded(etl("run", TABLES="orders,items", ETL_RUN_ID="tonight", ETL_PUBLISH="defer"))
    with reading(tables.reporting, "orders"), etl.started("publish", "tonight") as publishing:
        until(lambda: waiting(tables.reporting, "LOCK TABLE"), "the publish waits")
        succeeded(etl("abort", "tonight"))
        done = ended(publishing, 15)
    assert (done.status, done.stderr) == (1, "etl: run tonight is failed already (aborted); start a new run\n")
    assert live(tables.reporting) == before
    assert tables.staging_tables() == []


def test_a_shard_refuses_tables_that_the_holder_has_not_locked(tables: Databases, etl: Etl, shard: Etl) -> None:
    """Without its lock a table could be truncated between snapshot and load without an error."""
    with holding(etl, tables, "orders"):
        done = shard("run", TABLES="orders,items")
        assert (done.status, "public.items: not among the tables of run tonight" in done.stderr) == (2, True)


def test_a_shard_does_not_publish_the_run_in_part(tables: Databases, etl: Etl, shard: Etl) -> None:
    """ETL_PUBLISH must be defer if other shards load other tables."""
    with holding(etl, tables):
        done = shard("run", TABLES="orders", ETL_PUBLISH="run")
    assert (done.status, done.stderr) == (
        2,
        "etl: ETL_PUBLISH is 'run', but run tonight has 1 other tables too; set it to defer, and do `etl publish` when"
        " all shards have ended\n",
    )
    assert live(tables.reporting) == []


def test_one_process_with_a_holder_beside_it_publishes_by_itself(tables: Databases, etl: Etl, shard: Etl) -> None:
    """If one process has all the tables, it publishes them itself."""
    with holding(etl, tables) as holder:
        succeeded(shard("run", TABLES="orders,items", ETL_PUBLISH="run"))
        succeeded(ended(holder))
    assert ledger(tables.reporting) == ("published", None)


def alter(session: psycopg.Connection[TupleRow]) -> None:
    """Tries to alter a table until somebody cancels it."""
    with suppress(psycopg.errors.QueryCanceled):
        session.execute("ALTER TABLE orders ADD COLUMN later int")


def test_a_shard_whose_table_somebody_is_altering_fails_clearly(tables: Databases, etl: Etl, shard: Etl) -> None:
    """Only the holder could read the table now. The shard reports this in one line, and the next attempt succeeds."""
    with holding(etl, tables), tables.operational.connect() as session:
        session.execute("SET statement_timeout = '60s'")
        altering = threading.Thread(target=lambda: alter(session))
        altering.start()
        until(lambda: waiting(tables.operational, "ALTER TABLE"), "the ALTER waits for the holder")
        done = shard("run", TABLES="orders")
        session.cancel()
        altering.join()
        assert done.status == 1
        assert "orders" in done.stderr
        assert "somebody is altering it in the source; try again when they are done" in done.stderr
        succeeded(shard("run", TABLES="orders"))


def test_a_plan_feeds_the_shards(tables: Databases, etl: Etl, shard: Etl) -> None:
    """The holder and the shards accept the output of ``etl plan``, with table names of any characters."""
    odd = ['a,"b".c*', "!Größe ", "[x]"]
    for name in odd:
        tables.operational.execute(sql.SQL("CREATE TABLE {} (id int)").format(sql.Identifier(name)).as_string(None))
    planned = json.loads(succeeded(etl("plan", "--shards", "2", TABLES="*,!gated", ETL_RUN_ID="tonight")).stdout)
    assert (planned["run_id"], [one["shard"] for one in planned["shards"]]) == ("tonight", [0, 1])
    every = json.dumps([name for one in planned["shards"] for name in json.loads(one["tables"])])
    with holding(etl, tables, every) as holder:
        for one in planned["shards"]:
            succeeded(shard("run", TABLES=one["tables"], ETL_SHARD=str(one["shard"])))
        succeeded(ended(holder))
    assert succeeded(etl("publish", "tonight")).event("run.published")["tables"] == 2 + len(odd)
    assert {name for name, _ in live(tables.reporting)} == {"orders", "items", *odd}
    tables.reporting.execute("UPDATE etl.loads SET finished_at = started_at + interval '1 min'")
    again = json.loads(succeeded(etl("plan", "--shards", "2", TABLES="*,!gated")).stdout)
    assert [{*json.loads(one["tables"])} for one in again["shards"]] == [
        {*json.loads(one["tables"])} for one in planned["shards"]
    ]
    assert sorted(one["expected_seconds"] for one in again["shards"]) == [60, 60], "four at once"
