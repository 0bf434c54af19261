"""How a load ended, as seen from the end of its run: which one was the cause, and which were given up. Pure policy."""

from __future__ import annotations

from enum import StrEnum

from etl.ledger.looks import WatchedRow
from etl.ledger.rows import LoadRow, RunRow
from etl.model.status import LoadStatus


class Outcome(StrEnum):
    """What has become of a load."""

    PLANNED = "planned"
    WAITING = "waiting"
    """Its run has begun, and its load not yet."""
    LOADING = "loading"
    STAGED = "staged"
    PUBLISHED = "published"
    FAILED = "failed"
    """The load itself has failed: it is the cause, or one of several."""
    DROPPED = "staged, dropped"
    """It was staged. Its run has failed, or was given up, and the staging table was dropped."""
    GIVEN_UP = "given up"
    """It was not staged yet when its run ended."""


def of(load: LoadRow | WatchedRow, run: RunRow) -> Outcome:
    """What has become of a load of a run."""
    if load.status == LoadStatus.LOADING:
        return Outcome.WAITING if load.told_at is None else Outcome.LOADING
    if load.status != LoadStatus.FAILED or not is_given_up(load, run):
        return Outcome(load.status) if load.status in set(Outcome) else Outcome.LOADING
    return Outcome.GIVEN_UP if load.finished_at is None else Outcome.DROPPED


def is_given_up(load: LoadRow | WatchedRow, run: RunRow | None) -> bool:
    """Whether a load stopped because its run had ended; older versions did not write that, but the run's own error."""
    if load.given_up is None:
        return run is not None and load.error == run.error
    return load.given_up
