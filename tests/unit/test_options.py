"""The options file: its grammar, and its effect on a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from etl.model.catalog import Column, Constraint, Index, MaskedColumn, SourceTable
from etl.model.errors import ConfigurationError
from etl.model.name import Planned, Relation, TargetName
from etl.model.shape import TableOptions
from etl.model.table import Table
from etl.settings.options import Options
from etl.source import choice

TABLE = SourceTable(
    Relation("sales", "invoice"),
    columns=tuple(Column(name, "integer") for name in ("id", "customer", "total", "note")),
    indexes=(Index("by_customer", False, "USING btree (customer)", ("customer",)),),
    constraints=(Constraint("pk", "PRIMARY KEY (id)", ("id",)), Constraint("sane", "CHECK (total > 0)", ("total",))),
)


def applied(text: str) -> Table:
    (table,) = Options.parse(text).apply([TABLE])
    return table


def test_no_options_change_nothing() -> None:
    """By default a table is copied as it is."""
    same = ("source", "comment", "storage", "bytes", "rows", "columns", "indexes", "constraints", "statistics")
    assert applied("") == Table(live=TargetName("sales", "invoice"), **{name: getattr(TABLE, name) for name in same})


def test_a_column_left_out_takes_its_indexes_and_constraints_along() -> None:
    """Indexes and constraints of other columns stay."""
    table = applied('["sales.invoice"]\nexclude = ["customer", "total"]')
    assert [column.name for column in table.columns] == ["id", "note"]
    assert table.indexes == ()
    assert [constraint.name for constraint in table.constraints] == ["pk"]


def test_columns_keep_the_table_s_order() -> None:
    """The order of the option's list does not matter."""
    table = applied('["sales.invoice"]\ncolumns = ["total", "id"]\nwhere = "total > 1"')
    assert [column.name for column in table.columns] == ["id", "total"]
    assert table.where == "total > 1"


def test_a_later_section_wins_key_by_key() -> None:
    """Every section also wins over the defaults, wherever they stand in the file."""
    text = '["sales.*"]\nwhere = "a"\nexclude = ["note"]\n["*.invoice"]\nwhere = "b"\n[defaults]\nwhere = "c"\n'
    table = applied(text)
    assert (table.where, len(table.columns)) == ("b", 3)
    assert Options.parse(text).of(Relation("other", "x")).where == "c"


def test_unknown_columns_are_told_all_at_once() -> None:
    """The error has a line for each, with table, option and column."""
    with pytest.raises(ConfigurationError) as caught:
        applied('["sales.invoice"]\ncolumns = ["id", "totl"]\nexclude = ["Note"]')
    assert caught.value.problems == (
        "options of sales.invoice: columns names 'totl', which is no column of it; did you mean total?",
        "options of sales.invoice: exclude names 'Note', which is no column of it; did you mean note?",
    )


@pytest.mark.parametrize(
    "text",
    [
        'exclude = ["id", "customer", "total", "note"]',
        'columns = ["id"]\n["sales.*"]\nexclude = ["id"]',
        'on_new_column = "ignore"',
        'on_new_column = "fail"\nexclude = ["id", "customer", "total", "note"]',
    ],
)
def test_a_table_is_left_a_column(text: str) -> None:
    """Options may not leave out every column; a table that has no column in the source is copied as it is."""
    with pytest.raises(ConfigurationError, match=r"^options of sales.invoice: no column is left of it; "):
        applied(f'["sales.invoice"]\n{text}')
    bare = SourceTable(Relation("sales", "invoice"))
    assert Options.parse('["sales.invoice"]\nexclude = []').apply([bare])[0].columns == ()


def test_masks_add_up_column_by_column() -> None:
    """A table's own masks replace the default masks only for the columns that they name."""
    text = '[defaults]\nmask = {note = "hmac", total = "null"}\n["sales.*"]\nmask = {total = "none", customer = "hmac"}'
    masked = {column.name: column.type for column in applied(text).columns if isinstance(column, MaskedColumn)}
    assert masked == {"note": "text", "customer": "text"}


def test_what_a_mask_would_make_fail_is_left_out() -> None:
    """Left out are checks on the column, and uniqueness if the mask can make different values equal."""
    table = applied('["sales.invoice"]\nmask = {id = "hmac", total = "sql:total * 2", customer = "null"}')
    assert [constraint.name for constraint in table.constraints] == ["pk"]
    assert [index.name for index in table.indexes] == ["by_customer"]
    assert applied('["sales.invoice"]\nmask = {id = "constant:1"}').constraints == TABLE.constraints[1:]


