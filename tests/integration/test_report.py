"""``etl report``: the page of a night, its first sentence, and the same as JSON, of real nights."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Databases, Etl


@pytest.fixture
def shop(databases: Databases) -> Databases:
    """Two tables."""
    databases.operational.execute(
        "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n; CREATE TABLE items AS SELECT 1 AS id"
    )
    return databases


def night(etl: Etl, run_id: str) -> dict[str, Any]:
    """The night of ``etl report --json``."""
    done = etl("report", run_id, "--json")
    assert done.status == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["night"]
    return found


def page(etl: Etl, run_id: str, file: Path) -> str:
    """The page of a night."""
    done = etl("report", run_id, "--output", str(file))
    assert done.status == 0, done.stderr
    return file.read_text(encoding="utf-8")


def test_a_good_night_says_as_of_when_and_beside_which(shop: Databases, etl: Etl, tmp_path: Path) -> None:
    """The first night has none before it; the page has the sentence, and the command names the file with it."""
    assert etl("run", TABLES="*", ETL_RUN_ID="first").status == 0
    first = night(etl, "first")
    assert re.fullmatch(
        r"All 2 tables as of \d\d:\d\d:\d\d, published \d\d:\d\d \(\d+ s\); no night before to compare with\.",
        first["sentence"],
    )
    assert first["before"] == []
    assert {table["table"]: table["rows"] for table in first["tables"]} == {"public.orders": 100, "public.items": 1}
    assert sum(table["is_decisive"] for table in first["tables"]) == 1
    assert etl("run", TABLES="*", ETL_RUN_ID="second").status == 0
    second = night(etl, "second")
    assert re.search(r"; before that \d\d:\d\d\.$", second["sentence"])
    assert [one["run_id"] for one in second["before"]] == ["first"]
    assert [table["past"]["rows"] for table in second["tables"] if table["table"] == "public.orders"] == [[100]]
    done = etl("report", "second", "--output", str(tmp_path / "night.html"))
    assert done.stdout == f"{tmp_path / 'night.html'}: {second['sentence']}\n"
    assert second["sentence"] in (tmp_path / "night.html").read_text(encoding="utf-8")
    assert etl("report", "second", "--output", "-").stdout.startswith("<!doctype html>")


def test_a_night_has_the_seconds_of_the_comparison_and_how_columns_changed(shop: Databases, etl: Etl) -> None:
    """The steps have the comparison apart from the copy; together they are what the ledger has as the copy."""
    assert etl("run", TABLES="*", ETL_RUN_ID="first").status == 0
    shop.operational.execute("ALTER TABLE items ADD more text")
    assert etl("run", TABLES="*", ETL_RUN_ID="second", ETL_VERIFY="checksum").status == 0
    first, second = night(etl, "first")["tables"], night(etl, "second")["tables"]
    assert {table["drift"] for table in first} == {None}
    assert {table["table"]: table["drift"] for table in second} == {"public.items": "added more", "public.orders": None}
    assert {table["steps"]["verify"] for table in first} == {0}
    copied = "SELECT table_name, copy_seconds FROM etl.loads WHERE run_id = 'second' ORDER BY 1"
    parts = {table["table"]: (table["steps"]["verify"], table["steps"]["copy"]) for table in second}
    assert min(verified for verified, _ in parts.values()) > 0
    assert {name: pytest.approx(sum(both)) for name, both in parts.items()} == dict(shop.reporting.rows(copied))


def test_a_failed_night_names_the_table_and_what_readers_still_see(shop: Databases, etl: Etl, tmp_path: Path) -> None:
    """Its error stands on the page in full."""
    assert etl("run", TABLES="*", ETL_RUN_ID="yesterday").status == 0
    shop.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    shop.operational.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    shop.operational.execute("ALTER TABLE items ADD CONSTRAINT odd_numbers CHECK (public.odd(id))")
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 1
    told = night(etl, "tonight")
    assert re.fullmatch(
        r"Failed at \d\d:\d\d after \d+ s: public\.items failed, of 2 tables; readers still see \d\d:\d\d:\d\d\.",
        told["sentence"],
    )
    (error,) = [table["error"] for table in told["tables"] if table["error"]]
    assert "odd_numbers" in error
    assert error.replace('"', "&#34;").replace("'", "&#39;") in page(etl, "tonight", tmp_path / "night.html")
    assert {table["as_of"] for table in told["tables"]} == {night(etl, "yesterday")["tables"][0]["as_of"]}


@pytest.mark.parametrize("is_old", [False, True])
def test_a_table_does_not_look_failed_in_a_night_that_failed_for_another(
    shop: Databases, etl: Etl, *, is_old: bool
) -> None:
    """Only the guilty one does; older versions did not write which one it was."""
    assert etl("run", TABLES="*", ETL_RUN_ID="first").status == 0
    shop.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    shop.operational.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    shop.operational.execute("ALTER TABLE items ADD CONSTRAINT odd CHECK (odd(id))")
    assert etl("run", TABLES="*", ETL_RUN_ID="failed").status == 1
    if is_old:
        shop.reporting.execute("UPDATE etl.loads SET given_up = NULL")
    shop.operational.execute("ALTER TABLE items DROP CONSTRAINT odd")
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 0
    loads = {table["table"]: table["past"]["loads"] for table in night(etl, "tonight")["tables"]}
    assert loads == {"public.items": ["full", "failed"], "public.orders": ["full", "not published"]}


def test_a_night_that_the_gate_has_stopped_says_until_when_it_can_pass(shop: Databases, etl: Etl) -> None:
    """The sentence has the gate's reason; once a person has let the run pass, it names the person."""
    assert etl("run", TABLES="*", ETL_RUN_ID="yesterday").status == 0
    shop.operational.execute("TRUNCATE orders")
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 1
    told = night(etl, "tonight")
    assert told["state"] == "stopped"
    because = "because 1 table has too few rows: public.orders has 0 rows now"
    assert re.match(rf"Stopped before the publish at \d\d:\d\d after \d+ s, {because}", told["sentence"])
    assert re.search(r"; readers still see [\d:]+; it can be let pass until [^;]+\.$", told["sentence"])
    assert etl("publish", "tonight", "--anyway", "--reason", "sold out").status == 0
    assert "; let pass by " in night(etl, "tonight")["sentence"]


