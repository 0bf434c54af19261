"""A live table into which rows can be merged, as the target's catalog has it: its columns, its keys, and what acts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target.keys import Acting, Key, Keys


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a live table: an element of ``columns`` of ``in_place.sql``."""

    name: str
    given: str
    kind: str
    is_nullable: bool
    is_referred_to: bool


@dataclass(frozen=True, slots=True)
class Mergeable:
    """A live table into which rows can be merged: a row of ``in_place.sql``, with the table's keys."""

    oid: int
    table: TargetName
    kind: str
    fires: tuple[str, ...]
    acts: tuple[str, ...]
    side_effects: tuple[str, ...]
    has_rules: bool
    not_valid: tuple[str, ...]
    columns: tuple[Column, ...]
    referred_by: frozenset[TargetName]
    restricting: frozenset[tuple[TargetName, str]]
    keys: Keys

    @property
    def rows(self) -> sql.Composed:
        """The live table, with ONLY unless it is partitioned: the rows of inheritance children are not its own."""
        return sql.SQL("{}{}").format(sql.SQL("" if self.kind == "p" else "ONLY "), self.table.identifier)

    @property
    def generated(self) -> frozenset[str]:
        """The columns whose values the target computes; no statement may write them."""
        return frozenset(column.name for column in self.columns if column.given == "generated")

    @property
    def identities(self) -> frozenset[str]:
        """The columns that are GENERATED ALWAYS AS IDENTITY: INSERT may write them, but UPDATE may not."""
        return frozenset(column.name for column in self.columns if column.given == "always")

    @property
    def unwritable(self) -> list[str]:
        """The columns that would have to be updated, and cannot be: identities, but for those of the only key."""
        only = self.keys.key.names if self.keys.key and not self.keys.second else frozenset[str]()
        return sorted(self.identities - only)


@dataclass(frozen=True, slots=True)
class Merging:
    """Whether rows can be merged into a live table: the key by which that would be done, or the reason why not.

    ``waits`` names a materialized view whose readers would wait for its refresh, if a row changes or ``always``.
    """

    key: Key | None = None
    reason: str = ""
    waits: str = ""
    always: bool = False


async def read(
    target: Target,
    tables: Iterable[TargetName],
    arriving: Mapping[TargetName, Collection[str]] | None = None,
    key: str | None = None,
) -> list[Mergeable]:
    """Reads the live tables among ``tables`` that exist and hold rows.

    ``arriving`` are the columns of the staged rows, if they are known; ``key`` is the column to take for the key.
    """
    rows = await (await target.execute(target_query("in_place"), arrays(tables))).fetchall()
    indexes: dict[int, list[dict[str, Any]]] = {row["oid"]: [] for row in rows}
    cursor = await target.execute(target_query("keys"), {"oids": list(indexes)})
    for index in await cursor.fetchall():
        indexes[index["oid"]].append(index)
    return [_mergeable(row, indexes[row["oid"]], arriving, key) for row in rows]


def _mergeable(
    row: Mapping[str, Any],
    indexes: Iterable[dict[str, Any]],
    arriving: Mapping[TargetName, Collection[str]] | None,
    key: str | None,
) -> Mergeable:
    table = TargetName(row["schema"], row["name"])
    columns = tuple(Column(**column) for column in row["columns"])
    names = [column.name for column in columns]
    lacking = {*names} - {*(names if arriving is None else arriving.get(table, ()))}
    acting = [Acting(**one | {"columns": tuple(one["columns"])}) for one in row["acting"]]
    return Mergeable(
        oid=row["oid"],
        table=table,
        kind=row["kind"],
        fires=tuple(row["fires"]),
        acts=tuple(row["acts"]),
        side_effects=tuple(row["side_effects"]),
        has_rules=row["has_rules"],
        not_valid=tuple(row["not_valid"]),
        columns=columns,
        referred_by=frozenset(TargetName(**name) for name in row["referred_by"]),
        restricting=frozenset((TargetName(**one["table"]), one["name"]) for one in row["restricting"]),
        keys=Keys.of(indexes, lacking, acting, key),
    )
