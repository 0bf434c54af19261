"""The view ``etl.freshness``, which tells every reader as of when each live table is: its creation, and its upgrade.

All roles may read it, and so use the ledger's schema. The ledger's tables stay with those who could read them before.
No run fails because the view cannot be made.
"""

# docs/decisions.md, "As of when a table is, a view of the ledger tells"

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import psycopg

from etl.ledger.parts import COLUMNS, SCHEMA, Part
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import one_line
from etl.model.redaction import own_words
from etl.sessions.advisory import schema_lock
from etl.sessions.postgres import Target
from etl.sessions.query import target_query

NAME = "freshness"

VIEW = 1
"""The number of the view's definition (``sql/ledger/freshness.sql``), which each change of it raises.

The comment on the view has it. A version leaves a view with a higher number alone: a later version has made it, whose
columns are these and more.
"""

_VIEW = re.compile(r"\(view (\d+) of the ledger")

_COMMENT = (
    "As of when each live table is, for every role that may read the table: docs/contract.md of nightly-etl"
    f" (view {VIEW} of the ledger)"
)

log = get_logger()


def is_current(parts: Collection[Part]) -> bool:
    """Whether a ledger with these parts has the view, in this version or a later one."""
    return _number(parts) >= VIEW


def _number(parts: Iterable[Part]) -> int:
    """The number of the view's definition; 0 if there is no view of this tool's."""
    said = [found for relation, part in parts if relation == "view" and (found := _VIEW.search(part))]
    return int(said[0][1]) if said else 0


async def ensure(target: Target, parts: Collection[Part]) -> None:
    """Makes the view, or brings it up to date; a failure is logged, and the next run tries again.

    What somebody has granted or revoked on a view that is there stays.
    """
    is_new = not _number(parts)
    try:
        async with target.transaction():
            await target.execute(schema_lock())
            await target.execute(f"SET LOCAL lock_timeout = {limits.LEDGER_LOCK_MS}".encode())
            await target.execute(target_query(f"ledger/{NAME}"), {})
            await target.execute(f"COMMENT ON VIEW {SCHEMA}.{NAME} IS '{_COMMENT}'".encode())
            if is_new:
                await keep_private(target, COLUMNS)
                await target.execute(
                    f"GRANT SELECT ON {SCHEMA}.{NAME} TO PUBLIC; GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC".encode()
                )
    except psycopg.Error as error:
        if target.closed or target.broken:
            raise
        log.warning("view.not_made", view=f"{SCHEMA}.{NAME}", error=own_words(one_line(error)))


async def keep_private(target: Target, tables: Iterable[str]) -> None:
    """Takes tables of the ledger from roles that could not use its schema but for the view.

    Does so in the caller's transaction.
    """
    cursor = await target.execute(target_query("ledger_readers"), {"tables": list(tables)})
    for row in await cursor.fetchall():
        await target.execute(row["statement"].encode())
