"""The ledger's tables: created on first use, and upgraded in place."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from etl.commands import watch
from etl.commands.report import report
from etl.ledger import book, ledger
from etl.model import limits
from etl.model.clock import Began
from etl.model.errors import ConfigurationError, LedgerInUse
from etl.model.name import Planned, Relation, TargetName
from etl.model.record import Load
from etl.model.redaction import own_words
from etl.model.status import RunStatus
from etl.sessions.postgres import connect_target, target_session
from etl.sessions.url import DatabaseUrl
from etl.settings.settings import Settings
from tests.harness import Databases, Etl
from tests.situations import ended

RELEASED = Path(__file__).parents[1] / "sql" / "released_ledger.sql"
NIGHT = RELEASED.with_name("released_night.sql")

SHOP = "CREATE TABLE {0} (id int PRIMARY KEY); INSERT INTO {0} SELECT generate_series(1, 300);"


def test_a_ledger_of_an_older_version_is_upgraded_and_keeps_its_rows(databases: Databases, etl: Etl) -> None:
    """Missing columns are added; existing ones stay, also a column that a user has added."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    databases.reporting.execute(
        "CREATE SCHEMA etl;"
        "CREATE TABLE etl.runs"
        " (run_id text PRIMARY KEY, status text NOT NULL, started_at timestamptz NOT NULL, mine int);"
        "INSERT INTO etl.runs VALUES ('long ago', 'published', '2020-01-01', 7)"
    )
    done = etl("run", TABLES="orders", ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT run_id, status, mine, tables FROM etl.runs ORDER BY started_at") == [
        ("long ago", "published", 7, None),
        ("tonight", "published", None, 1),
    ]
    assert etl("history").status == 0


async def test_a_ledger_in_use_is_upgraded_as_soon_as_it_is_free(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other users of the ledger go on meanwhile; at a deadline the error names the session that is in the way."""
    monkeypatch.setattr(limits, "LEDGER_LOCK_MS", 100)
    async with target_session(DatabaseUrl.parse(databases.reporting.etl_url), "test") as target:
        for column in ("runs.passed_error", "loads.where_digest"):
            await book.ensure(target)
            table, name = column.split(".")
            databases.reporting.execute(f"ALTER TABLE etl.{table} DROP COLUMN {name}")
            with databases.reporting.connect(application_name="report") as report:
                report.execute(f"BEGIN; SELECT FROM etl.{table}".encode())
                monkeypatch.setattr(limits, "LEDGER_UPGRADE_SECONDS", 0.3)
                with pytest.raises(LedgerInUse) as raised:
                    await book.ensure(target)
                pid = report.info.backend_pid
                assert f"were in use for 0.3 s, by pid {pid} (postgres, report); end" in str(raised.value)
                monkeypatch.setattr(limits, "LEDGER_UPGRADE_SECONDS", 60)
                waits = asyncio.create_task(book.ensure(target))
                for _ in range(10):
                    await asyncio.to_thread(databases.reporting.rows, f"SELECT FROM etl.{table}")  # nobody waits long
                assert not waits.done()
                report.execute("COMMIT")
                await waits
                assert await book.is_current(target)


def test_the_first_runs_of_a_target_may_begin_together(databases: Databases, etl: Etl) -> None:
    """Several runs that find no ledger create one, and none fails."""
    names = [f"t{number}" for number in range(4)]
    databases.operational.execute("; ".join(f"CREATE TABLE {name} AS SELECT 1 AS id" for name in names))
    with ThreadPoolExecutor(len(names)) as pool:
        ended = list(pool.map(lambda name: etl("run", TABLES=name), names))
    assert [(done.status, done.stderr) for done in ended] == [(0, "")] * len(names)
    assert databases.reporting.value("SELECT count(*) FROM etl.runs WHERE status = 'published'") == len(names)


def test_a_run_needs_no_right_to_make_schemas_once_they_are_there(databases: Databases, etl: Etl) -> None:
    """Only the first run needs CREATE on the database."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    databases.reporting.execute(
        "DROP ROLE IF EXISTS loader; CREATE ROLE loader LOGIN;"
        f"GRANT CREATE ON DATABASE {databases.reporting.name} TO loader; GRANT CREATE ON SCHEMA public TO loader"
    )
    as_loader = databases.reporting.server.url(databases.reporting.name, user="loader")
    assert etl("run", TABLES="orders", ETL_REPORTING_URL=as_loader).status == 0
    databases.reporting.execute(f"REVOKE CREATE ON DATABASE {databases.reporting.name} FROM loader")
    done = etl("run", TABLES="orders", ETL_REPORTING_URL=as_loader)
    databases.reporting.execute("DROP OWNED BY loader; DROP ROLE loader")
    assert (done.status, done.stderr) == (0, "")


