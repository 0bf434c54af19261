"""The statuses of runs and of loads, as the ledger writes them."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """How far a run is (``etl.runs.status``)."""

    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Its process was killed, or stopped by a signal."""


class LoadStatus(StrEnum):
    """How far the load of one table is (``etl.loads.status``)."""

    PLANNED = "planned"
    """A plan has given the table to a shard, and no process has begun."""
    LOADING = "loading"
    STAGED = "staged"
    PUBLISHED = "published"
    FAILED = "failed"
