"""User-defined types and extensions: creates in the target those that it lacks, and names those that it cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from etl.model.errors import one_line
from etl.model.name import TargetName, label
from etl.model.table import Table
from etl.model.transient import is_transient
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Source, Target, create_schemas
from etl.sessions.query import source_query, target_query
from etl.target import extensions

Asked = tuple[str, str]
"""A type that a column has, as schema and name."""

Unmade = dict[Asked, list[str]]
"""Why columns of a type cannot arrive: for the type itself, or for a type that it needs."""


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
    def asked(self) -> set[Asked]:
        """The types, as schema and name, for which this one is needed."""
        return set(zip(self.asked_schemas, self.asked_names, strict=True))

    def __str__(self) -> str:
        return label(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Step:
    """An extension or a type that a run makes: ``what`` it is, and the types that need it."""

    what: str
    schema: str
    statements: tuple[sql.Composed, ...]
    asked: frozenset[Asked]


async def ensure(source: Source, target: Target, tables: Sequence[Table]) -> Unmade:
    """Creates in the target every type that the tables' columns need and the target lacks, as far as it can.

    Creates types in the order of their dependencies, and extensions, too; adds to an enum the labels that the source
    has added. Returns why the other types are not as in the source.
    """
    await _ensure_extensions(source, target, tables)
    wanted = await read(source, tables)
    if not wanted:
        return {}
    there = await _of_target(target, wanted)
    unmade = differences(wanted, there)
    if any(steps(wanted, there)):
        async with target.transaction():
            await target.execute(schema_lock())
            for asked, texts in (await _make(target, steps(wanted, await _of_target(target, wanted)))).items():
                unmade.setdefault(asked, []).extend(texts)
    return unmade


async def _make(target: Target, wanted: Iterable[Step], without: Collection[Asked] = ()) -> Unmade:
    """Makes what it can, each in a savepoint; returns why the server refuses the others.

    Leaves out what only types ``without`` need, or types that could not be made.
    """
    unmade: Unmade = {}
    for step in wanted:
        if step.asked <= {*without, *unmade}:
            continue
        try:
            async with target.transaction():
                await create_schemas(target, [step.schema])
                for statement in step.statements:
                    await target.execute(statement)
        except psycopg.Error as error:
            if is_transient(error) or target.closed or target.broken:
                raise
            for asked in step.asked:
                unmade[asked] = [f"{step.what} cannot be made in the target: {one_line(error)}"]
    return unmade


async def refusals(target: Target, wanted: Sequence[UserType], without: Collection[Asked]) -> Unmade:
    """Why the server would refuse to make types: a name that is taken, a privilege, an extension's own conditions.

    Takes what ``read`` has returned. The types are made, in a transaction that is rolled back: it changes nothing, and
    it locks nothing that anybody uses. Types ``without``, of which more is known, are not tried.
    """
    there = await _of_target(target, wanted) if wanted else {}
    if any(steps(wanted, there)):
        with suppress(psycopg.errors.LockNotAvailable):
            async with target.transaction(force_rollback=True):
                await target.execute(schema_lock())
                return await _make(target, steps(wanted, there), without)
    return {}


def of_replaced(wanted: Sequence[UserType], replaced: Collection[TargetName]) -> Unmade:
    """Why types cannot stay if they are the row types of live tables that are replaced, or have their names."""
    found: Unmade = {}
    for one in wanted:
        if TargetName(one.schema, one.name) in replaced:
            _note(found, one, f"type {one} has the name of a live table that the run replaces")
    return found


def of_columns(table: Table, unmade: Unmade) -> list[str]:
    """Which of the table's columns cannot arrive, and why."""
    return [
        f"column {column.name} of {table} cannot arrive: {text}; or exclude the column"
        for column in table.columns
        if column.user_type
        for text in unmade.get(column.user_type, ())
    ]


async def problems(target: Target, wanted: Sequence[UserType]) -> Unmade:
    """Why columns of a type cannot arrive, as far as the catalogs show it. Takes what ``read`` has returned."""
    there = await _of_target(target, wanted) if wanted else {}
    lacking = {one.extension for one in wanted if one.extension and (one.schema, one.name) not in there}
    places = await extensions.places(target, lacking)
    found = differences(wanted, there)
    for one in wanted:
        if one.extension and (one.schema, one.name) not in there:
            says = extensions.problem(one.extension, one.extension_schema or "", places)
            _note(found, one, f"type {one} is missing in the target: {says}" if says else None)
    denied = await _denied(target, [one for one in wanted if (one.schema, one.name) in there])
    for one in wanted:
        for text in denied.get((one.schema, one.name), ()):
            _note(found, one, text)
    return found


