"""A run is killed at random moments while the source is written to: no data is lost, and nights are never mixed."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.faults.night import Night, nights
from tests.harness import Database
from tests.situations import until

CRASHES = int(os.environ.get("ETL_CRASHES", "20"))
"""The number of crashes; `make test-crashes` makes 200."""

SEED = int(os.environ.get("ETL_CRASH_SEED", random.randrange(2**32)))
"""The seed of the random moments. To repeat an earlier test, set the seed that it printed."""


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """Writes a new night into both tables, in one transaction, again and again."""
    stopped = threading.Event()

    def write() -> None:
        with database.connect() as session:
            while not stopped.wait(0.01):
                with session.transaction():
                    session.execute("UPDATE orders SET night = night + 1 WHERE id <= 500")
                    session.execute("UPDATE items SET night = night + 1 WHERE id <= 500")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


def seen(database: Database) -> tuple[int, int, int]:
    """The night that both live tables show, and their numbers of rows."""
    (row,) = database.rows(
        "SELECT (SELECT array_agg(DISTINCT night) FROM orders WHERE id <= 500),"
        " (SELECT array_agg(DISTINCT night) FROM items WHERE id <= 500),"
        " (SELECT count(*) FROM orders), (SELECT count(*) FROM items)"
    )
    orders, items, *counts = row
    assert orders == items, f"a mixture of nights: orders {orders}, items {items}"
    assert len(orders) == 1, f"half a night: {orders}"
    assert counts == [4000, 4000]
    return orders[0], *counts


def test_a_run_killed_at_any_moment_leaves_one_night_whole() -> None:
    """SIGKILL comes after a random part of a run's time; all live tables show one night, and the next run cleans up."""
    moments = random.Random(SEED)
    print(f"\nETL_CRASH_SEED={SEED} ETL_CRASHES={CRASHES}", flush=True)
    outcomes = {"yesterday": 0, "today": 0, "not killed": 0}
    with nights() as night, writing(night.databases.operational):
        began = time.monotonic()
        assert night.etl("run").status == 0
        whole = time.monotonic() - began
        killed = number = 0
        while killed < CRASHES:
            number += 1
            after = moments.uniform(0.2, 1.0) * whole
            outcome = crash(night, number, after)
            outcomes[outcome] += 1
            killed += outcome != "not killed"
            whole = min(whole, after) if outcome == "not killed" else whole  # the first run may have been a slow one
            assert number < 5 * CRASHES + 10, "runs end before they can be killed"
    print(f"{CRASHES} crashes: {outcomes}", flush=True)


def crash(night: Night, number: int, after: float) -> str:
    """Kills one run, checks the live tables, and starts the next run; returns which night was live in between."""
    said = f"crash {number} of ETL_CRASH_SEED={SEED}, after {after:.3f} s"
    target = night.databases.reporting
    yesterday, *_ = seen(target)
    run_id = f"crash-{number}"
    with night.etl.started("run", ETL_RUN_ID=run_id) as process:
        try:
            process.wait(after)
            outcome = "not killed"
        except subprocess.TimeoutExpired:  # it is still running, which is what is wanted
            process.kill()
            process.wait()
            outcome = ""
    until(lambda: not _sessions(night), f"{said}: the servers notice", 30)
    live, *_ = seen(target)
    status = _status(target, run_id)
    assert (live > yesterday) == (status == "published"), f"{said}: {yesterday} became {live}, the ledger says {status}"
    again = night.etl("run", ETL_RUN_ID=f"after-{number}")
    assert (again.status, again.stderr) == (0, ""), said
    assert seen(target)[0] > live, said
    assert _status(target, run_id) in {"published", "interrupted", None}, said
    assert night.traces() == [], said
    return outcome or ("today" if live > yesterday else "yesterday")


def _sessions(night: Night) -> list[str]:
    return [trace for trace in night.traces() if ": session" in trace]


def _status(target: Database, run_id: str) -> str | None:
    try:
        rows = target.rows(f"SELECT status FROM etl.runs WHERE run_id = '{run_id}'")
    except psycopg.errors.UndefinedTable:
        return None
    return rows[0][0] if rows else None
