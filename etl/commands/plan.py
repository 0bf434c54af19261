"""``etl plan``: assigns a run's tables to shards, by the seconds that their next loads are expected to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etl.commands import expected
from etl.commands.answers import BriefShard, PlanAnswer, PlanInBrief, PlanShard
from etl.commands.balance import balance, items
from etl.ledger import book, ledger
from etl.ledger.rows import PastLoads
from etl.model import limits
from etl.model.base import FullEvery
from etl.model.errors import ConfigurationError
from etl.model.name import Planned, Relation
from etl.model.selection import Selection, tables_text
from etl.sessions.postgres import Source, source_session, target_session
from etl.settings.settings import Settings
from etl.source import catalog, choice
from etl.target import claims, disclosure, guard

# The estimate for a table that no run has loaded yet. If other tables have been loaded, only its proportions matter:
# the seconds of those loads show how fast these servers are.
A_TABLE = 0.1
"""Seconds that the round trips of a load take."""
BYTES_A_SECOND = 50e6
"""Bytes of heap and TOAST that a load copies in a second."""
AN_INDEX = 0.2
"""The time that an index takes, as a fraction of the time that copying the rows takes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The tables of one container. ``seconds`` is their sum; ``expected`` is less, with ETL_JOBS loads at once."""

    number: int
    tables: tuple[str, ...]
    seconds: float
    expected: float

    @property
    def text(self) -> str:
        """The tables in the form of TABLES, which allows any character in a name."""
        return tables_text(self.tables)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's shards."""

    run_id: str
    shards: tuple[Shard, ...]

    @property
    def tables(self) -> dict[int, tuple[str, ...]]:
        """The tables' labels, by the number of the shard."""
        return {shard.number: shard.tables for shard in self.shards}

    @property
    def imbalance(self) -> float:
        """How much longer the longest shard is than the mean, as a fraction of the mean."""
        mean = sum(shard.seconds for shard in self.shards) / len(self.shards)
        return max(shard.seconds for shard in self.shards) / mean - 1 if mean else 0.0

    def in_brief(self) -> PlanInBrief:
        """The plan without the tables' names, so that its size does not depend on their number."""
        shards = [BriefShard(shard.number, len(shard.tables), round(shard.expected, 1)) for shard in self.shards]
        return PlanInBrief(self.run_id, sum(shard.tables for shard in shards), tuple(shards))

    def in_full(self) -> PlanAnswer:
        """The plan as ``etl plan`` prints it, with the tables in the form of TABLES."""
        shards = [PlanShard(shard.number, shard.text, round(shard.expected, 1)) for shard in self.shards]
        return PlanAnswer(self.run_id, tuple(shards))


async def plan(settings: Settings, most: int) -> Plan:
    """Balances the tables of TABLES into at most ``most`` shards.

    Changes nothing in the source, and in the target only the columns of an older version's ledger.
    """
    seen = await _look(settings, settings.selection)
    dealt = balance(items(seen.seconds, seen.shard, _together(settings, seen)), most)
    return _plan(settings, seen, [[table for item in shard for table in item.tables] for shard in dealt])


async def given(settings: Settings, shards: Sequence[Selection]) -> Plan:
    """Makes a plan of shards that a user wrote.

    Raises ConfigurationError for an unknown table, and for a table that is in two shards.
    """
    seen = await _look(
        settings, Selection(tuple(pattern for shard in shards for pattern in shard.patterns if not pattern.excludes))
    )
    lists = [[str(relation) for relation in shard.resolve(seen.relations)] for shard in shards]
    shard_of: dict[str, int] = {}
    for number, tables in enumerate(lists):
        for table in tables:
            if table in shard_of:
                raise ConfigurationError(f"shards {shard_of[table]} and {number} both have {table}; take it out of one")
            shard_of[table] = number
    return _plan(settings, seen, lists)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The source's relations, the chosen ones, the expected seconds of each, and the shard of its last load."""

    relations: Sequence[Relation]
    chosen: Sequence[Relation]
    seconds: Mapping[str, float]
    shard: Mapping[str, int]


async def _look(settings: Settings, selection: Selection) -> _Seen:
    async with source_session(settings.source, guard.application(settings.run_id)) as source:
        relations = await choice.relations(source, settings.options, selection)
        chosen = selection.resolve(relations)
        planned = settings.options.planned(chosen)
        sizes = await catalog.sizes(source, chosen)
        last = await _last(settings, source, planned)
    weights = {str(relation): _weight(*sizes.get(relation.oid, (0, 0))) for relation in chosen}
    whole = {table: past.whole_seconds for table, past in last.items() if past.whole_seconds}
    speed = sum(whole.values()) / sum(weights[table] for table in whole) if whole else 1.0
    known = {str(one): _expected(settings, one, last[str(one)]) for one in chosen if str(one) in last}
    seconds = {table: known.get(table) or weight * speed for table, weight in weights.items()}
    shard = {table: int(past.shard) for table, past in last.items() if past.shard and past.shard.isdecimal()}
    return _Seen(relations, chosen, seconds, shard)


def _expected(settings: Settings, relation: Relation, past: PastLoads) -> float | None:
    options = settings.options.of(relation)
    return expected.seconds(past, options.load or settings.load, options.full_every or FullEvery())


async def _last(settings: Settings, source: Source, chosen: Sequence[Planned]) -> dict[str, PastLoads]:
    """The last published loads of each table that has some.

    Raises ConfigurationError if that load masked a column that would now arrive in clear.
    """
    async with target_session(settings.target, guard.application(settings.run_id)) as target:
        if not await book.exists(target):
            return {}
        await book.ensure(target)
        await claims.refuse(target, [table.live for table in chosen], settings.job)
        await disclosure.foresee(source, target, chosen, settings.options, settings.job)
        names = [str(table.source) for table in chosen]
        return await ledger.past(target, names, limits.PLANNED_BY_NIGHTS, settings.job)


def _weight(size: int, indexes: int) -> float:
    return A_TABLE + size / BYTES_A_SECOND * (1 + AN_INDEX * indexes)


def _together(settings: Settings, seen: _Seen) -> dict[str, str]:
    """The tables to which the options give a ``together``, each with its."""
    found = {str(relation): settings.options.of(relation).together for relation in seen.chosen}
    return {table: together for table, together in found.items() if together}


def _plan(settings: Settings, seen: _Seen, shards: Sequence[Sequence[str]]) -> Plan:
    return Plan(
        settings.run_id, tuple(_shard(number, tables, seen, settings.jobs) for number, tables in enumerate(shards))
    )


def _shard(number: int, tables: Sequence[str], seen: _Seen, jobs: int) -> Shard:
    each = [seen.seconds[table] for table in tables]
    return Shard(number, tuple(tables), sum(each), max(*each, sum(each) / jobs))
