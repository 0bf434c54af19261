"""Additions: indexes, constraints and extended statistics that the reporting side has added to a live table.

A load creates them on its staging table after it has copied the rows. ``follow`` repeats on the staging table what was
added to the live table, or dropped, between the load and the publish.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from psycopg import errors, sql

from etl.ledger import ledger
from etl.model.errors import CannotCarry
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target import live, staging, trust
from etl.target.live import Extras, Object

Additions = dict[tuple[str, str], list[str]]
"""The statements that create each addition on the staging table, by kind and name."""


def of(extras: Extras, known: Collection[str], *, without_indexes: bool) -> Additions:
    """The additions among a table's extras: those whose names are not ``known`` to come from the source.

    ``without_indexes`` leaves out the reporting side's indexes and keys, as the table's options want it.
    """
    without = {"index", "constraint"} if without_indexes else set()
    found: Additions = {}
    for kind, name, statement in extras:
        if name not in known and kind not in without:
            found.setdefault((kind, name), []).append(statement)
    return found


async def make(target: Target, table: TargetName, additions: Additions) -> None:
    """Creates additions of a live table on its staging table, in the caller's transaction.

    PostgreSQL runs an index's functions as the table's owner, but a check's functions as the role that validates the
    check. So a check is first created NOT VALID. It is validated if all functions that it calls are trusted: so the
    functions that were examined are those that run, even if the live table changes meanwhile. Raises CannotCarry naming
    untrusted functions, or a primary key beside that of the source.
    """
    checks = {name for (kind, name), made in additions.items() if kind == "check" and _is_validated(made[0])}
    for (kind, name), made in additions.items():
        unproven = [f"{made[0]} NOT VALID", *made[1:]] if kind == "check" and name in checks else made
        try:
            await staging.add(target, unproven)
        except errors.InvalidTableDefinition as error:  # multiple primary keys
            raise CannotCarry(
                f"the live table {table} has the primary key {name}, and its source has another one; drop {name}, or"
                ' set indexes = "source" in the table\'s options'
            ) from error
    if checks:
        await _refuse_untrusted(target, table, checks)
        validate, staged = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}"), table.staging.identifier
        await at_once(target, [validate.format(staged, sql.Identifier(name)) for name in checks])


async def _refuse_untrusted(target: Target, table: TargetName, checks: Collection[str]) -> None:
    found = await trust.untrusted_code_on(target, table.staging)
    ours = [
        replace(one, what=f"constraint {one.constraint} on table {table}") for one in found if one.constraint in checks
    ]
    if ours:
        raise CannotCarry("; ".join(map(str, ours)))


def _is_validated(check: str) -> bool:
    """Whether all rows satisfy a check: it is not NOT VALID, and not NOT ENFORCED (since PostgreSQL 18)."""
    return not check.endswith(("NOT VALID", "NOT ENFORCED"))


async def follow(
    target: Target,
    run_id: str,
    tables: Mapping[TargetName, bool],
    found: Iterable[Object],
    in_staging: Iterable[Object],
) -> None:
    """Creates and drops additions on the staging tables, so that they have those that the live tables have now.

    Takes the live tables, each with whether its options leave out the reporting side's indexes, and the objects that
    ``live.objects`` found for them and for their staging tables.
    """
    old = {one.full_name: one for one in found if one.is_live}
    new = {one.full_name: one for one in in_staging if one.is_live}
    brought = await ledger.brought(target, run_id)
    before = await ledger.carried(target, list(tables))
    for table, without_indexes in tables.items():
        current, staged = old.get(table), new.get(table.staging)
        if current is None or staged is None:
            continue
        source = brought.get(table, frozenset())
        known = source | before[table]
        if _names(current) - known or _names(staged) - source:
            wanted = of(await _extras(target, table, staged.schema), known, without_indexes=without_indexes)
            present = of(await _extras(target, staged.full_name, staged.schema), source, without_indexes=False)
            await _change(target, current, staged, present, wanted)


def _names(one: Object) -> set[str]:
    elsewhere = {in_staging for _, _, in_staging in one.statistics_elsewhere}
    return {*one.indexes, *one.constraints, *one.statistics, *elsewhere}


async def _extras(target: Target, table: TargetName, staging_schema: str) -> Extras:
    return await live.extras_of(await target.execute(live.ask_extras(table, staging_schema)))


async def _change(target: Target, current: Object, staged: Object, present: Additions, wanted: Additions) -> None:
    gone = [key for key, statements in present.items() if wanted.get(key) != statements]
    missing = [key for key, statements in wanted.items() if present.get(key) != statements]
    if not gone and not missing:
        return
    if current.owner != staged.owner:
        await staging.give(target, staged.word, staged.full_name, current.owner)
    async with target.transaction():
        for kind, name in gone:
            await target.execute(_drop(staged, kind, name))
        await make(target, current.full_name, {key: wanted[key] for key in missing})
        await target.execute(sql.SQL("ANALYZE {}").format(staged.identifier))


def _drop(staged: Object, kind: str, name: str) -> sql.Composed:
    words: Mapping[str, str] = {"index": "INDEX", "statistics": "STATISTICS"}
    if kind in words:
        return sql.SQL("DROP {} {}").format(sql.SQL(words[kind]), sql.Identifier(staged.schema, name))
    return sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(staged.identifier, sql.Identifier(name))
