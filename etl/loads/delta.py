"""Loads a table by its changes: stages the rows written since the base, and the keys of those that are gone.

*Changed* rows have an xmin that the base's snapshot had not seen end (``source/changes.py``). *Gone* rows leave no
trace in the source. But the rows that have not changed are a part of those of the base; so the base's rows, without
those and without the changed rows that the live table has under the same key, are the gone ones. If there are any, the
keys of the source tell which.

Every doubt leads to a full load in the same night, with its reason. Only a doubt about the history of the source may be
settled: if all rows are proven to be the same on both sides.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import asyncpg
import psycopg
from psycopg import sql

from etl.loads.basis import Chance, Instant
from etl.loads.budget import Budget
from etl.loads.counting import Counted, Counting
from etl.loads.doubt import EXPECTED, STRAY, Doubt, EarlyDoubt, Refused, incomparable, raise_if, told, too_many, touched
from etl.loads.gone import Gone
from etl.loads.proof import NOT_LONG, Proof
from etl.loads.way import Filled, Rows, Way, Worker
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.base import Base, FullEvery, History, Published
from etl.model.errors import LoadFailed
from etl.model.status import LoadKind
from etl.model.transient import is_transient
from etl.sessions.pair import Pair
from etl.sessions.postgres import Source, Target
from etl.sessions.transaction import BEGIN, COMMIT, answers, begun
from etl.source import changes, definitions, history, stream
from etl.source.changes import Changes
from etl.target import staging, trust
from etl.target.keys import Key

log = get_logger()


@dataclass(frozen=True, slots=True)
class Delta:
    """Loads a table by its changes if that is exact and cheaper, and by another way otherwise.

    ``is_wanted`` says that a table which was loaded before is only loaded whole ``full_every`` so many nights.
    ``proof_nights`` is within how many nights all rows are proven: 1 each night, 0 never. ``at_most`` is the share of a
    table's rows from which on it is loaded whole: 0 where a table of which a row has changed is replaced in any case, 1
    where a full load would be merged, too. ``budget`` is the time for merges; without one there is always time.
    """

    rows: Rows
    chance: Chance
    instant: Instant
    otherwise: Way
    full_every: FullEvery
    proof_nights: int
    is_wanted: bool = False
    at_most: float = limits.DELTA_AT_MOST
    budget: Budget | None = None

    async def fill(self, work: Worker) -> Filled:
        """Stages the changes, or all rows; what it returns has the reason."""
        refused = self._known()
        if refused is None:
            done = await work(self._fill)
            if isinstance(done, Filled):
                return done
            refused = done
            if self.budget is not None:
                self.budget.give_back(self.rows.table.live)
        reason = refused.reason
        if self.is_wanted and not self.chance.excuses(self.full_every):
            raise LoadFailed(f'load = "delta" is not possible: {reason}')
        if self.chance.may_be_base:  # while the snapshot lives: after a crash, the history would be another one
            await work(self._ask_history)
            if self.instant.history is None:
                reason = self._without_history(reason)
        filled = await self.otherwise.fill(work)
        base = await work(lambda pair: self._base_of(pair, filled, refused.in_vain))
        return replace(filled, reason=reason, base=base)

    def _known(self) -> Refused | None:
        """Why all rows are copied, if that is known before any is counted."""
        if reason := self.chance.reason or self.chance.due(self.full_every):
            return Refused(reason, self.chance.in_vain)
        if not self.is_wanted and self.chance.hopeless:
            return Refused(self.chance.hopeless, self.chance.in_vain + 1)
        return None

    def _without_history(self, reason: str) -> str:
        """The reason of a full load that cannot be a base; raises LoadFailed if there would never be changes alone."""
        if self.is_wanted and self.chance.is_first:
            raise LoadFailed(f'load = "delta" is not possible: {history.UNKNOWN}')
        return f"{'; '.join(dict.fromkeys([reason, history.UNKNOWN]))}, so the next load copies all rows, too"

    async def _base_of(self, pair: Pair, filled: Filled, in_vain: int) -> Base | None:
        """The base that a full load is for the next night; None if no delta of it could be exact."""
        table, now, reader = self.rows.table, self.instant.history, await pair.reader()
        if not self.chance.may_be_base or now is None:
            return None
        if self.instant.seen is None:
            async with self.rows.snapshot.reading(reader, table) as source:
                await self.instant.ask_seen(source)
        assert self.instant.seen is not None
        assert table.definition is not None
        leaves = tuple(leaf for leaf in table.leaves if leaf[0] in filled.leaves)
        base = Base(now, self.instant.seen, filled.rows, table.definition, in_vain=in_vain)
        return replace(base, xids=filled.xids, leaves=leaves)

    async def _ask_history(self, pair: Pair) -> None:
        await self.instant.ask_history(await pair.reader())

    async def _fill(self, pair: Pair) -> Filled | Refused:
        """Stages the changes; the reason if that is not possible."""
        published = self.chance.published
        assert published is not None
        reader, writer = await pair.both()
        try:
            return await self._exact(reader, writer, published)
        except (Doubt, psycopg.Error, asyncpg.PostgresError) as doubt:
            if not isinstance(doubt, EXPECTED) and is_transient(doubt):
                raise  # another attempt may find the changes
            if reader.is_in_transaction():
                await reader.execute("ROLLBACK")
            return Refused(told(doubt), self.chance.in_vain + (not isinstance(doubt, EarlyDoubt)))

    async def _exact(self, reader: Source, writer: Target, published: Published) -> Filled:
        now, was = await self.instant.ask_history(reader), published.base.history
        if now is None or (other := was.other_than(now)):
            raise EarlyDoubt(history.UNKNOWN if now is None else other)
        if (strange := was.doubt(now)) is None:
            return await self._changes(reader, writer, published, now, self.proof_nights)
        try:
            filled = await self._changes(reader, writer, published, now, 1)
        except Doubt as doubt:
            raise type(doubt)(f"{strange}, and {doubt}") from None
        return replace(filled, reason=f"{filled.reason}; {strange}, and all rows are proven to be the same")

    async def _changes(
        self, reader: Source, writer: Target, published: Published, now: History, proof_nights: int
    ) -> Filled:
        """Stages the changes, if the history is that of the base, or the proof covers all rows (``proof_nights`` 1)."""
        began, table, was = perf_counter(), self.rows.table, published.base
        assert table.definition is not None
        assert self.chance.key is not None
        async with self.rows.snapshot.reading(reader, table) as source, begun(writer):
            seen = await self.instant.ask_seen(source)
            counting = Counting(self.rows, self.chance.key, published, source, writer)
            if sampled := await counting.refuses_sample(self.at_most):
                raise EarlyDoubt(self.chance.waits or sampled)
            counted = await counting.count(self._same_leaves(was))
            found = counted.found
            raise_if(counted.differs)
            raise_if(None if table.is_partitioned or found.known == (table.oid,) else "another table has got its name")
            raise_if(incomparable(was, seen, found))
            raise_if(self.chance.waits if found.changed or found.rows != was.rows else None)
            raise_if(too_many(was, found, self.at_most))
            leaves = tuple(leaf for leaf in table.leaves if leaf[0] in {*found.known, *found.new})
            base = Base(now, seen, found.rows, table.definition, was.nights + 1, was.xids, leaves)
            filled = Filled(None, found.rows, 0, 0.0, base=base, base_run=published.run_id)
            if found.changed == 0 and found.rows == was.rows:
                proven = await self._prove(source, writer, found, proof_nights)
                await writer.commit()
                filled = replace(filled, kind=LoadKind.UNCHANGED, changed=0, deleted=0, verify_seconds=proven)
                filled = replace(filled, reason="no row has changed")
            else:
                if self.budget is not None:
                    raise_if(self.budget.refuses(table.live, touched(was, found), published.row_seconds))
                filled = await self._stage(source, writer, counted, filled, proof_nights)
        await self._same_definition(reader, base)
        return replace(filled, seconds=perf_counter() - began)

    async def _stage(
        self, source: Source, writer: Target, counted: Counted, filled: Filled, proof_nights: int
    ) -> Filled:
        """Stages the changed rows, and the keys of the rows that are gone."""
        table, key, published = self.rows.table, self.chance.key, self.chance.published
        assert key is not None
        assert published is not None
        was, found = published.base, counted.found
        before = [sql.SQL(_PATIENT)] if counted.buckets else [BEGIN]
        made = await staging.create(writer, replace(table, unlogged=False), *before)
        await trust.refuse_types(writer, table, made.oid)
        select, into = changes.changed(table, was.seen.xmin, found), table.staged.identifier
        streamed = await stream.copy(source, writer, table, into, self.rows.advance, select=select)
        self.rows.compare_counts(streamed, table)
        arrived = streamed.rows_in
        raise_if(f"{found.changed:,} rows have changed, and {arrived:,} arrived" if arrived != found.changed else None)
        matched = await _matched(writer, self.rows, key)
        gone = was.rows - found.unchanged - matched
        raise_if("the rows do not balance: more are unchanged than there were" if gone < 0 else None)
        size = streamed.bytes + (await self._stage_gone(source, writer, key, counted, gone) if gone else 0)
        proven = await self._prove(source, writer, found, proof_nights, is_staged=True, is_gone=gone > 0)
        await writer.execute(COMMIT)
        filled = replace(filled, verify_seconds=proven)
        share = 100 * (found.changed + gone) / max(found.rows, 1)
        shown = f"{share:.2g}" if share < 99 else f"{share:.0f}"
        reason = f"{found.changed:,} rows changed and {gone:,} gone, {shown} % of {found.rows:,}"
        return replace(
            filled, kind=LoadKind.DELTA, oid=made.oid, bytes=size, reason=reason, changed=found.changed, deleted=gone
        )

    async def _stage_gone(self, source: Source, writer: Target, key: Key, counted: Counted, expected: int) -> int:
        """Stages the keys of the live rows that the source does not have any more; returns the bytes that it took."""
        staged = await Gone(self.rows, key, counted.found, source, writer, counted.buckets).stage(expected)
        raise_if(STRAY if staged.rows is None else None)
        unequal = f"the rows do not balance: {expected:,} are gone by number, {staged.rows:,} by key"
        raise_if(unequal if staged.rows != expected else None)
        return staged.bytes

    async def _prove(
        self,
        source: Source,
        writer: Target,
        found: Changes,
        nights: int,
        *,
        is_staged: bool = False,
        is_gone: bool = False,
    ) -> float | None:
        """Raises Doubt if a slice of both sides differs, or would differ after the publish: of 1 night, all rows.

        Returns the seconds that it took; None if no slice is due.
        """
        published, key = self.chance.published, self.chance.key
        assert published is not None
        assert key is not None
        if not nights:
            return None
        began, proof = perf_counter(), Proof(self.rows, key, found, source, writer, is_staged, is_gone)
        if (part := await proof.due(published.base.nights, nights)) is None:
            return None
        if differs := await proof.fails(part):
            log.warning("table.unlike", table=str(self.rows.table), run=published.run_id, what=differs)
            raise Doubt(f"both sides differ since run {published.run_id}, and the reason is not known: {differs}")
        return perf_counter() - began

    def _same_leaves(self, was: Base) -> set[int]:
        """The partitions that the base has, and whose columns are the same."""
        return {oid for oid, _ in {*was.leaves} & {*self.rows.table.leaves}}

    async def _same_definition(self, reader: Source, base: Base) -> None:
        """Raises Doubt if the definition has changed since the snapshot: an enum's label may, while rows are read."""
        table = self.rows.table
        now = await definitions.add(reader, [table])
        same = [(one.definition, one.obstacle) for one in now] == [(table.definition, table.obstacle)]
        if not same or not {*base.leaves} <= {*now[0].leaves}:
            raise Doubt("the definition of the table, or of what it needs, has changed")


_PATIENT = f"SET LOCAL lock_timeout = '{limits.LIVE_TABLE_LOCK_TIMEOUT}'"
"""The count by buckets has set a short one for its transaction, which ends only with the load."""

_MATCHED = (
    "SELECT pg_catalog.count(*) AS rows FROM {staged} AS s WHERE EXISTS (SELECT FROM ONLY {live} AS l WHERE {same})"
)


async def _matched(writer: Target, rows: Rows, key: Key) -> int:
    """The number of staged rows whose key the live table has."""
    parts = {
        "staged": rows.table.staged.identifier,
        "live": rows.table.live.identifier,
        "same": key.same("l", "s"),
    }
    count = sql.SQL(_MATCHED).format(**parts)
    ((row,),) = await answers(writer, [*NOT_LONG, staging.analyze(rows.table), count])
    return int(row["rows"])
