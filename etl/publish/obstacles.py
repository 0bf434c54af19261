"""All obstacles that the catalogs of both sides show before the first load: to a load, and to the publish.

``etl check`` reports them, and ``etl run`` and ``etl snapshot`` ask for them when they start. The publish asks its way
(``way.py``) again, because the attachments of a live table may change while the tables are loaded. Every query is about
all tables at once.
"""

# docs/decisions.md, "What is known at the start stops the run at the start"

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import chain

import psycopg

from etl.ledger import book, ledger
from etl.logs.log import get_logger
from etl.model.errors import Obstructed
from etl.model.name import OWN_PLACES, Planned, TargetName
from etl.model.shape import TableOptions
from etl.model.table import Table
from etl.publish import upkeep
from etl.publish.inplace import InPlace
from etl.publish.policy import Policy
from etl.publish.swap import Swap
from etl.publish.way import Obstacles
from etl.sessions.postgres import Source, Target
from etl.settings.settings import Settings
from etl.source import bodies, unlogged
from etl.target import collations, event_triggers, live, names, needs, privileges, trust, types
from etl.target.live import Object
from etl.target.mergeable import Mergeable, Merging
from etl.target.needs import Made, Need
from etl.target.privileges import OfTarget

log = get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """The obstacles: of the target as a whole, and of each table by its live name.

    ``live`` has the live tables that exist, each with the views that depend on it.
    """

    target: tuple[str, ...] = ()
    tables: Obstacles = field(default_factory=dict)
    live: dict[TargetName, list[Object]] = field(default_factory=dict)

    @property
    def lines(self) -> list[str]:
        """All obstacles, each with the table or "target" before it, in order."""
        return [
            *(f"the target {text}" for text in self.target),
            *(f"{table}: {text}" for table, texts in sorted(self.tables.items()) for text in texts),
        ]


