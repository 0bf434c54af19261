"""Ways of loading a table's rows into its staging table: in one stream (``whole``), or in page ranges (``ranges``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from etl.model.base import Base
from etl.model.errors import ChecksumDiffers, RowsDiffer
from etl.model.status import LoadKind
from etl.model.table import PageRange, Table
from etl.sessions.pair import Pair
from etl.sessions.postgres import Target
from etl.source import checksum
from etl.source.checksum import Checksum
from etl.source.snapshot import Snapshot
from etl.source.stream import Streamed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled staging table: its oid, the table's rows, the bytes that the stream had, and the seconds that it took.

    ``newest_xid`` is the newest transaction that wrote rows, or None if the rows are frozen; ``xids`` are all of them.
    ``kind`` says which rows it has, and ``reason`` why; without a change there is no staging table. ``base`` is what
    the next night may copy changes of, and ``base_run`` the run whose rows this load has the changes of. ``leaves`` are
    partitions, by oid, of which it has read all rows. It may have read rows of others, too. ``changed`` are the
    rows that it writes into the live table, and ``deleted`` those that it deletes; None if it copies all rows.
    ``verify_seconds`` are those of the seconds in which hashes were compared; None if none were.
    """

    oid: int | None
    rows: int
    bytes: int
    seconds: float
    newest_xid: int | None = None
    xids: tuple[int, ...] = ()
    kind: LoadKind = LoadKind.FULL
    reason: str | None = None
    base: Base | None = None
    base_run: str | None = None
    leaves: frozenset[int] = frozenset()
    changed: int | None = None
    deleted: int | None = None
    verify_seconds: float | None = None


class Worker(Protocol):
    """Does a step of a load on the next free pair; tries again on new connections if that may help."""

    async def __call__(self, step: Callable[[Pair], Awaitable[T]], *, within: PageRange | None = None) -> T:
        """Does the step; ``within`` is the page range that it copies, or None for the whole table."""


class Way(Protocol):
    """A way of loading one table's rows."""

    async def fill(self, work: Worker) -> Filled:
        """Makes the staging table and copies the rows into it; raises LoadFailed if the copied rows differ."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table as a snapshot shows them.

    ``verify`` is how to compare them; ``advance`` is called with the bytes of each piece that was copied.
    """

    snapshot: Snapshot
    table: Table
    verify: str
    advance: Callable[[int], None]

    def compare_counts(self, streamed: Streamed, what: object) -> None:
        """Raises RowsDiffer if the source sent another number of rows than the target received."""
        if self.verify != "none" and streamed.rows_out != streamed.rows_in:
            raise RowsDiffer(
                f"{what}: the source gave {streamed.rows_out} rows, {streamed.rows_in} arrived; report it, unless a"
                " trigger or a rule drops rows"
            )

    async def compare(self, target: Target, expected: Checksum, kept: str | None) -> None:
        """Raises ChecksumDiffers if the staged rows have another checksum than the source's."""
        staged = await checksum.of_target(target, self.table, self.table.staged.identifier, kept)
        if expected != staged:
            raise ChecksumDiffers(
                f"{self.table}: the staged rows' checksum {staged.sum:x} is not the source's {expected.sum:x}"
            )
