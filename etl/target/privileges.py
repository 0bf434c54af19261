"""What etl's role, or the owner of a materialized view, may not do in the target and has to, with what to grant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from etl.model.name import OWN_PLACES, Place
from etl.sessions import query
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.target.live import Object


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that the role may not do with a table or view, or as ``role``, if ``oid`` is None.

    ``is_of_swap`` says whether it is needed only where a table or view is made anew (unprivileged.sql).
    """

    oid: int | None
    role: str | None
    what: str
    remedy: str
    is_of_swap: bool

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


async def refusals(target: Target, found: Sequence[Object], roles: Collection[str] = ()) -> list[Refusal]:
    """Reads what is not allowed with live tables and views, and as the roles that put attachments back."""
    wanted = {"oids": [one.oid for one in found], "roles": sorted(roles)}
    return await query.rows(target, Refusal, target_query("unprivileged"), wanted)


@dataclass(frozen=True, slots=True)
class _Schema:
    """A live schema, its staging schema, and what the role may do there (target_privileges.sql)."""

    schema: str
    staging: str
    schema_exists: bool
    may_use: bool
    may_create_table: bool
    staging_exists: bool
    may_stage: bool
    may_create_schema: bool
    ledger_exists: bool
    may_record: bool
    database: str
    is_standby: bool
    read_only: bool
    role: str
    has_event_triggers: bool

    def lacking(self) -> Iterator[str]:
        """What a run needs and may not do here, but for schemas that are missing."""
        if self.is_standby:
            yield "is read-only: it is a standby; point ETL_REPORTING_URL at the primary"
        elif self.read_only:
            yield (
                "is read-only: default_transaction_read_only is on; ALTER ROLE"
                f" {self.role} SET default_transaction_read_only = off, or point ETL_REPORTING_URL at the primary"
            )
        if not self.may_record:
            yield (
                f"does not let role {self.role} write the ledger in schema etl; make that role the owner of the schema"
                " and its tables (docs/target-role.sql)"
            )
        if self.schema_exists and not self.may_use:
            yield (
                f"does not let role {self.role} use schema {self.schema}; GRANT USAGE ON SCHEMA {self.schema} TO"
                f" {self.role}"
            )
        if self.schema_exists and not self.may_create_table:
            yield self._no_tables(self.schema)
        if self.staging_exists and not self.may_stage:
            yield self._no_tables(self.staging)

    def _no_tables(self, schema: str) -> str:
        grant = f"GRANT CREATE ON SCHEMA {schema} TO {self.role}"
        return f"does not let role {self.role} create tables in schema {schema}; {grant}"

    @property
    def missing(self) -> list[str]:
        """The schemas that are missing, and that the role may not create."""
        there = (("etl", self.ledger_exists), (self.staging, self.staging_exists), (self.schema, self.schema_exists))
        return [name for name, exists in there if not exists and not self.may_create_schema]


def _missing(rows: Sequence[_Schema]) -> Iterator[str]:
    if missing := sorted({name for row in rows for name in row.missing}):
        role, database = rows[0].role, rows[0].database
        grant = f"GRANT CREATE ON DATABASE {database} TO {role}"
        yield f"lacks schema {', '.join(missing)}, which role {role} may not create; {grant}"


@dataclass(frozen=True, slots=True)
class OfTarget:
    """What etl's role lacks in the target, each once, as texts with the target as their subject."""

    lacking: tuple[str, ...]
    has_event_triggers: bool


async def of_target(target: Target, live_schemas: Iterable[str]) -> OfTarget:
    """Reads what etl's role lacks in the live schemas and its own, and whether event triggers may reject more."""
    return await _of_places(target, live_schemas, OWN_PLACES)


async def of_deltas(target: Target, live_schemas: Iterable[str]) -> OfTarget:
    """Reads the same for the schemas that only loads of changes need."""
    return await _of_places(target, live_schemas, [Place.GONE])


async def _of_places(target: Target, live_schemas: Iterable[str], places: Sequence[Place]) -> OfTarget:
    schemas = sorted(live_schemas)
    names = [place.schema(schema) for place in places for schema in schemas]
    wanted = {"schemas": schemas * len(places), "staging": names}
    rows = await query.rows(target, _Schema, target_query("target_privileges"), wanted)
    lacking = dict.fromkeys([*(text for row in rows for text in row.lacking()), *_missing(rows)])
    return OfTarget(tuple(lacking), any(row.has_event_triggers for row in rows))
