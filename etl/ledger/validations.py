"""Validations, in ``etl.validations``: foreign keys that a publish has added NOT VALID, until they are validated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from etl.ledger.book import now
from etl.ledger.rows import Waiting
from etl.model.name import TargetName
from etl.model.redaction import Redacted
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query


async def add_waiting(
    target: Target, run_id: str, keys: Iterable[tuple[TargetName, str]], oids: Mapping[TargetName, int]
) -> None:
    """Writes which foreign keys of live tables a publish adds without a check of the rows, in its transaction.

    Takes each key as its table and its name, and the oids that the live tables will have.
    """
    for table, constraint in keys:
        added = {**_key(table, constraint, run_id), "live_oid": oids[table], "at": now()}
        await target.execute(target_query("ledger/add_waiting"), added)


async def waiting(target: Target) -> list[Waiting]:
    """The foreign keys that wait for their validation, of all runs."""
    return await rows(target, Waiting, target_query("waiting"))


async def forget_waiting(target: Target, done: Collection[Waiting]) -> None:
    """Deletes the rows of foreign keys that wait no longer."""
    for one in done:
        await target.execute(target_query("ledger/forget_waiting"), _read(one))


async def keep_waiting(target: Target, one: Waiting, error: Redacted) -> None:
    """Writes why a foreign key could not be validated; it goes on waiting."""
    why = {**_read(one), "error": encoding.spelt(target, error)}
    await target.execute(target_query("ledger/keep_waiting"), why)


def _read(one: Waiting) -> dict[str, str]:
    """The row that was read: another publish may have written it anew."""
    return _key(one.live, one.constraint_name, one.run_id)


def _key(table: TargetName, constraint: str, run_id: str) -> dict[str, str]:
    named = {"schema_name": table.schema, "relation_name": table.name, "constraint_name": constraint}
    return {**named, "run_id": run_id}