async def stop(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Raises Obstructed naming all obstacles; if the publish is deferred, warns of each, and lets the run go on."""
    if settings.publish == "defer":
        await warn(settings, source, target, tables)
    elif lines := (await find(settings, source, target, tables)).lines:
        raise Obstructed(lines)


async def warn(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Warns of each obstacle: until the publish there is time to remove it."""
    for line in (await find(settings, source, target, tables)).lines:
        log.warning("run.obstructed", error=settings.redact(line))


async def of_merges(settings: Settings, target: Target, tables: Sequence[Table]) -> dict[TargetName, Merging]:
    """Whether the changes of tables can be merged into their live tables, by live table."""
    found = await live.objects(target, [table.live for table in tables])
    policy = Policy.of(settings, [Planned(table.source, table.live) for table in tables])
    planned = settings.publish_way != "swap"  # no statement is executed there
    way = InPlace(frozenset(table.live for table in tables), planned=planned)
    refused, items = await way.examine(target, found, _arriving(tables))
    arriving = {table.live: table for table in tables}
    into = {item.table: _merging(item, arriving[item.table], may_fire=item.table in policy.fires) for item in items}
    free = _may_be_swapped(settings, policy, tables)
    held_up = await upkeep.waiting(target, free, found, is_whole_run=settings.publish_way == "auto")
    for table, waiting in held_up.items():
        if table in into:
            into[table] = replace(into[table], waits=waiting.waits, always=waiting.always)
    if unable := await _unable_to_merge(target, tables):
        into = {table: Merging(one.key, one.reason or unable) for table, one in into.items()}
    return into | {table: Merging(reason="; ".join(reasons)) for table, reasons in refused.items() if reasons}


async def _unable_to_merge(target: Target, tables: Sequence[Table]) -> str:
    """What the target does not let etl's role do that only loads of changes, and their merges, need; or nothing."""
    found = await privileges.of_deltas(target, {table.live.schema for table in tables})
    lacking = list(found.lacking)
    if found.has_event_triggers and not lacking:
        lacking = await event_triggers.of_merges(target, tables)
    return "; ".join(f"the target {text}" for text in lacking)


def _merging(item: Mergeable, arriving: Table, *, may_fire: bool) -> Merging:
    """Whether the changes of an arriving table can be merged.

    A full load leaves a constraint of the reporting side NOT VALID, but a merge would have to satisfy it. A swap fires
    no trigger, so a night that merges would do what another night does not, unless all nights are in place.
    """
    if item.fires and not may_fire:
        return Merging(
            reason=f"{', '.join(item.fires)} would fire, but not where the table is replaced; drop or disable that, or"
            ' set publish = "in-place" and triggers = "fire" for the table'
        )
    own = {constraint.name for constraint in arriving.constraints}
    if not_valid := [name for name in item.not_valid if name not in own]:
        return Merging(item.keys.key, f"{', '.join(not_valid)} is NOT VALID, and rows may violate it")
    nullable = {column.name for column in arriving.columns if not column.not_null}
    if filled := [column.name for column in item.columns if not column.is_nullable and column.name in nullable]:
        return Merging(item.keys.key, f"{', '.join(filled)} of the live table is NOT NULL, and NULL may arrive")
    return Merging(item.keys.key)


def _may_be_swapped(settings: Settings, policy: Policy, tables: Sequence[Table]) -> set[TargetName]:
    """The tables that no setting or option wants to be merged, or loaded by their changes, whatever that costs."""
    if settings.publish_way == "merge":
        return set()
    if settings.publish_way == "auto":  # what holds up the readers of one table decides for all
        return {table.live for table in tables} - policy.in_place
    kinds = {table.live: settings.options.of(table.source).load or settings.load for table in tables}
    return {table for table, kind in kinds.items() if table not in policy.in_place and kind != "delta"}


async def refuse_privileges(target: Target, tables: Sequence[TargetName]) -> None:
    """Raises Obstructed if etl's role may not create in the target what every run of these live tables creates."""
    if lines := Found((await _privileges(target, tables)).lacking).lines:
        raise Obstructed(lines)


async def refuse_all(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Does the same; its message has all other obstacles, too."""
    if (await _privileges(target, [table.live for table in tables])).lacking:
        raise Obstructed((await find(settings, source, target, tables)).lines)


@asynccontextmanager
async def explained(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> AsyncIterator[None]:
    """If the target refuses to make the ledger, raises Obstructed with all obstacles, as far as they tell why."""
    try:
        yield
    except psycopg.Error:
        if target.closed or target.broken or not (found := await find(settings, source, target, tables)).target:
            raise
        raise Obstructed(found.lines) from None


async def _privileges(target: Target, tables: Sequence[TargetName]) -> OfTarget:
    return await privileges.of_target(target, {table.schema for table in tables})


async def find(settings: Settings, source: Source, target: Target, tables: Sequence[Table]) -> Found:
    """Finds the obstacles to loading and publishing tables, as far as the catalogs show them. Changes nothing.

    A shard's tables are only some of its run's: a name that another published table of the target has now is then no
    obstacle, because that table may move within the same publish.
    """
    general = await _privileges(target, [table.live for table in tables])
    tries = not general.lacking
    options = {table.oid: settings.options.of(table.source) for table in tables}
    in_place = [table for table in tables if options[table.oid].publish == "in-place"]
    swapped = [table for table in tables if options[table.oid].publish != "in-place"]
    # only those of the way's own tables, as the publish reads them: an object on another table does not go with it
    objects = [
        await live.objects(target, [table.live for table in some]) if some else [] for some in (swapped, in_place)
    ]
    everything = {one.oid: one for one in chain.from_iterable(objects)}.values()
    may_reject = tries and general.has_event_triggers
    dates = settings.comment_as_of == "on"
    rejected = (
        await event_triggers.refusals(target, tables, in_place, list(everything), comments=dates) if may_reject else []
    )
    parts = [
        await _loads(source, target, tables, options, tries=tries),
        await _swaps(settings, target, swapped, options, objects[0]),
        await _in_place(settings, target, in_place, objects[1]),
    ]
    found: Obstacles = {}
    for table in tables:
        texts = dict.fromkeys(chain.from_iterable(part.get(table.live, ()) for part in parts))
        if texts:
            found[table.live] = list(texts)
    return Found((*general.lacking, *rejected), found, live.together(objects[0]) | live.together(objects[1]))


async def _loads(
    source: Source, target: Target, tables: Sequence[Table], options: Mapping[int, TableOptions], *, tries: bool
) -> Obstacles:
    """What the columns, constraints and indexes of the arriving tables need, and the target cannot be given.

    ``tries`` is whether to try out what only the server can tell: not for a role that may not create anything.
    """
    wanted = await types.read(source, tables)
    bad_types = await types.problems(target, wanted)
    needed = await needs.read(source, tables)
    bad_collations = await collations.problems(source, target, needed, tries=tries)
    of_types = {one.extension for one in wanted if one.extension}
    made = Made({(one.schema, one.name) for one in wanted}, of_types, bad_collations)
    lacking = await needs.lacking(target, tables, needed, options, made, tries=tries)
    if tries:
        bad_types |= await types.refusals(target, wanted, bad_types.keys() | _of_columns(tables, lacking, needed))
    replaced = {table.live for table in tables if options[table.oid].publish != "in-place"}
    bad_types = types.of_replaced(wanted, replaced) | bad_types
    unreadable = await bodies.problems(source, tables)
    on_primary = await unlogged.problems(source, tables)
    return {
        table.live: [
            *types.of_columns(table, bad_types),
            *lacking[table.oid],
            *unreadable.get(table.oid, ()),
            *on_primary.get(table.oid, ()),
        ]
        for table in tables
    }


def _of_columns(
    tables: Sequence[Table], lacking: Mapping[int, Sequence[str]], needed: Sequence[Need]
) -> set[types.Asked]:
    """The types of the columns for which something else is lacking, or for which the run makes a collation."""
    collated = {(need.oid, need.part) for need in needed if need.kind == "column" and need.is_made_collation}
    return {
        column.user_type
        for table in tables
        for column in table.columns
        if column.user_type
        if (table.oid, column.name) in collated
        or any(line.startswith(f"column {column.name} of {table} needs ") for line in lacking[table.oid])
    }


async def _swaps(
    settings: Settings,
    target: Target,
    tables: Sequence[Table],
    options: Mapping[int, TableOptions],
    found: Sequence[Object],
) -> Obstacles:
    """What stands in the way of the swap: on the live tables, in their schemas, and where old tables are put aside."""
    if not tables:
        return {}
    parts = [
        await Swap().obstacles(target, found, _arriving(tables)),
        await _aside(target, tables),
        await _additions(settings, target, tables, found, options),
    ]
    return {table.live: [text for part in parts for text in part.get(table.live, ())] for table in tables}


async def _in_place(settings: Settings, target: Target, tables: Sequence[Table], found: Sequence[Object]) -> Obstacles:
    if not tables:
        return {}
    policy = Policy.of(settings, [Planned(table.source, table.live) for table in tables])
    refused = await InPlace(policy.fires).obstacles(target, found, _arriving(tables))
    together = live.together(found)
    filled = [one for one in found if one.kind == "m" and not one.is_live]
    refusals = [one for one in await privileges.refusals(target, filled) if not one.is_of_swap] if filled else []
    return {
        table.live: [
            *refused.get(table.live, ()),
            *(str(one) for one in refusals if one.oid in {view.oid for view in together.get(table.live, ())}),
        ]
        for table in tables
    }


def _arriving(tables: Sequence[Table]) -> dict[TargetName, list[tuple[str, str]]]:
    return {table.live: [(column.name, column.type) for column in table.columns] for table in tables}


async def _additions(
    settings: Settings,
    target: Target,
    tables: Sequence[Table],
    found: Sequence[Object],
    options: Mapping[int, TableOptions],
) -> Obstacles:
    """Names that are taken, and checks of the reporting side that call untrusted functions."""
    current = {one.full_name: one for one in found if one.is_live}
    known = await _known(target, tables)
    if known is None:  # the ledger of an older version: what is an addition is not known before the run has begun
        return {}
    wanted = [
        one
        for table in tables
        for one in names.brought(
            table,
            current.get(table.live),
            known[table.live],
            without_indexes=options[table.oid].without_target_indexes,
        )
    ]
    aside = {one.oid for one in found}
    elsewhere = await _of_other_shards(settings, target, tables)
    problems: Obstacles = {}
    taken = await names.taken(target, wanted)
    for table, text in names.problems(wanted, taken, goes=lambda one: one.table_oid in aside | elsewhere):
        problems.setdefault(table, []).append(text)
    for table, text in await _untrusted(target, current, known):
        problems.setdefault(table, []).append(text)
    return problems


async def _known(target: Target, tables: Sequence[Table]) -> dict[TargetName, set[str]] | None:
    """The names that the source brings or has brought to each table; None if the ledger cannot tell."""
    carried: Mapping[TargetName, Collection[str]] = {}
    if await book.is_current(target):
        carried = await ledger.carried(target, [table.live for table in tables])
    elif await book.exists(target):
        return None
    return {table.live: {*table.carried, *carried.get(table.live, ())} for table in tables}


async def _of_other_shards(settings: Settings, target: Target, tables: Sequence[Table]) -> set[int]:
    """The published tables that other shards of the run may copy; none if this process copies all tables of the run."""
    if (settings.shard is None and settings.snapshot == "own") or not await book.is_current(target):
        return set()
    others = await ledger.known(target) - {table.live for table in tables}
    return {one.oid for one in await live.objects(target, others)}


async def _untrusted(
    target: Target, current: Mapping[TargetName, Object], known: Mapping[TargetName, Collection[str]]
) -> list[tuple[TargetName, str]]:
    """Checks that the reporting side has added, and that would call an untrusted function when they are validated."""
    by_oid = {one.oid: table for table, one in current.items()}
    if not by_oid:
        return []
    found = [code for code in await trust.untrusted_code(target, by_oid) if code.kind == "check"]
    return [(by_oid[code.oid], str(code)) for code in found if code.constraint not in known[by_oid[code.oid]]]


async def _aside(target: Target, tables: Sequence[Table]) -> Obstacles:
    """Old tables of an earlier publish on which something depends, so that they cannot be dropped."""
    found = await live.objects(target, [table.live.aside for table in tables])
    of_aside = live.together(found) if found else {}
    own = {place.schema(table.live.schema) for table in tables for place in OWN_PLACES}
    problems: Obstacles = {}
    for table in tables:
        together = of_aside.get(table.live.aside, ())
        depends = [what for one in together if one.is_live for what in one.obstacles]
        depends += [f"view {one}" for one in together if not one.is_live and one.schema not in own]
        if depends:
            problems[table.live] = [
                f"an old table that an earlier publish has put aside is in the way: on {table.live.aside} depends"
                f" {', '.join(depends)}; drop that, or change it to the live table"
            ]
    return problems
