"""The rotating proof: hashes the rows of one slice of the keys on both sides, as they are, and as they will be.

The argument for a delta needs no proof. This is for what nobody has thought of, and for a base that was wrong.
"""

# docs/how-deltas-work.md, "The rotating proof"

from __future__ import annotations

from dataclasses import dataclass, replace

from psycopg import sql

from etl.loads.way import Rows
from etl.model import limits
from etl.sessions import encoding
from etl.sessions.postgres import Source, Target
from etl.sessions.query import text
from etl.sessions.tasks import both
from etl.sessions.transaction import answers
from etl.source import changes, checksum, slices
from etl.source.changes import Changes
from etl.source.checksum import Checksum
from etl.source.slices import Slice
from etl.target.keys import Key

NOT_LONG = (
    sql.SQL(f"SET LOCAL lock_timeout = '{limits.DELTA_LOCK_TIMEOUT}'"),
    sql.SQL(f"SET LOCAL random_page_cost = {limits.DELTA_PAGE_COST}"),
)
"""Precedes a statement on the live table in its own text, so it lasts as long as the text or the open transaction."""

_SPAN = "SELECT pg_catalog.min({first}) AS low, pg_catalog.max({first}) AS high FROM ONLY {live}"

_UNCHANGED = "SELECT {columns} FROM ONLY {live} AS l WHERE {of_live}"

_NOT_STAGED = " AND NOT EXISTS (SELECT FROM {staged} AS s WHERE {is_staged})"

_NOT_GONE = " AND NOT EXISTS (SELECT FROM {gone} AS g WHERE {is_gone})"

_STAGED = " UNION ALL SELECT {columns} FROM {staged} AS s WHERE {of_staged}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one table: ``counted`` is what the source has, in its snapshot, ``key`` the live table's.

    ``is_staged`` and ``is_gone`` say whether changed rows, and keys of gone rows, are staged. ``writer`` sees them.
    """

    rows: Rows
    key: Key
    counted: Changes
    source: Source
    writer: Target
    is_staged: bool
    is_gone: bool

    async def due(self, night: int, nights: int) -> Slice | None:
        """The slice that is to be hashed this night, which with ``nights`` 1 is all rows; None if none is."""
        names = {column.name: column for column in self.rows.table.columns}
        columns = [names[column.name] for column in self.key.columns]
        kept = encoding.kept(self.source, self.writer)
        is_due = slices.are_due_at_once(str(self.rows.table), night, nights)
        if is_due and self.counted.rows <= 2 * limits.PROOF_ROWS_AT_ONCE:  # twice: its size may go up and down
            return Slice.whole(columns, kept)
        if self.counted.rows > limits.PROOF_ROWS_AT_ONCE:
            return await self._in_ranges(Slice.of_night(columns, night, nights, kept))
        return None

    async def fails(self, part: Slice) -> str | None:
        """How a slice differs; None if both sides have the same rows."""
        there, here = await both(self._of_source(part), self._of_target(part))
        if there == here:
            return None
        return f"{part} differs: {there.rows:,} rows in the source, {here.rows:,} in the target"

    async def _in_ranges(self, part: Slice) -> Slice:
        if part.integer is None:
            return part
        parts = {"first": sql.Identifier(part.integer.name), "live": self.rows.table.live.identifier}
        ((row,),) = await answers(self.writer, [*NOT_LONG, sql.SQL(_SPAN).format(**parts)])
        return part if row["low"] is None else replace(part, span=(row["low"], row["high"]))

    async def _of_source(self, part: Slice) -> Checksum:
        table, within = self.rows.table, text(part.of_source)
        return await checksum.of_select(
            self.source, table, part.kept, lambda hashes: changes.some(table, hashes, self.counted, within)
        )

    async def _of_target(self, part: Slice) -> Checksum:
        table = self.rows.table
        unchanged = _UNCHANGED + (_NOT_STAGED if self.is_staged else "") + (_NOT_GONE if self.is_gone else "")
        after = sql.SQL(unchanged + (_STAGED if self.is_staged else "")).format(
            columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
            live=table.live.identifier,
            staged=table.staged.identifier,
            gone=table.live.gone.identifier,
            of_live=part.of_target("l"),
            of_staged=part.of_target("s"),
            is_staged=self.key.same("l", "s"),
            is_gone=self.key.same("l", "g"),
        )
        return await checksum.of_target(self.writer, table, sql.SQL("({}) AS r").format(after), part.kept, NOT_LONG)
