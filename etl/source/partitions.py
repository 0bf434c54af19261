"""The partitions that store the rows of a partitioned table, as the next statement of a transaction will read them.

ATTACH PARTITION does not wait for readers of the parent, and appears within a snapshot. DETACH and DROP do wait. So a
transaction that has asked for the leaves reads all rows of each of them until it ends, and perhaps rows of new ones.
"""

# docs/how-deltas-work.md

from __future__ import annotations

from etl.model.errors import LoadFailed
from etl.model.name import Relation
from etl.model.table import Table
from etl.sessions.postgres import Source
from etl.sessions.query import text

_LEAVES = (
    "SELECT relid::pg_catalog.oid AS oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass)"
    " WHERE isleaf"
)
"""The function reads the catalog as it is now, not as the snapshot shows it, and locks what it lists."""


async def leaves(source: Source, table: Table) -> frozenset[int]:
    """The oids of the leaves of a table that may be the base of a delta; they stay until the transaction ends."""
    if table.definition is None or not table.is_partitioned:
        return frozenset()
    return frozenset(row["oid"] for row in await source.fetch(_LEAVES, table.oid))


async def refuse_replaced(source: Source, leaf: Relation) -> None:
    """Raises LoadFailed if another relation has got the name of a leaf, which ``source`` has locked."""
    found = await source.fetchval("SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", text(leaf.identifier))
    if found != leaf.oid:
        raise LoadFailed(f"{leaf} was replaced by another table in the source while the run began; run again")
