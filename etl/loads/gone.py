"""Finds the live rows that the source does not have any more, and stages their keys. Their number is known.

The live rows whose key is not staged are those of the base that have not changed, and the gone ones. So both sides
count the rows of each bucket of keys. Where the live table has more of these rows than the source, rows are gone, and
the source sends the keys of such buckets alone. If many rows are gone, it sends all keys at once.
"""

# docs/how-deltas-work.md
# docs/decisions.md, "An unchanged row is counted and not sent"

from __future__ import annotations

from dataclasses import dataclass, replace

from psycopg import sql

from etl.loads.counting import HERE, THERE, divided
from etl.loads.way import Rows
from etl.model import limits
from etl.sessions.postgres import Source, Target
from etl.sessions.transaction import at_once
from etl.source import changes, definitions, stream
from etl.source.buckets import Buckets, Some
from etl.source.changes import Changes
from etl.target.keys import Key

_KEYS = sql.Identifier("pg_temp", "etl_keys")
_ROWS_HERE = sql.Identifier("pg_temp", "etl_here")

_MAKE_BUCKETS = "CREATE TEMPORARY TABLE {buckets} (bucket pg_catalog.int8, rows pg_catalog.int8) ON COMMIT DROP"

_OF_LIVE = "SELECT {of_live} AS bucket, pg_catalog.count(*) AS rows FROM ONLY {live} AS l GROUP BY 1"

_COUNTED = "SELECT bucket, rows FROM {here}"

_DIFFER = (
    "SELECT bucket, pg_catalog.sum(rows)::pg_catalog.int8 AS rows FROM ("
    "{of_live}"
    " UNION ALL SELECT {of_staged}, pg_catalog.count(*) FROM {staged} AS s"
    " WHERE NOT EXISTS (SELECT FROM ONLY {live} AS l WHERE {is_staged}) GROUP BY 1"
    " UNION ALL SELECT bucket, -rows FROM {buckets}) AS counted GROUP BY 1 HAVING pg_catalog.sum(rows) <> 0"
)
"""The live rows, with those that are new, less the source's rows: the gone rows."""

_MAKE_KEYS = (
    "DROP TABLE IF EXISTS {gone}",
    "CREATE TEMPORARY TABLE {keys} ON COMMIT DROP AS SELECT {names} FROM {live} WITH NO DATA",
)

_THERE = "SELECT {names} FROM {keys}"

_OR_STAGED = " UNION ALL SELECT {names} FROM {staged}"
"""For one anti-join: of two, the server expects that the first leaves one row, and loops over the keys for each row."""

_ROWS = "SELECT {listed} FROM ONLY {live} AS l WHERE "

_MAKE_HERE = ("CREATE TEMPORARY TABLE {here} ON COMMIT DROP AS {rows}", "ANALYZE {here}")
"""So that the server knows their number: of a loop over ranges, it expects a thousand times as many rows."""

_FIND_GONE = (
    "ANALYZE {keys}",
    "CREATE TABLE {gone} AS SELECT {listed} FROM {here} AS l"
    " WHERE NOT EXISTS (SELECT FROM ({there}) AS k WHERE {same})",
    "ANALYZE {gone}",
    "SELECT pg_catalog.count(*) AS rows FROM {gone}",
)


