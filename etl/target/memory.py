"""How much memory each index build may take on the target, so that all of them together stay within a plan."""

from __future__ import annotations

from etl.model import limits
from etl.sessions.postgres import Target


def share(total: int | None, own: int, buffers: int, jobs: int) -> int:
    """Gives what one of ``jobs`` sessions may take, all in kB.

    Takes the total that was asked for (``ETL_INDEX_MEMORY``) or None, and the target's maintenance_work_mem and
    shared_buffers. The workers of one build share what its session may take (manual, "Building Indexes in Parallel").
    """
    if total is not None:
        return max(total // jobs, 1024)
    return max(max(own, buffers // limits.INDEX_MEMORY_PART_OF_BUFFERS) // jobs, min(own, limits.LEAST_INDEX_MEMORY_KB))


async def plan(target: Target, total: int | None, jobs: int) -> int:
    """Gives what one of ``jobs`` sessions may take on this target, in kB."""
    query = (
        "SELECT name, setting::bigint * CASE unit WHEN '8kB' THEN 8 ELSE 1 END AS size FROM pg_catalog.pg_settings"
        " WHERE name IN ('maintenance_work_mem', 'shared_buffers')"
    )
    cursor = await target.execute(query)
    size = {row["name"]: row["size"] for row in await cursor.fetchall()}
    return share(total, size["maintenance_work_mem"], size["shared_buffers"], jobs)
