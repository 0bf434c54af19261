"""What tables need of the target: the functions, operator classes, collations and the like that their parts name.

``etl check`` and the start of a run ask for all tables at once, one query a side. So a missing function is known before
the first byte, and not when the load of its table creates the constraint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etl.model.catalog import Column
from etl.model.shape import TableOptions, renamed
from etl.model.table import Table
from etl.sessions.postgres import Source, Target
from etl.sessions.query import source_query, target_query
from etl.target import extensions
from etl.target.extensions import Places, Refused

_SKIPPED = {"index": "unbuildable_indexes", "constraint": "unbuildable_indexes", "check": "unbuildable_checks"}
"""The option that leaves a part of this kind out."""

_TOO_NEW = {"NOT ENFORCED": 18, "WITHOUT OVERLAPS": 18, "NULLS NOT DISTINCT": 15}
"""The words of a definition that older releases of PostgreSQL do not know, and the first release that does."""


Key = tuple[str, str, str, str, str]
"""A wanted object: its class, schema, name, arguments and result, as lacking.sql takes them."""


@dataclass(frozen=True, slots=True)
class Need:
    """An object that a part of the table ``oid`` needs (needs.sql)."""

    oid: int
    kind: str
    part: str
    cls: str
    schema: str | None
    name: str
    arguments: str
    result: str
    label: str
    extension: str | None

    @property
    def key(self) -> Key:
        """What the target is asked for."""
        return self.cls, self.schema or "", self.name, self.arguments, self.result

    @property
    def is_made_collation(self) -> bool:
        """Whether this is a collation that a run makes where it is missing: one that users have made."""
        return self.cls == "collation" and self.schema != "pg_catalog" and not self.extension


async def read(source: Source, tables: Sequence[Table]) -> list[Need]:
    """Reads what the parts of the tables need, as far as the parts arrive."""
    rows = await source.fetch(source_query("needs"), [table.oid for table in tables])
    by_oid = {table.oid: table for table in tables}
    needs = [Need(**{"cls" if key == "class" else key: value for key, value in row.items()}) for row in rows]
    return [need for need in needs if _arrives(need, by_oid[need.oid])]


def _arrives(need: Need, table: Table) -> bool:
    if need.kind == "column":
        return any(column.name == need.part and _uses(column, need) for column in table.columns)
    return renamed(table.source.name, table.live.name, need.part) in table.carried


def _uses(column: Column, need: Need) -> bool:
    return column.user_type is not None or (need.cls == "collation" and column.collation is not None)


@dataclass(frozen=True, slots=True)
class Made:
    """The types and collations, as schema and name, and the extensions, that a run makes where they are missing.

    Of each collation, the reason why it cannot be made, or None.
    """

    types: Collection[tuple[str, str]]
    extensions: Collection[str]
    collations: Mapping[tuple[str, str], str | None]


async def lacking(
    target: Target,
    tables: Sequence[Table],
    needs: Sequence[Need],
    options: Mapping[int, TableOptions],
    made: Made,
    *,
    tries: bool = True,
) -> dict[int, list[str]]:
    """Why parts of the tables cannot be made in the target, by the tables' oids, one line for each part and need.

    ``options`` are the tables', by oid: parts that they leave out are not named. ``tries`` is whether to try out which
    extensions the role may create.
    """
    missing = await _missing(target, [need for need in needs if not _is_made(need, made)])
    schemas = {need.extension: need.schema or "" for need in needs if need.extension and need.key in missing}
    places = await extensions.places(target, schemas)
    absent = {name: schemas[name] for name, there in places.items() if there is None}
    there = _Extensions(places, made.extensions, await extensions.refusals(target, absent if tries else {}))
    release = target.info.server_version // 10000
    found: dict[int, list[str]] = {table.oid: [] for table in tables}
    by_oid = {table.oid: table for table in tables}
    for need in needs:
        if need.is_made_collation:
            problem = made.collations.get((need.schema or "", need.name))
            line = f"{need.kind} {need.part} of {by_oid[need.oid]} needs it: {problem}" if problem else None
        else:
            line = _line(need, by_oid[need.oid], missing, there)
        if line:
            found[need.oid] += _said(need.kind, line, options[need.oid])
    for table in tables:
        for kind, line in _too_new(table, release):
            found[table.oid] += _said(kind, line, options[table.oid])
    return found


@dataclass(frozen=True, slots=True)
class _Extensions:
    """Where the extensions are in the target; those that a run makes for the tables' types; those that it cannot."""

    places: Places
    made: Collection[str]
    refused: Refused


def _is_made(need: Need, made: Made) -> bool:
    return need.cls == "type" and (need.schema, need.name) in made.types


async def _missing(target: Target, needs: Sequence[Need]) -> dict[Key, str | None]:
    """What is not as it has to be: None if it is not there, otherwise what is wrong with it, and the remedy."""
    wanted = sorted({need.key for need in needs if need.name})
    if not wanted:
        return {}
    columns = zip(*wanted, strict=True)
    arrays = dict(zip(("classes", "schemas", "names", "arguments", "results"), map(list, columns), strict=True))
    rows = await (await target.execute(target_query("lacking"), arrays)).fetchall()
    return {(row["class"], row["schema"], row["name"], row["arguments"], row["result"]): row["problem"] for row in rows}


def _line(need: Need, table: Table, missing: Mapping[Key, str | None], there: _Extensions) -> str | None:
    """What is wrong with the part that needs this; None if nothing is."""
    what = f"{need.kind} {need.part} of {table}"
    if need.cls == "own row":
        return (
            f"{what} needs the table's own row type{f' ({need.label})' if need.label else ''}, which a new table lacks"
        )
    if need.cls == "whole row":
        return f"{what} names the table, which arrives as {table.live}" if table.is_renamed else None
    if need.key not in missing:
        return None
    through = " (through its type)" if need.kind == "column" and need.cls != "collation" else ""
    if problem := missing[need.key]:
        return f"{what} needs {need.label}{through}, which {problem}"
    line = f"{what} needs {need.label}{through}, which the target lacks"
    if not need.extension:
        return f"{line}; make it there"
    # a run creates extensions for indexes, constraints and statistics, and for types
    is_made = need.kind != "column" or need.extension in there.made
    says = extensions.problem(need.extension, need.schema or "", there.places, there.refused, is_made=is_made)
    return f"{line}: {says}" if says else None


def _too_new(table: Table, release: int) -> Iterator[tuple[str, str]]:
    parts = [("index", index.name, index.definition) for index in table.indexes]
    parts += [("constraint" if one.has_index else "check", one.name, one.definition) for one in table.constraints]
    for kind, name, definition in parts:
        for words, first in _TOO_NEW.items():
            # in an expression the words may be a value; those of a definition come last, or stand before any quote
            if release < first and words in _unquoted(definition):
                yield kind, f"{kind} {name} of {table} is {words}, which PostgreSQL {release} does not know"


def _unquoted(definition: str) -> str:
    """A definition without its literals and quoted names."""
    return re.sub(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""", "", definition)


def _said(kind: str, line: str, options: TableOptions) -> list[str]:
    """The line with the options' remedy; none if the options leave out such a part."""
    option = _SKIPPED.get(kind)
    if option is None:
        return [f"{line}, or exclude the column"] if kind == "column" else [line]
    return [] if getattr(options, option) == "skip" else [f'{line}, or set {option} = "skip" in its options']
