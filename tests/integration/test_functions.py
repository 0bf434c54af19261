"""The Lambda handlers, run by the real ``awslambdaric`` in one process for all invocations, like a warm Lambda."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from tests import cloud
from tests.harness import CANARY, Databases, Etl
from tests.lambda_runtime import Function, FunctionError, function
from tests.situations import ledger, live
from tests.situations import until as wait_until

PATH = "/nightly-etl/prod"


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Three tables, one of them large, in the source."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT n AS id, repeat('x', 100) AS note FROM generate_series(1, 5000) n;"
        "CREATE TABLE items AS SELECT 1 AS id; CREATE TABLE days AS SELECT 1 AS id"
    )
    return databases


@pytest.fixture
def settings(tables: Databases, store: str) -> dict[str, str]:
    """The environment of a function: only the path of its settings in the Parameter Store."""
    path = f"{PATH}/{tables.reporting.name}"
    values = {
        "tables": "*",
        "operational/url": tables.operational.etl_url,
        "reporting/url": tables.reporting.etl_url,
    }
    cloud.put(store, path, values)
    return cloud.account(store) | {"ETL_PARAMETER_PATH": path}


def refused(running: Function, event: object) -> tuple[str | None, str]:
    """The type and the message of a function's error; asserts that it is one line without a password."""
    with pytest.raises(FunctionError) as caught:
        running.invoke(event)
    message = str(caught.value)
    assert "\n" not in message
    assert CANARY not in json.dumps(caught.value.answer) + running.log
    return caught.value.type, message


@pytest.fixture
def plan(settings: Mapping[str, str]) -> Iterator[Function]:
    """The function that plans."""
    with function("etl.functions.plan", settings) as running:
        yield running


def saved(tables: Databases, run_id: str) -> dict[str, list[str]]:
    """The plan of a run in the ledger: the tables' names by shard."""
    rows = tables.reporting.rows(
        "SELECT shard, array_agg(table_name ORDER BY table_name) FROM etl.loads"
        f" WHERE run_id = '{run_id}' AND status = 'planned' GROUP BY shard"
    )
    return dict(rows)


def test_plan_answers_in_brief_and_the_ledger_has_the_tables(plan: Function, etl: Etl, tables: Databases) -> None:
    """The answer has numbers of tables, not names; a second call plans again; events do not influence each other."""
    first = plan.invoke({"run_id": "tonight", "shards": 2})
    printed = json.loads(etl("plan", "--shards", "2", TABLES="*", ETL_RUN_ID="tonight").stdout)
    counted = [one | {"tables": len(json.loads(one["tables"]))} for one in printed["shards"]]
    assert first == printed | {"tables": 3, "shards": counted}
    names = {str(one["shard"]): sorted(json.loads(one["tables"])) for one in printed["shards"]}
    assert saved(tables, "tonight") == names
    assert tables.reporting.rows("SELECT run_id, status, publish FROM etl.runs") == [("tonight", "running", "defer")]
    tables.operational.execute("CREATE TABLE more (id int)")
    second = plan.invoke({"run_id": "tomorrow", "shards": 9})
    assert (second["run_id"], second["tables"], len(second["shards"])) == ("tomorrow", 4, 4)
    assert saved(tables, "tonight") == names
    assert plan.invoke({"run_id": "tonight", "shards": 1})["shards"] == [first["shards"][0] | {"tables": 4}]
    assert list(saved(tables, "tonight")) == ["0"]


def test_a_variable_that_is_nearly_a_setting_is_refused(settings: Mapping[str, str]) -> None:
    """The Lambdas refuse it like the command line."""
    with function("etl.functions.plan", {**settings, "ETL_OPTION_FILE": "/options.toml"}) as running:
        kind, said = refused(running, {"run_id": "tonight", "shards": 2})
    assert (kind, said) == (
        "ConfigurationError",
        "ETL_OPTION_FILE is no setting; did you mean ETL_OPTIONS_FILE?",
    )


