"""The reasons why a load cannot be one of changes, and copies all rows. Pure policy."""

# docs/how-deltas-work.md, "What has to be the same"
# docs/decisions.md, "A night of changes is measured beside the same changes by hand"

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from etl.model import limits
from etl.model.base import Base, Seen
from etl.model.errors import one_line
from etl.source.changes import Changes


class Doubt(Exception):  # noqa: N818
    """The reason why a load cannot be a delta."""


class EarlyDoubt(Doubt):
    """A reason that shows before all rows are counted."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why all rows are copied; ``in_vain`` is what the base of the full load says of counting them (``Base``)."""

    reason: str
    in_vain: int


EXPECTED = Doubt, psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable
"""A doubt, or what a statement finds if others lock or drop the live table while the load goes on."""

STRAY = (
    "the rows do not balance: some are neither staged nor live; a key that has changed in nothing but its text, as 1.0"
    " and 1.00, counts so"
)


def incomparable(was: Base, seen: Seen, found: Changes) -> str | None:
    """Why the changes since a base cannot be told; None if they can."""
    if seen.is_before(was.seen):
        return "the snapshot is older than that of the last published load"
    if found.next_id - was.seen.xmin >= limits.DELTA_IDS:
        return "too many transactions have passed in the source"
    return None


def too_many(was: Base, found: Changes, at_most: float) -> str | None:
    """Why more rows have changed than a delta should write; None if not."""
    if at_most >= 1:
        return None
    most = max(limits.DELTA_ROWS, at_most * max(was.rows, found.rows))
    if found.changed > most:
        return f"{found.changed:,} of {found.rows:,} rows have changed"
    if (number := touched(was, found)) > most:
        return f"{number:,} of {was.rows:,} rows have changed or are gone"
    return None


def touched(was: Base, found: Changes) -> int:
    """How many rows a merge at least writes or deletes: the changed ones, or those of the base that have not stayed."""
    return max(found.changed, was.rows - found.unchanged)


def told(doubt: Exception) -> str:
    """The reason why a load cannot be a delta.

    A server may refuse what a full load does not need: a temporary table, a function. If it is ill, that fails, too.
    """
    if isinstance(doubt, Doubt):
        return str(doubt)
    if isinstance(doubt, psycopg.errors.UndefinedTable):
        return "the live table is gone, or is no plain table any more"
    if isinstance(doubt, psycopg.errors.LockNotAvailable):
        return "the live table is locked"
    return f"its changes cannot be read: {one_line(doubt)}"


def raise_if(reason: str | None) -> None:
    """Raises a reason, if there is one, as Doubt."""
    if reason:
        raise Doubt(reason)
