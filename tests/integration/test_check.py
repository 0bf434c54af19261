"""Notes of ``etl check``: live tables that earlier runs have left behind, and the loads of the next night."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import Databases, Etl
from tests.situations import settled

LEFT = "is left behind: last published at 2026-11-20 03:12 UTC, and no table of TABLES arrives as it now; drop it with"


@pytest.fixture
def left(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night with three tables, of a known day."""
    databases.operational.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int)")
    assert etl("run", TABLES="a,b,c").status == 0
    databases.reporting.execute("UPDATE etl.loads SET published_at = '2026-11-20 03:12:45+00'")
    return etl


def found(etl: Etl, tables: str, **variables: str) -> list[str]:
    """The tables that ``etl check`` reports as left behind; asserts that it succeeds."""
    done = etl("check", TABLES=tables, **variables)
    assert (done.status, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines() if LEFT in line]
    assert {words[0] for words in lines} <= {"ok"}
    return [words[1] for words in lines]


def test_live_tables_left_behind_are_listed(databases: Databases, left: Etl, tmp_path: Path) -> None:
    """Tables that are no longer in TABLES or have a new name; not dropped ones, nor the reporting side's own tables."""
    assert found(left, "a,b,c") == []
    databases.reporting.execute("DROP TABLE c; CREATE TABLE own (id int)")
    assert found(left, "a") == ["public.b:"]
    (tmp_path / "options.toml").write_text("[a]\nrename = 'reporting.*'")
    assert found(left, "a", ETL_OPTIONS_FILE=str(tmp_path / "options.toml")) == ["public.a:", "public.b:"]


@pytest.mark.parametrize("shard", [{"ETL_SHARD": "0"}, {"ETL_SNAPSHOT": "run", "ETL_RUN_ID": "tonight"}], ids=str)
def test_the_tables_of_other_shards_are_not_left_behind(left: Etl, shard: dict[str, str]) -> None:
    """A shard's TABLES are only some of the run's tables."""
    assert found(left, "a", **shard) == []


def test_a_table_that_was_never_published_is_not_left_behind(databases: Databases, etl: Etl) -> None:
    """Without a ledger no table is known."""
    databases.operational.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    databases.reporting.execute("CREATE TABLE b (id int)")
    assert found(etl, "a") == []
    assert etl("run", TABLES="b", ETL_PUBLISH="defer", ETL_RUN_ID="tonight").status == 0
    assert found(etl, "a") == []


LOADS = """
[full]
load = "full"
[asked]
load = "delta"
[due]
full_every = "1 nights"
"""

NIGHTS = ("kept", "changed", "written", "due", "new", "bare", "full", "asked")


def next_loads(etl: Etl, **variables: str) -> dict[str, tuple[str | None, str | None, bool]]:
    """What ``etl check`` says of each table's next load, and whether it is an obstacle; the text says the same."""
    found = json.loads(etl("check", "--json", **variables).stdout)
    lines = etl("check", **variables).stdout.splitlines()
    loads = {}
    for one in found:
        schema, _, name = one["subject"].partition(".")
        if schema == "public":
            (line,) = [line for line in lines if f"  public.{name}: " in line]
            said = one["reason"] or "changes alone"
            assert (said in line) == (one["load"] is not None), line
            loads[name] = (one["load"], one["reason"], one["obstacle"])
    return loads


def test_the_next_load_of_each_table_is_told(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Full with the reason, or changes alone, before the ledger is there and afterwards; check writes nothing."""
    source, target = databases.operational, databases.reporting
    for name in NIGHTS:
        source.execute(f'CREATE TABLE "{name}" (id int{"" if name == "bare" else " PRIMARY KEY"})')
    settled(source)
    (tmp_path / "options.toml").write_text(LOADS)
    auto = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml"), "TABLES": ",".join(NIGHTS), "ETL_PUBLISH_WAY": "mixed"}
    first = "it has not been published with a base before, or its changes could not be published"
    bare = ("full", "no primary key or unique constraint tells its rows apart", False)
    before: dict[str, tuple[str | None, str | None, bool]] = dict.fromkeys(NIGHTS, ("full", first, False))
    before |= {"bare": bare, "full": (None, None, False)}
    assert next_loads(etl, **auto) == before
    assert target.value("SELECT to_regnamespace('etl')") is None

    assert etl("run", **auto | {"TABLES": "*,!new"}).status == 0
    source.execute("ALTER TABLE changed ADD COLUMN more int; ALTER TABLE asked DROP CONSTRAINT asked_pkey")
    target.execute("DROP TABLE written; CREATE TABLE written (id int PRIMARY KEY)")
    ledger = "SELECT md5(string_agg(l::text, ',' ORDER BY table_name)) FROM etl.loads l"
    was = target.value(ledger)
    assert next_loads(etl, **auto) == {
        "kept": ("delta", None, False),
        "changed": ("full", "the definition of the table, or of what it needs, has changed", False),
        "written": ("full", "the live table is another one", False),
        "due": ("full", "due every 1 night", False),
        "new": ("full", first, False),
        "bare": bare,
        "full": (None, None, False),
        "asked": ("full", "no primary key or unique constraint tells its rows apart", True),
    }
    assert target.value(ledger) == was
    done = etl("check", **auto)
    assert done.status == 1
    assert 'public.asked: load = "delta" is not possible: no primary key' in done.stdout
    done = etl("run", **auto)
    assert 'load = "delta" is not possible: no primary key' in done.event("table.failed")["error"]
    loads = {one["table"]: one.get("reason") for one in done.events if one["event"] == "table.loaded"}
    assert loads["public.kept"] == "no row has changed"
    assert loads["public.due"] == "due every 1 night"


def test_how_the_next_run_publishes_is_told(databases: Databases, etl: Etl) -> None:
    """A table that has to be replaced decides for all, and its reason says how it need not be."""
    databases.operational.execute("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    settled(databases.operational)
    both = {"TABLES": "a,b"}
    assert "the next run" not in etl("check", **both).stdout
    assert etl("run", **both).status == 0
    assert "the next run merges rows into the live tables, unless too many have changed" in etl("check", **both).stdout
    databases.reporting.execute("CREATE MATERIALIZED VIEW m AS TABLE b")
    why = (
        "public.b has to be replaced: the readers of materialized view public.m would wait for its refresh;"
        " give it a unique index of columns"
    )
    assert f"the next run replaces each live table of which a row has changed: {why}" in etl("check", **both).stdout
    waits = f"if a row has changed: rows have changed, and the run publishes by swap: {why}"
    assert next_loads(etl, **both) == {"a": ("full", waits, False), "b": ("full", waits, False)}


def test_a_source_that_is_another_server_is_told_by_check(databases: Databases, etl: Etl) -> None:
    """The history that the base has is compared with that of now; after a restart the load proves all rows."""
    databases.operational.execute("CREATE TABLE a (id int PRIMARY KEY)")
    settled(databases.operational)
    auto = {"ETL_LOAD": "auto", "TABLES": "a"}
    assert etl("run", **auto).status == 0
    assert next_loads(etl, **auto) == {"a": ("delta", None, False)}
    databases.reporting.execute("UPDATE etl.loads SET base = jsonb_set(base, '{history,started}', '\"1\"')")
    assert next_loads(etl, **auto) == {"a": ("delta", "the source has been restarted", False)}
    assert "copies changes alone, if the hashes of all rows are the same on both sides" in etl("check", **auto).stdout
    databases.reporting.execute("UPDATE etl.loads SET base = jsonb_set(base, '{history,system}', '\"1\"')")
    assert next_loads(etl, **auto) == {"a": ("full", "the source is another server", False)}
