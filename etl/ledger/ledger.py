"""The interface of the ledger: the functions on its tables, from ``runs.py``, ``loads.py`` and ``validations.py``.

Each function executes a statement on the session that does the work (``book.py``), so that a row commits with the work
that it records.
"""

# docs/decisions.md, "Processes meet in the ledger"

from __future__ import annotations

from etl.ledger.loads import (
    UNPUBLISHED,
    bases,
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
    partial,
    published,
    recent,
    record,
    stage,
    staging_oids,
    supersede,
    with_base,
)
from etl.ledger.runs import (
    ask_state,
    close_run,
    forget_kept,
    join_run,
    latest_runs,
    let_pass,
    must_run,
    note,
    open_run,
    progress,
    run_of,
    running,
    took_snapshot,
)
from etl.ledger.validations import add_waiting, forget_waiting, keep_waiting, waiting

__all__ = [
    "UNPUBLISHED",
    "add_waiting",
    "ask_state",
    "bases",
    "begin_loads",
    "brought",
    "carried",
    "close_run",
    "counts",
    "deferred",
    "forget_kept",
    "forget_plan",
    "forget_waiting",
    "is_staged",
    "join_run",
    "keep_waiting",
    "kept",
    "known",
    "latest_runs",
    "let_pass",
    "loads_of",
    "must_run",
    "newer",
    "newest_xids",
    "not_published",
    "note",
    "open_run",
    "partial",
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
    "waiting",
    "with_base",
]
