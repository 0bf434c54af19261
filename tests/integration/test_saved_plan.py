"""A plan in the ledger: a run's holder and shards read their tables from it, so no names are passed on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from psycopg import sql

from tests.harness import Databases, Done, Etl
from tests.situations import ended, ledger, live, until

RUN = {"ETL_RUN_ID": "tonight", "ETL_PLAN": "run"}
SHARD = RUN | {"ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
ODD = ['a,"b".c*', "!Größe ", "[x]", "*"]
"""Names that need quotes in TABLES."""


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two plain tables in the source, and some whose names need quotes."""
    for name in ("orders", "items", *ODD):
        made = sql.SQL("CREATE TABLE {} AS SELECT 1 AS id").format(sql.Identifier(name))
        databases.operational.execute(made.as_string(None))
    return databases


def save(etl: Etl, tables: str = "*", shards: int = 2, run_id: str = "tonight") -> Done:
    """Plans a run and saves the plan."""
    return etl("plan", "--shards", str(shards), "--save", TABLES=tables, ETL_RUN_ID=run_id)


def succeeded(done: Done) -> Done:
    """Sees that a process ended well and said nothing on standard error."""
    assert (done.status, done.stderr) == (0, "")
    return done


@contextmanager
def holding(etl: Etl, tables: Databases, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Runs ``etl snapshot`` for tonight's plan; the process is given when its snapshot is in the ledger."""
    with etl.started("snapshot", **(RUN | variables)) as process:
        until(lambda: bool(tables.reporting.rows("SELECT FROM etl.runs WHERE snapshot_id IS NOT NULL")), "the snapshot")
        yield process


def statuses(tables: Databases, run_id: str = "tonight") -> set[str]:
    """The statuses of a run's loads."""
    return {row[0] for row in tables.reporting.rows(f"SELECT status FROM etl.loads WHERE run_id = '{run_id}'")}


def test_a_night_passes_on_no_names(tables: Databases, etl: Etl) -> None:
    """Run id and shard number are enough, for any table names; a shard may be started again."""
    succeeded(save(etl))
    assert statuses(tables) == {"planned"}
    with holding(etl, tables) as holder:
        assert statuses(tables) == {"loading"}
        for number in ("0", "0", "1"):
            succeeded(etl("run", **SHARD, ETL_SHARD=number))
        succeeded(ended(holder))
    assert succeeded(etl("publish", "tonight")).event("run.published")["tables"] == 2 + len(ODD)
    assert {name for name, _ in live(tables.reporting)} == {"orders", "items", *ODD}
    assert tables.reporting.rows(
        "SELECT count(*), count(DISTINCT shard) FROM etl.loads WHERE status = 'published'"
    ) == [(2 + len(ODD), 2)]


def test_one_container_may_load_the_whole_plan(tables: Databases, etl: Etl) -> None:
    """Without ETL_SHARD the tables are those of all shards, and the snapshot is the container's own."""
    succeeded(save(etl, "orders,items"))
    assert succeeded(etl("run", **RUN)).event("run.published")["tables"] == 2


def test_a_plan_is_saved_again_until_the_run_begins(tables: Databases, etl: Etl) -> None:
    """The later plan takes the place of the earlier one; a run that has begun, or has ended, keeps its own."""
    succeeded(save(etl, "orders,items"))
    succeeded(save(etl, "orders", 1))
    assert tables.reporting.rows("SELECT table_name, shard FROM etl.loads") == [("public.orders", "0")]
    with holding(etl, tables):
        refused = save(etl)
        assert (refused.status, refused.stderr) == (
            2,
            "etl: run tonight has begun; save a plan before that, or name another run\n",
        )
    assert etl("abort", "tonight").status == 0
    refused = save(etl)
    assert (refused.status, "run tonight is failed already (aborted); start a new run" in refused.stderr) == (1, True)


@pytest.mark.parametrize("command", ["run", "snapshot"])
def test_without_a_plan_nothing_begins(tables: Databases, etl: Etl, command: str) -> None:
    """Without a ledger, and with another run's plan in the ledger: the message names both remedies."""
    said = (
        "etl: ETL_PLAN is 'run', but the ledger has no plan of run tonight; write one with `etl plan --save`, or set"
        " TABLES and leave ETL_PLAN at own\n"
    )
    done = etl(command, **RUN)
    assert (done.status, done.stderr) == (2, said)
    succeeded(save(etl, run_id="another"))
    done = etl(command, **RUN)
    assert (done.status, done.stderr) == (2, said)
    assert statuses(tables, "another") == {"planned"}


def test_a_shard_that_the_plan_has_not_is_refused(tables: Databases, etl: Etl) -> None:
    """The error names the existing numbers, and comes before anything is touched."""
    succeeded(save(etl))
    done = etl("run", **SHARD, ETL_SHARD="7")
    assert (done.status, done.stderr) == (
        2,
        "etl: ETL_SHARD is 7, but the plan of run tonight has no table for it, only for shard 0, 1\n",
    )


def test_a_shard_with_a_snapshot_of_its_own_is_refused(tables: Databases, etl: Etl) -> None:
    """Its tables would show another instant than the other shards'."""
    succeeded(save(etl))
    done = etl("run", **RUN, ETL_SHARD="0", ETL_PUBLISH="defer")
    assert (done.status, "ETL_SHARD 0, but ETL_SNAPSHOT is 'own'; set it to run" in done.stderr) == (2, True)
    assert statuses(tables) == {"planned"}


def test_the_plan_of_a_run_needs_the_runs_id(tables: Databases, etl: Etl) -> None:
    """A made-up one would name no run."""
    done = etl("run", ETL_PLAN="run")
    assert (done.status, "ETL_RUN_ID is not set" in done.stderr) == (2, True)


def test_tables_beside_a_plan_are_told_not_to_count(tables: Databases, etl: Etl) -> None:
    """A variable without effect is usually a mistake, but a job's definition may set it for all its commands."""
    succeeded(save(etl, "orders"))
    done = succeeded(etl("run", **RUN, TABLES="items"))
    assert done.event("setting.unknown")["error"] == (
        "TABLES is not read, because ETL_PLAN is run; take one of the two out"
    )
    assert live(tables.reporting)[0][0] == "orders"


def test_tables_by_hand_go_on_working_beside_a_plan(tables: Databases, etl: Etl) -> None:
    """A container whose override has TABLES and no ETL_PLAN loads those; what the holder has not locked is refused."""
    succeeded(save(etl, "orders,items"))
    shard = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
    with etl.started("snapshot", ETL_RUN_ID="tonight", TABLES="orders"):
        until(lambda: bool(tables.reporting.rows("SELECT FROM etl.runs WHERE snapshot_id IS NOT NULL")), "the snapshot")
        succeeded(etl("run", **shard, TABLES="orders"))
        done = etl("run", **shard, TABLES="items")
        assert (done.status, "not among the tables of run tonight, whose snapshot is held" in done.stderr) == (2, True)
        done = etl("publish", "tonight")
        assert (done.status, "run tonight cannot be published: public.items" in done.stderr) == (1, True)


def test_a_planned_run_is_left_to_begin_for_a_day(tables: Databases, etl: Etl) -> None:
    """While its containers start, no session has its locks; if it never begins, the next night cleans it up."""
    succeeded(save(etl))
    said = json.loads(succeeded(etl("report", "tonight", "--json")).stdout)["night"]["sentence"]
    assert "and nothing of it has begun; " in said
    assert json.loads(succeeded(etl("watch", "tonight", "--json")).stdout)["phase"] == "planned"
    succeeded(etl("run", TABLES="orders", ETL_RUN_ID="beside"))
    assert ledger(tables.reporting, "tonight")[0] == "running"
    tables.reporting.execute("UPDATE etl.runs SET started_at = now() - interval '25 hours' WHERE run_id = 'tonight'")
    succeeded(etl("run", TABLES="orders", ETL_RUN_ID="next"))
    assert ledger(tables.reporting, "tonight") == ("interrupted", "killed; run next cleared up after it")
    assert statuses(tables) == {"failed"}


def test_an_abort_ends_what_was_planned(tables: Databases, etl: Etl) -> None:
    """A container that starts late finds the run ended."""
    succeeded(save(etl))
    succeeded(etl("abort", "tonight", "--error", "no capacity"))
    assert (ledger(tables.reporting, "tonight"), statuses(tables)) == (("failed", "no capacity"), {"failed"})
    late = etl("snapshot", **RUN)
    assert (late.status, "run tonight is failed already (no capacity); start a new run" in late.stderr) == (1, True)


def test_a_late_shard_of_an_ended_run_takes_nothing_from_tonights(tables: Databases, etl: Etl) -> None:
    """A failed night, its rerun, and a container of the first that was still starting: it ends, and touches nothing."""
    succeeded(save(etl, "orders,items", run_id="old"))
    succeeded(etl("abort", "old"))
    succeeded(save(etl, "orders,items"))
    late = {"ETL_RUN_ID": "old", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
    for given in ({"ETL_PLAN": "run"}, {"TABLES": "orders,items"}):
        done = etl("run", **late, **given)
        assert (done.status, "run old is failed already" in done.stderr) == (1, True)
        assert statuses(tables) == {"planned"}
    with holding(etl, tables) as holder:
        for number in ("0", "1"):
            succeeded(etl("run", **SHARD, ETL_SHARD=number))
        assert etl("run", **late, ETL_PLAN="run").status == 1
        assert statuses(tables) == {"staged"}
        succeeded(ended(holder))
    succeeded(etl("publish", "tonight"))


def test_a_run_that_missed_its_plan_can_be_planned_as_it_is_told(tables: Databases, etl: Etl) -> None:
    """It has not ended, although there is a ledger that could have it as failed."""
    succeeded(etl("run", TABLES="orders", ETL_RUN_ID="yesterday"))
    done = etl("run", ETL_RUN_ID="tonight", ETL_PLAN="run")
    assert (done.status, "write one with `etl plan --save`" in done.stderr) == (2, True)
    succeeded(save(etl))
    succeeded(etl("run", ETL_RUN_ID="tonight", ETL_PLAN="run"))


def test_a_planned_run_whose_tables_another_run_took_is_cleared_up_too(tables: Databases, etl: Etl) -> None:
    """Nothing of it is planned any more, and nothing staged: after a day it is no longer running."""
    succeeded(save(etl, "orders"))
    succeeded(etl("run", TABLES="orders", ETL_RUN_ID="beside"))
    assert (ledger(tables.reporting, "tonight")[0], statuses(tables)) == ("running", {"failed"})
    tables.reporting.execute("UPDATE etl.runs SET started_at = now() - interval '25 hours' WHERE run_id = 'tonight'")
    succeeded(etl("run", TABLES="orders", ETL_RUN_ID="next"))
    assert ledger(tables.reporting, "tonight")[0] == "interrupted"


def test_a_table_that_is_gone_since_the_plan_is_told_as_the_plans(tables: Databases, etl: Etl) -> None:
    """TABLES is not set, so the error does not name it."""
    succeeded(save(etl, "orders,items"))
    tables.operational.execute("DROP TABLE items")
    done = etl("snapshot", **RUN)
    assert (done.status, "the plan of run tonight: public.items is not in the source" in done.stderr) == (2, True)
