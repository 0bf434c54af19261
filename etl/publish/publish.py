"""Publishes a run: its staging tables become live, and the ledger records it, in one transaction.

Readers queue behind a lock request that waits. So a publish requests its locks with a short timeout, rolls back if it
does not get them, and tries again until a deadline (``attempts.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter

import psycopg
from psycopg import sql

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model.errors import CannotCarry, PublishBlocked, PublishFailed, PublishInDoubt, one_line
from etl.model.name import TargetName
from etl.publish import (
    attempts,
    blockers,
    dependents,
    filling,
    horizon,
    in_doubt,
    parts,
    replacement,
    stop,
    upkeep,
    validation,
)
from etl.publish.attempts import Attempt, Replaced
from etl.publish.dependents import ViewLocks
from etl.publish.filling import Unfilled
from etl.publish.parts import Beside
from etl.publish.policy import Policy
from etl.publish.replacement import Merged
from etl.publish.work import Work
from etl.sessions.postgres import Target
from etl.sessions.retry import persistently
from etl.sessions.transaction import BEGIN, COMMIT, at_once, begun
from etl.target import dating, live, staging
from etl.target.live import Object
from etl.target.views import Staged

_WRITE = sql.SQL("SELECT pg_catalog.pg_logical_emit_message(true, 'nightly-etl', '')")
"""Forces a WAL flush at commit. PostgreSQL flushes only if the transaction wrote WAL; having an xid is not enough."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """The figures of a publish: ``seconds`` include all waiting; readers may have waited for ``blocked_ms``.

    ``problems`` are the reasons why foreign keys could not be validated after the commit.
    """

    tables: int
    attempts: int
    seconds: float
    blocked_ms: float
    problems: tuple[str, ...] = ()


async def publish(
    target: Target,
    run_id: str,
    tables: Sequence[TargetName],
    policy: Policy,
    reconnect: Callable[[], Awaitable[Target]],
    *,
    committed: Callable[[Published], None] = lambda done: None,
) -> Published:
    """Makes a run's staged tables live, all of them or none, and logs that.

    Takes an idle session on the target. ``reconnect`` opens another one, to find out whether the commit succeeded if
    the first is lost. Calls ``committed`` as soon as the run is published: after that, old tables are dropped and
    foreign keys validated, and whatever ends this does not undo the publish.

    Raises RunStopped if tables have too few rows (``stop.py``); CannotCarry, before it changes anything, if an object
    on a live table could not be put back; PublishBlocked if other sessions hold locks on the tables until the deadline;
    PublishFailed or PublishInDoubt for errors of the server.
    """
    began = perf_counter()
    ordered = sorted(tables)
    await stop.refuse_too_few(target, run_id, ordered, policy)
    told: list[Published] = []

    def tell(attempts_made: int, blocked_ms: float) -> None:
        told.append(Published(len(tables), attempts_made, perf_counter() - began, blocked_ms))
        _say(told[0])
        committed(told[0])

    staged = await parts.read(target, run_id)
    staying = await parts.referenced(target, staged, ordered) if policy.is_merged else ()
    in_place = sorted({*await _in_place(target, policy), *staged, *staying})
    run = await ledger.run_of(target, run_id) if policy.dates else None
    work = Work(target, run_id, ordered, policy, in_place, tell, staged, run.snapshot_at if run else None)
    try:
        async with ViewLocks(target) as locks:
            await _published(work, locks)
        problems = await _validated(work)
    except PublishInDoubt as error:
        problems = await in_doubt.settle(reconnect, run_id, ordered, work.swapped, error, redact=policy.redact)
        if not told:
            tell(next(work.numbers) - 1, 0.0)
    except PublishFailed as error:
        if not (told or isinstance(error, PublishBlocked)):
            with suppress(psycopg.Error):  # of a session that is lost; the error to tell is the first one
                await _forget_bases(work)
        raise
    return replace(told[0], problems=problems)


async def _forget_bases(work: Work) -> None:
    """Makes the next run load its tables whole, and swap them: a merge would fail each night, and a swap might not.

    If rows were merged, a table that was loaded whole has a base of an earlier run, which would let the next one merge.
    """
    found = await ledger.bases(work.target, work.in_place) if work.policy.decided else {}
    await ledger.forget_bases(work.target, {**found, **{one: part.published for one, part in work.parts.items()}})


async def _validated(work: Work) -> tuple[str, ...]:
    """Validates the foreign keys after the commit; raises PublishInDoubt if the session was lost since the commit."""
    try:
        return await validation.validate(work.target, work.run_id, work.policy.redact)
    except psycopg.Error as error:
        if work.is_lost:
            raise _failed(work, error) from error
        raise


async def _published(work: Work, locks: ViewLocks) -> None:
    """Publishes; if other sessions block it until the deadline, and the policy says so, ends them and tries once more.

    They are ended outside of any transaction: within one, pg_stat_activity stays as it was first read (manual,
    "Viewing Statistics"), and sessions that have connected since are missing.
    """
    staged: Staged | None = None
    refused: list[str] = []
    for number, deadline in enumerate(work.patience, start=1):
        try:
            await _prepare(work, deadline)
            # views that the first round has staged are still there; each attempt looks whether they have changed
            staged = staged or await _stage(work, locks, deadline)
            await _swap(work, locks, staged, deadline)
            return
        except PublishBlocked as blocked:
            if number == len(work.patience):
                raise blocked.because(refused) from blocked
            refused += await horizon.end_holders(work.target, await _unfrozen(work))
            refused += await blockers.end(work.target, blocked.in_use or work.swapped, readers=blocked.readers)


async def _prepare(work: Work, deadline: float) -> None:
    """Sets the session's timeouts, and freezes the rows of page ranges, once no snapshot is older than they are."""
    # for statements before the attempts, too: pg_get_viewdef() locks the tables of a view
    await work.target.execute(f"SET lock_timeout = '{max(deadline, 1):g}s'; SET synchronous_commit = on".encode())
    if unfrozen := await _unfrozen(work):
        await _flush(work.target)  # VACUUM cannot mark a page all-visible before its rows' commits are flushed
        await horizon.wait(work.target, unfrozen, deadline)