@pytest.mark.parametrize(
    "shards", [[["orders"], ["items", "days"]], ["orders", "*,!orders"], [["orders"], "items,days"]]
)
def test_plan_takes_shards_that_were_written_by_hand(plan: Function, tables: Databases, shards: list[Any]) -> None:
    """Lists of names, or texts in the syntax of TABLES; the ledger gets the exact names."""
    planned = plan.invoke({"run_id": "tonight", "shards": shards})
    assert [one["tables"] for one in planned["shards"]] == [1, 2]
    assert saved(tables, "tonight") == {"0": ["public.orders"], "1": ["public.days", "public.items"]}


BAD = {
    "no run": ({"shards": 2}, "event: run_id: Field required"),
    "no shards": ({"run_id": "tonight"}, "event: shards: Field required"),
    "no event": (7, "event: the event: Input should be a valid dictionary or instance of PlanEvent"),
    "a bad run": ({"run_id": "to night", "shards": 2}, "event: run_id: is 'to night'; write 1 to 100 letters"),
    "none": ({"run_id": "tonight", "shards": 0}, "event: shards: Input should be greater than or equal to 1"),
    "an empty list": ({"run_id": "tonight", "shards": []}, "event: shards: List should have at least 1 item"),
    "an empty shard": ({"run_id": "tonight", "shards": [["orders"], []]}, "event: shards: number 1 names no table"),
    "unknown": ({"run_id": "tonight", "shards": [["orders"], ["itmes"]]}, "did you mean public.items?"),
    "twice": (
        {"run_id": "tonight", "shards": [["orders"], ["items", "orders"]]},
        "shards 0 and 1 both have public.orders; take it out of one",
    ),
}


def test_plan_refuses_what_is_no_plan(plan: Function) -> None:
    """Each error is one line, of the class ConfigurationError, and the process continues."""
    for event, expected in BAD.values():
        kind, message = refused(plan, event)
        assert (kind, expected in message) == ("ConfigurationError", True), message
    assert plan.invoke({"run_id": "tonight", "shards": 1})["shards"]


def test_an_error_holds_no_password(tables: Databases, store: str) -> None:
    """The error names the unreachable database without its password; its type is the class of the error."""
    url = f"postgresql://etl:{CANARY.replace('/', '%2F')}@127.0.0.1:1/shop?connect_timeout=2"
    environment = {"ETL_REPORTING_URL": url, "ETL_OPERATIONAL_URL": tables.operational.etl_url, "TABLES": "*"}
    with function("etl.functions.publish", environment) as publish:
        kind, message = refused(publish, {"run_id": "tonight"})
    assert (kind, "reporting database" in message) == ("ConnectionFailed", True)


def test_a_run_is_published_and_reported(tables: Databases, etl: Etl, settings: Mapping[str, str]) -> None:
    """The report has figures of publish and run, and the slowest tables with their medians; publish is idempotent."""
    for night in ("saturday", "sunday"):
        assert etl("run", TABLES="*", ETL_RUN_ID=night).status == 0
    tables.reporting.execute("UPDATE etl.loads SET finished_at = started_at + interval '10 s'")
    tables.reporting.execute("UPDATE etl.loads SET finished_at = started_at + interval '20 s' WHERE run_id = 'sunday'")
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    with function("etl.functions.publish", settings) as publish:
        done = publish.invoke({"run_id": "tonight"})
        assert (done["run_id"], done["tables"], done["attempts"]) == ("tonight", 3, 1)
        assert min(done["seconds"], done["blocked_ms"]) > 0
        assert publish.invoke({"run_id": "tonight"}) == {
            "run_id": "tonight",
            "tables": 3,
            "seconds": 0,
            "attempts": 0,
            "blocked_ms": 0,
        }
        assert refused(publish, {"run_id": "never"})[0] == "ConfigurationError"
    assert len(live(tables.reporting)) == 3
    with function("etl.functions.report", settings) as report:
        told = report.invoke({"run_id": "tonight"})
    assert (told["status"], told["tables"], told["rows"], told["failed"], told["error"]) == (
        "published",
        3,
        5002,
        [],
        None,
    )
    assert told["bytes"] > 500_000
    assert told["started_at"] < told["snapshot_at"] < told["finished_at"]
    assert told["seconds"] > 0
    assert told["last_published"] == {"run_id": "tonight", "snapshot_at": told["snapshot_at"]}
    assert {one["table"] for one in told["slowest"]} == {"public.orders", "public.items", "public.days"}
    assert [one["median_seconds"] for one in told["slowest"]] == [15.0] * 3
    assert [one["seconds"] for one in told["slowest"]] == sorted(
        (one["seconds"] for one in told["slowest"]), reverse=True
    )


