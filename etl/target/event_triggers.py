"""Event triggers of the target that reject what a run has to do.

Only a call of its function tells whether an event trigger raises an error. So the commands of a load and of a publish
are executed on a table of no other use, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from etl.model.errors import one_line
from etl.model.name import Place, TargetName
from etl.model.table import Table
from etl.model.transient import is_transient
from etl.sessions import query
from etl.sessions.postgres import Target, create_schemas
from etl.sessions.query import target_query
from etl.target import attachments, staging
from etl.target.live import Object

NAME = "etl_rehearsal"
"""The name of the table, and of what is made on it."""


@dataclass(frozen=True, slots=True)
class _EventTrigger:
    """An event trigger, and the commands at which it fires; None for all (event_triggers.sql)."""

    name: str
    tags: list[str] | None


async def refusals(
    target: Target, tables: Sequence[Table], merged: Collection[Table], found: Sequence[Object], *, comments: bool
) -> list[str]:
    """Which commands of a run of these tables are rejected; the target is the subject of each text.

    ``merged`` are those that are published in place, and ``found`` the live tables and views. ``comments`` says that
    each publish comments on its tables. Changes nothing.
    """
    triggers = await query.rows(target, _EventTrigger, target_query("event_triggers"))
    if not triggers or not tables:
        return []
    attached = {" ".join(one.statement.split()[:2]) for one in await attachments.read(target, found)}
    attached |= {"COMMENT ON"} if comments else set()
    refused: dict[str, str] = {}
    with suppress(psycopg.errors.LockNotAvailable):
        for schema in sorted({table.live.schema for table in tables}):
            ours = [table for table in tables if table.live.schema == schema]
            async with target.transaction(force_rollback=True):  # each has a temporary table of the same name
                refused |= await _rejected(target, schema, _tags(ours, merged, found, attached))
    return _told(target, triggers, refused)


async def of_merges(target: Target, tables: Sequence[Table]) -> list[str]:
    """Which commands are rejected that only merges and loads of changes need. Changes nothing."""
    triggers = await query.rows(target, _EventTrigger, target_query("event_triggers"))
    refused: dict[str, str] = {}
    with suppress(psycopg.errors.LockNotAvailable):
        for schema in sorted({table.live.schema for table in tables}) if triggers else ():
            async with target.transaction(force_rollback=True):
                refused |= await _rejected(target, schema, {"CREATE TABLE AS"}, [Place.GONE.schema(schema)])
    # what every run needs has been tried out before
    return _told(
        target, triggers, {tag: refused[tag] for tag in ("CREATE SCHEMA", "CREATE TABLE AS") if tag in refused}
    )


def _told(target: Target, triggers: Sequence[_EventTrigger], refused: Mapping[str, str]) -> list[str]:
    return [
        f"rejects {tag} by {target.info.user}: {error}; disable event trigger {_named(triggers, tag)}, or let it except"
        " that role"
        for tag, error in refused.items()
    ]


def _named(triggers: Sequence[_EventTrigger], tag: str) -> str:
    return " or ".join(one.name for one in triggers if one.tags is None or tag in one.tags) or triggers[0].name


def _tags(
    tables: Sequence[Table], merged: Collection[Table], found: Sequence[Object], attached: Collection[str]
) -> set[str]:
    """The commands, beside those that every run has, that a run of the tables needs."""
    kinds = {one.kind for one in found if not one.is_live}
    is_commented = any(table.comment or any(column.comment for column in table.columns) for table in tables)
    wanted = {
        "CREATE INDEX": any(table.indexes for table in tables),
        "CREATE STATISTICS": any(table.statistics for table in tables),
        "CREATE TABLE AS": bool(merged),
        "COMMENT": is_commented or any(one.startswith("COMMENT ") for one in attached),
        "GRANT": any(one.startswith("GRANT ") for one in attached),
        "CREATE POLICY": "CREATE POLICY" in attached,
        "CREATE RULE": "CREATE RULE" in attached,
        "CREATE TRIGGER": "CREATE TRIGGER" in attached,
        "CREATE VIEW": "v" in kinds,
        "ALTER VIEW": "v" in kinds,
        "DROP VIEW": "v" in kinds,
        "CREATE MATERIALIZED VIEW": "m" in kinds,
        "REFRESH MATERIALIZED VIEW": "m" in kinds,
        "ALTER MATERIALIZED VIEW": "m" in kinds,
        "DROP MATERIALIZED VIEW": "m" in kinds,
    }
    return {tag for tag, is_needed in wanted.items() if is_needed}


async def _rejected(target: Target, schema: str, tags: Collection[str], own: Sequence[str] = ()) -> dict[str, str]:
    """The errors of commands, by their tags; ends at one on which the others rest. ``own`` are further schemas."""
    refused: dict[str, str] = {}
    for tag, statement in _statements(TargetName(schema, NAME), tags):
        try:
            async with target.transaction():
                if statement is None:
                    await create_schemas(target, [schema])
                    await staging.create_schemas(target, [schema])
                    await create_schemas(target, own, own=True)
                else:
                    await target.execute(statement)
        except psycopg.Error as error:
            if is_transient(error) or target.closed or target.broken:
                raise
            refused[tag] = one_line(error)
            if tag in {"CREATE SCHEMA", "CREATE TABLE", "ALTER TABLE"}:
                return refused
    return refused


def _statements(name: TargetName, tags: Collection[str]) -> Iterator[tuple[str, sql.Composed | None]]:
    """Each command and its statement, in order; None stands for the schemas that are missing."""
    staged, live = name.staging.identifier, name.identifier
    view = sql.Identifier(name.schema, f"{NAME}_view")
    yield "CREATE SCHEMA", None
    yield "CREATE TABLE", sql.SQL("CREATE TABLE {} (id int, name text)").format(staged)
    optional = {
        "CREATE INDEX": sql.SQL("CREATE INDEX ON {} (id)").format(staged),
        "CREATE STATISTICS": sql.SQL("CREATE STATISTICS {} ON id, name FROM {}").format(view, staged),
        "COMMENT": sql.SQL("COMMENT ON TABLE {} IS 'none'").format(staged),
        "CREATE TABLE AS": sql.SQL("CREATE TEMPORARY TABLE etl_rehearsal ON COMMIT DROP AS SELECT * FROM {}").format(
            staged
        ),
    }
    yield from ((tag, statement) for tag, statement in optional.items() if tag in tags)
    yield "ALTER TABLE", sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(staged, sql.Identifier(name.schema))
    optional = {
        "GRANT": sql.SQL("GRANT SELECT ON {} TO CURRENT_USER").format(live),
        "CREATE POLICY": sql.SQL("CREATE POLICY etl_rehearsal ON {}").format(live),
        "CREATE RULE": sql.SQL("CREATE RULE etl_rehearsal AS ON UPDATE TO {} DO ALSO NOTHING").format(live),
        "CREATE TRIGGER": sql.SQL(
            "CREATE TRIGGER etl_rehearsal BEFORE UPDATE ON {} FOR EACH ROW"
            " EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()"
        ).format(live),
        "CREATE VIEW": sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(view, live),
        "ALTER VIEW": sql.SQL("ALTER VIEW {} OWNER TO CURRENT_USER").format(view),
        "DROP VIEW": sql.SQL("DROP VIEW IF EXISTS {}").format(view),
        "CREATE MATERIALIZED VIEW": sql.SQL("CREATE MATERIALIZED VIEW {} AS SELECT * FROM {} WITH NO DATA").format(
            view, live
        ),
        "REFRESH MATERIALIZED VIEW": sql.SQL("REFRESH MATERIALIZED VIEW {}").format(view),
        "ALTER MATERIALIZED VIEW": sql.SQL("ALTER MATERIALIZED VIEW {} OWNER TO CURRENT_USER").format(view),
        "DROP MATERIALIZED VIEW": sql.SQL("DROP MATERIALIZED VIEW IF EXISTS {}").format(view),
    }
    yield from ((tag, statement) for tag, statement in optional.items() if tag in tags)
    yield "DROP TABLE", sql.SQL("DROP TABLE {}").format(live)
