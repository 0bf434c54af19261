"""Builds the indexes, constraints and extended statistics of a source table on its staging table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext

import psycopg
from psycopg import sql

from etl.model.catalog import Constraint, Index, Statistics
from etl.model.errors import CheckUnbuildable, IndexUnbuildable, one_line, sqlstate
from etl.model.table import Table
from etl.sessions.postgres import Target
from etl.sessions.stage import Stage


async def build_one(target: Target, table: Table, index: Index) -> None:
    """Builds one index, while other sessions build other indexes of the table; drops one that a lost session left.

    Raises IndexUnbuildable when the target's version or extensions cannot build it.
    """
    name = sql.Identifier(table.staged.schema, index.name)
    statement = sql.SQL("DROP INDEX IF EXISTS {}; {}").format(name, _create_index(table, index))
    await _execute(target, index.name, statement)


def reason_of(error: IndexUnbuildable) -> str:
    """The server's error about an index that cannot be built."""
    return one_line(error.__cause__ or error)


async def _execute(target: Target, name: str, statement: sql.Composed) -> None:
    try:
        await target.execute(statement)
    except psycopg.Error as error:
        if not is_unbuildable(error):
            raise
        raise IndexUnbuildable(f"index {name} cannot be built: {one_line(error)}; {_REMEDY}") from error


def statements(table: Table, built: Collection[str] = ()) -> list[sql.Composed]:
    """The statements that create the indexes, the constraints (one scan for all checks) and the statistics.

    The indexes named in ``built`` exist already; keys use theirs.
    """
    return [*(statement for _, statement in _index_statements(table, built)), *_without_index(table)]


async def build(
    target: Target, table: Table, built: Collection[str] = (), *, skips: bool = False, skips_checks: bool = False
) -> dict[str, str]:
    """Executes the ``statements`` one by one, and returns the reasons for those that were left out, by name.

    An index that the target's version or extensions cannot build raises IndexUnbuildable, and a check CheckUnbuildable;
    with ``skips`` or ``skips_checks``, as the options say, it is left out.
    """
    skipped: dict[str, str] = {}
    for name, statement in _index_statements(table, built):
        try:
            async with target.transaction() if skips else nullcontext():
                await _execute(target, name, statement)
        except IndexUnbuildable as error:
            if not skips:
                raise
            skipped[name] = reason_of(error)
    skipped |= await _build_checks(target, table, skips=skips_checks)
    for statistics in table.statistics:
        await target.execute(_create_statistics(table, statistics))
    return skipped


async def _build_checks(target: Target, table: Table, *, skips: bool) -> dict[str, str]:
    """Makes the checks in one scan or, if that fails, one by one: so the one that cannot be made is known by name."""
    checks, skipped = table.checks, dict[str, str]()
    if not checks:
        return skipped
    try:
        async with target.transaction():
            await target.execute(_add_constraints(table, checks))
        return skipped
    except psycopg.Error as error:
        if not is_unbuildable(error):
            raise
    for check in checks:
        try:
            async with target.transaction():
                await target.execute(_add_constraints(table, [check]))
        except psycopg.Error as error:
            if not is_unbuildable(error):
                raise
            if not skips:
                raise CheckUnbuildable(
                    f"check {check.name} cannot be made: {one_line(error)}; {_CHECK_REMEDY}"
                ) from error
            skipped[check.name] = one_line(error)
    return skipped


# The classes "feature not supported", "invalid schema name", "syntax error or access rule violation" (among them
# undefined operator classes, access methods, functions, collations) and "undefined file" (an extension's library).
_UNBUILDABLE = ("0A", "3F", "42", "58P01")
_BUILDABLE = {"42501", "42P07", "42710"}  # but for a privilege that is missing, or a name that is taken

_REMEDY = 'make the target able to, or set unbuildable_indexes = "skip" in its options'
_CHECK_REMEDY = 'make the target able to, or set unbuildable_checks = "skip" in its options'


def is_unbuildable(error: psycopg.Error) -> bool:
    """Whether the target needs another version, extension or function before it can build the index."""
    state = sqlstate(error) or ""
    return state.startswith(_UNBUILDABLE) and state not in _BUILDABLE


def _index_statements(table: Table, built: Collection[str]) -> Iterator[tuple[str, sql.Composed]]:
    for index in table.indexes:
        if index.name not in built:
            yield index.name, _create_index(table, index)
    for constraint in table.constraints:
        if constraint.has_index:
            definition = constraint.definition_using_index if constraint.name in built else constraint.definition
            add = sql.SQL(Stage.INDEX + " ALTER TABLE {} ADD CONSTRAINT {} {}")
            names = table.staged.identifier, sql.Identifier(constraint.name)
            yield constraint.name, add.format(*names, sql.SQL(definition))


def _without_index(table: Table) -> Iterator[sql.Composed]:
    if table.checks:
        yield _add_constraints(table, table.checks)
    for statistics in table.statistics:
        yield _create_statistics(table, statistics)


def _create_index(table: Table, index: Index) -> sql.Composed:
    return sql.SQL(Stage.INDEX + " CREATE {}INDEX {} ON {} {}").format(
        sql.SQL("UNIQUE " if index.unique else ""),
        sql.Identifier(index.name),
        table.staged.identifier,
        sql.SQL(index.definition),
    )


def _create_statistics(table: Table, statistics: Statistics) -> sql.Composed:
    name = sql.Identifier(table.staged.schema, statistics.name)
    return sql.SQL("CREATE STATISTICS {} {} FROM {}").format(
        name, sql.SQL(statistics.definition), table.staged.identifier
    )


def _add_constraints(table: Table, constraints: Sequence[Constraint]) -> sql.Composed:
    """One statement for all, which reads the rows once."""
    parts = (
        sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(constraint.name), sql.SQL(constraint.definition))
        for constraint in constraints
    )
    return sql.SQL("ALTER TABLE {} {}").format(table.staged.identifier, sql.SQL(", ").join(parts))
