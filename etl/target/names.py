"""Names that arriving tables bring to their live schemas, and that something else there has already.

Indexes share the names of tables, sequences and views of a schema; a table's row type those of types.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etl.model.name import MAX_NAME_BYTES, TargetName
from etl.model.table import Table
from etl.sessions import query
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target.live import Object

Name = tuple[str, str, str]
"""A name that has to be free: its kind (``relation``, ``statistics`` or ``type``), its schema, and the name."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A name, and what has it now; ``table_oid`` is the table or view with which that would go aside (names.sql)."""

    kind: str
    schema: str
    name: str
    what: str
    table_oid: int

    @property
    def key(self) -> Name:
        """The name."""
        return self.kind, self.schema, self.name

    @property
    def is_of_table(self) -> bool:
        """Whether it is a type that comes and goes with a table: its row type, or the array type of that."""
        return self.kind == "type" and self.table_oid != 0


@dataclass(frozen=True, slots=True)
class Brought:
    """A name that a table brings; ``what`` describes the object that has it."""

    table: TargetName
    what: str
    key: Name


def brought(
    table: Table, current: Object | None, known: Collection[str], *, without_indexes: bool
) -> Iterator[Brought]:
    """The names that a table brings: the source's, and those of the reporting side's additions to the live table.

    ``known`` are the names that the source brings or brought the last time, so that they are no additions.
    """
    live = table.live
    keys = [constraint.name for constraint in table.constraints if constraint.has_index]
    for name in (*(index.name for index in table.indexes), *keys):
        yield Brought(live, f"index {name} of {table}", ("relation", live.schema, name))
    for extended in table.statistics:
        yield Brought(live, f"statistics {extended.name} of {table}", ("statistics", live.schema, extended.name))
    # PostgreSQL names an array type like its table, with "_" before; it evades a name that is taken in the schema where
    # the table is made, but not in the one to which it moves
    yield Brought(live, f"the array type of {live}", ("type", live.schema, array_type(live.name)))
    if current is None:
        yield Brought(live, f"table {live}", ("type", live.schema, live.name))
        return
    for name in () if without_indexes else set(current.indexes) - set(known):
        yield Brought(live, f"index {name}, which the target has added to {live}", ("relation", live.schema, name))
    for name in set(current.statistics) - set(known):
        what = f"statistics {name}, which the target has added to {live}"
        yield Brought(live, what, ("statistics", live.schema, name))


def array_type(name: str) -> str:
    """The name that PostgreSQL gives the array type of a new table."""
    return f"_{name}".encode()[:MAX_NAME_BYTES].decode(errors="ignore")


async def taken(target: Target, wanted: Sequence[Brought]) -> list[Taken]:
    """Reads which of the names are taken."""
    if not wanted:
        return []
    kinds, schemas, names = zip(*sorted({one.key for one in wanted}), strict=True)
    arrays = {"kinds": list(kinds), "schemas": list(schemas), "names": list(names)}
    return await query.rows(target, Taken, target_query("names"), arrays)


def problems(
    wanted: Sequence[Brought], taken: Sequence[Taken], *, goes: Callable[[Taken], bool]
) -> Iterator[tuple[TargetName, str]]:
    """A line for each name that two arriving tables bring, or that something has which does not go aside."""
    by_name: dict[Name, list[Brought]] = {}
    for one in wanted:
        by_name.setdefault(one.key, []).append(one)
    for (kind, schema, _), same in by_name.items():
        for one in same if kind != "type" else ():  # of two tables of one run, the array types evade
            if others := [other.what for other in same if other.table != one.table]:
                yield one.table, f"{one.what}, and {others[0]}, have one name in schema {schema}; rename one of them"
    holders: Mapping[Name, Taken] = {one.key: one for one in taken if not goes(one)}
    for one in wanted:
        if holder := holders.get(one.key):
            remedy = "rename one of them, or copy both in each run" if holder.is_of_table else "rename or drop that"
            yield (
                one.table,
                f"{one.what} cannot arrive: {holder.what} has the name {holder.name} in schema {holder.schema} of the"
                f" target; {remedy}",
            )
