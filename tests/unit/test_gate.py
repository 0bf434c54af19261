"""The gate's rules, as tables of counts and verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from etl.model import gate
from etl.model.gate import Count, Rule, Shrink
from etl.model.name import Relation, TargetName
from etl.settings.options import Options

ORDERS = TargetName("public", "orders")


def count(rows: int, before: int | None, *, refiltered: bool | None = False, name: str = "orders") -> Count:
    """Tonight's rows of a table, and those of its last publish."""
    then = None if before is None else datetime(2026, 11, 21, 2, tzinfo=UTC)
    run = None if before is None else "2026-11-21"
    return Count(f"public.{name}", "public", name, rows, before, run, then, refiltered)


@pytest.mark.parametrize(
    ("rows", "before", "shrink", "rows_min", "is_stopped"),
    [
        # half may go, and no row more
        (500, 1000, "50%", 0, False),
        (499, 1000, "50%", 0, True),
        (1000, 1000, "50%", 0, False),
        (5000, 1000, "50%", 0, False),
        # empty always counts, and so does any other share from 100 rows on
        (0, 1, "50%", 0, True),
        (1, 3, "50%", 0, False),
        (1, 99, "50%", 0, False),
        (1, 100, "50%", 0, True),
        (0, 0, "50%", 0, False),
        # other percentages, exact to the row
        (900, 1000, "10%", 0, False),
        (899, 1000, "10%", 0, True),
        (999, 1000, "0%", 0, True),
        (1, 1_000_000, "99.9%", 0, True),
        (1000, 1_000_000, "99.9%", 0, False),
        (666_667, 2_000_001, "66.667%", 0, False),
        (666_659, 2_000_001, "66.667%", 0, True),
        # off
        (0, 1_000_000, "100%", 0, False),
        (0, 1_000_000, "off", 0, False),
        # a first night is held against rows_min alone
        (0, None, "0%", 0, False),
        (9, None, "50%", 10, True),
        (10, None, "50%", 10, False),
        (9, 9, "off", 10, True),
    ],
)
def test_a_count_is_held_against_its_rule(
    rows: int, before: int | None, shrink: str, rows_min: int, is_stopped: bool
) -> None:
    """Tonight's rows against those of the last publish, the percentage and the least number."""
    broken = Rule(Shrink.parse(shrink), rows_min).broken(count(rows, before))
    assert (broken is not None) == is_stopped


@pytest.mark.parametrize(
    ("deleted", "before", "rule", "is_stopped"),
    [
        # without the option, all: a table may be filled again each night under new keys
        (1000, 1000, Rule(), False),
        (1000, 1000, Rule(Shrink.parse("30%")), False),
        # the option decides
        (301, 1000, Rule(deleted=Shrink.parse("30%")), True),
        (300, 1000, Rule(deleted=Shrink.parse("30%")), False),
        (1000, 1000, Rule(deleted=Shrink.parse("off")), False),
        (1, 1000, Rule(Shrink.parse("off"), 0, Shrink.parse("0%")), True),
        (0, 1000, Rule(deleted=Shrink.parse("0%")), False),
        # a small table, and a load that does not know it
        (99, 99, Rule(deleted=Shrink.parse("50%")), False),
        (100, 100, Rule(deleted=Shrink.parse("50%")), True),
        (None, 1000, Rule(deleted=Shrink.parse("0%")), False),
    ],
)
def test_rows_that_are_deleted_count_although_new_ones_make_up_for_them(
    deleted: int | None, before: int, rule: Rule, is_stopped: bool
) -> None:
    """The number of rows is the same; the load has counted those that it deletes."""
    assert (rule.broken(replace(count(before, before), rows_deleted=deleted)) is not None) == is_stopped


def test_a_load_of_an_older_version_has_no_rule_for_deleted_rows_of_its_own() -> None:
    """The ledger's rule is that of the load; what it lacks is off."""
    older = replace(count(1000, 1000), shrink_at_most="20%", rows_min=0, rows_deleted=201)
    assert gate.findings([older], {}) == []
    newer = replace(older, deleted_at_most="20%")
    assert [each.broken for each in gate.findings([newer], {})] == ['deleted_at_most = "20%"']


