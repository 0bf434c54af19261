"""Jobs that share a reporting database: what one does and is told leaves the other alone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.harness import Databases, Etl
from tests.lambda_runtime import FunctionError, function

ACME = {"ETL_JOB": "acme", "TABLES": "orders,only_acme"}
GLOBEX = {"ETL_JOB": "globex", "TABLES": "orders"}


@pytest.fixture
def acme(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night of acme, whose tables are in the schema acme; globex has a table of the same name."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT 1 AS id, 'acme' AS tenant; ALTER TABLE orders ADD PRIMARY KEY (id);"
        "CREATE TABLE only_acme AS SELECT 1 AS id"
    )
    databases.reporting.execute("CREATE SCHEMA acme; CREATE SCHEMA globex")
    done = etl("run", ETL_RUN_ID="acme-1", **ACME, **renamed("acme"))
    assert done.status == 0, done.stderr
    return etl


def renamed(schema: str) -> dict[str, str]:
    """The options by which all tables go into a schema."""
    file = Path(tempfile.mkdtemp()) / "options.toml"
    file.write_text(f'["*"]\nrename = "{schema}.*"\n')
    return {"ETL_OPTIONS_FILE": str(file)}


def test_a_job_does_not_replace_the_table_of_another(databases: Databases, acme: Etl) -> None:
    """Globex has acme's rename: its run, plan, holder and check all refuse, and acme's readers see their own rows."""
    databases.operational.execute("UPDATE orders SET tenant = 'globex'")
    said = (
        "job acme has published acme.orders of the target, whose readers would see rows of job globex; give these"
        " tables a schema of their own with rename, or, if acme is what this job was called before, set etl.runs.job of"
        " its runs to globex"
    )
    for command in (["run"], ["plan", "--shards", "1"], ["snapshot"], ["check"]):
        done = acme(*command, ETL_RUN_ID=f"globex-{command[0]}", **GLOBEX, **renamed("acme"))
        assert done.status == 2, (command, done.stderr)
        assert said in done.stderr, command
    with (
        function("etl.functions.copy_batch", acme.environment | GLOBEX | renamed("acme")) as copy_batch,
        pytest.raises(FunctionError, match=r"job acme has published acme\.orders"),
    ):
        copy_batch.invoke({"table": "orders", "last_id": 0, "limit": 10})
    assert databases.reporting.rows("SELECT tenant FROM acme.orders") == [("acme",)]
    assert acme("run", ETL_RUN_ID="globex-1", **GLOBEX, **renamed("globex")).status == 0
    assert databases.reporting.rows("SELECT tenant FROM globex.orders") == [("globex",)]


def test_a_job_that_was_renamed_takes_its_tables_along(databases: Databases, acme: Etl) -> None:
    """As the message says; also a table that is gone, or retired, is nobody's."""
    new = {"ETL_JOB": "acme-eu", "TABLES": "orders"} | renamed("acme")
    assert acme("run", **new).status == 2
    databases.reporting.execute("UPDATE etl.runs SET job = 'acme-eu' WHERE job = 'acme'")
    assert acme("run", **new).status == 0
    databases.reporting.execute("DROP TABLE acme.only_acme")
    assert acme("run", **GLOBEX | {"TABLES": "only_acme"} | renamed("acme")).status == 0


def test_what_is_left_behind_and_retired_is_the_job_s_own(databases: Databases, acme: Etl) -> None:
    """Globex is not told to drop acme's tables, and cannot; acme can, though globex's load is newer."""
    globex = Etl(acme.environment | GLOBEX | renamed("globex"))
    assert globex("run", ETL_RUN_ID="globex-1").status == 0
    assert "left behind" not in globex("check").stdout
    done = globex("retire", "acme.only_acme", "--yes")
    assert done.status == 2
    assert done.stderr == (
        "etl: acme.only_acme is no table of job globex to retire, because job acme has published it last; retire it"
        " with that job's settings and ETL_JOB=acme\n"
    )
    own = Etl(acme.environment | ACME | {"TABLES": "orders"})
    done = own("retire", "acme.orders", "--yes")  # without the rename, by which TABLES covers it
    assert (done.status, "whose rename this process lacks" in done.stderr) == (2, True)
    assert "acme.only_acme" in Etl(own.environment | renamed("acme"))("check").stdout
    assert own("retire", "acme.only_acme", "--yes").status == 0


def test_what_is_watched_is_the_job_s_own(acme: Etl) -> None:
    """The newest run is globex's; acme watches its own, and a job without runs is told so."""
    assert acme("run", ETL_RUN_ID="globex-1", **GLOBEX, **renamed("globex")).status == 0
    seen = {job: acme("watch", "--json", ETL_JOB=job) for job in ("acme", "globex", "initech")}
    assert [json.loads(seen[job].stdout)["run_id"] for job in ("acme", "globex")] == ["acme-1", "globex-1"]
    assert (seen["initech"].status, "no run of job initech yet" in seen["initech"].stderr) == (2, True)


def test_another_job_s_tables_are_not_named_in_the_history(acme: Etl) -> None:
    """A name that is wrong is not mended by a table that only another job has."""
    assert acme("run", ETL_RUN_ID="globex-1", **GLOBEX, **renamed("globex")).status == 0
    done = acme("history", "--table", "only_acme", **GLOBEX)
    assert (done.status, "only_acme" in done.stderr.partition("'only_acme'")[2]) == (2, False)
