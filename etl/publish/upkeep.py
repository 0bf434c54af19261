"""The upkeep of materialized views on tables in place: which of them a publish refreshes, and which it leaves alone.

A view is left alone if it is as the last publish of its tables left it, and if no row that its query reads has changed
since: all its tables are ones of this run of which no row has changed. Whatever is doubtful is refreshed.
"""

# docs/guarantees.md, "Materialized views that are left alone"

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model.name import TargetName
from etl.model.status import LoadKind
from etl.publish.filling import Unfilled
from etl.publish.parts import Parts
from etl.sessions.postgres import Target
from etl.target import live, stored
from etl.target.live import Object
from etl.target.mergeable import Merging
from etl.target.stored import Stored
from etl.target.views import Staged

log = get_logger()


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view that is filled, and the live tables on which it rests.

    ``why`` is the reason why it is refreshed; it is empty if the view is left alone. ``query`` is a digest of its
    query, if a later publish may leave it alone, and ``rows`` the state of its rows after this publish.
    """

    view: Object
    tables: tuple[TargetName, ...]
    why: str
    query: str | None = None
    rows: str | None = None

    @property
    def state(self) -> str | None:
        """What a later publish has to find to leave the view alone."""
        return f"{self.query} {self.rows}" if self.query and self.rows else None


Upkeep = Mapping[int, View]
"""The materialized views on the tables in place, by oid."""


@dataclass(frozen=True, slots=True)
class _Judging:
    """What is known of the relations: their names, the run's tables of which changes are staged, and the last publish.

    ``recorded`` are the states of views that the last publish of each table has left.
    """

    names: Mapping[int, TargetName]
    parts: Parts
    recorded: Mapping[TargetName, Mapping[str, Any]]

    def never(self, query: Stored, judged: Upkeep) -> str:
        """Why no publish like this one may leave a view alone, or nothing."""
        if query.impure:
            return f"its query {query.impure}"
        others = (name for oid, name in query.reads.items() if oid not in judged and self._table(oid) is None)
        return next((f"its query reads {name}, of which this run copies no changes" for name in others), "")

    def now(self, query: Stored, judged: Upkeep) -> str:
        """Why it is refreshed tonight, or nothing."""
        for oid, name in query.reads.items():
            if oid in judged and judged[oid].why:
                return f"{name} is refreshed"
            if (table := self._table(oid)) and self.parts[table].kind != LoadKind.UNCHANGED:
                return f"{name} has changed"
        return ""

    def is_as_recorded(self, view: View) -> bool:
        """Whether a view is as the last publish of each of its tables left it."""
        states = [(self.recorded.get(table, {}).get(str(view.view)) or {}).get("state") for table in view.tables]
        return bool(states) and set(states) == {view.state}

    def _table(self, oid: int) -> TargetName | None:
        name = self.names.get(oid)
        return name if name in self.parts else None


async def judge(target: Target, found: Sequence[Object], parts: Parts, *, rows_go_later: bool) -> dict[int, View]:
    """Tells for each filled materialized view whether it is refreshed; none if no table has changes of its own alone.

    ``found`` are the tables in place, and the views on them. ``rows_go_later`` says that rows are deleted after this.
    """
    filled = [one for one in live.views(found) if one.kind == "m" and one.is_populated]
    if not filled or not parts:
        return {}
    queries, resting = await stored.read(target, filled), _resting(found)
    recorded = await ledger.views(target, [one.full_name for one in found if one.is_live])
    judging = _Judging({one.oid: one.full_name for one in found if one.is_live}, parts, recorded)
    judged: dict[int, View] = {}
    for one in filled:  # those that another one reads come first
        judged[one.oid] = await _judged(target, View(one, resting[one.oid], ""), queries.get(one.oid), judging, judged)
        if rows_go_later and not judged[one.oid].why:
            judged[one.oid] = replace(judged[one.oid], why="rows go at the end of the publish", query=None)
    return judged


async def _judged(target: Target, view: View, query: Stored | None, judging: _Judging, judged: Upkeep) -> View:
    if query is None:
        return replace(view, why="it was made anew meanwhile")
    if never := judging.never(query, judged):
        return replace(view, why=never)
    may_stay = replace(view, query=query.query)
    if now := judging.now(query, judged):
        return replace(may_stay, why=now)
    as_it_is = await _with_rows(target, may_stay)
    return as_it_is if judging.is_as_recorded(as_it_is) else replace(may_stay, why="no publish has left it as it is")


def _resting(found: Sequence[Object]) -> dict[int, tuple[TargetName, ...]]:
    """The live tables on which each view rests, however indirectly."""
    resting: dict[int, list[TargetName]] = {}
    for table, together in live.together(found).items():
        for one in together:
            resting.setdefault(one.oid, []).append(table)
    return {oid: tuple(dict.fromkeys(tables)) for oid, tables in resting.items()}


async def _with_rows(target: Target, view: View) -> View:
    return replace(view, rows=(await stored.states(target, [view.view])).get(view.view.oid))


async def waiting(
    target: Target, free: Collection[TargetName], found: Sequence[Object], *, is_whole_run: bool = False
) -> dict[TargetName, Merging]:
    """The ``free`` tables with a materialized view that could only be refreshed while its readers wait.

    A swap makes such a view anew, beside its readers; but for one whose query may read what the catalog does not
    record. That one counts if the whole run is not to be a mixture: the rows of such a refresh are frozen, so an
    older snapshot would see today's in the view, and yesterday's in merged tables.
    """
    filled = [view for view in live.views(found) if view.kind == "m" and view.is_populated]
    if not filled or not free:
        return {}
    always = _never_left_alone(filled, await stored.read(target, filled), await ledger.known(target))
    held_up: dict[TargetName, Merging] = {}
    for table, together in live.together(found).items():
        held = [
            view
            for view in together
            if view in filled and not (view.refreshes_concurrently or (view.unproven and not is_whole_run))
        ]
        if held and table in free:
            view = next((one for one in held if one.oid in always), held[0])
            text = (
                f"the readers of materialized view {view} would wait for its refresh; give it a unique index of columns"
            )
            held_up[table] = Merging(waits=text, always=view.oid in always)
    return held_up


def _never_left_alone(
    filled: Sequence[Object], queries: Mapping[int, Stored], tables: Collection[TargetName]
) -> set[int]:
    """The materialized views, by oid, that every publish refreshes, if the runs have no other ``tables`` than these."""
    never: set[int] = set()
    views = {view.oid for view in filled}
    for view in filled:  # those that another one reads come first
        query = queries.get(view.oid)
        others = query and any(oid not in views and name not in tables for oid, name in query.reads.items())
        if query is None or query.impure or others or never.intersection(query.reads):
            never.add(view.oid)
    return never


async def made(target: Target, staged: Staged, tables: Collection[TargetName]) -> dict[int, View]:
    """The materialized views that a swap makes on these tables, in the state in which they are in staging."""
    ready = {view.full_name.staging: view for view in staged.ready if view.kind == "m" and view.is_populated}
    if not ready or not tables:
        return {}
    lives = {table.staging: table for table in tables}
    found = await live.objects(target, lives)
    copies = [one for one in found if one.full_name in ready]
    queries, rows, resting = await stored.read(target, copies), await stored.states(target, copies), _resting(found)
    return {
        one.oid: View(
            ready[one.full_name],
            tuple(lives[table] for table in resting[one.oid]),
            "a swap has made it",
            None if queries[one.oid].impure else queries[one.oid].query,
            rows[one.oid],
        )
        for one in copies
    }


def left_alone(upkeep: Upkeep) -> set[int]:
    """The views that are left alone, by oid."""
    return {oid for oid, one in upkeep.items() if not one.why}


async def refreshed(target: Target, upkeep: Upkeep, unfilled: Unfilled) -> dict[int, View]:
    """The views after the refresh of those that are not ``unfilled``."""
    later = {view.oid for view in (*unfilled.before, *unfilled.after)}
    wanted = [one for oid, one in upkeep.items() if one.why and one.query and oid not in later]
    return {**upkeep, **{one.view.oid: await _with_rows(target, one) for one in wanted}}


async def record(target: Target, run_id: str, upkeep: Upkeep, unfilled: Unfilled) -> None:
    """Writes into the ledger what was done with each view, when all of them are filled.

    Readers wait meanwhile. So the rows of a view are not read: one whose refresh may be concurrent, and was not, is
    refreshed by the next publish, too.
    """
    if not upkeep:
        return
    judged = {view.oid: view for view in unfilled.before if view.oid in upkeep and upkeep[view.oid].query}
    last = [view for view in judged.values() if not view.refreshes_concurrently]
    states = await stored.states(target, last)
    done = {oid: replace(one, rows=states[oid]) if oid in states else one for oid, one in upkeep.items()}
    of_tables: dict[TargetName, dict[str, Any]] = {}
    for one in done.values():
        for table in one.tables:
            of_tables.setdefault(table, {})[str(one.view)] = {"refreshed": one.why or None, "state": one.state}
    await ledger.record_views(target, run_id, of_tables)


def say(upkeep: Upkeep) -> None:
    """Logs what was done with each view."""
    for one in upkeep.values():
        if one.why:
            log.info("view.refreshed", view=str(one.view), reason=one.why)
        else:
            log.info("view.unchanged", view=str(one.view))
