"""The staging tables of runs that the gate has stopped: kept for a while, and dropped by a run that comes later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model.name import TargetName
from etl.model.redaction import own_words
from etl.sessions.postgres import Target
from etl.target import guard, staging

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A stopped run whose staging tables are kept."""

    run_id: str
    until: datetime | None
    tables: frozenset[TargetName]

    def useless(self, run_id: str, chosen: Collection[TargetName]) -> str | None:
        """Why its tables are of no use to anybody any more, now that a run loads ``chosen``; None if they may be.

        They are published together or not at all, so none of them is of use without the others.
        """
        if taken := sorted(self.tables.intersection(chosen)):
            return f"run {run_id} took over {', '.join(map(str, taken))}"
        if self.until is None or self.until < datetime.now(UTC):
            return "the time for which they were kept is over"
        return None


async def discard(control: Target, run_id: str, chosen: Collection[TargetName]) -> None:
    """Drops the staging tables of stopped runs whose time is over, or of which a run loads a table now.

    Takes the tables of the run, whose locks this session has.
    """
    for stopped in await _stopped(control):
        if stopped.run_id != run_id and (reason := stopped.useless(run_id, chosen)):
            await _discard(control, stopped, chosen, reason)


async def _stopped(control: Target) -> list[_Stopped]:
    found: dict[tuple[str, datetime | None], set[TargetName]] = {}
    for kept in await ledger.kept(control):
        found.setdefault((kept.run_id, kept.kept_until), set()).add(kept.live)
    return [_Stopped(run_id, until, frozenset(tables)) for (run_id, until), tables in found.items()]


async def _discard(control: Target, stopped: _Stopped, chosen: Collection[TargetName], reason: str) -> None:
    mine = stopped.tables.intersection(chosen)
    # a table that is not free is loaded by another process, which makes its staging table anew
    free = [table for table in sorted(stopped.tables - mine) if await guard.try_lock(control, [table])]
    # `etl publish` locks all tables of a run, so with the lock of one of them nobody publishes the run
    if mine or free:
        left = [table for other in await _stopped(control) if other.run_id == stopped.run_id for table in other.tables]
        async with control.transaction():
            await ledger.not_published(control, stopped.run_id, own_words(f"never published; {reason}"), left)
            await ledger.forget_kept(control, stopped.run_id)
        await staging.drop(control, [table for table in left if table in mine or table in free])
        log.warning("run.discarded", stopped_run_id=stopped.run_id, tables=len(left), reason=reason)
    await guard.unlock(control, free)
