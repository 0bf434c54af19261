"""The statuses of runs and of loads, as the ledger writes them."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run (``etl.runs.status``)."""

    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """A signal stopped the run's process, or the process was killed."""
    STOPPED = "stopped"
    """The gate stopped the run before its publish; its staging tables are kept for a while."""


class LoadKind(StrEnum):
    """What the load of a table was (``etl.loads.load``)."""

    FULL = "full"
    """All rows were copied."""
    DELTA = "delta"
    """The rows that have changed were copied."""
    UNCHANGED = "unchanged"
    """No row has changed, and none was copied."""


class LoadStep(StrEnum):
    """What a load that goes on does (``etl.loads.step``)."""

    ROWS = "rows"
    """It copies rows, or finds those that have changed."""
    INDEXES = "indexes"
    """It builds indexes and constraints, and gathers statistics."""


class LoadStatus(StrEnum):
    """The status of the load of a table (``etl.loads.status``)."""

    PLANNED = "planned"
    """A plan has assigned the table to a shard, and no process has begun to load it."""
    LOADING = "loading"
    STAGED = "staged"
    PUBLISHED = "published"
    FAILED = "failed"