async def _denied(target: Target, wanted: Sequence[UserType]) -> dict[tuple[str, str], list[str]]:
    """Why etl's role may not use types of the target, or does not trust them (type_privileges.sql)."""
    names = {"schemas": [one.schema for one in wanted], "names": [one.name for one in wanted]}
    found: dict[tuple[str, str], list[str]] = {}
    if wanted:
        for row in await (await target.execute(target_query("type_privileges"), names)).fetchall():
            found.setdefault((row["schema"], row["name"]), []).append(row["problem"])
    return found


def differences(wanted: Sequence[UserType], there: Mapping[tuple[str, str], UserType]) -> Unmade:
    """Why types that belong to no extension cannot be as in the source: they differ, or no statement makes them."""
    found: Unmade = {}
    for one in wanted:
        _note(found, one, _problem(one, there.get((one.schema, one.name))))
    return found


def _note(found: Unmade, one: UserType, text: str | None) -> None:
    for asked in one.asked if text else ():
        found.setdefault(asked, []).append(text or "")


async def read(source: Source, tables: Sequence[Table]) -> list[UserType]:
    """The types that the tables' columns need, in the order of their dependencies."""
    names = sorted({column.user_type for table in tables for column in table.columns if column.user_type})
    if not names:
        return []
    schemas, type_names = [schema for schema, _ in names], [name for _, name in names]
    return [_type(dict(row)) for row in await source.fetch(source_query("types"), schemas, type_names)]


async def _ensure_extensions(source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Creates the extensions that indexes, constraints and statistics need and the target can install.

    If an extension cannot be created, the index cannot be built: the load then fails, or leaves the index out if the
    options say so.
    """
    oids = [table.oid for table in tables if table.indexes or table.constraints or table.statistics]
    wanted = {row["name"]: row["schema"] for row in await source.fetch(source_query("extensions"), oids)}
    if not wanted:
        return
    available = b"SELECT name::text FROM pg_catalog.pg_available_extensions WHERE installed_version IS NULL"
    names = {row["name"] for row in await (await target.execute(available)).fetchall()}
    missing = {name: schema for name, schema in wanted.items() if name in names}
    if missing:
        async with target.transaction():
            await target.execute(schema_lock())
            await _make(target, [_extension(name, schema, frozenset({("", name)})) for name, schema in missing.items()])


async def _of_target(target: Target, wanted: Sequence[UserType]) -> dict[tuple[str, str], UserType]:
    names = {"schemas": [one.schema for one in wanted], "names": [one.name for one in wanted]}
    cursor = await target.execute(target_query("types"), names)
    return {(row["schema"], row["name"]): _type(row) for row in await cursor.fetchall()}


def _type(row: dict[str, Any]) -> UserType:
    return UserType(**row | {key: tuple(row[key]) for key in ("labels", "asked_schemas", "asked_names")})


def steps(wanted: Sequence[UserType], there: Mapping[tuple[str, str], UserType]) -> Iterator[Step]:
    """What makes the types, and adds labels to enums, in order: extensions first. Types that differ are left out."""
    of_extension: dict[tuple[str, str], set[Asked]] = {}
    for one in wanted:
        if one.extension and (one.schema, one.name) not in there:
            of_extension.setdefault((one.extension, one.extension_schema or ""), set()).update(one.asked)
    yield from (_extension(name, schema, frozenset(asked)) for (name, schema), asked in of_extension.items())
    for one in wanted:
        current = there.get((one.schema, one.name))
        if one.extension or _problem(one, current):
            continue
        if current is None:
            yield Step(f"type {one}", one.schema, (sql.Composed([sql.SQL(one.statement or "")]),), frozenset(one.asked))
        elif one.statement != current.statement:
            yield Step(f"type {one}", one.schema, tuple(_grown(one, current) or ()), frozenset(one.asked))


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


def _extension(name: str, schema: str, asked: frozenset[Asked]) -> Step:
    return Step(f"extension {name}", schema, (extensions.creation(name, schema),), asked)


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