def test_a_run_that_failed_is_reported_with_what_failed(
    tables: Databases, etl: Etl, settings: Mapping[str, str]
) -> None:
    """The report has the failed table and its error, without the tables that were given up because of it."""
    tables.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    tables.operational.execute(
        "CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        "ALTER TABLE items ADD CONSTRAINT odd CHECK (public.odd(id))"
    )
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 1
    with function("etl.functions.report", settings) as report:
        told = report.invoke({"run_id": "tonight"})
    assert (told["status"], told["failed_count"]) == ("failed", 1)
    (failed,) = told["failed"]
    assert (failed["table"], "odd" in failed["error"]) == ("public.items", True)
    assert told["error"].startswith("1 of 3 tables failed (public.items)")
    assert told["last_published"] is None


def test_a_report_says_which_run_readers_see(tables: Databases, etl: Etl, settings: Mapping[str, str]) -> None:
    """The report names the last published run, whichever run it is about; failed and unpublished runs do not count."""
    for night in ("saturday", "sunday"):
        assert etl("run", TABLES="*", ETL_RUN_ID=night).status == 0
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    seen = "SELECT snapshot_at FROM etl.runs WHERE run_id = 'sunday'"
    with function("etl.functions.report", settings) as report:
        for run_id in ("tonight", "saturday", "never"):
            told = report.invoke({"run_id": run_id})["last_published"]
            assert told["run_id"] == "sunday"
            assert datetime.fromisoformat(told["snapshot_at"]) == tables.reporting.value(seen)


def test_a_run_that_never_got_into_the_ledger_is_aborted_and_reported(
    tables: Databases, etl: Etl, settings: Mapping[str, str]
) -> None:
    """The report says failed and knows no more; after the abort, a container that starts late gets an error."""
    with function("etl.functions.report", settings) as report:
        told = report.invoke({"run_id": "tonight"})
        assert (told["status"], told["tables"], told["slowest"], told["error"]) == (
            "failed",
            0,
            [],
            "the run never got as far as the ledger",
        )
        with function("etl.functions.abort", settings) as abort:
            aborted = abort.invoke({"run_id": "tonight", "error": "Plan:\n nothing to plan"})
        assert aborted == {"run_id": "tonight", "status": "failed", "dropped": 0}
        assert report.invoke({"run_id": "tonight"})["error"] == "Plan: nothing to plan"
    late = etl("run", TABLES="orders", ETL_RUN_ID="tonight", ETL_SNAPSHOT="run", ETL_PUBLISH="defer")
    assert (late.status, "run tonight is failed already (Plan: nothing to plan)" in late.stderr) == (1, True)


def test_abort_drops_what_was_staged_and_leaves_a_published_run_alone(
    tables: Databases, etl: Etl, settings: Mapping[str, str]
) -> None:
    """One process handles two runs: it aborts the first, and says of the second that it is published."""
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    with function("etl.functions.abort", settings) as abort:
        assert abort.invoke({"run_id": "tonight"}) == {"run_id": "tonight", "status": "failed", "dropped": 3}
        assert tables.staging_tables() == []
        assert ledger(tables.reporting) == ("failed", "aborted")
        assert etl("run", TABLES="*", ETL_RUN_ID="again").status == 0
        assert abort.invoke({"run_id": "again"}) == {"run_id": "again", "status": "published", "dropped": 0}


ROLE = "arn:aws:iam::123456789012:role/nightly-etl-job-settings"


