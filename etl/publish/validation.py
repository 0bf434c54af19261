"""Foreign keys of swapped tables: proven on the staged rows before the publish, and validated after its commit.

The proof reads the tables as the publish will leave them, and blocks nobody. It comes before the first lock, so that a
key that does not hold stops the publish, as a check under the locks would. Between the proof and the commit, another
session may still delete a row of a table that only the reporting side has. Then the validation fails: the run is
published, the key stays NOT VALID, and the run's exit status is 1.

The publish writes into the ledger which keys it has added, and ``validate`` deletes them there. So a key whose
validation was cut short is validated by the next publish.
"""

# docs/decisions.md, "A foreign key is proven before the publish and validated after it"

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import perf_counter

import psycopg
from psycopg import sql

from etl.ledger import ledger
from etl.ledger.rows import Waiting
from etl.logs.log import get_logger
from etl.model import drift, limits
from etl.model.errors import NotValidated, PublishFailed, one_line
from etl.model.name import TargetName
from etl.model.redaction import Redactor
from etl.sessions import advisory
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target import foreign_keys
from etl.target.foreign_keys import ForeignKey
from etl.target.live import Object

log = get_logger()


async def keys(
    target: Target, live: Sequence[Object], columns: Mapping[TargetName, Sequence[drift.Named]]
) -> list[ForeignKey]:
    """The foreign keys of live tables that have to hold for the new rows.

    Takes the columns of the new tables by their live names: a key that uses another column is dropped with it. A key
    that the reporting side has made NOT VALID stays so; one that an earlier publish has added is to be valid.
    """
    there = {table: {name for name, _ in named} for table, named in columns.items()}
    found = await foreign_keys.read(target, [table.oid for table in live if table.foreign_keys])
    if not all(key.is_valid for key in found):
        waiting = {(one.live_oid, one.constraint_name) for one in await ledger.waiting(target) if one.is_needed}
        found = [key for key in found if key.is_valid or (key.oid, key.constraint) in waiting]
    return [key for key in found if there.get(key.table, set()).issuperset(key.columns)]


async def prove(
    target: Target,
    found: Collection[ForeignKey],
    swapped: Collection[TargetName],
    remaining: Mapping[TargetName, sql.Composable],
) -> None:
    """Raises PublishFailed naming the foreign keys that do not hold for the rows that the publish will leave.

    A table that is swapped is read in staging, any other one as it is now, but for the rows that the publish will still
    delete: ``remaining`` are the others. A key to a table that this session's role may not read is not proven here.
    """
    violated = []
    for key in found:
        is_swapped = key.referenced in swapped
        referenced = key.referenced.staging if is_swapped else key.referenced
        rows = remaining.get(key.referenced) or sql.SQL(key.only + "{}").format(referenced.identifier)
        try:
            if (is_swapped or key.is_readable) and await foreign_keys.is_violated(target, key, key.table.staging, rows):
                violated.append(str(key))
        except (psycopg.errors.UndefinedFunction, psycopg.errors.DatatypeMismatch) as error:
            raise PublishFailed(f"{key} does not suit the new table: {one_line(error)}; change or drop it") from error
    if violated:
        raise PublishFailed(
            f"the new rows violate {' and '.join(violated)}: a row refers to one that is not there; correct the rows,"
            " or drop the foreign key"
        )


async def expect(target: Target, run_id: str, found: Collection[ForeignKey]) -> None:
    """Writes into the ledger which foreign keys the caller's transaction adds NOT VALID, to be validated after it."""
    if found:
        oids = await ledger.staging_oids(target, run_id)
        await ledger.add_waiting(target, run_id, [(key.table, key.constraint) for key in found], oids)


async def validate(target: Target, run_id: str, redact: Redactor) -> tuple[str, ...]:
    """Validates the foreign keys that a run's publish has added, and those of runs that have no session any more.

    Takes an idle session. Returns why keys of this run could not be validated, one line each. Logs the same of other
    runs' keys.
    """
    waiting = await ledger.waiting(target)
    others = sorted({one.run_id for one in waiting} - {run_id})
    ended = {run.name for run in await advisory.free(target, advisory.of_runs(others))} if others else set()
    tried = [(one, await _problem(target, one, redact)) for one in waiting if one.run_id in {run_id, *ended}]
    problems = [problem for one, problem in tried if problem and one.run_id == run_id]
    if problems:
        with suppress(psycopg.Error):
            await ledger.note(target, run_id, redact(_text(run_id, problems)))
    return tuple(problems)


async def _problem(target: Target, one: Waiting, redact: Redactor) -> str | None:
    """Validates one foreign key; returns why that was not possible, or None."""
    table, constraint, began = str(one.live), one.constraint_name, perf_counter()
    try:
        if one.is_needed:
            patience = sql.SQL(f"SET LOCAL lock_timeout = '{limits.VALIDATION_LOCK_TIMEOUT}'")
            await at_once(target, [patience, foreign_keys.validation(one.table, constraint)])
            seconds = round(perf_counter() - began, 3)
            log.info("foreign_key.validated", table=table, constraint=constraint, seconds=seconds)
        await ledger.forget_waiting(target, [one])
        return None
    except psycopg.Error as error:
        said = redact(error)
        log.warning("foreign_key.not_validated", table=table, constraint=constraint, error=said)
        with suppress(psycopg.Error):  # if the connection is lost, the key waits in the ledger for the next publish
            await ledger.keep_waiting(target, one, said)
        return f"{one}: {said}"


def refuse(run_id: str, problems: Sequence[str]) -> None:
    """Raises NotValidated if foreign keys of a published run could not be validated."""
    if problems:
        raise NotValidated(_text(run_id, problems))


def _text(run_id: str, problems: Sequence[str]) -> str:
    return (
        f"run {run_id} is published, but these foreign keys are NOT VALID, because their validation failed:"
        f" {'; '.join(problems)}; correct the rows: the next publish tries again"
    )
