"""Notes of ``etl check`` that are no obstacles: live tables that earlier runs have left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import Databases, Etl

LEFT = "is left behind: last published at 2026-11-20 03:12 UTC, and no table of TABLES arrives as it now; drop"


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
