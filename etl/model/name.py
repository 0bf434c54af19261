"""The names of a relation in the source, of its table in the target, and of the places where that table may be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from psycopg import sql

MAX_NAME_BYTES = 63
"""PostgreSQL's limit on a name (NAMEDATALEN - 1)."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the source; two relations are equal if schema and name are.

    ``kind`` (pg_class.relkind), ``oid`` and whether it is an extension's member come from the catalog; a relation that
    was not read from it has defaults.
    """

    schema: str
    name: str
    kind: str = field(default="r", compare=False)
    is_partition: bool = field(default=False, compare=False)
    oid: int = field(default=0, compare=False)
    is_member: bool = field(default=False, compare=False)

    @property
    def identifier(self) -> sql.Identifier:
        """The name, quoted."""
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return label(self.schema, self.name)


class Place(StrEnum):
    """Where a table of the target may be: each place of a live schema is a schema, whose name begins with the value."""

    LIVE = ""
    """The schema that readers query."""
    STAGING = "etl_staging_"
    """The schema of staging tables."""
    ASIDE = "etl_stagingold_"
    """The schema to which a publish moves the old tables. They are dropped after the publish has committed."""

    GONE = "etl_staginggone_"
    """The schema of tables that hold the keys of the rows which a delta deletes; it is made when it is needed."""

    def schema(self, live_schema: str) -> str:
        """The name of a live schema's schema for this place; a hash shortens a name that would be too long."""
        name = self.value + live_schema
        if len(name.encode()) <= MAX_NAME_BYTES:
            return name
        digest = hashlib.sha256(live_schema.encode()).hexdigest()[:16]
        room = MAX_NAME_BYTES - len(self.value) - len(digest) - 1
        return f"{self.value}{live_schema.encode()[:room].decode(errors='ignore')}_{digest}"


OWN_PLACES = (Place.STAGING, Place.ASIDE)
"""The places whose schemas this tool creates."""


@dataclass(frozen=True, slots=True, order=True)
class TargetName:
    """The name of a table or view in the target, in any place."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """The name, quoted."""
        return sql.Identifier(self.schema, self.name)

    @property
    def staging(self) -> TargetName:
        """The name that a live table or view has while it is staged."""
        return TargetName(Place.STAGING.schema(self.schema), self.name)

    @property
    def gone(self) -> TargetName:
        """The name of the table with the keys of the rows that a delta deletes from a live table."""
        return TargetName(Place.GONE.schema(self.schema), self.name)

    @property
    def aside(self) -> TargetName:
        """The name that an old live table or view has until it is dropped."""
        return TargetName(Place.ASIDE.schema(self.schema), self.name)

    def __str__(self) -> str:
        return label(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Planned:
    """A table that a run copies: the relation of the source, and the live table into which its rows go."""

    source: Relation
    live: TargetName


def arrays(names: Iterable[Relation | TargetName]) -> dict[str, list[str]]:
    """The parameters ``schemas`` and ``names`` of a statement on several tables: two arrays of the same length."""
    chosen = list(names)
    return {"schemas": [table.schema for table in chosen], "names": [table.name for table in chosen]}


@lru_cache(maxsize=1 << 16)
def label(schema: str, name: str) -> str:
    """A table's name for people, logs and the ledger: ``schema.table``, quoted where it must be."""
    return ".".join(
        f'"{part.replace(chr(34), chr(34) * 2)}"' if _needs_quotes(part) else part for part in (schema, name)
    )


def _needs_quotes(part: str) -> bool:
    """Whether TABLES would read a part otherwise; at its beginning also ' and @, which stand for a quote and a file."""
    is_plain = part == part.strip() and part.isprintable() and not part.startswith(("'", "@"))
    return not is_plain or any(character in part for character in '.,*"![')