def of_job(databases: Databases, store: str, job: str, more: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a job's event; its settings are in the Parameter Store."""
    path = f"{PATH}-jobs/{databases.reporting.name}/{job}"
    urls = {"operational/url": databases.operational.etl_url, "reporting/url": databases.reporting.etl_url}
    cloud.put(store, path, {**urls, **more})
    return {"settings_path": path, "job": job}


def test_a_warm_function_serves_many_jobs_and_keeps_nothing_of_any(tables: Databases, store: str) -> None:
    """Each event has its own settings, secrets and log; one that names no job is not answered for the last one's."""
    acme = of_job(tables, store, "acme", {"tables": "orders", "operational/password": "sesame_table"})
    other = of_job(tables, store, "other", {"tables": "items,days"})
    broken = of_job(tables, store, "broken", {"tables": "sesame_table"})
    shared = cloud.account(store) | {"ETL_PARAMETER_ROLE": ROLE}
    with function("etl.functions.plan", shared) as plan:
        asked = {"shards": 2}
        assert plan.invoke({"run_id": "acme-1", **asked, **acme})["tables"] == 1
        assert plan.invoke({"run_id": "other-1", **asked, **other})["tables"] == 2
        kind, said = refused(plan, {"run_id": "broken-1", **asked, **broken})
        assert (kind, "sesame_table" in said) == ("ConfigurationError", True), (
            "a secret of acme's, and none of broken's"
        )
        kind, said = refused(plan, {"run_id": "night-1", **asked})
        assert (kind, "is not; set it (a function's event has it as settings_path" in said) == (
            "ConfigurationError",
            True,
        )
        kind, said = refused(plan, {"run_id": "acme-2", **asked, "job": "acme"})
        assert said == "event: settings_path and job go together; give both, or neither"
        lines = [json.loads(line) for line in plan.log.splitlines() if line.startswith("{")]
    assert saved(tables, "acme-1") == {"0": ["public.orders"]}
    assert {line["job"] for line in lines if line.get("run_id") == "acme-1"} <= {"acme"}
    assert {line["job"] for line in lines if line.get("run_id") == "other-1"} <= {"other"}


def test_a_job_s_event_comes_before_the_function_s_own_path(
    tables: Databases, settings: Mapping[str, str], store: str
) -> None:
    """And only for that event: the next one without a job has the function's own settings again."""
    acme = of_job(tables, store, "acme", {"tables": "orders"})
    with function("etl.functions.plan", settings) as plan:
        counts = [
            plan.invoke({"run_id": f"night-{number}", "shards": 1} | job)["tables"]
            for number, job in enumerate([{}, acme, {}])
        ]
    assert counts == [3, 1, 3]


def test_an_abort_and_a_report_are_of_the_job_s_own_ledger(tables: Databases, etl: Etl, store: str) -> None:
    """The event of a stopped execution has the job in its input, as a text."""
    acme = of_job(tables, store, "acme", {})
    assert etl("run", TABLES="*", ETL_RUN_ID="acme-1", ETL_PUBLISH="defer").status == 0
    shared = cloud.account(store) | {"ETL_PARAMETER_ROLE": ROLE}
    with function("etl.functions.abort", shared) as abort, function("etl.functions.report", shared) as report:
        assert report.invoke({"run_id": "acme-1", **acme})["status"] == "running"
        event = {"detail": {"name": "acme-1", "input": json.dumps(acme | {"shards": 1})}}
        assert abort.invoke({"run_id": "acme-1", "error": "ABORTED", "event": event})["dropped"] == 3
        assert report.invoke({"run_id": "acme-1", **acme})["status"] == "failed"


def test_a_handler_that_lambda_cannot_give_more_time_says_so(tables: Databases, settings: Mapping[str, str]) -> None:
    """A batch that takes too long fails before Lambda ends the process, and none of its rows is there."""
    tables.operational.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
    with function("etl.functions.copy_batch", settings) as copy, tables.operational.connect() as session:
        with session.transaction():
            session.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(FunctionError) as caught:
                copy.invoke({"table": "orders", "last_id": 0, "limit": 10}, seconds=7)
        assert caught.value.type == "LoadFailed"
        assert "lower the limit" in str(caught.value)
        wait_until(lambda: not tables.reporting.value("SELECT to_regclass('public.orders')"), "nothing made")
        assert copy.invoke({"table": "orders", "last_id": 0, "limit": 10})["rows"] == 10
