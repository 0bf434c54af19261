"""Sixty nights that copy changes alone leave a table that is about as small and as fast as one that was just loaded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl
from tests.situations import until

NIGHTS = int(os.environ.get("ETL_LOAD_NIGHTS", "60"))
ROWS = int(os.environ.get("ETL_LOAD_NIGHT_ROWS", "200000"))

SPACE, SCAN = 1.3, 1.2
"""How much larger the table with its indexes may be than after a full load, and how many more pages a scan may read.

The time of a scan is printed only: it depends on the pages that VACUUM has found all-visible since the last night.
"""

VISITS = f"""
CREATE TABLE visits (id bigint PRIMARY KEY, at timestamptz NOT NULL, customer int NOT NULL, note text);
INSERT INTO visits SELECT i, timestamptz '2026-01-01 00:00+00' + i * interval '1 min', i * 7919 % 10007, repeat('x', 90)
  FROM generate_series(1, {ROWS}) AS i;
CREATE INDEX by_time ON visits (at);
CREATE INDEX by_customer ON visits (customer, at);
"""

DAY = f"""
SELECT setseed({{seed}});
INSERT INTO visits SELECT m + i, timestamptz '2026-01-01 00:00+00' + (m + i) * interval '1 min', i * 7919 % 10007,
       repeat('n', 90) FROM (SELECT max(id) AS m FROM visits) AS v, generate_series(1, {ROWS * 4 // 1000}) AS i;
UPDATE visits SET note = left('u' || note, 90), at = at + interval '1 s'
 WHERE id IN (SELECT m - (random() * {ROWS // 50})::int
                FROM (SELECT max(id) AS m FROM visits) AS v, generate_series(1, {ROWS * 4 // 1000}));
UPDATE visits SET note = left('r' || note, 90), customer = (random() * 10007)::int
 WHERE id IN (SELECT (random() * m)::int
                FROM (SELECT max(id) AS m FROM visits) AS v, generate_series(1, {ROWS * 2 // 1000}));
DELETE FROM visits
 WHERE id IN (SELECT (random() * m)::int
                FROM (SELECT max(id) AS m FROM visits) AS v, generate_series(1, {ROWS // 1000}));
"""
"""Of 1,000 rows, 4 are new, 4 recent ones and 2 at random are updated, and 1 is deleted."""

DUE = """
SELECT s.n_dead_tup > 50 + 0.2 * c.reltuples OR s.n_ins_since_vacuum > 1000 + 0.2 * c.reltuples
       OR s.n_mod_since_analyze > 50 + 0.1 * c.reltuples
  FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = s.relid
 WHERE s.relid = 'public.visits'::regclass
"""
"""Whether autovacuum, with its default thresholds, has something to do."""

SIZES = """
SELECT 'table', pg_table_size('public.visits')
UNION ALL
SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'public.visits'::regclass
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What the live table takes: bytes of the table and its indexes, pages and milliseconds of a sequential scan."""

    bytes: dict[str, int]
    pages: int
    milliseconds: float


@pytest.fixture
def quiet() -> Iterator[Databases]:
    """Two servers that only this test uses; the target's autovacuum looks every second, for a night's pause."""
    with ExitStack() as stack:
        both = []
        for settings in ({}, {"autovacuum_naptime": "1s"}):
            server = Server.start(settings=FAST | settings)
            stack.callback(server.remove)
            both.append(Database(server, "postgres"))
        yield Databases(*both)


def test_sixty_nights_of_changes_leave_a_table_as_good_as_new(quiet: Databases, tmp_path: Path) -> None:
    """Table, indexes and a scan, beside those after a full load of the same rows."""
    quiet.operational.execute(VISITS)
    (tmp_path / "options.toml").write_text('[visits]\nfull_every = "never"\n')
    options = {"TABLES": "visits", "ETL_LOAD": "auto", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    etl = Etl(quiet.environment | options)
    assert etl("run").event("table.loaded")["load"] == "full"
    for night in range(NIGHTS):
        quiet.operational.execute(DAY.format(seed=night / NIGHTS))
        done = etl("run")
        assert (done.status, done.event("table.loaded")["load"]) == (0, "delta"), done.event("table.loaded")["reason"]
        until(lambda: not quiet.reporting.value(DUE), "autovacuum has done its work", 60)
    vacuums = quiet.reporting.value("SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'visits'")
    worn = look(quiet.reporting)
    quiet.reporting.execute("VACUUM visits")
    vacuumed = look(quiet.reporting)
    assert etl("run", ETL_LOAD="full").status == 0
    new = look(quiet.reporting)
    print(f"\n{NIGHTS} nights of {ROWS:,} rows, {vacuums} autovacuums; after them, and after a full load:")
    space = {name: worn.bytes[name] / size for name, size in new.bytes.items()}
    for name, ratio in space.items():
        print(f"  {name}: {worn.bytes[name]:,} bytes, {new.bytes[name]:,}: {ratio:.2f} x")
    total = sum(worn.bytes.values()) / sum(new.bytes.values())
    print(f"  all together: {total:.2f} x")
    print(f"  scan: {worn.pages:,} pages, {new.pages:,}: {worn.pages / new.pages:.2f} x")
    scan, after_vacuum = (one.milliseconds / new.milliseconds for one in (worn, vacuumed))
    print(f"  scan: {worn.milliseconds:.1f} ms, {new.milliseconds:.1f} ms: {scan:.2f} x; vacuumed {after_vacuum:.2f} x")
    assert total <= SPACE
    assert worn.pages / new.pages <= SCAN


def look(target: Database) -> Look:
    """Measures the live table."""
    with target.connect(options="-c max_parallel_workers_per_gather=0 -c enable_indexonlyscan=off") as session:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            session.execute("SELECT sum(customer) FROM public.visits")
            times.append(1000 * (time.perf_counter() - began))
    pages = target.value("SELECT pg_relation_size('public.visits') / current_setting('block_size')::int")
    return Look({str(name): size for name, size in target.rows(SIZES)}, pages, median(times))
