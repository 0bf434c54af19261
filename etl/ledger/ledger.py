"""The interface of the ledger: the functions on its tables, from ``runs.py``, ``loads.py`` and ``validations.py``.

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
    "begin_loads",
    "brought",
    "carried",
    "close_run",
    "deferred",
    "forget_plan",
    "forget_waiting",
    "is_staged",
    "join_run",
    "keep_waiting",
    "known",
    "latest_runs",
    "loads_of",
    "must_run",
    "newest_xids",
    "not_published",
    "note",
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
    "waiting",
]
