"""A run is killed at random moments while the source is written to: no data is lost, and nights are never mixed."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from etl.sessions.stage import Stage
from tests.faults.breaker import Moment
from tests.faults.night import WAYS, Night, nights
from tests.harness import Database
from tests.situations import ended, until

CRASHES = int(os.environ.get("ETL_CRASHES", "20"))
"""The number of crashes; `make test-crashes` makes 200."""

SEED = int(os.environ.get("ETL_CRASH_SEED", random.randrange(2**32)))
"""The seed of the random moments. To repeat an earlier test, set the seed that it printed."""

PAUSE = 0.05
"""Seconds between two of the source's nights: dozens go by in a run, and autovacuum still keeps up with them."""

TURNS = ("in place", "changes", "swap", "changes", "in place", "changes", "mixture")
"""How the runs that are killed publish, in turn; the next run publishes as the one after it would."""

PUBLISH = {
    "swap": Moment("fill a view", "reporting", Stage.FILL),
    "in place": Moment("find the difference", "reporting", Stage.DIFFERENCE),
    "mixture": Moment("find the difference", "reporting", Stage.DIFFERENCE),
    "changes": Moment("find the difference", "reporting", Stage.DIFFERENCE),
}
"""The beginning of each way's publish: every other run is killed at a random moment after it, the rest at any."""

WRITE = """
UPDATE orders SET night = night + 1 WHERE id <= 500;
UPDATE items SET night = night + 1 WHERE id <= 500;
UPDATE orders SET replaces = CASE replaces WHEN 2 THEN 3 ELSE 2 END WHERE id BETWEEN 1200 AND 1400;
DELETE FROM items WHERE id = {gone};
DELETE FROM orders WHERE id = {gone};
INSERT INTO orders VALUES ({back}, 1, 'back', 2) ON CONFLICT DO NOTHING;
INSERT INTO items VALUES ({back}, 1, 'back') ON CONFLICT DO NOTHING;
"""
"""Of both tables, rows change, one goes, and the one that went last comes back."""


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """Writes a new night into both tables, in one transaction, again and again."""
    database.execute("UPDATE orders SET replaces = 2 WHERE id BETWEEN 1000 AND 1099")  # not to one that goes
    stopped = threading.Event()

    def write() -> None:
        with database.connect() as session:
            for step in count():
                if stopped.wait(PAUSE):
                    return
                gone, back = (1000 + (step - earlier) % 100 for earlier in (0, 1))
                with session.transaction():
                    session.execute(WRITE.format(gone=gone, back=back).encode())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


SEEN = """
SELECT (SELECT array_agg(DISTINCT night) FROM orders WHERE id <= 500),
       (SELECT array_agg(DISTINCT night) FROM items WHERE id <= 500),
       (SELECT array_agg(i ORDER BY i) FROM generate_series(1000, 1099) AS i WHERE i NOT IN (SELECT id FROM orders)),
       (SELECT array_agg(i ORDER BY i) FROM generate_series(1000, 1099) AS i WHERE i NOT IN (SELECT id FROM items)),
       (SELECT count(*) FROM orders), (SELECT count(*) FROM items),
       (SELECT array_agg(t::text ORDER BY t) FROM totals AS t),
       (SELECT array_agg(t::text ORDER BY t)
          FROM (SELECT night, count(*), count(replaces) FROM orders GROUP BY 1) AS t)
"""


def seen(database: Database) -> int:
    """The night that both live tables show, which have the same rows, as the materialized view has them."""
    ((orders, items, orders_gone, items_gone, orders_count, items_count, totals, counted),) = database.rows(SEEN)
    assert orders == items, f"a mixture of nights: orders {orders}, items {items}"
    assert len(orders) == 1, f"half a night: {orders}"
    assert orders_gone == items_gone, f"a mixture of nights: {orders_gone} and {items_gone} are gone"
    assert orders_count == items_count
    assert totals == counted, "the materialized view shows another night"
    return int(orders[0])


