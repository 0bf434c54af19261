"""Staging tables: where a load's rows wait, out of every reader's sight, until the publish.

Each live schema has a staging schema of its own, so tables, indexes and constraints have their final names
already. Staging schemas are never granted to anyone, and stay when they are empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from psycopg import sql

from etl import postgres
from etl.catalog import Column, Constraint, Index, Table
from etl.postgres import Target, target_query
from etl.selection import MAX_NAME_BYTES, Relation

PREFIX = "etl_staging_"


def schema_of(live_schema: str) -> str:
    """Gives the staging schema of a live schema; a name too long for the prefix is shortened with a hash."""
    name = PREFIX + live_schema
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(live_schema.encode()).hexdigest()[:16]
    room = MAX_NAME_BYTES - len(PREFIX) - len(digest) - 1
    return f"{PREFIX}{live_schema.encode()[:room].decode(errors='ignore')}_{digest}"


def name_of(table: Table | Relation) -> sql.Identifier:
    """Gives a table's staging name, quoted."""
    return sql.Identifier(schema_of(table.schema), table.name)


async def create_schemas(target: Target, live_schemas: Iterable[str]) -> None:
    """Makes the staging schemas that are missing."""
    await postgres.create_schemas(target, (schema_of(schema) for schema in live_schemas))


async def create(target: Target, table: Table) -> None:
    """Makes an empty staging table, in the caller's transaction, in place of any that was left behind."""
    columns = sql.SQL(", ").join(_column(column) for column in table.columns)
    create_table = sql.SQL("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns}){storage}")
    await target.execute(create_table.format(name=name_of(table), columns=columns, storage=_storage(table.storage)))


def _column(column: Column) -> sql.Composed:
    # Types and collations are the source's own format_type() and quote_ident(), so they are SQL already.
    collation = f" COLLATE {column.collation}" if column.collation else ""
    definition = sql.Identifier(column.name) + sql.SQL(f" {column.type}{collation}")
    if column.not_null and column.not_null_name:
        definition += sql.SQL(" CONSTRAINT {}").format(sql.Identifier(column.not_null_name))
    return definition + sql.SQL(" NOT NULL" if column.not_null else "")


def _storage(parameters: Sequence[str]) -> sql.Composable:
    return sql.SQL(f" WITH ({', '.join(parameters)})" if parameters else "")


async def build_indexes(target: Target, table: Table) -> None:
    """Builds the indexes, unique ones first, and then the constraints, in one scan of the table for all checks."""
    statements = [_create_index(table, index) for index in table.indexes]
    if table.constraints:
        added = sql.SQL(", ").join(_add_constraint(constraint) for constraint in table.constraints)
        statements.append(sql.SQL("ALTER TABLE {} {}").format(name_of(table), added))
    for statement in statements:
        await target.execute(statement)


def _create_index(table: Table, index: Index) -> sql.Composed:
    return sql.SQL("CREATE {}INDEX {} ON {} {}").format(
        sql.SQL("UNIQUE " if index.unique else ""),
        sql.Identifier(index.name),
        name_of(table),
        sql.SQL(index.definition),
    )


def _add_constraint(constraint: Constraint) -> sql.Composed:
    definition = sql.SQL(constraint.definition)
    return sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(constraint.name), definition)


async def comment(target: Target, table: Table) -> None:
    """Puts the source's comments on the staging table, its columns, indexes and constraints."""
    name = name_of(table)
    comments = [(sql.SQL("TABLE ") + name, table.comment)]
    comments += [
        (sql.SQL("COLUMN {}.{}").format(name, sql.Identifier(column.name)), column.comment) for column in table.columns
    ]
    comments += [
        (sql.SQL("INDEX ") + sql.Identifier(schema_of(table.schema), index.name), index.comment)
        for index in table.indexes
    ]
    comments += [
        (sql.SQL("CONSTRAINT {} ON {}").format(sql.Identifier(constraint.name), name), constraint.comment)
        for constraint in table.constraints
    ]
    statements = [
        sql.SQL("COMMENT ON {} IS {}").format(what, sql.Literal(text)) for what, text in comments if text is not None
    ]
    if statements:
        await target.execute(sql.SQL("; ").join(statements))


async def analyze(target: Target, table: Table) -> None:
    """Gathers the planner's statistics, so that readers' first queries are planned well."""
    await target.execute(sql.SQL("ANALYZE {}").format(name_of(table)))


async def oid(target: Target, table: Table) -> int:
    """Gives a staging table's oid."""
    name = name_of(table).as_string(None)
    cursor = await target.execute("SELECT pg_catalog.to_regclass(%s)::oid AS oid", [name])
    row = await cursor.fetchone()
    assert row is not None
    return int(row["oid"])


async def drop(target: Target, tables: Iterable[Table | Relation]) -> None:
    """Drops the staging tables of the tables given, as far as they are there."""
    await drop_staged(target, (Relation(schema_of(table.schema), table.name) for table in tables))


async def drop_staged(target: Target, staged: Iterable[Relation]) -> None:
    """Drops staging tables by their staging names, as far as they are there."""
    names = [sql.Identifier(table.schema, table.name) for table in staged]
    if names:
        await target.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.SQL(", ").join(names)))


async def tables(target: Target) -> list[Relation]:
    """Lists the tables in what look like staging schemas, by staging schema and name."""
    cursor = await target.execute(target_query("staging_tables"))
    return [Relation(row["schema"], row["name"]) for row in await cursor.fetchall()]
