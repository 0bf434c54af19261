"""Other people's code that a statement on a live table would call, and that would run as etl's role.

A trigger, a rule, a constraint or an index calls its functions as whoever writes to the table; SET ROLE is no boundary,
because what is called may RESET ROLE. So a function is trusted that belongs to etl's own role or to a superuser, and no
other: whoever owns a function may put another body into it at any time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from etl.postgres import Target
from etl.query import target_query
from etl.selection import Relation


@dataclass(frozen=True, slots=True)
class ForeignCode:
    """A function of somebody else that ``what``, on the table of this oid, calls; as ``foreign_code.sql`` finds it.

    ``role`` is etl's, as which it would run.
    """

    oid: int
    kind: str
    what: str
    function: str
    owner: str
    role: str

    def __str__(self) -> str:
        return (
            f"{self.what} calls {self.function}, which belongs to {self.owner} and would run as {self.role}; give the"
            f" function to {self.role}, or drop what calls it"
        )


async def foreign_code(target: Target, oids: Collection[int]) -> list[ForeignCode]:
    """Reads what belongs to others and would run as this session's user when rows of the tables are written."""
    cursor = await target.execute(target_query("foreign_code"), {"oids": list(oids)})
    return [ForeignCode(**row) for row in await cursor.fetchall()]


async def foreign_code_on(target: Target, table: Relation) -> list[ForeignCode]:
    """Reads the same of one table, by name."""
    name = sql.Identifier(table.schema, table.name).as_string(target)
    cursor = await target.execute("SELECT %s::pg_catalog.regclass::pg_catalog.oid AS oid", [name])
    row = await cursor.fetchone()
    assert row is not None
    return await foreign_code(target, [row["oid"]])
