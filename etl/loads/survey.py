"""Reads the tables that a run will load from the source's catalog, and applies the options to them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from etl.loads.decision import are_too_small
from etl.logs.log import get_logger
from etl.model.errors import EtlError
from etl.model.name import Relation, TargetName
from etl.model.split import Split
from etl.model.table import Table
from etl.sessions.postgres import Source, Target, source_session
from etl.settings.settings import Settings
from etl.source import catalog, definitions, locks, ranges
from etl.source.snapshot import Snapshot
from etl.target import claims, collations, disclosure, guard, live, needs, placement, trust, types

log = get_logger()


async def survey(settings: Settings, control: Target, held: Snapshot, wanted: Sequence[Relation]) -> list[Table]:
    """Reads the wanted tables of the source, the largest first, and makes the types that they need in the target.

    The tables are locked while the catalog is read: by the snapshot's holder or, if that is another process, by this
    process, too. Raises EtlError for a table that was dropped, for options that cannot be, and for a column that was
    masked and would now arrive in clear. A table whose types cannot be made is returned as ``refused``.
    """
    options = settings.options
    async with (
        nullcontext(held.holder)
        if held.holder
        else source_session(settings.source, guard.application(settings.run_id)) as source,
        nullcontext() if held.holder else locks.sharing(source, wanted),
    ):
        tables = options.apply(await catalog.tables(source, wanted))
        await claims.refuse(control, [table.live for table in tables], settings.job)
        tables = await disclosure.refuse(control, tables, options, settings.job)
        if not held.holder:  # a holder in this process has locked and planned the options' SQL already
            await locks.share_read(source, tables, held.id)
        await trust.refuse_named(source, control, tables)
        await collations.ensure(source, control, await needs.read(source, tables))  # types may need them
        unmade = await types.ensure(source, control, tables)
        tables = [replace(table, refused=tuple(types.of_columns(table, unmade))) for table in tables]
        tables = await described(settings, source, tables)
        tables = await ranges.cut_all(source, tables, lambda table: options.of(table.source).split or Split())
    if gone := {str(relation) for relation in wanted} - {str(table) for table in tables}:
        raise EtlError(f"{', '.join(sorted(gone))} was dropped in the source while the run began; run again")
    return sorted(tables, key=lambda table: table.bytes, reverse=True)


async def described(settings: Settings, source: Source, tables: Sequence[Table]) -> list[Table]:
    """The tables; those that may be loaded by their changes have a definition."""
    if not_asked(settings, tables):
        return [*tables]
    loads = {table.oid: settings.options.of(table.source).load or settings.load for table in tables}
    found = await definitions.add(source, [table for table in tables if loads[table.oid] != "full"])
    return [*found, *(table for table in tables if loads[table.oid] == "full")]


def not_asked(settings: Settings, tables: Sequence[Table]) -> str:
    """Why no load looks for changes, whichever could; empty if they do, or none is to.

    An option that wants changes, or rows to be merged, wants the question, too; so does a limit for gone rows, which
    only a load of changes knows, and a run that merges.
    """
    options = [settings.options.of(table.source) for table in tables]
    kinds = {one.load or settings.load for one in options}
    is_wanted = "delta" in kinds or any(
        one.publish == "in-place" or one.rule.deleted_at_most.part < 1 for one in options
    )
    if is_wanted or "auto" not in kinds or settings.publish_way not in {"auto", "swap"}:
        return ""
    return are_too_small(tables)


async def placed(settings: Settings, control: Target, tables: Sequence[Table]) -> list[Table]:
    """The tables, each that is swapped with the place and the access method of its live table; the largest first."""
    in_place = [table for table in tables if settings.options.of(table.source).publish == "in-place"]
    swapped = [table for table in tables if settings.options.of(table.source).publish != "in-place"]
    both = [*await placement.like_live(control, swapped), *in_place]
    return sorted(both, key=lambda table: table.bytes, reverse=True)


async def say_drifted(control: Target, tables: Sequence[Table]) -> dict[TargetName, str]:
    """Logs how the tables' columns differ from those of the live tables that they will replace.

    Returns what it has said, by live table.
    """
    drifted = await live.drifted(control, {table.live: table.columns for table in tables})
    for table in tables:
        if table.live in drifted:
            log.info("table.drifted", table=str(table), changes=str(drifted[table.live]))
    return {name: str(changes) for name, changes in drifted.items()}
