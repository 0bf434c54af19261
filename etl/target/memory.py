"""The memory that each index build may use on the target, as a share of a total for all of them."""

from __future__ import annotations

from etl.sessions.postgres import Target

PART_OF_BUFFERS = 8
"""The default total: an eighth of shared_buffers, which is 3 % of an RDS instance's memory, 9 % on Aurora."""

LEAST = 64 << 10
"""The least share in kB: PostgreSQL's default of maintenance_work_mem, unless the server's setting is lower."""


def share(total: int | None, own: int, buffers: int, jobs: int) -> int:
    """The memory that one of ``jobs`` sessions may use; all figures are in kB.

    Takes the total of ``ETL_INDEX_MEMORY``, or None; the target's maintenance_work_mem (``own``) and shared_buffers.
    The workers of a parallel build share the memory of their session (manual, "Building Indexes in Parallel").
    """
    if total is not None:
        return max(total // jobs, 1024)
    return max(max(own, buffers // PART_OF_BUFFERS) // jobs, min(own, LEAST))


async def of_session(target: Target, total: int | None, jobs: int) -> int:
    """The memory in kB that one of ``jobs`` sessions may use on this target."""
    query = (
        "SELECT name, setting::bigint * CASE unit WHEN '8kB' THEN 8 ELSE 1 END AS size FROM pg_catalog.pg_settings"
        " WHERE name IN ('maintenance_work_mem', 'shared_buffers')"
    )
    cursor = await target.execute(query)
    size = {row["name"]: row["size"] for row in await cursor.fetchall()}
    return share(total, size["maintenance_work_mem"], size["shared_buffers"], jobs)
