"""The interface of the ledger: the functions on ``etl.runs`` (``runs.py``) and ``etl.loads`` (``loads.py``).

Each function executes a statement on the session that does the work (``book.py``), so that a row commits with the work
that it records.
"""

# docs/decisions.md, "Processes meet in the ledger"

from __future__ import annotations

from etl.ledger.loads import (
    UNPUBLISHED,
    begin_loads,
    brought,
    carried,
    deferred,
    forget_plan,
    is_staged,
    known,
    loads_of,
    newest_xids,
    not_published,
    published,
    recent,
    record,
    stage,
    staging_oids,
    supersede,
)
from etl.ledger.runs import (
    ask_state,
    close_run,
    join_run,
    latest_runs,
    must_run,
    open_run,
    progress,
    run_of,
    running,
    took_snapshot,
)

__all__ = [
    "UNPUBLISHED",
    "ask_state",
    "begin_loads",
    "brought",
    "carried",
    "close_run",
    "deferred",
    "forget_plan",
    "is_staged",
    "join_run",
    "known",
    "latest_runs",
    "loads_of",
    "must_run",
    "newest_xids",
    "not_published",
    "open_run",
    "progress",
    "published",
    "recent",
    "record",
    "run_of",
    "running",
    "stage",
    "staging_oids",
    "supersede",
    "took_snapshot",
]
