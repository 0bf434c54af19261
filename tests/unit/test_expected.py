"""The seconds that a table's next load is expected to take, by which a plan balances the shards."""

from __future__ import annotations

import pytest

from etl.commands import expected
from etl.ledger.rows import PastLoads
from etl.model.base import FullEvery

NIGHTLY = PastLoads("public.orders", None, 100.0, 3.0, 5, were_whole=False)
FIRST = PastLoads("public.orders", None, 100.0, None, 0, were_whole=False)
DUE = PastLoads("public.orders", None, 100.0, 3.0, 29, were_whole=False)
WHOLE = PastLoads("public.orders", None, 100.0, 3.0, 0, were_whole=True)
LONG_AGO = PastLoads("public.orders", None, None, 3.0, None, were_whole=False)


@pytest.mark.parametrize(
    ("past", "load", "seconds"),
    [
        (NIGHTLY, "auto", 3.0),
        (NIGHTLY, "delta", 3.0),
        (NIGHTLY, "full", 100.0),
        (FIRST, "auto", 20.0),
        (FIRST, "full", 100.0),
        (DUE, "auto", 100.0),
        (WHOLE, "auto", 100.0),
        (LONG_AGO, "auto", 3.0),
        (LONG_AGO, "full", 3.0),
    ],
)
def test_the_next_load_is_expected_to_be_of_the_kind_that_the_last_ones_tell(
    past: PastLoads, load: str, seconds: float
) -> None:
    """Full after so many nights, or if the last two were; otherwise of changes."""
    assert expected.seconds(past, load, FullEvery()) == seconds


def test_a_table_that_is_never_due_stays_with_its_changes() -> None:
    """full_every = "never"."""
    assert expected.seconds(DUE, "auto", FullEvery(None)) == 3.0