def test_a_page_of_an_older_night_says_what_readers_saw_then(shop: Databases, etl: Etl) -> None:
    """Not what they see now; nor what another job has published, if the run failed before it knew its tables."""
    assert etl("run", TABLES="orders", ETL_RUN_ID="first", ETL_JOB="acme").status == 0
    assert etl("run", TABLES="unknown", ETL_RUN_ID="failed", ETL_JOB="acme").status == 2
    seen = night(etl, "first")["tables"][0]["as_of"][11:19]
    assert etl("run", TABLES="items", ETL_RUN_ID="other", ETL_JOB="globex").status == 0
    assert night(etl, "failed")["sentence"].endswith(f"; readers still see {seen}.")
    assert etl("run", TABLES="orders", ETL_RUN_ID="second", ETL_JOB="acme").status == 0
    shop.reporting.execute("UPDATE etl.loads SET status = 'failed' WHERE run_id = 'first'")
    assert etl("run", TABLES="items", ETL_RUN_ID="another", ETL_JOB="globex").status == 0
    for named in ({"ETL_JOB": "acme"}, {}):
        told = json.loads(etl("report", "failed", "--json", **named).stdout)
        assert told["night"]["sentence"].endswith(f"; readers saw {seen} then.")
        assert told["last_published"]["run_id"] == "second"
    assert [night(etl, run)["is_superseded"] for run in ("first", "second")] == [True, False]