@pytest.mark.parametrize("indexes", ["target", "none"])
def test_without_the_source_s_indexes_its_constraints_lose_theirs(indexes: str) -> None:
    """A primary key is an index; a check is not."""
    table = applied(f'["sales.invoice"]\nindexes = "{indexes}"')
    assert (table.indexes, [constraint.name for constraint in table.constraints]) == ((), ["sane"])


@pytest.mark.parametrize(
    ("rename", "live"),
    [
        ("reporting.bill", "reporting.bill"),
        ("reporting.*", "reporting.invoice"),
        ("*.bill", "sales.bill"),
        ("bill", "public.bill"),
        ('"re.porting".bill', '"re.porting".bill'),
        ("sales.invoice", "sales.invoice"),
    ],
)
def test_a_table_arrives_under_the_name_that_the_options_give_it(rename: str, live: str) -> None:
    """As in TABLES, a bare name is in public; a star stands for the source's schema or name."""
    table = applied(f"[\"sales.invoice\"]\nrename = '{rename}'")
    assert (str(table), str(table.live)) == ("sales.invoice", live)


def test_two_tables_cannot_arrive_as_one() -> None:
    """It does not matter which of them is renamed."""
    options = Options.parse('["*.invoice"]\nrename = "reporting.*"')
    two = [Relation("sales", "invoice"), Relation("buying", "invoice")]
    with pytest.raises(
        ConfigurationError, match=r"sales\.invoice and buying\.invoice would both arrive as reporting\."
    ):
        options.planned(two)
    assert options.planned(two[:1]) == (Planned(two[0], TargetName("reporting", "invoice")),)


SOURCE = [Relation("public", "orders"), Relation("sales", "invoice"), Relation("sales", "busy", "v")]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("orders", None),
        ("public.orders", None),
        ("sales.*", None),
        ("sales.busy", None),
        ("*.b*y", None),
        ("defaults", None),
        ("ordres", "options: [ordres]: public.ordres is not in the source; did you mean public.orders?"),
        ("Orders", "options: [Orders]: public.Orders is not in the source; did you mean public.orders?"),
        ("invoice", "options: [invoice]: public.invoice is not in the source; did you mean sales.invoice?"),
        (
            "x.y",
            "options: [x.y]: x.y is not in the source; its role sees no schema x, but public, sales; correct the name,"
            " or GRANT USAGE on the schema",
        ),
        (
            "sale.*",
            "options: [sale.*]: 'sale.*' matches no table of the source that its role may see; did you mean sales.*?",
        ),
        ("default", "options: [default] is for no table of the source; did you mean [defaults]?"),
        ("Defaults", "options: [Defaults] is for no table of the source; did you mean [defaults]?"),
    ],
)
def test_a_section_is_for_a_table_of_the_source(section: str, said: str | None) -> None:
    """It may also be for a view of the source; any other section would have no effect, and its masks hide nothing."""
    assert Options.parse(f'["{section}"]').unknown(SOURCE) == ([said] if said else [])


@pytest.mark.parametrize("other", ["[defaults]", "[b]", '["b*"]', '["sales.a"]'])
def test_a_group_may_be_of_any_two_tables(other: str) -> None:
    """Only the source's catalog shows how many tables a pattern matches."""
    assert Options.parse(f"[a]\ntogether = 'x'\n{other}\ntogether = 'x'").sections[0][1].together == "x"


def test_one_place_asks_which_relations_the_source_has() -> None:
    """So no command can forget to check for sections and names that match nothing."""
    modules = Path(choice.__file__).parents[1].rglob("*.py")
    asking = [module.name for module in modules if "catalog.relations(" in module.read_text(encoding="utf-8")]
    assert asking == ["choice.py"]


def test_a_renamed_table_s_indexes_bear_its_new_name() -> None:
    """If they bore the table's old name; no name gets longer than 63 bytes."""
    named = replace(TABLE, indexes=tuple(replace(TABLE.indexes[0], name=name) for name in ("invoice_pkey", "by_total")))
    (table,) = Options.parse(f'["sales.invoice"]\nrename = "x.{"é" * 31}"').apply([named])
    assert [index.name for index in table.indexes] == ["é" * 29 + "_pkey", "by_total"]


