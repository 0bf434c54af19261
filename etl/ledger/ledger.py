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
    counts,
    deferred,
    forget_plan,
    is_staged,
    kept,
    known,
    loads_of,
    newer,
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
    forget_kept,
    join_run,
    latest_runs,
    let_pass,
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
    "counts",
    "deferred",
    "forget_kept",
    "forget_plan",
    "is_staged",
    "join_run",
    "kept",
    "known",
    "latest_runs",
    "let_pass",
    "loads_of",
    "must_run",
    "newer",
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
