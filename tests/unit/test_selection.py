"""``TABLES``: its grammar, and which relations of the source it selects."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from etl.model.errors import ConfigurationError
from etl.model.name import MAX_NAME_BYTES, Relation, label
from etl.model.selection import Selection

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: len(name.encode()) <= MAX_NAME_BYTES
)
"""Every name that PostgreSQL accepts."""

AWKWARD = st.text('ab .,*"!\n[]', min_size=1, max_size=6)
"""Names made of the characters of the grammar."""

RELATIONS = st.builds(Relation, NAMES | AWKWARD, NAMES | AWKWARD)

SHOP = [
    Relation("audit", "login"),
    Relation("audit", "tmp_login"),
    Relation("public", "Orders"),
    Relation("public", "customers"),
    Relation("public", "order lines"),
    Relation("public", "orders"),
    Relation("public", "orders_2024", is_partition=True),
    Relation("public", "orders_by_day", kind="v"),
    Relation("public", "orders_old", kind="p"),
    Relation("sales", "orders"),
]


def quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def chosen(tables: str, relations: list[Relation] = SHOP) -> list[str]:
    return [str(relation) for relation in Selection.parse(tables).resolve(relations)]


def told(tables: str, relations: list[Relation] = SHOP) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        Selection.parse(tables).resolve(relations)
    return caught.value.problems


@given(RELATIONS, st.lists(RELATIONS, max_size=5))
@example(Relation("[", "]"), [])
def test_a_quoted_name_selects_exactly_itself(relation: Relation, others: list[Relation]) -> None:
    """For any name, and any other relations in the source."""
    text = f"{quoted(relation.schema)}.{quoted(relation.name)}"
    assert Selection.parse(text).resolve([*others, relation]) == [relation]


@given(st.lists(RELATIONS, min_size=1, max_size=5, unique=True))
def test_quoted_names_select_themselves_in_a_json_array_too(relations: list[Relation]) -> None:
    """A JSON array of the same elements is the same list, whichever characters JSON escapes."""
    elements = [f"{quoted(relation.schema)}.{quoted(relation.name)}" for relation in relations]
    for text in (json.dumps(elements), json.dumps(elements, ensure_ascii=False, indent=1), ",".join(elements)):
        assert Selection.parse(text).resolve(relations) == relations


@given(st.lists(RELATIONS, min_size=1, max_size=5, unique=True))
def test_a_label_read_back_is_the_table(relations: list[Relation]) -> None:
    """Users can paste a table's label from logs and ledger into TABLES."""
    assert Selection.parse(",".join(map(str, relations))).resolve(relations) == relations


@given(NAMES | AWKWARD, NAMES | AWKWARD, NAMES | AWKWARD, NAMES | AWKWARD)
def test_two_tables_never_have_one_label(schema: str, name: str, other_schema: str, other_name: str) -> None:
    """Different tables have different labels."""
    assume((schema, name) != (other_schema, other_name))
    assert label(schema, name) != label(other_schema, other_name)


@given(st.lists(st.sampled_from([str(relation) for relation in SHOP] + ["*", "sales.*", "*.orders"]), min_size=1))
def test_each_table_comes_once_in_the_order_of_naming(elements: list[str]) -> None:
    """A table that is named twice, or by a glob and by its name, has the place of its first mention."""
    names = chosen(",".join(elements))
    assert len(names) == len(set(names))
    firsts = [chosen(element) for element in elements]
    assert names == list(dict.fromkeys(name for first in firsts for name in first))


@given(st.text("ab*", min_size=1, max_size=6), st.lists(st.text("ab", min_size=1, max_size=6), unique=True))
def test_a_star_matches_any_characters(pattern: str, names: list[str]) -> None:
    """A glob selects the same names as the equivalent regular expression."""
    expression = pattern.replace("*", "(?:a|b)*")
    expected = [f"public.{name}" for name in names if re.fullmatch(expression, name)]
    assume(expected)
    assert chosen(pattern, [Relation("public", name) for name in names]) == expected


@given(st.lists(st.sampled_from(SHOP), min_size=1, unique=True), st.permutations(["*.*", "!audit.*", "!orders"]))
def test_an_exclusion_holds_wherever_it_stands(relations: list[Relation], elements: list[str]) -> None:
    """Before or after the elements it excludes from, it excludes all that it matches and nothing else."""
    relations = [*{*relations, Relation("public", "orders"), Relation("public", "customers")}]
    names = chosen(",".join(elements), relations)
    kept = [one for one in relations if one.schema != "audit" and (one.schema, one.name) != ("public", "orders")]
    assert names == [str(one) for one in kept if one.kind in "rp" and not one.is_partition]


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        ("orders", ["public.orders"]),
        (" sales.orders , orders,", ["sales.orders", "public.orders"]),
        ("Orders", ["public.Orders"]),
        ("order lines", ["public.order lines"]),
        ("orders\n,\ncustomers", ["public.orders", "public.customers"]),
        ("audit.*,!audit.tmp_*", ["audit.login"]),
        ("! audit.tmp_*,audit.*", ["audit.login"]),
        ("*.orders", ["public.orders", "sales.orders"]),
        ("orders_by_day", ["public.orders_by_day"]),
        ("orders_2024", ["public.orders_2024"]),
        ("orders_*", ["public.orders_old"]),
        ("orders,!nothing_*", ["public.orders"]),
        ('["sales.orders", "!audit.*", "customers"]', ["sales.orders", "public.customers"]),
    ],
)
def test_elements_mean_what_the_contract_says(tables: str, names: list[str]) -> None:
    """Bare names are in public, ``*`` takes tables only, and views and partitions must be named."""
    assert chosen(tables) == names


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ("", "names no table"),
        (" , ,", "names no table"),
        ("[]", "names no table"),
        ("!orders", "names no table"),
        ('orders,"customers', "unpaired double quote"),
        ('or"d"ers', "quoted in part"),
        ("sales.", "in which a name is empty"),
        ('""', "in which a name is empty"),
        ('["orders", ""]', "in which a name is empty"),
        ("db.sales.orders", "of 3 parts"),
        ("x" * 64, "over 63 bytes"),
        ("ü" * 32, "over 63 bytes"),
        ('["orders"', "starts as a JSON array but is none"),
        ('["orders"] x', "starts as a JSON array but is none"),
        ('["orders", 1]', "something that is no string"),
        ("[" * 100_000, "is a JSON array of arrays"),
        ('["\\u0000"]', "zero byte"),
        ("orders\udcff", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tables: str, fault: str) -> None:
    """The line names the mistake and, after a semicolon, says what to write."""
    with pytest.raises(ValueError, match=re.escape(fault)) as caught:
        Selection.parse(tables)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_told_all_at_once_with_the_nearest() -> None:
    """One line for each, in their order; the suggestions include tables of other schemas."""
    assert told("ordrs,sales.customers,nowhere.whatever,zzz*,!audit.logn") == (
        "TABLES: public.ordrs is not in the source; did you mean public.orders?",
        "TABLES: sales.customers is not in the source; did you mean public.customers?",
        "TABLES: nowhere.whatever is not in the source; its role sees no schema nowhere, but audit, public,"
        " sales; correct the name, or GRANT USAGE on the schema",
        "TABLES: 'zzz*' matches no table of the source that its role may see; mend it or remove it",
        "TABLES: audit.logn is not in the source; did you mean audit.login?",
    )


def test_excluding_all_that_is_named_is_an_error() -> None:
    """A run without tables is a mistake."""
    assert told("orders,!*") == ("TABLES excludes every table that it names; remove a ! element",)
