"""The ledger's names as plain data, and its SQL files, agree with its tables, its rows and its statuses."""

from __future__ import annotations

import re
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest

import etl.sessions
from etl.ledger import parts, tables, view
from etl.ledger.rows import LoadRow, RunRow
from etl.model.record import Load
from etl.model.status import LoadKind, LoadStatus, RunStatus
from etl.sessions.query import target_query

FILES = sorted((Path(etl.sessions.__file__).parents[1] / "sql" / "ledger").glob("*.sql"))


def names(kind: type[RunRow | LoadRow | Load]) -> set[str]:
    """The fields of a dataclass."""
    return {field.name for field in fields(kind)}


def test_the_names_of_the_ledger_are_those_of_its_tables() -> None:
    """A run looks for these names; one that is missing here would never be added to the ledger of an older version."""
    assert {table.name: tuple(column.name for column in table.columns) for table in tables.TABLES} == parts.COLUMNS
    assert {table.name: tuple(column.name for column in table.primary_key) for table in tables.TABLES} == parts.KEYS
    indexes = {table.name: tuple(sorted(str(index.name) for index in table.indexes)) for table in tables.TABLES}
    assert {table: of_table for table, of_table in indexes.items() if of_table} == parts.INDEXES


def test_an_empty_ledger_lacks_everything_and_a_complete_one_nothing() -> None:
    """Also of one that has further columns, from a later version or a user."""
    everything = parts.missing([])
    assert ("loads", "live_state") in everything
    assert ("loads", "loads_by_table") in everything
    assert parts.missing([*everything, ("loads", "mine")]) == set()
    assert parts.missing_columns(everything - {("loads", "loads_by_table")}) == set()


def test_what_is_missing_is_added_by_statements_and_nothing_else() -> None:
    """Each column and index by one statement, which names it."""
    missing = {("runs", "error"), ("loads", "rows_min"), ("loads", "loads_by_table")}
    assert [statement.decode() for statement in tables.addition(missing)] == [
        "ALTER TABLE etl.runs ADD COLUMN IF NOT EXISTS error TEXT",
        "ALTER TABLE etl.loads ADD COLUMN IF NOT EXISTS rows_min BIGINT",
        "CREATE INDEX IF NOT EXISTS loads_by_table ON etl.loads (table_name, published_at)",
    ]
    assert len(list(tables.addition(parts.missing([])))) == len(parts.missing([]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("latest_runs", RunRow), ("runs_of", RunRow), ("loads", LoadRow)],
)
def test_a_row_is_read_with_all_its_columns(name: str, kind: type[RunRow | LoadRow]) -> None:
    """A column that the query leaves out would look like one that an older version left empty."""
    selected = target_query(f"ledger/{name}").decode().partition("FROM")[0]
    assert set(re.findall(r"\b[rl]\.(\w+)", selected)) == names(kind)


def test_a_load_is_written_with_all_its_columns() -> None:
    """A field that the statement leaves out would never be in the ledger; and an earlier attempt leaves nothing."""
    statement = target_query("ledger/record_load").decode()
    written = {"run_id"} | names(Load)
    assert set(re.findall(r"%\((\w+)\)s", statement)) == written
    inserted, _, changed = statement.partition("ON CONFLICT")
    assert re.findall(r"\w+", inserted[inserted.index("(") : inserted.index(")")]) == re.findall(
        r"%\((\w+)\)", inserted
    )
    assert set(re.findall(r"(\w+) = excluded\.\1\b", changed)) == written - {"run_id", "table_name"}
    assert "published_at = NULL" in changed


def test_each_definition_of_the_view_has_a_number_of_its_own() -> None:
    """A ledger that has the view gets another one only under a higher number: raise VIEW, and write both here."""
    digest = sha256(target_query("ledger/freshness")).hexdigest()[:16]
    assert (view.VIEW, digest) == (1, "07e961a4b7e2f560")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_statuses_in_a_file_are_statuses(file: Path) -> None:
    """The files name statuses as texts, which nothing else compares with the enumerations."""
    known = {*RunStatus, *LoadStatus, *LoadKind}
    statement = target_query(f"ledger/{file.stem}").decode()
    said = re.findall(r"\b(?:status|load) (?:=|<>|IN) (\('.*?'\)|'\w+')", statement)
    assert {word for each in said for word in re.findall(r"'(\w+)'", each)} <= {str(each) for each in known}
