"""How many seconds a table's next load is expected to take, by its last published loads. Pure policy."""

from __future__ import annotations

from etl.ledger.rows import PastLoads
from etl.model.base import FullEvery

A_DELTA = 0.2
"""The seconds of a table's first load of changes, as a fraction of those of a full load (benchmarks/NOTES.md)."""


def seconds(past: PastLoads, load: str, full_every: FullEvery) -> float | None:
    """The seconds of the next load with this ``load`` option; None if no load tells.

    A load of changes is expected after another one, and after the first of all loads, but not after ``full_every``
    nights, nor where the last two loads copied all rows: then most rows change each day. Nor where none may be a delta
    of the last one: then changes cannot be told.
    """
    since = past.since_whole
    is_due = full_every.nights is not None and since is not None and since + 1 >= full_every.nights
    if load == "full" or is_due or past.were_whole:
        return past.whole_seconds or past.changes_seconds
    return past.changes_seconds or (past.whole_seconds * A_DELTA if past.whole_seconds else None)