async def test_the_ledger_is_told_of_ten_thousand_tables_at_once(databases: Databases) -> None:
    """One statement with this list does not exceed the server's stack depth."""
    target = await connect_target(DatabaseUrl.parse(databases.reporting.etl_url, {}), "test")
    names = [f"t{number}" for number in range(10_000)]
    tables = [Planned(Relation("public", name), TargetName("public", name)) for name in names]
    try:
        await book.ensure(target)
        await ledger.open_run(target, "tonight", "run", None)
        await ledger.begin_loads(target, "tonight", tables)
        await ledger.not_published(target, "tonight", own_words("no"), [one.live for one in tables])
    finally:
        await target.close()
    assert (
        databases.reporting.value("SELECT count(*) FROM etl.loads WHERE status = 'failed' AND error = 'no'") == 10_000
    )


async def test_another_attempt_at_a_load_has_nothing_of_the_earlier_one(databases: Databases) -> None:
    """Otherwise a load that has not begun yet counts with the rows of a night that was given up."""
    url, table = DatabaseUrl.parse(databases.reporting.etl_url, {}), TargetName("public", "orders")
    planned = [Planned(Relation("public", "orders"), table)]
    async with target_session(url, "test") as target:
        await book.ensure(target)
        await ledger.open_run(target, "tonight", "run", None)
        await ledger.begin_loads(target, "tonight", planned)
        databases.reporting.execute("UPDATE etl.loads SET rows = 7, bytes = 8, copy_seconds = 1, load = 'full'")
        await ledger.begin_loads(target, "tonight", planned)
    seen = await watch.look(Settings(reporting=url), "tonight")
    assert (seen.waiting, seen.rows, seen.bytes) == (1, 0, 0)
    assert databases.reporting.rows("SELECT rows, copy_seconds, load FROM etl.loads") == [(None, None, None)]


async def test_what_failed_is_told_from_what_was_given_up_by_a_column_and_not_by_its_words(
    databases: Databases,
) -> None:
    """A failed load is reported even if the run's error has the same text; a load stopped by the run's end is not."""
    url = DatabaseUrl.parse(databases.reporting.etl_url, {})
    target, run_id = await connect_target(url, "test"), "tonight"
    tables = [Planned(Relation("public", name), TargetName("public", name)) for name in ("bad", "stopped")]
    reason = own_words("disk full")
    bad, stopped = (one.live for one in tables)
    try:
        await book.ensure(target)
        await ledger.open_run(target, run_id, "defer", None)
        await ledger.begin_loads(target, run_id, tables)
        await ledger.record(target, run_id, Load.failed("public.bad", bad, Began(), reason))
        await ledger.close_run(target, run_id, RunStatus.FAILED, reason)
        await ledger.not_published(
            target, run_id, own_words("run tonight is failed already (disk full)"), [bad, stopped]
        )
    finally:
        await target.close()
    told = await report(Settings(reporting=url), run_id)
    assert ([failed.table for failed in told.failed], told.failed_count) == (["public.bad"], 1)
    given_up = databases.reporting.rows("SELECT table_name, given_up FROM etl.loads ORDER BY 1")
    assert given_up == [("public.bad", False), ("public.stopped", True)]


async def test_an_older_ledger_is_read_as_it_was_meant(databases: Databases) -> None:
    """Older versions wrote neither what was given up, but the run's own error, nor the live table's name."""
    url = DatabaseUrl.parse(databases.reporting.etl_url, {})
    async with target_session(url, "test") as target:
        await book.ensure(target)
        databases.reporting.execute(
            "INSERT INTO etl.runs (run_id, status, started_at, error)"
            " VALUES ('old', 'failed', now(), '1 table failed');"
            "INSERT INTO etl.loads (run_id, table_name, status, error) VALUES"
            " ('old', 'public.bad', 'failed', 'disk full'), ('old', 'public.stopped', 'failed', '1 table failed')"
        )
        assert [load.live for load in await ledger.loads_of(target, ["old"])] == [
            TargetName("public", "bad"),
            TargetName("public", "stopped"),
        ]
        assert await ledger.known(target) == set()
    told = await report(Settings(reporting=url), "old")
    assert ([failed.table for failed in told.failed], told.failed_count) == (["public.bad"], 1)


