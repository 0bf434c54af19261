"""The gate of a publish: stops a run whose tables have lost too many rows, and keeps what it has staged for a while.

``etl.model.gate`` has the rules. Here are the look into the ledger and the entry of a stopped run, which every way of
publishing passes: ``etl run``, and ``etl publish`` after shards or after ETL_PUBLISH=defer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import gate
from etl.model.errors import PublishFailed, RunStopped
from etl.model.gate import Count, Finding
from etl.model.name import TargetName
from etl.model.redaction import own_words
from etl.model.status import RunStatus
from etl.publish.policy import Policy
from etl.sessions.postgres import Target
from etl.target import staging

log = get_logger()


async def refuse_too_few(target: Target, run_id: str, tables: Sequence[TargetName], policy: Policy) -> None:
    """Stops a run in the ledger, and raises RunStopped, if its tables have too few rows; passes if it was let pass.

    Raises PublishFailed if staged rows are lost, whether the run was let pass or not.
    """
    counts = await ledger.counts(target, run_id)
    _refuse_emptied(counts)
    found = gate.findings(counts, policy.rules)
    if not found or await _is_passed(target, run_id):
        return
    seconds = policy.keep_stopped
    kept_until = datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None
    error = policy.redact(gate.said(run_id, found, kept_until))
    async with target.transaction():
        await ledger.must_run(target, run_id)
        await ledger.close_run(target, run_id, RunStatus.STOPPED, error, kept_until=kept_until)
        if kept_until is None:
            await ledger.not_published(target, run_id, own_words("never published; its run was stopped"), tables)
    if kept_until is None:  # not within the transaction, which would collect the locks of all tables
        await staging.drop(target, tables)
    _say(found, kept_until)
    raise RunStopped(error)


def _refuse_emptied(counts: Sequence[Count]) -> None:
    """Raises PublishFailed naming the tables whose staged rows a crash of the target has taken.

    A later crash ends the session that publishes.
    """
    if emptied := [count.table_name for count in counts if count.is_emptied]:
        raise PublishFailed(
            f"the staging tables of {', '.join(emptied)} are UNLOGGED, and a crash of the target has emptied them;"
            " start a new run"
        )


async def _is_passed(target: Target, run_id: str) -> bool:
    run = await ledger.run_of(target, run_id)
    return run is not None and run.status == RunStatus.STOPPED and run.passed_by is not None


def _say(found: Sequence[Finding], kept_until: datetime | None) -> None:
    for each in found:
        count = each.count
        log.warning(
            "table.stopped",
            table=count.table_name,
            rows=count.rows,
            rows_deleted=count.rows_deleted,
            rows_before=count.before,
            run_before=count.before_run,
            rule=each.broken,
        )
    log.warning("run.stopped", tables=len(found), kept_until=kept_until and kept_until.isoformat(timespec="seconds"))
