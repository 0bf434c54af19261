"""Page ranges: the option, the bounds, and that every page is read exactly once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model import limits
from etl.model.catalog import Member
from etl.model.name import Relation, TargetName
from etl.model.split import Split
from etl.model.table import PageRange, Table
from etl.sessions.postgres import Source
from etl.source.ranges import cut, cut_all

PAGE = 8192


def part(pages: int, name: str = "items", kind: str = "r", extra: int = 0, may_cut: bool = True) -> Member:
    return Member(Relation("public", name, kind), pages, pages * PAGE + extra, may_cut)


@pytest.mark.parametrize(
    ("value", "split"),
    [
        (False, Split(ranges=1)),
        (True, Split()),
        (8, Split(ranges=8)),
        ("512MB", Split(bytes=512 << 20)),
        (" 2 GB ", Split(bytes=2 << 30)),
        ("1TB", Split(bytes=1 << 40)),
    ],
)
def test_split_is_false_or_a_number_or_a_size(value: object, split: Split) -> None:
    """True means the default, for a table where [defaults] has false."""
    assert Split.parse(value) == split


@pytest.mark.parametrize("value", [0, -1, 1001, 1.5, "512", "0MB", "512KB", "many", [], {}])
def test_a_split_that_is_none_is_told_with_its_remedy(value: object) -> None:
    """The error is one line, which has the value."""
    with pytest.raises(
        ValueError, match=r"write false, a number from 1 to 1000 without quotes, or the size of a range"
    ):
        Split.parse(value)


def test_only_big_tables_are_cut_by_default() -> None:
    """A range has a gigabyte, or more if there would be too many ranges."""
    assert Split().size_of(limits.SPLIT_FROM_BYTES - 1) is None
    assert Split().size_of(limits.SPLIT_FROM_BYTES) == limits.SPLIT_RANGE_BYTES
    assert Split().size_of(10 * limits.SPLIT_MOST_RANGES * limits.SPLIT_RANGE_BYTES) == 10 * limits.SPLIT_RANGE_BYTES


@pytest.mark.parametrize("whole", [0, 1, 100])
def test_a_table_of_less_than_a_range_is_not_cut(whole: int) -> None:
    """An empty table is not split either."""
    assert Split(bytes=100).size_of(whole) is None
    assert Split(ranges=1).size_of(whole) is None


@given(
    pages=st.lists(st.integers(0, 500), min_size=1, max_size=6), toast=st.integers(0, 10**7), count=st.integers(1, 40)
)
def test_every_page_is_in_one_range(pages: list[int], toast: int, count: int) -> None:
    """The ranges of each part are adjacent, from its first page to an open end."""
    parts = [part(size, f"p{number}", extra=toast) for number, size in enumerate(pages)]
    ranges = cut(parts, Split(ranges=count))
    for one in parts:
        own = [piece for piece in ranges if piece.member == one]
        if not ranges or one.bytes == 0:
            assert own == []
        else:
            assert (own[0].first, own[-1].end) == (None, None)
            assert [piece.end for piece in own[:-1]] == [piece.first for piece in own[1:]]
            bounds = [0, *(piece.end or 0 for piece in own[:-1])]
            assert bounds == sorted(set(bounds))


def test_toast_counts() -> None:
    """Ten pages with a megabyte of TOAST are as much work as a megabyte of pages."""
    assert len(cut([part(10, extra=10 * 2**20)], Split(bytes=2**21))) == 6


def test_foreign_parts_and_parts_of_another_access_method_are_ranges_by_themselves() -> None:
    """Their rows have no ctid by which ranges could be selected."""
    foreign, columnar = part(0, "f", "f"), Member(Relation("public", "c"), 0, 10**6)
    assert cut([part(100), foreign, columnar], Split(ranges=2)) == (
        PageRange(part(100), None, None, 100 * PAGE),
        PageRange(foreign, None, None, 0),
        PageRange(columnar, None, None, 10**6),
    )


def test_one_part_that_may_not_be_read_by_itself_keeps_the_table_whole() -> None:
    """The parent's privileges and row security apply only if the whole table is read."""
    assert cut([part(100), part(100, "other", may_cut=False)], Split(ranges=4)) == ()


async def test_a_source_without_tid_range_scans_is_read_in_one_stream() -> None:
    """PostgreSQL 13, for which the tests have no server: etl asks only for its version."""

    class Thirteen:
        def get_server_version(self) -> SimpleNamespace:
            return SimpleNamespace(major=13)

    tables = [Table(Relation("public", "items"), TargetName("public", "items"), bytes=100 * limits.SPLIT_FROM_BYTES)]
    assert await cut_all(cast("Source", Thirteen()), tables, lambda _: Split()) == tables
