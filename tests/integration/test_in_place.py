"""Rows replaced in place in tables with more than one unique column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import Database, Databases, Etl

Row = tuple[int, int | None, str]

UNIQUE = {
    "a unique constraint": "ADD UNIQUE (place)",
    "two unique constraints": "ADD UNIQUE (place), ADD UNIQUE (place, name)",
    "NULLs that are alike": "ADD UNIQUE NULLS NOT DISTINCT (place)",
    "an exclusion constraint": "ADD EXCLUDE USING btree (place WITH =)",
    "an expression": "ADD UNIQUE (name), ADD EXCLUDE USING btree ((place + 0) WITH =)",
}

YESTERDAY: list[Row] = [(1, 10, "a"), (2, 20, "b"), (3, 30, "c"), (4, 40, "d"), (5, None, "e"), (6, 60, "f")]

TODAY: dict[str, list[Row]] = {
    "two swap": [(1, 20, "a"), (2, 10, "b"), *YESTERDAY[2:]],
    "one follows another": [(1, 20, "a"), (2, 30, "b"), (3, 70, "c"), *YESTERDAY[3:]],
    "a ring": [(1, 20, "a"), (2, 30, "b"), (3, 10, "c"), (4, 40, "D"), *YESTERDAY[4:]],
    "a new one takes the place of one that moves": [(1, 80, "a"), *YESTERDAY[1:], (7, 10, "g")],
    "one takes the place of one that is gone": [(1, 60, "a"), *YESTERDAY[1:5]],
    "NULLs": [(1, None, "a"), *YESTERDAY[1:4], (5, 10, "e"), YESTERDAY[5]],
}


@pytest.mark.parametrize("unique", UNIQUE)
def test_values_that_must_be_unique_may_change_hands(
    databases: Databases, etl: Etl, tmp_path: Path, unique: str
) -> None:
    """Rows that swap values, shift them, or take a new row's, end as at the source, for each kind of unique index."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    databases.operational.execute(
        f"CREATE TABLE seats (id int PRIMARY KEY, place int, name text); ALTER TABLE seats {UNIQUE[unique]}"
    )
    assert etl("run", TABLES="seats", ETL_OPTIONS_FILE=str(options)).status == 0
    before = databases.reporting.value("SELECT 'seats'::regclass::oid")
    for night, today in TODAY.items():
        fill(databases.reporting, YESTERDAY)
        fill(databases.operational, today)
        done = etl("run", TABLES="seats", ETL_OPTIONS_FILE=str(options))
        assert (night, done.status, done.stderr) == (night, 0, "")
        assert (night, databases.reporting.rows("SELECT * FROM seats ORDER BY id")) == (night, sorted(today))
    assert databases.reporting.value("SELECT 'seats'::regclass::oid") == before


def fill(database: Database, rows: Sequence[Row]) -> None:
    """Replaces the table's rows by ``rows``."""
    values = ", ".join(f"({key}, {'NULL' if place is None else place}, '{name}')" for key, place, name in rows)
    database.execute(f"TRUNCATE seats; INSERT INTO seats VALUES {values}")