@pytest.mark.parametrize(
    ("text", "copied", "unclassified"),
    [
        ("", ["id", "customer", "total", "note"], ()),
        ('on_new_column = "copy"\nexclude = ["id"]', ["customer", "total", "note"], ()),
        ('on_new_column = "ignore"\ncolumns = ["id"]\nmask = {note = "null"}', ["id"], ()),
        ('on_new_column = "ignore"\nexclude = ["id"]\nmask = {note = "null", total = "none"}', ["total", "note"], ()),
        ('on_new_column = "fail"\ncolumns = ["id"]\nexclude = ["note"]', ["id"], ("customer", "total")),
        ('on_new_column = "fail"', [], ("id", "customer", "total", "note")),
    ],
)
def test_a_column_is_classified_by_columns_exclude_and_mask(
    text: str, copied: list[str], unclassified: tuple[str, ...]
) -> None:
    """A column without classification is copied, left out, or stops its table."""
    table = applied(f'["sales.invoice"]\n{text}')
    assert ([column.name for column in table.columns], table.unclassified) == (copied, unclassified)


def test_masks_that_do_not_go_with_their_column_are_told() -> None:
    """Only dates are shifted, and only along an existing column."""
    with pytest.raises(ConfigurationError) as caught:
        applied('["sales.invoice"]\nmask = {total = "date-shift:3", nobody = "hmac"}')
    assert caught.value.problems == (
        "options of sales.invoice: mask names 'nobody', which is no column of it; its columns are id, customer, total,"
        " note",
        "options of sales.invoice: mask.total is of type integer, and date-shift takes dates and timestamps;"
        ' write another mask, such as "null"',
    )


def test_unmask_names_columns_that_are_there_and_have_no_mask() -> None:
    """A mask none is no mask; unmask alone does not change the table."""
    with pytest.raises(ConfigurationError) as caught:
        applied('["sales.*"]\nmask = {total = "null"}\n["sales.invoice"]\nunmask = ["total", "totl"]')
    assert caught.value.problems == (
        "options of sales.invoice: unmask names 'totl', which is no column of it; did you mean total?",
        "options of sales.invoice: unmask names 'total', which has a mask; take it out of one of them",
    )
    assert applied('["sales.invoice"]\nunmask = ["total"]\nmask = {total = "none"}') == applied("")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("totl", "'totl', which is no column of it; did you mean total?"),
        ("TOTL desc nulls last", "'totl', which is no column of it; did you mean total?"),
        ('"Total"', "'Total', which is no column of it; did you mean total?"),
        ("total desc", None),
        ("lower(totl)", None),
        ("ctid", None),
        ("invoice", None),
    ],
)
def test_an_order_by_a_name_that_is_nearly_a_column_s_is_told(expression: str, said: str | None) -> None:
    """The source proves all other expressions; system columns and the table itself may be named."""
    options = Options.parse(f"['sales.invoice']\norder_by = ['{expression}']")
    if said is None:
        assert options.apply([TABLE])
        return
    with pytest.raises(ConfigurationError) as caught:
        options.apply([TABLE])
    assert caught.value.problems == (f"options of sales.invoice: order_by names {said}",)


