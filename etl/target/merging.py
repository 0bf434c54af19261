"""Executes merges: finds the difference, and changes the rows of tables that refer to one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.errors import ExclusionViolation, UniqueViolation

from etl.sessions.postgres import Target
from etl.sessions.stage import Stage
from etl.sessions.transaction import at_once
from etl.target import merge
from etl.target.merge import Merge


@dataclass(frozen=True, slots=True)
class Collision:
    """The server's error about unique values that rows could not take.

    ``made_room``: the error was the same after the rows that change such values had made room for one another.
    """

    error: psycopg.Error
    made_room: bool


async def find(target: Target, one: Merge) -> bool:
    """Finds the difference; whether there is one."""
    return await count(target, _named(Stage.DIFFERENCE, one.find())) > 0


async def count(target: Target, statements: Sequence[sql.Composable]) -> int:
    """Executes statements; returns the number of pairs of rows that the last statement counts."""
    row = await (await at_once(target, statements)).fetchone()
    assert row is not None
    return int(row["pairs"])


async def execute(target: Target, family: Sequence[Merge]) -> Collision | None:
    """Changes the rows of tables that refer to one another; with nothing done, returns the collision that prevents it.

    Rows rarely take unique values from one another, so the statement is tried as it is. If it fails for that reason,
    it is tried again after each of the remedies.
    """
    steps = merge.statements(family)
    collision = await _tried(target, steps)
    if collision is None:
        return None
    made_room = False
    for remedy in merge.remedies(family):
        failure = await _tried(target, steps, remedy)
        if failure is None:
            return None
        made_room = made_room or isinstance(failure, UniqueViolation | ExclusionViolation)
    return Collision(collision, made_room)


async def _tried(
    target: Target, steps: Sequence[sql.Composable], remedy: Sequence[sql.Composable] = ()
) -> psycopg.Error | None:
    """Executes a remedy and the statements of a merge; the error, with nothing done, if it is one of unique values.

    With a remedy, any error about values is: a parked row may violate a check.
    """
    expected = (psycopg.IntegrityError, psycopg.DataError) if remedy else (UniqueViolation, ExclusionViolation)
    try:
        async with target.transaction():
            await at_once(target, _named(Stage.MERGE, [*remedy, *steps]))
    except expected as error:
        return error
    return None


def _named(stage: Stage, statements: Sequence[sql.Composable]) -> list[sql.Composable]:
    """The statements, of which the first names their stage."""
    first, *others = statements
    return [sql.SQL(stage + " ") + first, *others]
