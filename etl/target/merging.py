"""Executes merges: finds the difference, and changes the rows of tables that refer to one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic, ExclusionViolation, RaiseException, UniqueViolation

from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.target import merge, parking
from etl.target.keys import Apart
from etl.target.merge import Merge

_COLLISION = (UniqueViolation, ExclusionViolation)

_IMPOSSIBLE = (psycopg.IntegrityError, psycopg.DataError, RaiseException)
"""Errors of a way to make room: the parked value violates a check, is too long, or a trigger rejects it."""


async def find(target: Target, one: Merge) -> int:
    """Finds the difference; returns the number of its pairs."""
    return await count(target, _named(Stage.DIFFERENCE, one.find()))


async def count(target: Target, statements: Sequence[sql.Composable]) -> int:
    """Executes statements; returns the number of pairs of rows that the last statement counts."""
    row = await (await at_once(target, statements)).fetchone()
    assert row is not None
    return int(row["pairs"])


async def execute(target: Target, family: Sequence[Merge]) -> psycopg.Error | None:
    """Changes the rows of tables that refer to one another; returns the collision of unique values that prevents it.

    Rows rarely take unique values from one another, so the statement is tried as it is. While it fails for that reason,
    room is made in the index that the error names, in one way after the other.
    """
    steps = merge.statements(family)
    if len(steps) > 1:  # foreign keys have to hold after each statement, unless they can wait
        steps = [sql.SQL("SET CONSTRAINTS ALL DEFERRED"), *steps]
    left: dict[tuple[int, str], Iterator[sql.Composed]] = {}
    while (collision := await _tried(target, steps, _COLLISION)) is not None:
        found = _where(family, collision.diag)
        if found is None:
            return collision
        one, apart = found
        ways = left.setdefault((one.number, apart.name), iter(parking.ways(one, apart)))
        if not await _made_room(target, ways):
            return collision
    return None


def _where(family: Sequence[Merge], diagnostic: Diagnostic) -> tuple[Merge, Apart] | None:
    """The merge and the index that an error of unique values names."""
    name = TargetName(diagnostic.schema_name or "", diagnostic.constraint_name or "")
    found = ((one, one.into.keys.apart(name)) for one in family)
    return next(((one, apart) for one, apart in found if apart is not None), None)


async def _made_room(target: Target, ways: Iterator[sql.Composed]) -> bool:
    """Makes room in the first of the ways that is possible and concerns a row."""
    for way in ways:
        try:
            async with target.transaction():
                if await count(target, [way]) > 0:
                    return True
        except _IMPOSSIBLE:
            continue
    return False


async def _tried(
    target: Target, steps: Sequence[sql.Composable], expected: tuple[type[psycopg.Error], ...]
) -> psycopg.Error | None:
    """Executes statements; returns the error, with nothing done, if it is an expected one."""
    try:
        async with target.transaction():
            await at_once(target, _named(Stage.MERGE, steps))
    except expected as error:
        return error
    return None


def _named(stage: Stage, statements: Sequence[sql.Composable]) -> list[sql.Composable]:
    """The statements; the first one names their stage."""
    first, *others = statements
    return [sql.SQL(stage + " ") + first, *others]
