"""User-defined types and extensions: creates in the target those that it lacks, and refuses types that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from etl.model.errors import TypesDiffer
from etl.model.name import label
from etl.model.table import Table
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Source, Target, create_schemas
from etl.sessions.query import source_query, target_query
from etl.target import extensions


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that is not PostgreSQL's own: the statement that creates it, or the extension that it belongs to.

    ``kind`` is pg_type.typtype; ``labels`` are an enum's, in order; ``is_row_type``: whether it is a table's row type.
    ``asked_schemas`` and ``asked_names`` name the types that were asked for and that are, or depend on, this one.
    """

    schema: str
    name: str
    kind: str
    extension: str | None
    extension_schema: str | None
    is_row_type: bool
    labels: tuple[str, ...]
    statement: str | None
    asked_schemas: tuple[str, ...] = ()
    asked_names: tuple[str, ...] = ()

    @property
    def asked(self) -> set[tuple[str, str]]:
        """The types, as schema and name, for which this one is needed."""
        return set(zip(self.asked_schemas, self.asked_names, strict=True))

    def __str__(self) -> str:
        return label(self.schema, self.name)


async def ensure(source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Creates in the target every type that the tables' columns need and the target lacks.

    Creates types in the order of their dependencies, and extensions, too; adds to an enum the labels that the source
    has added. Raises TypesDiffer naming every type that differs between source and target.
    """
    await _ensure_extensions(source, target, tables)
    wanted = await read(source, tables)
    if not wanted:
        return
    there = await _of_target(target, wanted)
    statements = list(_statements(wanted, there))
    if not statements:
        return
    await create_schemas(
        target, {one.schema for one in wanted} | {one.extension_schema or one.schema for one in wanted}
    )
    async with target.transaction():
        await target.execute(schema_lock())
        for statement in _statements(wanted, await _of_target(target, wanted)):
            await target.execute(statement)


async def problems(target: Target, wanted: Sequence[UserType]) -> dict[tuple[str, str], list[str]]:
    """Why columns of a type cannot arrive, by the type's schema and name: for itself, or for a type that it needs.

    Takes what ``read`` has returned.
    """
    there = await _of_target(target, wanted) if wanted else {}
    lacking = {one.extension for one in wanted if one.extension and (one.schema, one.name) not in there}
    places = await extensions.places(target, lacking)
    found: dict[tuple[str, str], list[str]] = {}
    for one in wanted:
        current = there.get((one.schema, one.name))
        if one.extension:
            says = current is None and extensions.problem(one.extension, one.extension_schema or "", places)
            problem = f"type {one} is missing in the target: {says}" if says else None
        else:
            problem = _problem(one, current)
        for asked in one.asked if problem else ():
            found.setdefault(asked, []).append(problem or "")
    return found


async def read(source: Source, tables: Sequence[Table]) -> list[UserType]:
    """The types that the tables' columns need, in the order of their dependencies."""
    names = sorted({column.user_type for table in tables for column in table.columns if column.user_type})
    if not names:
        return []
    schemas, type_names = [schema for schema, _ in names], [name for _, name in names]
    return [_type(dict(row)) for row in await source.fetch(source_query("types"), schemas, type_names)]


async def _ensure_extensions(source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Creates the extensions that indexes, constraints and statistics need and the target can install.

    If the target cannot install an extension, the index cannot be built: the load then fails, or leaves the index out
    if the options say so.
    """
    oids = [table.oid for table in tables if table.indexes or table.constraints or table.statistics]
    wanted = {row["name"]: row["schema"] for row in await source.fetch(source_query("extensions"), oids)}
    if not wanted:
        return
    available = b"SELECT name::text FROM pg_catalog.pg_available_extensions WHERE installed_version IS NULL"
    names = {row["name"] for row in await (await target.execute(available)).fetchall()}
    missing = {name: schema for name, schema in wanted.items() if name in names}
    if missing:
        await create_schemas(target, missing.values())
        async with target.transaction():
            await target.execute(schema_lock())
            for name, schema in missing.items():
                await target.execute(_extension(name, schema))


async def _of_target(target: Target, wanted: Sequence[UserType]) -> dict[tuple[str, str], UserType]:
    names = {"schemas": [one.schema for one in wanted], "names": [one.name for one in wanted]}
    cursor = await target.execute(target_query("types"), names)
    return {(row["schema"], row["name"]): _type(row) for row in await cursor.fetchall()}


def _type(row: dict[str, Any]) -> UserType:
    return UserType(**row | {key: tuple(row[key]) for key in ("labels", "asked_schemas", "asked_names")})


def _statements(wanted: Sequence[UserType], there: dict[tuple[str, str], UserType]) -> Iterator[sql.Composed]:
    """The statements that create or extend types; raises TypesDiffer for types that cannot be."""
    if problems := [said for one in wanted if (said := _problem(one, there.get((one.schema, one.name))))]:
        raise TypesDiffer("; ".join(problems))
    needed = dict.fromkeys((one.extension, one.extension_schema) for one in wanted if one.extension)
    lacking = {one.extension for one in wanted if (one.schema, one.name) not in there}
    yield from (_extension(name, schema) for name, schema in needed if name in lacking and name and schema)
    for one in wanted:
        current = there.get((one.schema, one.name))
        if one.extension:
            continue
        if current is None:
            yield sql.Composed([sql.SQL(one.statement or "")])
        elif one.statement != current.statement:
            yield from _grown(one, current) or ()


def _problem(one: UserType, current: UserType | None) -> str | None:
    """Why a type that belongs to no extension cannot be as the source has it; ``current`` is the target's, or None."""
    if one.extension:
        return None
    if current is None:
        cannot = f"type {one} is a table's row type or a base type, which cannot be made in the target"
        return cannot if one.is_row_type or one.statement is None else None
    if one.statement == current.statement or _grown(one, current) is not None:
        return None
    return f"type {one} differs: the source has {one.statement}, the target {current.statement}"


def _extension(name: str, schema: str) -> sql.Composed:
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}")
    return create.format(sql.Identifier(name), sql.Identifier(schema))


def _grown(wanted: UserType, current: UserType) -> list[sql.Composed] | None:
    """The statements that add an enum's new labels, or None if more than new labels differs."""
    if wanted.kind != "e" or current.kind != "e":
        return None
    kept = [text for text in wanted.labels if text in current.labels]
    if kept != list(current.labels):
        return None
    name = sql.Identifier(wanted.schema, wanted.name)
    statements = []
    for position, text in enumerate(wanted.labels):
        if text not in current.labels:
            add = sql.SQL("ALTER TYPE {} ADD VALUE IF NOT EXISTS {}").format(name, sql.Literal(text))
            if position:
                add += sql.SQL(" AFTER {}").format(sql.Literal(wanted.labels[position - 1]))
            elif current.labels:
                add += sql.SQL(" BEFORE {}").format(sql.Literal(current.labels[0]))
            statements.append(add)
    return statements
