"""Ways of loading a table's rows into its staging table: in one stream (``whole``), or in page ranges (``ranges``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from etl.model.errors import ChecksumDiffers, RowsDiffer
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
    """What a way of loading has done: into which table, rows, bytes on the wire, and the seconds it took.

    ``newest_xid`` is the newest of the transactions that wrote the rows, or None where the rows are frozen.
    """

    oid: int
    rows: int
    bytes: int
    seconds: float
    newest_xid: int | None = None


class Worker(Protocol):
    """Does a step of a load when it is its turn, again on new connections where that may help."""

    async def __call__(self, step: Callable[[Pair], Awaitable[T]], *, within: PageRange | None = None) -> T:
        """Does the step; ``within`` is the page range that it copies, where it does not copy the whole table."""


class Way(Protocol):
    """A way of loading one table's rows."""

    async def fill(self, work: Worker) -> Filled:
        """Makes the staging table and fills it with the table's rows; raises LoadFailed where they are not the same."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table as a snapshot shows them, how they are to be compared, and whom to tell of each piece."""

    snapshot: Snapshot
    table: Table
    verify: str
    advance: Callable[[int], None]

    def compare_counts(self, streamed: Streamed, what: object) -> None:
        """Raises RowsDiffer where other rows went out than came in."""
        if self.verify != "none" and streamed.rows_out != streamed.rows_in:
            raise RowsDiffer(f"{what}: the source gave {streamed.rows_out} rows, {streamed.rows_in} arrived")

    async def compare(self, target: Target, there: Checksum, kept: str | None) -> None:
        """Raises ChecksumDiffers where the staged rows are not those that the source has hashed."""
        here = await checksum.of_target(target, self.table, self.table.staged.identifier, kept)
        if there != here:
            raise ChecksumDiffers(
                f"{self.table}: the staged rows' checksum {here.sum:x} is not the source's {there.sum:x}"
            )
