"""Validations, in ``etl.validations``: foreign keys that a publish has added NOT VALID, until they are validated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from etl.ledger.book import execute, now, validations
from etl.ledger.rows import Waiting
from etl.model.name import TargetName
from etl.model.redaction import Redacted
from etl.sessions import encoding
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query

_KEY = ("schema_name", "relation_name", "constraint_name")


async def add_waiting(
    target: Target, run_id: str, keys: Iterable[tuple[TargetName, str]], oids: Mapping[TargetName, int]
) -> None:
    """Writes which foreign keys of live tables a publish adds without a check of the rows, in its transaction.

    Takes each key as its table and its name, and the oids that the live tables will have.
    """
    for table, constraint in keys:
        fresh = {"run_id": run_id, "live_oid": oids[table], "added_at": now(), "error": None}
        named = {"schema_name": table.schema, "relation_name": table.name, "constraint_name": constraint}
        statement = insert(validations).values(**named, **fresh)
        await execute(target, statement.on_conflict_do_update(index_elements=list(_KEY), set_=fresh))


async def waiting(target: Target) -> list[Waiting]:
    """The foreign keys that wait for their validation, of all runs."""
    return await rows(target, Waiting, target_query("waiting"))


async def forget_waiting(target: Target, done: Collection[Waiting]) -> None:
    """Deletes the rows of foreign keys that wait no longer."""
    for one in done:
        await execute(target, sa.delete(validations).where(_is(one)))


async def keep_waiting(target: Target, one: Waiting, error: Redacted) -> None:
    """Writes why a foreign key could not be validated; it goes on waiting."""
    spelt = encoding.spelt(target, error)
    await execute(target, sa.update(validations).where(_is(one)).values(error=spelt))


def _is(one: Waiting) -> sa.ColumnElement[bool]:
    """The condition for the row that was read: another publish may have written it anew."""
    return sa.and_(*(validations.c[name] == getattr(one, name) for name in (*_KEY, "run_id")))