def test_a_ledger_of_an_older_version_tells_what_readers_see_and_what_was_usual(shop: Databases, etl: Etl) -> None:
    """Its loads have no live table's name, because no table was renamed then."""
    assert etl("run", TABLES="*", ETL_RUN_ID="older").status == 0
    seen = night(etl, "older")["tables"][0]["as_of"]
    shop.reporting.execute("UPDATE etl.loads SET schema_name = NULL, relation_name = NULL")
    assert {table["as_of"] for table in night(etl, "older")["tables"]} == {seen}
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    tonight = night(etl, "tonight")
    assert {table["as_of"] for table in tonight["tables"]} == {seen}
    assert tonight["sentence"].endswith(f"; readers still see {seen[11:19]}.")
    assert {table["table"]: table["past"]["rows"] for table in tonight["tables"]} == {
        "public.orders": [100],
        "public.items": [1],
    }
    assert etl("publish", "tonight").status == 0
    assert [night(etl, run)["is_superseded"] for run in ("older", "tonight")] == [True, False]


def test_a_night_in_which_the_clock_went_back_does_not_tell_what_is_usual(shop: Databases, etl: Etl) -> None:
    """A load that ended before it began has no duration."""
    for run in ("first", "second"):
        assert etl("run", TABLES="*", ETL_RUN_ID=run).status == 0
    shop.reporting.execute("UPDATE etl.loads SET finished_at = started_at - interval '9 s' WHERE run_id = 'first'")
    assert {table["past"]["seconds"][0] for table in night(etl, "second")["tables"]} == {None}
    slowest = json.loads(etl("report", "second", "--json").stdout)["slowest"]
    assert {table["median_seconds"] for table in slowest} == {None}


def test_a_publish_of_its_own_command_is_told_apart(shop: Databases, etl: Etl) -> None:
    """Its seconds have the wait for that command."""
    assert etl("run", TABLES="*", ETL_RUN_ID="at-once").status == 0
    assert etl("run", TABLES="*", ETL_RUN_ID="later", ETL_PUBLISH="defer").status == 0
    assert etl("publish", "later").status == 0
    assert [night(etl, run)["is_published_apart"] for run in ("at-once", "later")] == [False, True]


def test_runs_of_single_tables_are_no_nights(shop: Databases, etl: Etl) -> None:
    """One that had less than half of the tables does not stand among the nights before; its loads do not count."""
    shop.operational.execute("CREATE TABLE third AS SELECT 1 AS id")
    assert etl("run", TABLES="*", ETL_RUN_ID="night").status == 0
    assert etl("run", TABLES="orders", ETL_RUN_ID="by-hand").status == 0
    assert etl("run", TABLES="*", ETL_RUN_ID="next").status == 0
    assert [one["run_id"] for one in night(etl, "next")["before"]] == ["night"]


def test_the_moves_are_those_of_the_next_plan(databases: Databases, etl: Etl) -> None:
    """A night whose first shard had nearly all the work; `etl plan` then makes what the page has foretold."""
    for name in "abcdefg":
        databases.operational.execute(f"CREATE TABLE {name} AS SELECT 1 AS id")
    assert etl("run", TABLES="*", ETL_RUN_ID="night").status == 0
    databases.reporting.execute(
        "UPDATE etl.loads SET shard = CASE WHEN relation_name < 'f' THEN '0' ELSE '1' END,"
        " finished_at = started_at + (ascii(relation_name) - 96) * interval '10 seconds'"
    )
    told = night(etl, "night")
    assert [(one["shard"], one["tables"], one["busy"]) for one in told["shards"]] == [("0", 5, 150.0), ("1", 2, 130.0)]
    databases.reporting.execute("UPDATE etl.loads SET shard = '0' WHERE relation_name = 'g'")
    told = night(etl, "night")["rebalance"]
    assert (told["longest_now"], told["mean"]) == (220.0, 140.0)
    shards = {f"public.{name}": "1" if name == "f" else "0" for name in "abcdefg"}
    shards |= {move["table"]: move["to"] for move in told["moves"]}
    planned = json.loads(etl("plan", "--shards", "2", "--json", TABLES="*").stdout)["shards"]
    assert {table: str(one["shard"]) for one in planned for table in json.loads(one["tables"])} == shards
    assert told["longest_then"] == max(
        sum(10.0 * (ord(table[-1]) - 96) for table, shard in shards.items() if shard == number) for number in "01"
    )


