"""The stored rows of materialized views: what they were read from, and whether they are as a publish has left them.

The server keeps the parse tree of a view's query. It names the relations that the query reads, PostgreSQL's own, too,
and the functions that it calls. What is not known of a tree here counts as a reason to refresh the view.
"""

# docs/guarantees.md, "Materialized views that are left alone"

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from psycopg import sql

from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.query import target_query
from etl.source import purity
from etl.target.live import Object

_OF_QUERIES = (
    "JOINEXPR AGGREF SUBLINK PARAM SETOPERATIONSTMT COMMONTABLEEXPR WINDOWFUNC WINDOWCLAUSE GROUPINGSET GROUPINGFUNC"
    " RANGETBLFUNCTION"
)
_PLAIN = purity.PLAIN | frozenset(_OF_QUERIES.split())
"""The nodes of a query whose result depends on the rows that it reads; without ORDER BY, it has several right ones."""

_CALLED = ("functions", "operators", "printed", "read", "types", "collations")

_ROWS = (
    "SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*),"
    " pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', ctid, xmin)))) AS rows FROM {}"
)
"""A refresh that is concurrent writes rows, and deletes others."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A materialized view: a digest of its query, and the names of the relations, by oid, whose rows the query reads.

    ``impure`` says why the query may give something else although these rows have not changed; None if it may not.
    """

    query: str
    reads: dict[int, TargetName]
    impure: str | None


async def read(target: Target, views: Sequence[Object]) -> dict[int, Stored]:
    """Reads the queries of materialized views, by oid."""
    cursor = await target.execute(target_query("stored_views"), {"oids": [view.oid for view in views]})
    rows = {row["oid"]: row for row in await cursor.fetchall()}
    return {view.oid: await _stored(target, view, rows[view.oid]) for view in views if view.oid in rows}


async def _stored(target: Target, view: Object, row: dict[str, Any]) -> Stored:
    trees = [tree for _, tree in row["trees"]]
    called = [purity.called(tree) for tree in trees]
    oids = {name: sorted({oid for of_tree in called for oid in of_tree[number]}) for number, name in enumerate(_CALLED)}
    judged = await (await target.execute(target_query("called"), oids)).fetchone()
    assert judged is not None
    odd = next((found for tree in trees if (found := purity.odd(tree, _PLAIN))), None)
    query = sha256(json.dumps([view.oid, row["trees"], judged["facts"]]).encode()).hexdigest()
    unproven = f"may read more than the catalog lists, by {', '.join(view.unproven)}" if view.unproven else None
    unread = None if row["may_read"] else "has given rows that the role may not read"
    return Stored(
        query,
        {int(oid): TargetName(*name) for oid, name in row["reads"].items()},
        unproven or odd or judged["impure"] or unread,
    )


async def states(target: Target, views: Sequence[Object]) -> dict[int, str]:
    """The state of the stored rows of materialized views, by oid: a refresh gives another one.

    Reads all rows of a view that can be refreshed concurrently.
    """
    if not views:
        return {}
    cursor = await target.execute(target_query("stored_files"), {"oids": [view.oid for view in views]})
    files = {row["oid"]: str(row["file"]) for row in await cursor.fetchall()}
    for view in views:
        if view.refreshes_concurrently:
            row = await (await target.execute(sql.SQL(_ROWS).format(view.identifier))).fetchone()
            assert row is not None
            files[view.oid] += f" {row['rows']}"
    return files
