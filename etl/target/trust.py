"""Untrusted functions: those that a statement on a live table would call, and run as etl's role.

PostgreSQL runs the functions of a trigger, a rule, a constraint or an index as the role that writes to the table. SET
ROLE does not help, because a function may RESET ROLE. A function is trusted if it belongs to etl's role or to a
superuser: the owner of a function can replace its body at any time.
"""

# docs/decisions.md, "Code of other roles runs as its owner or not at all"

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from etl.model.errors import ConfigurationError, LoadFailed
from etl.model.name import TargetName
from etl.model.table import Table
from etl.sessions.postgres import Source, Target
from etl.sessions.query import source_query, target_query


@dataclass(frozen=True, slots=True)
class UntrustedCode:
    """An untrusted function that an object (``what``) of the table ``oid`` calls: a row of ``untrusted_code.sql``.

    ``constraint`` is the object's name if it is a constraint; ``role`` is etl's, as which the function would run.
    """

    oid: int
    kind: str
    what: str
    constraint: str | None
    function: str
    owner: str
    role: str

    def __str__(self) -> str:
        return (
            f"{self.what} calls {self.function}, which belongs to {self.owner} and would run as {self.role}; give the"
            f" function to {self.role}, or drop what calls it"
        )


async def untrusted_code(target: Target, oids: Collection[int]) -> list[UntrustedCode]:
    """Reads the untrusted functions that would run as this session's role when it writes rows of the tables."""
    cursor = await target.execute(target_query("untrusted_code"), {"oids": list(oids)})
    return [UntrustedCode(**row) for row in await cursor.fetchall()]


async def untrusted_code_on(target: Target, table: TargetName) -> list[UntrustedCode]:
    """Reads the untrusted functions of one table, by the table's name."""
    name = table.identifier.as_string(target)
    cursor = await target.execute("SELECT %s::pg_catalog.regclass::pg_catalog.oid AS oid", [name])
    row = await cursor.fetchone()
    assert row is not None
    return await untrusted_code(target, [row["oid"]])


async def refuse_types(target: Target, table: Table, oid: int) -> None:
    """Raises LoadFailed if rows that are written into a staging table (``oid``) could call untrusted functions.

    The types themselves have to be trusted, because a type's owner may add a constraint or a cast while the rows are
    copied. A table with PostgreSQL's own types alone needs no query.
    """
    if not any(column.user_type for column in table.columns):
        return
    cursor = await target.execute(target_query("untrusted_types"), {"oid": oid})
    found = [
        f"type {row['type']} in the target belongs to {row['owner']}, whose constraints and casts would run as"
        f" {row['role']}; hand it over: ALTER TYPE {row['type']} OWNER TO {row['role']}"
        for row in await cursor.fetchall()
    ]
    found += [str(code) for code in await untrusted_code(target, [oid]) if code.kind == "column"]
    if found:
        raise LoadFailed("; ".join(found))


async def refuse_named(source: Source, target: Target, tables: Sequence[Table]) -> None:
    """Raises ConfigurationError if the source's indexes and checks call functions that are untrusted in the target.

    The target's function of the same name need not be the source's: any role that may create functions can create it.
    """
    named = {table.oid: str(table) for table in tables if table.indexes or table.constraints or table.statistics}
    rows = await source.fetch(source_query("named_code"), list(named)) if named else []
    if not rows:
        return
    wanted = {f"{key}s": list({row[key] for row in rows if row[key]}) for key in ("function", "operator")}
    cursor = await target.execute(target_query("code_owners"), wanted)
    owners = {row["name"]: row for row in await cursor.fetchall()}
    calls = [(row, owners[name]) for row in rows if (name := row["function"] or row["operator"]) in owners]
    if calls:
        raise ConfigurationError(
            [
                f"{named[row['oid']]}: {row['what']} of the source calls {owner['function']}, which belongs to"
                f" {owner['owner']} in the target and would run as {owner['role']}; give it to {owner['role']} there"
                for row, owner in calls
            ]
        )
