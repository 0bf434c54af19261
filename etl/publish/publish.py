"""The one transaction in which a run's staging tables become live, and the ledger says so.

Readers of the live tables must never queue behind a publish that itself waits for someone: it asks for its
locks with a short timeout, gives way, and asks again until a deadline (``attempts.py``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

import psycopg
import structlog

from etl.model.errors import PublishBlocked, PublishInDoubt
from etl.model.name import TargetName
from etl.publish import blockers, horizon, in_doubt
from etl.publish.attempts import Attempts
from etl.publish.policy import Policy
from etl.sessions.postgres import Target
from etl.target import guard, live

LAST_TRY = 5.0
"""Seconds for another try after the sessions in the way were ended."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Published:
    """How a publish went: tables, attempts, wall seconds with the waiting, and for how long readers may have waited."""

    tables: int
    attempts: int
    seconds: float
    blocked_ms: float


async def publish(
    target: Target,
    run_id: str,
    tables: Sequence[TargetName],
    policy: Policy,
    reconnect: Callable[[], Awaitable[Target]],
) -> Published:
    """Makes a run's staged tables live, all of them or none.

    Takes an idle session on the target, and how to open another, to ask whether the commit was done if this one is
    lost. Raises CannotCarry before anything is touched when
    something hangs on a live table that could not be put back, PublishBlocked when readers hold the tables until the
    deadline, PublishFailed for the rest.
    """
    began = perf_counter()
    ordered = sorted(tables)
    publishing = Attempts(target, run_id, ordered, policy, await _in_place(target, policy))
    try:
        await publishing.until(policy.deadline)
    except PublishBlocked:
        if not policy.ends_blockers:
            raise
        await horizon.end_holders(target, await publishing.unfrozen())
        await blockers.end(target, publishing.in_use)
        await publishing.until(LAST_TRY)
    except PublishInDoubt as error:
        await in_doubt.settle(reconnect, run_id, ordered, publishing.swapped, error)
    finally:
        with suppress(psycopg.Error):  # a session that is gone has let them go
            await guard.unlock(target, publishing.locked)
    return Published(len(tables), publishing.made, perf_counter() - began, publishing.blocked_ms)


def say(done: Published) -> None:
    """Logs a publish."""
    log.info(
        "run.published",
        tables=done.tables,
        seconds=round(done.seconds, 3),
        attempts=done.attempts,
        blocked_ms=round(done.blocked_ms, 1),
    )


async def _in_place(target: Target, policy: Policy) -> list[TargetName]:
    """Gives the tables to publish in place that are there already; the others are new, and moved in."""
    return sorted([table for table in policy.in_place if await live.columns(target, table)], key=str)