def test_without_a_run_it_is_the_newest(shop: Databases, etl: Etl) -> None:
    """Before the first one, a line says so."""
    done = etl("report")
    assert (done.status, done.stderr) == (2, "etl: the ledger has no run yet; start one: `etl run`\n")
    assert etl("run", TABLES="*", ETL_RUN_ID="monday").status == 0
    assert etl("run", TABLES="*", ETL_RUN_ID="tuesday").status == 0
    assert json.loads(etl("report", "--json").stdout)["run_id"] == "tuesday"
    assert json.loads(etl("report", "--json", ETL_RUN_ID="monday").stdout)["run_id"] == "monday"


@pytest.mark.superuser("creates an event trigger")
def test_a_run_that_ends_while_it_is_looked_at_is_told_as_it_ended(shop: Databases, etl: Etl) -> None:
    """With its error, and with its loads as they are then."""
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").status == 0
    shop.reporting.execute(
        "CREATE FUNCTION breaks() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF current_setting('application_name') LIKE '%watch%' THEN"
        " UPDATE etl.runs SET status = 'failed', error = 'it broke', finished_at = now(); END IF; END$$;"
        "CREATE EVENT TRIGGER breaks ON login EXECUTE FUNCTION breaks()"
    )
    told = json.loads(etl("report", "tonight", "--json").stdout)
    assert (told["status"], told["night"]["state"]) == ("failed", "failed")
    assert ": it broke; " in told["night"]["sentence"]


def test_a_printed_page_has_nothing_beside_it(shop: Databases, etl: Etl) -> None:
    """Warnings of the log are on standard error; the page is UTF-8 on a terminal of another encoding, too."""
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 0
    done = etl("report", "tonight", "--output", "-", ETL_NO_SUCH_SETTING="1", PYTHONIOENCODING="latin-1")
    assert done.status == 0, done.stderr
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>")
    assert "setting.unknown" in done.stderr
    both = etl("report", "tonight", "--output", "-", "--json")
    assert (both.status, both.stdout) == (2, "")
    assert "write one of them" in both.stderr


def test_a_page_goes_where_a_link_leads_and_into_what_is_no_file(shop: Databases, etl: Etl, tmp_path: Path) -> None:
    """A link stays, and so does a pipe: root could replace /dev/stdout by a file."""
    assert etl("run", TABLES="*", ETL_RUN_ID="tonight").status == 0
    file, link, pipe = tmp_path / "night.html", tmp_path / "latest.html", tmp_path / "pipe"
    file.write_text("the night before")
    link.symlink_to(file.name)
    page(etl, "tonight", link)
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert etl("report", "tonight", "--output", str(pipe)).status == 0
        assert reader.stdout is not None
        assert reader.stdout.read().startswith("<!doctype html>")
    assert pipe.is_fifo()


def test_a_run_that_is_not_in_the_ledger_has_no_page(shop: Databases, etl: Etl, tmp_path: Path) -> None:
    """One line, exit status 2, and no file; the same for a file that cannot be written."""
    assert etl("run", TABLES="*", ETL_RUN_ID="night").status == 0
    done = etl("report", "nihgt", "--output", str(tmp_path / "night.html"))
    assert (done.status, list(tmp_path.iterdir())) == (2, [])
    assert "nihgt is not in the ledger" in done.stderr
    done = etl("report", "night", "--output", str(tmp_path / "no" / "night.html"))
    assert (done.status, len(done.stderr.splitlines())) == (2, 1)
    assert "cannot be written" in done.stderr
