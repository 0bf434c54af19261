"""A publish whose commit is in doubt, because its session was lost: another session reads the ledger to settle it."""

# docs/decisions.md, "A session that does not answer is asked about"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import ConnectionFailed, EtlError, PublishFailed, PublishInDoubt, TableLocked
from etl.model.name import TargetName
from etl.model.redaction import Redactor
from etl.model.status import LoadStatus
from etl.publish import validation
from etl.sessions.postgres import Target
from etl.sessions.retry import persistently
from etl.target import guard, staging

log = get_logger()


async def settle(
    reconnect: Callable[[], Awaitable[Target]],
    run_id: str,
    tables: Sequence[TargetName],
    swapped: Sequence[TargetName],
    lost: PublishInDoubt,
    *,
    redact: Redactor,
) -> tuple[str, ...]:
    """Finds out in a new session whether a publish was committed, and if so does what comes after the commit.

    Takes the tables of the publish, and those of them that it ``swapped``. Returns what ``validation.validate``
    returns. Raises PublishFailed if the publish was not committed, PublishInDoubt if no session can be opened.
    """
    try:
        target = await persistently(
            reconnect, lambda error: isinstance(error, ConnectionFailed), limits.COMMIT_IN_DOUBT_SECONDS
        )
    except EtlError as error:
        raise PublishInDoubt(
            f"the connection was lost in the middle of the publish, and whether it was committed cannot be told:"
            f" {error}; `etl history` tells, and the live tables are of one night in any case"
        ) from lost
    try:
        # the server releases the lost session's locks when its transaction has been committed or rolled back
        await persistently(
            lambda: guard.lock(target, run_id, tables),
            lambda error: isinstance(error, TableLocked),
            limits.COMMIT_IN_DOUBT_SECONDS,
        )
        loads = await ledger.loads_of(target, [run_id])
        live_now = {load.live for load in loads if load.status == LoadStatus.PUBLISHED}
        if not set(tables) <= live_now:
            raise PublishFailed(str(lost)) from lost
        log.warning("publish.reconnected", error=redact(lost.__cause__ or lost))
        await staging.drop_aside(target, swapped)
        return await validation.validate(target, run_id, redact)
    finally:
        await target.close()