async def _unfrozen(work: Work) -> dict[TargetName, int]:
    """The tables to swap whose rows were copied in page ranges, with the newest transaction that wrote them."""
    newest = await ledger.newest_xids(work.target, work.run_id)
    return {table: newest[table] for table in work.swapped if table in newest}


async def _swap(work: Work, locks: ViewLocks, staged: Staged, deadline: float) -> None:
    """Makes the staged tables live, and drops the old ones; raises PublishBlocked at the deadline."""
    try:
        await _clear_aside(work, deadline)
        await _flush(work.target)
        # rows are replaced in place once, however many attempts the swap of the other tables takes
        async with work.savepoint():
            replaced = await _replace_in_place(work, staged, deadline)
            won = await attempts.until_published(Attempt(work, locks, staged, replaced), deadline)
            began = perf_counter()
        work.committed(won.attempt.number, won.blocked_ms + (perf_counter() - began) * 1000)
        upkeep.say(won.attempt.replaced.views)
        await _drop_old(won.attempt)
    except psycopg.Error as error:
        if attempts.is_blocked(error) and not work.is_lost:
            raise await attempts.blocked(work, work.in_place, deadline, error, readers=False) from error
        raise _failed(work, error) from error


def _failed(work: Work, error: psycopg.Error) -> PublishFailed:
    reason = f"the publish failed, the live tables are as they were: {one_line(error)}"
    return (PublishInDoubt if work.is_lost else PublishFailed)(reason)


async def _stage(work: Work, locks: ViewLocks, deadline: float) -> Staged:
    """Stages the views, again while other sessions change them; raises PublishBlocked at the deadline."""
    try:
        return await persistently(lambda: dependents.stage(work, locks), attempts.is_changing, deadline)
    except psycopg.Error as error:
        if not attempts.is_blocked(error):
            raise _failed(work, error) from error
        raise await attempts.blocked(work, work.swapped, deadline, error) from error


async def _clear_aside(work: Work, deadline: float) -> None:
    """Drops the old tables that a killed run has left; raises CannotCarry if one is in use or needed."""
    if kept := await staging.drop_aside(work.target, work.swapped, deadline):
        reasons = "; ".join(kept.values())
        raise CannotCarry(f"an old table that an earlier publish has put aside is in the way: {reasons}")