def test_a_run_killed_at_any_moment_leaves_one_night_whole() -> None:
    """SIGKILL comes at a random moment of a run or of its publish; one night is live, and the next run cleans up."""
    moments = random.Random(SEED)
    print(f"\nETL_CRASH_SEED={SEED} ETL_CRASHES={CRASHES}", flush=True)
    outcomes = Counter[tuple[str, str]]()
    with nights() as night, writing(night.databases.operational):
        lasts = {(way, since): _lasts(night, way, since) for way in WAYS for since in (None, PUBLISH[way])}
        killed = 0
        while killed < CRASHES:
            way = TURNS[killed // 2 % len(TURNS)]
            since = PUBLISH[way] if killed % 2 else None
            after = moments.uniform(0 if since else 0.2, 1.0) * lasts[way, since]
            outcome = crash(night, way, since, after)
            outcomes[way, outcome] += 1
            killed += outcome != "not killed"
            if killed % 20 == 0:
                print(f"{killed} crashes", flush=True)
            if outcome == "not killed":  # the first run may have been a slow one
                lasts[way, since] = min(lasts[way, since], after)
            assert sum(outcomes.values()) < 5 * CRASHES + 10, "runs end before they can be killed"
        print(f"loads: {night.loads()}", flush=True)
    for way in WAYS:
        came_to = {outcome: times for (one, outcome), times in sorted(outcomes.items()) if one == way}
        print(f"{sum(came_to.values()) - came_to.get('not killed', 0)} crashes, {way}: {came_to}", flush=True)


@contextmanager
def _started(night: Night, since: Moment | None) -> Iterator[subprocess.Popen[str]]:
    """A run that has just been started, or that has just come to a moment."""
    night.number += 1
    if since is None:
        with night.etl.started("run", ETL_RUN_ID=night.run_id) as process:
            yield process
        return
    with night.stopped_at(since) as (process, _):
        night.breakers[since.side].release()
        yield process


def _lasts(night: Night, way: str, since: Moment | None) -> float:
    """The seconds of a run, or those from a moment on."""
    night.publishes(way)
    with _started(night, since) as process:
        began = time.monotonic()
        assert ended(process).status == 0
        return time.monotonic() - began


def crash(night: Night, way: str, since: Moment | None, after: float) -> str:
    """Kills one run, checks the live tables, and starts the next run; returns how far the killed one had come."""
    night.publishes(way)
    target = night.databases.reporting
    yesterday = seen(target)
    with _started(night, since) as process:
        run_id = night.run_id
        where = f"after {since.name} and" if since else "after"
        said = f"{run_id} of ETL_CRASH_SEED={SEED}, {way}, {where} {after:.3f} s"
        try:
            process.wait(after)
            outcome = "not killed"
        except subprocess.TimeoutExpired:  # it is still running, which is what is wanted
            process.kill()
            process.wait()
            outcome = ""
    until(lambda: not _sessions(night), f"{said}: the servers notice", 30)
    live = seen(target)
    status = _status(target, run_id)
    assert (live > yesterday) == (status == "published"), f"{said}: {yesterday} became {live}, the ledger says {status}"
    outcome = outcome or ("published" if live > yesterday else _stage(target, run_id))
    night.publishes(TURNS[(night.number + 1) % len(TURNS)])
    again = night.etl("run", ETL_RUN_ID=f"{run_id}-again")
    assert (again.status, again.stderr) == (0, ""), said
    assert seen(target) > live, said
    assert night.unvalidated() == [], said
    assert _status(target, run_id) in {"published", "interrupted", None}, said
    assert night.traces() == [], said
    return outcome


def _sessions(night: Night) -> list[str]:
    return [trace for trace in night.traces() if ": session" in trace]


def _status(target: Database, run_id: str) -> str | None:
    try:
        rows = target.rows(f"SELECT status FROM etl.runs WHERE run_id = '{run_id}'")
    except psycopg.errors.UndefinedTable:
        return None
    return rows[0][0] if rows else None


def _stage(target: Database, run_id: str) -> str:
    """Whether a run that has not published had begun to."""
    staged = target.value(f"SELECT count(*) FROM etl.loads WHERE run_id = '{run_id}' AND status = 'staged'")
    return "publishing" if staged == 2 else "loading"