def test_one_message_names_all_tables_their_counts_and_the_command() -> None:
    """The command comes before the tables, so that a message that is cut still has it."""
    counts = [
        count(1200, 204_000, name="orders", refiltered=True),
        count(0, 3, name="items"),
        count(7, 7, name="fine"),
        count(4, None, name="new"),
    ]
    found = gate.findings(counts, {TargetName("public", "new"): Rule(rows_min=5)})
    until = datetime(2026, 11, 23, 2, 10, tzinfo=UTC)
    assert gate.said("2026-11-22", found, until) == (
        "run 2026-11-22 is stopped before its publish, because 3 tables have too few rows; if that is right,"
        " `etl publish 2026-11-22 --anyway --reason TEXT` publishes it until 2026-11-23 02:10 UTC:"
        ' public.items has 0 rows now, 3 when it was last published, by run 2026-11-21 (shrink_at_most = "50%");'
        " public.new has 4 rows now (rows_min = 5);"
        " public.orders has 1,200 rows now, 204,000 when it was last published, by run 2026-11-21, and its where is"
        ' another one than then (shrink_at_most = "50%")'
    )
    assert "--anyway" not in gate.said("2026-11-22", found, None)
    rules = {TargetName("public", "turned"): Rule(deleted=Shrink.parse("50%"))}
    more = gate.findings([*counts[:2], replace(count(900, 1000, name="turned"), rows_deleted=600)], rules)
    assert "because 2 tables have too few rows and 1 table would lose too many rows; if" in gate.said("x", more, until)
    assert str(more[-1]) == (
        'public.turned would lose 600 of the 1,000 rows that run 2026-11-21 has published (deleted_at_most = "50%")'
    )


@pytest.mark.parametrize("kept_until", [None, datetime(2026, 11, 29, 2, 41, tzinfo=UTC)])
def test_the_reason_of_a_message_is_told_without_the_remedy(kept_until: datetime | None) -> None:
    """For a page that says elsewhere what to do; another error stays as it is."""
    found = [gate.Finding(Count("public.orders", "public", "orders", 9), "rows_min = 10")]
    said = gate.said("x", found, kept_until)
    assert gate.reason(said) == "because 1 table has too few rows: public.orders has 9 rows now (rows_min = 10)"
    assert gate.reason("public.a: is 0): b") == "public.a: is 0): b"


def test_each_option_of_the_gate_is_inherited_alone() -> None:
    """A table's rows_min leaves the percentage of [defaults] as it is."""
    text = (
        '[defaults]\nshrink_at_most = "20%"\nrows_min = 7\n[orders]\nrows_min = 0\n["audit.*"]\nshrink_at_most = "off"'
    )
    options = Options.parse(text)
    tables = Relation("public", "orders"), Relation("audit", "log"), Relation("public", "x")
    assert [options.of(table).rule for table in tables] == [
        Rule(Shrink(Fraction(1, 5)), 0),
        Rule(Shrink(Fraction(1)), 7),
        Rule(Shrink(Fraction(1, 5)), 7),
    ]
    assert Options.parse("").of(Relation("public", "x")).rule == Rule(Shrink(Fraction(1, 2)), 0)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        *(
            (key, value, 'write a percentage from "0%" to "100%", or "off"')
            for key in ("shrink_at_most", "deleted_at_most")
            for value in ('"50"', "50", "0.5", '"-1%"', '"101%"', '"half"', '""', "true", '["50%"]', '"1000%"')
        ),
        *(
            ("rows_min", value, "write a whole number of rows, 0 or more, without quotes")
            for value in ("-1", "1.5", '"7"', "true")
        ),
    ],
)
def test_a_bad_value_is_one_line_with_the_remedy(key: str, value: str, says: str) -> None:
    """The line names the section, the option and the value."""
    with pytest.raises(ValueError, match=rf"^\[orders\] {key} is .*; ") as raised:
        Options.parse(f"[orders]\n{key} = {value}")
    assert str(raised.value).endswith(says)
    assert "\n" not in str(raised.value)
