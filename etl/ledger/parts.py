"""The parts of the ledger, by name: its tables, their columns, their keys and their indexes, as plain data.

``tables`` defines them in SQLAlchemy, which takes longer to import than all else that a run imports. So a run compares
the ledger with these names, and asks ``tables`` only if something is missing. A unit test compares the two.
"""

# docs/decisions.md, "A run does not import what it does not need"

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from etl.ledger.rows import LoadRow, RunRow

SCHEMA = "etl"

Part = tuple[str, str]
"""A table of the ledger, and a column or an index of it."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": tuple(field.name for field in fields(RunRow)),
    "loads": tuple(field.name for field in fields(LoadRow)),
    "watermarks": (
        *("table_name", "last_id", "updated_at", "masked", "schema_name", "relation_name", "live_oid"),
        *("as_of", "rows", "note", "retired_at"),
    ),
    "validations": (
        *("schema_name", "relation_name", "constraint_name", "run_id"),
        *("live_oid", "added_at", "error"),
    ),
}
"""The columns of each table."""

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run_id",),
    "loads": ("run_id", "table_name"),
    "watermarks": ("table_name",),
    "validations": ("schema_name", "relation_name", "constraint_name"),
}
"""The columns of each table's primary key."""

INDEXES: dict[str, tuple[str, ...]] = {"loads": ("loads_by_live", "loads_by_oid", "loads_by_table")}
"""The indexes of each table, without that of its primary key."""


def missing_columns(found: Collection[Part]) -> set[Part]:
    """The columns that a ledger with these parts does not have yet."""
    return _parts(COLUMNS).difference(found)


def missing(found: Collection[Part]) -> set[Part]:
    """The columns and indexes that a ledger with these parts does not have yet."""
    return missing_columns(found) | _parts(INDEXES).difference(found)


def _parts(names: dict[str, tuple[str, ...]]) -> set[Part]:
    return {(table, name) for table, of_table in names.items() for name in of_table}