@dataclass(frozen=True, slots=True)
class Found:
    """The rows whose keys are staged, and the bytes that the streams had.

    ``rows`` is None if the source has rows that are neither staged nor live.
    """

    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The search in one table: ``key`` is the live table's, ``counted`` is what the source has, in its snapshot.

    ``writer`` is in the transaction that has staged the changed rows. ``buckets`` are those whose rows both sides have
    counted before.
    """

    rows: Rows
    key: Key
    counted: Changes
    source: Source
    writer: Target
    buckets: Buckets | None = None

    async def stage(self, expected: int) -> Found:
        """Stages the keys of the gone rows, whose number should be ``expected``."""
        parts = self.rows, self.key, self.counted.rows, self.source, self.writer
        some = self.buckets or await divided(*parts)
        if expected > min(limits.GONE_BY_BUCKETS, some.number // 2):
            return await self._find(changes.keys(self.rows.table, some.columns, self.counted))
        if self.buckets is not None:
            return await self._by_buckets(some, self._composed(_COUNTED, here=HERE))
        await self.writer.execute(sql.SQL(_MAKE_BUCKETS).format(buckets=THERE))
        size = await self._stream(THERE, changes.buckets(self.rows.table, some.of_source, self.counted))
        found = await self._by_buckets(some, self._composed(_OF_LIVE, of_live=some.of_target("l")))
        return replace(found, bytes=found.bytes + size)

    async def _by_buckets(self, some: Buckets, of_live: sql.Composable) -> Found:
        """Sends the keys of the buckets whose numbers of rows differ; ``of_live`` selects those of the live table."""
        parts = {"of_live": of_live, "of_staged": some.of_target("s"), "buckets": THERE}
        cursor = await self.writer.execute(self._composed(_DIFFER, **parts))
        differ = {row["bucket"]: row["rows"] for row in await cursor.fetchall()}
        if any(rows < 0 for rows in differ.values()):
            return Found(None, 0)
        by_index = some.width is not None and self._has_index and len(differ) <= limits.BUCKETS_BY_INDEX * some.number
        return await self._of_some(Some(some, sorted(differ), by_index))

    @property
    def _has_index(self) -> bool:
        """Whether an index of the source's table begins with the live key's first column."""
        table, first = self.rows.table, self.key.columns[0].name
        known = {columns[0] for columns in definitions.keys(table) if {*columns} == self.key.names}
        return not table.is_partitioned and first in known and first not in table.masked

    async def _of_some(self, some: Some) -> Found:
        """Stages the keys of the gone rows in some buckets."""
        first = some.buckets.columns[0]
        select = some.rows(
            lambda within: changes.keys(self.rows.table, some.buckets.columns, self.counted, within),
            first.value,
            some.buckets.of_source,
        )
        rows = some.rows(
            lambda within: self._composed(_ROWS) + sql.SQL(within),
            sql.Identifier("l", first.name),
            some.buckets.of_target("l"),
        )
        return await self._find(select, rows)

    async def _find(self, select: sql.Composable, rows: sql.Composable | None = None) -> Found:
        """Stages the keys of the live rows (all, or ``rows``) that are neither among those that are sent nor staged."""
        await at_once(self.writer, [self._composed(text) for text in _MAKE_KEYS])
        size = await self._stream(_KEYS, select)
        here, there = (_ROWS_HERE, _THERE + _OR_STAGED) if rows else (self._composed("ONLY {live}"), _THERE)
        parts = {"here": here, "there": self._composed(there)}
        made = [self._composed(text, rows=rows, **parts) for text in _MAKE_HERE] if rows else []
        cursor = await at_once(self.writer, [*made, *(self._composed(text, **parts) for text in _FIND_GONE)])
        row = await cursor.fetchone()
        assert row is not None
        return Found(row["rows"], size)

    async def _stream(self, into: sql.Identifier, select: sql.Composable) -> int:
        rows = self.rows
        return (await stream.copy(self.source, self.writer, rows.table, into, rows.advance, select=select)).bytes

    def _composed(self, text: str, **more: sql.Composable) -> sql.Composed:
        """SQL text with the names of the tables, and of the key's columns, in its places."""
        names, table = [column.name for column in self.key.columns], self.rows.table
        parts = {
            "names": sql.SQL(", ").join(map(sql.Identifier, names)),
            "listed": sql.SQL(", ").join(sql.Identifier("l", name) for name in names),
            "live": table.live.identifier,
            "staged": table.staged.identifier,
            "gone": table.live.gone.identifier,
            "keys": _KEYS,
            "same": self.key.same("l", "k"),
            "is_staged": self.key.same("l", "s"),
        }
        return sql.SQL(text).format(**parts | more)