def said(text: str) -> tuple[str, ...]:
    """The lines about a text that is no options file; tests/mistakes/alone.txt has most of them word by word."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the lines are compared
        Options.parse(text)
    return getattr(caught.value, "faults", (str(caught.value),))


WRONG = {
    "columns": ("1", 'is 1, and takes a list of names; write columns = ["id"]'),
    "exclude": ('["id", 1]', 'holds 1, which is no name in quotes; write exclude = ["1"]'),
    "where": ("true", 'is true, and takes a condition in quotes; write where = "id > 0"'),
    "publish": ('"merge"', 'is "merge"; write "swap" or "in-place"'),
    "triggers": ("true", 'is true; write "refuse" or "fire"'),
    "rename": ("1", 'is 1; write a name in quotes, such as rename = "sales.bill"'),
    "order_by": ('"a, b"', 'is "a, b", and takes a list; write order_by = ["a, b"]'),
    "indexes": ('"none "', 'is "none "; write "source", "target", "both" or "none"; did you mean "none"?'),
    "unbuildable_indexes": ('"skipp"', 'is "skipp"; write "fail" or "skip"; did you mean "skip"?'),
    "unbuildable_checks": ("[]", 'is []; write "fail" or "skip"'),
    "load": ('"fulll"', 'is "fulll"; write "full", "auto" or "delta"; did you mean "full"?'),
    "full_every": ('"x"', 'is "x"; write a number of nights such as "30 nights", or "never"'),
    "proof_nights": ("-1", "is -1; write a number of nights from 1 to 9999, or 0 for never, without quotes"),
    "pure": ('"true"', 'is "true"; write pure = true or pure = false, without quotes'),
    "verify": ("false", 'is false; write "rows", "checksum" or "none"'),
    "shrink_at_most": ('"101%"', 'is "101%"; write a percentage from "0%" to "100%", or "off"'),
    "deleted_at_most": ("0.5", 'is 0.5; write a percentage from "0%" to "100%", or "off"'),
    "rows_min": ("1.5", "is 1.5; write a whole number of rows, 0 or more, without quotes"),
    "unlogged": ("1", "is 1; write unlogged = true or unlogged = false, without quotes"),
    "split": (
        "0",
        'is 0; write false, a number from 1 to 1000 without quotes, or the size of a range, such as "512MB"',
    ),
    "mask": ("1979-05-27", 'is 1979-05-27, and takes a mask for each column; write mask = { email = "hmac" }, of the'),
    "unmask": ("{ id = 1 }", 'is { id = 1 }, and takes a list of names; write unmask = ["id"]'),
    "together": ("1", 'is 1; write a name that the tables share, such as together = "shop"'),
    "note": ("1", "is 1"),
    "on_new_column": ('"ignored"', 'is "ignored"; write "copy", "fail" or "ignore"; did you mean "ignore"?'),
}


@pytest.mark.parametrize("option", TableOptions.model_fields)
def test_a_wrong_value_of_each_option_is_quoted_with_the_remedy(option: str) -> None:
    """As the file has it, and never in pydantic's words."""
    value, fault = WRONG[option]
    (line,) = said(f"[orders]\n{option} = {value}")
    assert line.startswith(f"[orders] {option} {fault}")
    assert "nput should" not in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("where = ", "line 1: where has no value; write one after the equals sign, or take where out"),
        ('where = "x"', "'where' stands outside a section; put it under [defaults] or a table's section"),
        ('[a]\ntogether = ""', '[a] together is ""; write a name that the tables share'),
        (
            "[a]\ntogether = 'x'\n[b]\ntogether = 'y'\n[c]\ntogether = 'y'",
            "together names 'x' for public.a alone; a group",
        ),
        ("[a]\ntogether = 'x'\n['public.a']\ntogether = 'x'", "together names 'x' for public.a alone; a group"),
        ('[a]\nwhere = " "', '[a] where is empty, and would let every row through; write "true" if that is meant'),
        ('[a]\ncolumns = ["x", "y"]\nexclude = ["y"]', "[a] columns and exclude both name 'y'; take it out of one of"),
        ("[a]\ntogether = 1", "[a] together is 1; write a name that the tables share"),
        ("[orders]\ncolums = []", "[orders] colums is no option; did you mean columns?"),
        ("[sales.invoice]\nwhere = 'x'", 'TOML for a section within a section; write ["sales.invoice"]'),
        (
            '[orders]\nmask = { email = "hmca" }',
            '[orders] mask.email is "hmca", which is no mask; did you mean "hmac"?',
        ),
        ("[orders]\nmask = { email = 1 }", "[orders] mask.email is 1, which is no mask; write one of hmac"),
        ("[orders.mask.x]", "[orders] mask.x is {}, which is no mask"),
        ('[orders]\nrename = "a.b.c"', "[orders] rename has 'a.b.c', of 3 parts"),
        ('[orders]\nrename = "a.b*"', '[orders] rename is "a.b*"; write schema.table'),
        ('[orders]\nrename = "b,c"', '[orders] rename is "b,c"; write schema.table'),
        ('[orders]\nrename = "etl.runs"', "[orders] rename names the schema 'etl', which is not for tables of yours"),
        ('[orders]\nrename = "pg_catalog.x"', "[orders] rename names the schema 'pg_catalog'"),
        ('[a]\nrename = "x.y"\n[b]\nrename = "x.y"', "public.a and public.b would both arrive as x.y; rename one of"),
        ('["a.b.c"]', "[a.b.c] is no table's name or pattern; write"),
        ('["!orders"]', "[!orders] is no table's name or pattern; write"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(text: str, fault: str) -> None:
    """The error line names the section, the key and the mistake."""
    (line,) = said(text)
    assert fault in line
    assert "\n" not in line


def test_several_problems_are_a_line_each() -> None:
    """In the order of the file."""
    first, second = said("[a]\nx = 1\n[b]\ny = 1")
    assert first.startswith("[a] x is no option; the options are columns, exclude, ")
    assert second.startswith("[b] y is no option; the options are columns, exclude, ")