def test_the_ledger_of_the_released_version_is_upgraded_and_believed(databases: Databases, etl: Etl) -> None:
    """Its rows stay, and count: the gate knows how many rows its last publish had."""
    databases.reporting.execute(RELEASED.read_text())
    databases.operational.execute("".join(map(SHOP.format, ("orders", "items"))) + "DELETE FROM orders WHERE id > 100")
    done = etl("run", ETL_RUN_ID="tonight", TABLES="*")
    assert done.status == 1
    assert "public.orders has 100 rows now, 300 when it was last published, by run released-1 (" in done.stderr
    assert etl("publish", "tonight", "--anyway", "--reason", "it is right").status == 0
    assert databases.reporting.rows("SELECT run_id, status, rows FROM etl.runs ORDER BY started_at") == [
        ("released-1", "published", 600),
        ("tonight", "published", 400),
    ]


def test_the_released_version_may_work_beside_this_one(databases: Databases, etl: Etl) -> None:
    """Its statements, to the letter, work on the new ledger, and what they write is understood."""
    databases.operational.execute("".join(map(SHOP.format, ("orders", "items"))))
    assert etl("run", ETL_RUN_ID="yesterday", TABLES="*").status == 0
    databases.reporting.execute(NIGHT.read_text())
    assert databases.reporting.rows("SELECT run_id, status FROM etl.runs ORDER BY run_id") == [
        ("released-3", "published"),
        ("released-4", "failed"),
        ("yesterday", "published"),
    ]
    for arguments in (("history",), ("report", "released-3"), ("run",)):
        done = etl(*arguments, TABLES="*")
        assert (done.status, done.stderr) == (0, ""), arguments


def test_a_plan_of_the_released_version_is_carried_out_by_this_one(databases: Databases, etl: Etl) -> None:
    """A deployment in the middle of a night: the containers are new, and the plan's Lambda was old."""
    databases.operational.execute("".join(map(SHOP.format, ("orders", "items"))))
    databases.reporting.execute(RELEASED.read_text())
    databases.reporting.execute(
        "INSERT INTO etl.runs (run_id, status, started_at, publish) VALUES ('tonight', 'running', now(), 'defer');"
        "INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, schema_name, relation_name)"
        " SELECT 'tonight', 'public.' || name, '0', 'planned', now(), 'public', name"
        " FROM unnest('{orders,items}'::text[]) AS name"
    )
    one = {"ETL_RUN_ID": "tonight", "ETL_PLAN": "run"}
    with etl.started("snapshot", **one) as holder:
        done = etl("run", **one, ETL_SHARD="0", ETL_SNAPSHOT="run", ETL_PUBLISH="defer")
        assert (done.status, done.stderr) == (0, "")
        assert ended(holder).status == 0
    assert etl("publish", "tonight").status == 0


async def test_a_ledger_of_a_format_that_is_unknown_is_refused(
    databases: Databases, etl: Etl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version has written its format; each command that reads the ledger says which version can use it."""
    url = DatabaseUrl.parse(databases.reporting.etl_url, {})
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    assert etl("run", TABLES="orders", ETL_RUN_ID="yesterday").status == 0
    comment = "SELECT obj_description('etl.runs'::regclass)"
    assert databases.reporting.value(comment) is None, "format 1 is that of the released version, which wrote none"
    async with target_session(url, "test") as target:
        with monkeypatch.context() as later:
            later.setattr(book, "FORMAT", 2)
            await book.ensure(target)
            await book.ensure(target)
        with pytest.raises(ConfigurationError, match="has format 2 since nightly-etl"):
            await book.ensure(target)
    databases.reporting.execute("COMMENT ON TABLE etl.runs IS 'ledger format 2, since nightly-etl 9.1.0'")
    commands = ("run", "check", "history", "report", "publish", "abort", "snapshot", "plan --shards 2 --save")
    for command in commands:
        done = etl(*command.split(), TABLES="orders", ETL_RUN_ID="yesterday")
        assert (command, done.status) == (command, 2)
        assert "the ledger in the target has format 2 since nightly-etl 9.1.0 used it, and this is" in done.stderr
        assert done.stderr.endswith("; use 9.1.0 or a later version\n")
    assert databases.reporting.rows("SELECT run_id FROM etl.runs") == [("yesterday",)]
    databases.reporting.execute("COMMENT ON TABLE etl.runs IS 'our nights'")
    assert etl("history").status == 0
