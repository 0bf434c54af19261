"""A sample of a table's pages: it says that too many rows have changed only where that is nearly certain."""

from __future__ import annotations

from random import Random

import pytest

from etl.model.limits import DELTA_AT_MOST, SAMPLE_PAGES
from etl.source.changes import Sample


def taken(random: Random, changed: float) -> Sample:
    """A sample of pages of 60 rows, on which all rows have changed together, or none: the worst case."""
    pages = sum(random.random() < changed for _ in range(SAMPLE_PAGES))
    return Sample(60 * SAMPLE_PAGES, 60 * pages, SAMPLE_PAGES)


@pytest.mark.parametrize(("changed", "most"), [(0.01, 0.0), (0.04, 0.0), (0.05, 0.05)])
def test_a_sample_rarely_condemns_a_table_of_which_few_rows_have_changed(changed: float, most: float) -> None:
    """At the limit itself, in one of twenty nights: there, both ways cost the same."""
    random = Random(7)
    wrong = sum(taken(random, changed).at_least > DELTA_AT_MOST for _ in range(500))
    assert wrong <= most * 500


def test_a_sample_shows_a_tenth_of_changed_rows() -> None:
    """Even if each page has only changed rows or none."""
    random = Random(7)
    assert sum(taken(random, 0.10).at_least > DELTA_AT_MOST for _ in range(500)) >= 495


def test_an_empty_sample_says_nothing() -> None:
    """All its pages may be empty."""
    assert Sample(0, 0, 0).at_least <= 0.0
