"""The slices and the buckets of keys: each key is in one of them, and no key is left out between two nights."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from etl.model.catalog import Column
from etl.source.buckets import Buckets
from etl.source.slices import Slice, are_due_at_once

ID = Column("id", "bigint")
KEYS = st.integers(-(2**63), 2**63 - 1)


def has(part: Slice, value: int) -> bool:
    """Whether the condition of a range holds for a value."""
    condition = part.of_source.as_string(None)
    compared = re.findall(r'"id" (>=|<) +(-?\d+)', condition)
    assert len(compared) == condition.count('"id"')
    return all((value >= limit) is (sign == ">=") for sign, text in compared for limit in [int(text)])


@given(st.tuples(KEYS, KEYS), KEYS, st.integers(2, 40))
def test_each_key_is_in_one_slice(span: tuple[int, int], value: int, nights: int) -> None:
    """Also a key that is outside of the span, because it is new."""
    low, high = sorted(span)
    slices = [Slice((ID,), number, nights, span=(low, high)) for number in range(nights)]
    assert sum(has(one, value) for one in slices) == 1


@given(st.lists(st.integers(0, 2**40), min_size=15, max_size=15), st.integers(2, 15), st.integers(0, 2**41))
def test_no_key_is_left_out_while_the_highest_key_rises(rises: list[int], nights: int, value: int) -> None:
    """A key that is there all the time is proven in one of so many nights."""
    high, proven = 2**40, []
    for night in range(nights):
        high += rises[night]
        part = Slice.of_night((ID,), night, nights, None)
        proven.append(has(Slice(part.columns, part.number, part.of, span=(0, high)), value))
    assert any(proven)


@given(st.text(), st.integers(0, 10_000), st.integers(1, 40))
def test_a_small_table_is_proven_in_one_of_so_many_nights(name: str, first: int, nights: int) -> None:
    """Whichever night is the first."""
    assert sum(are_due_at_once(name, night, nights) for night in range(first, first + nights)) == 1


def test_small_tables_are_not_all_proven_in_the_same_night() -> None:
    """A thousand tiny tables would make one night slower than the others."""
    due = [sum(are_due_at_once(f"public.t{number}", night, 14) for number in range(1000)) for night in range(14)]
    assert max(due) < 2 * 1000 / 14


def test_all_rows_are_in_the_only_slice() -> None:
    """With proof_nights 1, or verify checksum."""
    assert Slice.of_night((ID,), 5, 1, None).of_source.as_string(None) == "true"
    assert Slice.whole((ID,), None) == Slice.of_night((ID,), 5, 1, None)


def test_a_key_of_few_first_values_is_divided_by_its_hash() -> None:
    """A tenant's number would put all its rows into one bucket."""
    pair = Buckets.of((Column("tenant", "integer"), ID), 32_000, None)
    assert pair.in_ranges(1, 20).width is None
    assert pair.in_ranges(1, 20_000_000).width == 19_999
    assert Buckets.of((ID,), 32_000, None).in_ranges(1, 20).width == 1


@given(KEYS, st.integers(1, 2**40))
def test_each_key_is_in_the_range_of_its_bucket(value: int, width: int) -> None:
    """Also a negative one, and the lowest and the highest: PostgreSQL's division rounds towards zero."""
    parts = Buckets((ID,), 10, width)
    number = abs(value) // width * (1 if value >= 0 else -1)
    low, high = parts.range(number)
    assert low <= value <= high
    assert low >= -(2**63)
    assert high < 2**63


@given(st.integers(-1000, 1000), st.integers(1, 50))
def test_the_ranges_of_two_buckets_do_not_overlap(number: int, width: int) -> None:
    """A key would be found twice."""
    parts = Buckets((ID,), 10, width)
    assert parts.range(number)[1] + 1 == parts.range(number + 1)[0]
