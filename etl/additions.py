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


async def refuse_foreign(target: Target, table: Relation, additions: Additions) -> None:
    """Raises CannotCarry where a check among a live table's additions calls code of others.

    An index's, like a materialized view's, runs as the table's owner; a check runs as whoever adds it. One that is NOT
    VALID is not looked at then.
    """
    checks = [name for (kind, name), made in additions.items() if kind == "check" and not made[0].endswith("NOT VALID")]
    if not checks:
        return
    oids = [one.oid for one in await live.objects(target, [table]) if one.is_live]
    named = tuple(f"constraint {name} on " for name in checks)
    if found := [str(code) for code in await trust.foreign_code(target, oids) if code.what.startswith(named)]:
        raise CannotCarry("; ".join(found))


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
    await refuse_foreign(target, current.relation, {key: wanted[key] for key in missing})
    if current.owner != staged.owner:
        await staging.give(target, staged.word, staged.relation, current.owner)
    drops = [_drop(staged, kind, name) for kind, name in gone]
    makes = [sql.SQL(statement) for key in missing for statement in wanted[key]]
    async with target.transaction():
        await at_once(target, [*drops, *makes, sql.SQL("ANALYZE {}").format(staged.identifier)])


def _drop(staged: Object, kind: str, name: str) -> sql.Composed:
    words: Mapping[str, str] = {"index": "INDEX", "statistics": "STATISTICS"}
    if kind in words:
        return sql.SQL("DROP {} {}").format(sql.SQL(words[kind]), sql.Identifier(staged.schema, name))
    return sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(staged.identifier, sql.Identifier(name))
