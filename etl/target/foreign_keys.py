"""The foreign keys of live tables, which the reporting side has added: read, proven on new rows, and validated.

When PostgreSQL adds a foreign key, it scans both tables, under the publish's ACCESS EXCLUSIVE locks. So the publish
proves the key first, by a query that blocks nobody. Then it adds the key NOT VALID, which reads no row. After the
commit it validates the key, and neither readers nor writers wait for that (``publish/validation.py``).
"""

# docs/decisions.md, "A foreign key is proven before the publish and validated after it"

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.sessions.stage import Stage


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of a live table: a row of ``foreign_keys.sql``, which explains the conditions."""

    oid: int
    schema: str
    name: str
    constraint: str
    referenced_schema: str
    referenced_name: str
    is_valid: bool
    columns: tuple[str, ...]
    refers: str
    matches: str
    covers: str | None
    only: str
    is_readable: bool

    def __str__(self) -> str:
        return f"foreign key {self.constraint} of {self.table} to {self.referenced}"

    @property
    def table(self) -> TargetName:
        """The table that has the key."""
        return TargetName(self.schema, self.name)

    @property
    def referenced(self) -> TargetName:
        """The table to which the key refers."""
        return TargetName(self.referenced_schema, self.referenced_name)

    def violation(self, table: TargetName, rows: sql.Composable) -> sql.Composed:
        """The query that returns a row if a row of ``table`` has no counterpart among ``rows``."""
        matches = sql.SQL("SELECT FROM {rows} AS pk WHERE {matches}").format(rows=rows, matches=sql.SQL(self.matches))
        if self.covers is None:
            counterpart = sql.SQL("EXISTS ({})").format(matches)
        else:
            counterpart = sql.SQL("EXISTS ({} HAVING {})").format(matches, sql.SQL(self.covers))
        return sql.SQL("SELECT FROM ONLY {table} AS fk WHERE {refers} AND NOT {counterpart} LIMIT 1").format(
            table=table.identifier, refers=sql.SQL(self.refers), counterpart=counterpart
        )


def validation(table: TargetName, constraint: str) -> sql.Composed:
    """The statement that validates a key; it takes SHARE UPDATE EXCLUSIVE, which blocks no reader or writer."""
    validate = sql.SQL(Stage.VALIDATE + " ALTER TABLE {} VALIDATE CONSTRAINT {}")
    return validate.format(table.identifier, sql.Identifier(constraint))


async def read(target: Target, oids: Collection[int]) -> list[ForeignKey]:
    """Reads the foreign keys of live tables, those that are NOT VALID as well."""
    if not oids:
        return []
    cursor = await target.execute(target_query("foreign_keys"), {"oids": list(oids)})
    return [ForeignKey(**row | {"columns": tuple(row["columns"])}) for row in await cursor.fetchall()]


async def is_violated(target: Target, key: ForeignKey, table: TargetName, rows: sql.Composable) -> bool:
    """Whether a row of ``table`` has no counterpart among ``rows``; they need not be those of the live table."""
    cursor = await target.execute(key.violation(table, rows))
    return await cursor.fetchone() is not None
