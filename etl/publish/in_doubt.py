"""A publish whose session was lost at the commit: the server is asked what became of it."""

# docs/decisions.md, "A session that does not answer is asked about"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model.errors import ConnectionFailed, EtlError, PublishFailed, PublishInDoubt, TableLocked
from etl.model.name import TargetName
from etl.model.redaction import Redactor
from etl.model.status import LoadStatus
from etl.sessions.postgres import Target
from etl.sessions.retry import persistently
from etl.target import guard, staging

SETTLED = 30.0
"""Seconds to find out what became of a commit: a server that crashed comes up again."""

log = get_logger()


async def settle(
    reconnect: Callable[[], Awaitable[Target]],
    run_id: str,
    tables: Sequence[TargetName],
    swapped: Sequence[TargetName],
    lost: PublishInDoubt,
    *,
    redact: Redactor,
) -> None:
    """Asks over a new session whether a publish was committed, and clears up after it if so.

    Takes its tables, and those of them that were ``swapped``. Raises PublishFailed if it was not, PublishInDoubt where
    that cannot be told.
    """
    try:
        target = await persistently(reconnect, lambda error: isinstance(error, ConnectionFailed), SETTLED)
    except EtlError as error:
        raise PublishInDoubt(
            f"the connection was lost in the middle of the publish, and whether it was committed cannot be told:"
            f" {error}; `etl history` tells, and the live tables are of one night in any case"
        ) from lost
    try:
        # the lost session's locks are free once its transaction has ended, one way or the other
        await persistently(
            lambda: guard.lock(target, run_id, tables), lambda error: isinstance(error, TableLocked), SETTLED
        )
        loads = await ledger.loads_of(target, [run_id])
        live_now = {ledger.live_of(load) for load in loads if load["status"] == LoadStatus.PUBLISHED}
        if not set(tables) <= live_now:
            raise PublishFailed(str(lost)) from lost
        log.warning("publish.reconnected", error=redact(lost.__cause__ or lost))
        await staging.drop_aside(target, swapped)
    finally:
        await target.close()
