"""A live table whose rows are to be replaced in place, and the statements that replace them.

A row that stays may be deleted and inserted again only where no object acts on the deletion. A foreign key that refers
to the table, a trigger or a rule ON DELETE would take the row for deleted: the rows that refer to it would go, too.
"""

# docs/decisions.md, "In place, a row that stays is never deleted"

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target import live


@dataclass(frozen=True, slots=True)
class Replacement:
    """A live table: a row of ``in_place.sql``, with the columns that identify a row, if the table has a key.

    ``others`` are the columns of each other unique index (None: columns do not describe the index). The objects in
    ``on_delete`` act on the deletion of a row; those in ``side_effects`` may change the rows that arrive.
    """

    oid: int
    table: TargetName
    kind: str
    on_delete: tuple[str, ...]
    side_effects: tuple[str, ...]
    key: tuple[str, ...]
    others: tuple[tuple[str, ...] | None, ...]

    @property
    def obstacle(self) -> str | None:
        """The reason why rows that stay would be deleted although an object acts on deletions, or None."""
        if self.key or not self.on_delete:
            return None
        return (
            f"{self.table} is published in place and has no key that tells its rows apart, so each night deletes all of"
            f" them, and {', '.join(self.on_delete)} would see that; give it a primary key, or drop them"
        )

    @property
    def staged(self) -> sql.Identifier:
        """The staging table."""
        return self.table.staging.identifier

    @property
    def rows(self) -> sql.Composed:
        """The live table, with ONLY unless it is partitioned: the rows of inheritance children are not its own."""
        name = self.table.identifier
        return sql.SQL("{}{}").format(sql.SQL("" if self.kind == "p" else "ONLY "), name)

    def statements(self, columns: Sequence[str], staged: sql.Composable) -> list[sql.Composed]:
        """The statements that make the live rows equal to those of ``staged``; the last one inserts the missing rows.

        Within one UPDATE, two rows cannot swap what is unique beside the key (``others``). Where no object acts on a
        deletion, a row whose new values another row still has is deleted, and inserted again with the missing rows;
        where columns cannot tell (None), so are all rows that differ. Where an object does, the UPDATE has to fail.
        """
        if not self.key:
            return self._composed([_DELETE_ALL, _INSERT_ALL], columns, staged)
        if self.on_delete:
            return self._composed([_DELETE_GONE, _UPDATE_DIFFERING, _INSERT_MISSING], columns, staged)
        if None in self.others:
            return self._composed([_DELETE_DIFFERING, _INSERT_MISSING], columns, staged)
        in_the_way = [
            self._composed([_DELETE_IN_THE_WAY], columns, staged, same_other=_same(other, "other"))
            for other in self.others
            if other
        ]
        gone, *rest = self._composed([_DELETE_GONE, _UPDATE_DIFFERING, _INSERT_MISSING], columns, staged)
        return [gone, *(statement for (statement,) in in_the_way), *rest]

    def count_missing(self) -> sql.Composed:
        """The statement that counts the staged rows that the live table lacks."""
        (statement,) = self._composed([_COUNT_MISSING], (), self.staged)
        return statement

    def _composed(
        self, texts: Iterable[str], columns: Sequence[str], staged: sql.Composable, **more: sql.Composable
    ) -> list[sql.Composed]:
        parts = {
            "rows": self.rows,
            "live": self.table.identifier,
            "staged": staged,
            "columns": _list(columns),
            "old": _list(columns, "l"),
            "new": _list(columns, "s"),
            "same_key": _same(self.key, "l"),
            "other_key": _same(self.key, "other"),
        }
        return [sql.SQL(text).format(**parts | more) for text in texts]


async def read(target: Target, tables: Iterable[TargetName]) -> list[Replacement]:
    """Reads the live tables among ``tables`` that exist and hold rows."""
    cursor = await target.execute(target_query("in_place"), arrays(tables))
    found = []
    for row in await cursor.fetchall():
        table = TargetName(row["schema"], row["name"])
        key = await live.key(target, table)
        others = await live.other_keys(target, table, key)
        said = tuple(row["on_delete"]), tuple(row["side_effects"])
        unique = tuple(None if other is None else tuple(other) for other in others)
        found.append(Replacement(row["oid"], table, row["kind"], *said, tuple(key), unique))
    return found


_DELETE_ALL = "DELETE FROM {rows}"

_INSERT_ALL = "INSERT INTO {live} ({columns}) SELECT {columns} FROM {staged}"

_DELETE_GONE = "DELETE FROM {rows} AS l WHERE NOT EXISTS (SELECT FROM {staged} AS s WHERE {same_key})"

# record_image_eq compares the bytes, for every type: 1.0 is not 1.00, and json has no other comparison
_DELETE_DIFFERING = (
    "DELETE FROM {rows} AS l WHERE NOT EXISTS"
    " (SELECT FROM {staged} AS s WHERE {same_key} AND pg_catalog.record_image_eq(ROW({old}), ROW({new})))"
)

_DELETE_IN_THE_WAY = (
    "DELETE FROM {rows} AS l USING {staged} AS s, {rows} AS other"
    " WHERE {same_key} AND {same_other} AND NOT ({other_key})"
)

_UPDATE_DIFFERING = (
    "UPDATE {rows} AS l SET ({columns}) = ROW({new}) FROM {staged} AS s"
    " WHERE {same_key} AND pg_catalog.record_image_ne(ROW({old}), ROW({new}))"
)

_INSERT_MISSING = (
    "INSERT INTO {live} ({columns}) SELECT {new} FROM {staged} AS s"
    " WHERE NOT EXISTS (SELECT FROM {rows} AS l WHERE {same_key})"
)

_COUNT_MISSING = (
    "SELECT pg_catalog.count(*) AS missing FROM {staged} AS s"
    " WHERE NOT EXISTS (SELECT FROM {rows} AS l WHERE {same_key})"
)


def _same(columns: Sequence[str], of: str) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(of, column), sql.Identifier("s", column)) for column in columns
    )


def _list(columns: Sequence[str], of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, column) if of else sql.Identifier(column) for column in columns)
