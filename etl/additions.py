"""What the reporting side has added to a live table: indexes, constraints and extended statistics.

A load builds them on its staging table when its rows are in. What is added or dropped on the live table from then until
the publish, the staging table follows here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from psycopg import sql

from etl import ledger, live, staging, trust
from etl.errors import CannotCarry
from etl.live import Extras, Object
from etl.postgres import Target
from etl.selection import Relation
from etl.transaction import at_once

Additions = dict[tuple[str, str], list[str]]
"""The statements that make each addition on the staging table, by kind and name."""


def of(extras: Extras, known: Collection[str], *, bare: bool) -> Additions:
    """Gives the additions among what hangs on a table: what is not ``known`` to come from the source.

    A table that its options leave ``bare`` gets no indexes but the source's.
    """
    without = {"index", "constraint"} if bare else set()
    found: Additions = {}
    for kind, name, statement in extras:
        if name not in known and kind not in without:
            found.setdefault((kind, name), []).append(statement)
    return found


async def make(target: Target, staged: Relation, additions: Additions) -> None:
    """Makes additions on a staging table, in the caller's transaction.

    An index's functions, like a materialized view's, run as the table's owner; a check's run as whoever validates it.
    So a check is made without a look at the rows, and validated if all that it calls may run as this session's role:
    what is asked about is what is validated, whatever becomes of the live table meanwhile. Raises CannotCarry naming
    code of others.
    """
    checks = [name for (kind, name), made in additions.items() if kind == "check" and not _is_unproven(made[0])]
    statements = [
        f"{statement} NOT VALID" if (kind, name) == ("check", name) and name in checks and not position else statement
        for (kind, name), made in additions.items()
        for position, statement in enumerate(made)
    ]
    await staging.add(target, statements)
    if not checks:
        return
    named = tuple(f"constraint {name} on " for name in checks)
    if found := [str(code) for code in await trust.foreign_code_on(target, staged) if code.what.startswith(named)]:
        raise CannotCarry("; ".join(found))
    validate, table = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}"), sql.Identifier(staged.schema, staged.name)
    await at_once(target, [validate.format(table, sql.Identifier(name)) for name in checks])


def _is_unproven(check: str) -> bool:
    """Tells whether a check is made without a look at the rows: not validated, or since 18 not enforced."""
    return check.endswith(("NOT VALID", "NOT ENFORCED"))


async def follow(
    target: Target,
    run_id: str,
    tables: Mapping[Relation, bool],
    found: Iterable[Object],
    in_staging: Iterable[Object],
) -> None:
    """Makes the staging tables have the additions that the live tables have now.

    Takes the live tables, and whether each is left bare; and what ``live.objects`` found of them and of their staging
    tables.
    """
    old = {one.relation: one for one in found if one.is_live}
    new = {one.relation: one for one in in_staging if one.is_live}
    brought = await ledger.brought(target, run_id)
    before = await ledger.carried(target, list(tables))
    for table, bare in tables.items():
        name = Relation(table.schema, table.name)
        current, staged = old.get(name), new.get(staging.staging_name(name))
        if current is None or staged is None:
            continue
        source = brought.get(name, frozenset())
        known = source | before[table]
        if _names(current) - known or _names(staged) - source:
            wanted = of(await _extras(target, name, staged.schema), known, bare=bare)
            present = of(await _extras(target, staged.relation, staged.schema), source, bare=False)
            await _change(target, current, staged, present, wanted)


def _names(one: Object) -> set[str]:
    return {*one.indexes, *one.constraints, *one.statistics}


async def _extras(target: Target, table: Relation, staging_schema: str) -> Extras:
    return await live.extras_of(await target.execute(live.ask_extras(table, staging_schema)))


async def _change(target: Target, current: Object, staged: Object, present: Additions, wanted: Additions) -> None:
    gone = [key for key, statements in present.items() if wanted.get(key) != statements]
    missing = [key for key, statements in wanted.items() if present.get(key) != statements]
    if not gone and not missing:
        return
    if current.owner != staged.owner:
        await staging.give(target, staged.word, staged.relation, current.owner)
    async with target.transaction():
        for kind, name in gone:
            await target.execute(_drop(staged, kind, name))
        await make(target, staged.relation, {key: wanted[key] for key in missing})
        await target.execute(sql.SQL("ANALYZE {}").format(staged.identifier))


def _drop(staged: Object, kind: str, name: str) -> sql.Composed:
    words: Mapping[str, str] = {"index": "INDEX", "statistics": "STATISTICS"}
    if kind in words:
        return sql.SQL("DROP {} {}").format(sql.SQL(words[kind]), sql.Identifier(staged.schema, name))
    return sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(staged.identifier, sql.Identifier(name))
