"""What a run that is watched is busy with: it publishes when all tables are staged, and not when none is loading."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl.commands.outcome import Outcome
from etl.commands.watch import phase
from etl.ledger.looks import WatchedRow
from etl.ledger.rows import RunRow

AT = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)


def load(outcome: Outcome) -> WatchedRow:
    """A load; what has become of it is told beside it."""
    return WatchedRow("public.a", None, outcome, *[None] * 13)


@pytest.mark.parametrize(
    ("outcomes", "publish", "is_alive", "expected"),
    [
        ([], "run", True, "loading"),
        ([Outcome.PLANNED, Outcome.PLANNED], "run", False, "planned"),
        ([Outcome.STAGED, Outcome.LOADING], "run", True, "loading"),
        ([Outcome.STAGED, Outcome.STAGED], "run", True, "publishing"),
        ([Outcome.STAGED, Outcome.STAGED], "defer", False, "staged"),
        ([Outcome.STAGED, Outcome.FAILED], "run", True, "loading"),
        ([Outcome.STAGED, Outcome.FAILED], "defer", False, "loading"),
        ([Outcome.PUBLISHED, Outcome.PUBLISHED], "run", True, "publishing"),
    ],
)
def test_a_run_publishes_when_all_its_tables_are_staged(
    outcomes: list[Outcome], publish: str, is_alive: bool, expected: str
) -> None:
    """Where a shard has failed, and is to be tried again, the run neither publishes nor waits for its publish."""
    run = RunRow(run_id="tonight", status="running", started_at=AT, publish=publish)
    of = {kind: [load(one) for one in outcomes if one == kind] for kind in Outcome}
    assert phase(run, of, is_over=False, is_alive=is_alive) == expected
