"""The options file: what it may say, and what becomes of a table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from etl.catalog import Column, Constraint, Index, Table
from etl.errors import ConfigurationError
from etl.options import Options

TABLE = Table(
    "sales",
    "invoice",
    columns=tuple(Column(name, "integer") for name in ("id", "customer", "total", "note")),
    indexes=(Index("by_customer", False, "USING btree (customer)", ("customer",)),),
    constraints=(Constraint("pk", "PRIMARY KEY (id)", ("id",)), Constraint("sane", "CHECK (total > 0)", ("total",))),
)


def applied(text: str) -> Table:
    (table,) = Options.parse(text).apply([TABLE])
    return table


def test_no_options_change_nothing() -> None:
    """The default copies a table as it is."""
    assert applied("") == TABLE


def test_a_column_left_out_takes_its_indexes_and_constraints_along() -> None:
    """What rests on other columns stays."""
    table = applied('["sales.invoice"]\nexclude = ["customer", "total"]')
    assert [column.name for column in table.columns] == ["id", "note"]
    assert table.indexes == ()
    assert [constraint.name for constraint in table.constraints] == ["pk"]


def test_columns_keep_the_table_s_order() -> None:
    """However the option lists them."""
    table = applied('["sales.invoice"]\ncolumns = ["total", "id"]\nwhere = "total > 1"')
    assert [column.name for column in table.columns] == ["id", "total"]
    assert table.where == "total > 1"


def test_a_later_section_wins_key_by_key() -> None:
    """And every section wins over the defaults, wherever those stand."""
    text = '["sales.*"]\nwhere = "a"\nexclude = ["note"]\n["*.invoice"]\nwhere = "b"\n[defaults]\nwhere = "c"\n'
    table = applied(text)
    assert (table.where, len(table.columns)) == ("b", 3)
    assert Options.parse(text).of(replace(TABLE, schema="other", name="x")).where == "c"


def test_unknown_columns_are_told_all_at_once() -> None:
    """One line each, naming table, option and column."""
    with pytest.raises(ConfigurationError) as caught:
        applied('["sales.invoice"]\ncolumns = ["id", "totl"]\nexclude = ["Note"]')
    assert caught.value.problems == (
        "options of sales.invoice: columns names 'totl', which is no column of it",
        "options of sales.invoice: exclude names 'Note', which is no column of it",
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("where = ", "is not TOML: "),
        ('where = "x"', "'where' stands outside a section; put it under [defaults] or a table's section"),
        ("[orders]\ncolums = []", "[orders] colums is unknown; the options are columns, exclude, where"),
        ("[orders]\nwhere = 1", "[orders] where is wrong: Input should be a valid string"),
        ('[orders]\ncolumns = "id"', "[orders] columns is wrong: Input should be a valid list"),
        ("[sales.invoice]\nwhere = 'x'", 'TOML for a section within a section; write ["sales.invoice"]'),
        ('["a.b.c"]', "[a.b.c] is no table's name or pattern; write"),
        ('["!orders"]', "[!orders] is no table's name or pattern; write"),
        ("[a]\nx = 1\n[b]\ny = 1", "[a] x is unknown; the options are columns, exclude, where; [b] y is unknown"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, fault: str) -> None:
    """The line names the section, the key and the fault."""
    with pytest.raises(ValueError, match=re.escape(fault)) as caught:
        Options.parse(text)
    assert "\n" not in str(caught.value)