async def _replace_in_place(work: Work, staged: Staged, deadline: float) -> Replaced:
    if not work.in_place:
        return Replaced()
    merging = [table for table in work.in_place if table not in parts.unchanged(work.parts)]
    await dependents.check(work, merging)
    await persistently(lambda: _lock_in_place(work), attempts.is_blocked, deadline)
    # from here on it waits for rows only: those that refer to rows that go, and that other sessions have locked
    await work.target.execute(f"SET LOCAL lock_timeout = '{max(deadline, 1):g}s'".encode())
    await parts.refuse_others(work.target, {table: work.parts[table] for table in merging if table in work.parts})
    counted = set(await ledger.with_base(work.target, work.run_id))
    beside = Beside(work.swapped, work.parts, counted)
    merged = await replacement.replace(work.target, merging, work.policy, beside) if merging else Merged()
    lives = await parts.keep(work.target, work.parts, may_be_touched=merged.may_touch_others)
    in_staging = {view.full_name.staging for view in staged.found}  # each is found as the live view that it replaces
    found = [one for one in await live.objects(work.target, work.in_place) if one.full_name not in in_staging]
    judged = await upkeep.judge(work.target, found, work.parts, rows_go_later=bool(merged.late))
    others = [view for view in live.views(found) if view.oid not in upkeep.left_alone(judged)]
    unfilled = await filling.refresh(work.target, others, staged, merged)
    _refuse_frozen(work, unfilled, found)
    await dating.stay(work.target, found, work.as_of)
    oids = {item.full_name: item.oid for item in found if item.is_live}
    views = await upkeep.refreshed(work.target, judged, unfilled)
    refreshed = tuple(view for view in others if view.kind == "m" and view.is_populated)
    return Replaced(oids, merged, unfilled, {**lives, **merged.lives}, views, refreshed)


def _refuse_frozen(work: Work, unfilled: Unfilled, found: Sequence[Object]) -> None:
    """Raises PublishFailed if a run that was decided to merge would fill a view whose rows every snapshot sees.

    The decision has found no such view, but it may be hours old.
    """
    frozen = [view for view in (*unfilled.before, *unfilled.after) if not view.refreshes_concurrently]
    if not frozen or not work.policy.decided:
        return
    resting = [
        view.oid for table, some in live.together(found).items() if table in work.policy.decided for view in some
    ]
    if views := [view for view in frozen if view.oid in resting]:
        raise PublishFailed(
            f"materialized view {views[0]} has come, or has lost its unique index, since the run has decided to merge"
            " rows; an older snapshot would see two nights; give the view a unique index of columns, or run again"
        )


async def _lock_in_place(work: Work) -> None:
    """Locks the tables against other writers; if one is in the way, logs who, with nothing locked."""
    try:
        async with work.target.transaction():
            await replacement.lock(work.target, work.in_place)
    except psycopg.Error as error:
        if attempts.is_blocked(error):
            in_the_way = await blockers.described(work.target, work.in_place, readers=False)
            log.info("publish.blocked", attempt=next(work.numbers), blocked_ms=0.0, blockers=in_the_way)
        raise


async def _drop_old(done: Attempt) -> None:
    """Drops the old tables and views; the next run drops those that could not be dropped now."""
    work = done.work
    try:
        if done.staged and done.staged.found:
            await staging.drop_views(work.target, [table.aside for table in work.swapped])
        await staging.drop_aside(work.target, work.swapped)
    except psycopg.Error as error:
        if work.is_lost:
            raise  # in_doubt.settle drops them in another session
        log.warning("publish.uncleared", error=work.policy.redact(error))


async def _flush(target: Target) -> None:
    """Flushes WAL now, so that the publish's commit, for which readers wait, has less to flush."""
    async with begun(target):
        await at_once(target, [BEGIN, _WRITE, COMMIT])


def _say(done: Published) -> None:
    log.info(
        "run.published",
        tables=done.tables,
        seconds=round(done.seconds, 3),
        attempts=done.attempts,
        blocked_ms=round(done.blocked_ms, 1),
    )


async def _in_place(target: Target, policy: Policy) -> list[TargetName]:
    """The tables to publish in place whose live table exists; the others are published by a swap."""
    return sorted(await live.columns_of(target, policy.in_place), key=str) if policy.in_place else []
