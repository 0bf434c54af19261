"""Half an hour of runs in a row: memory, catalog, ledger and files do not grow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg
import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl
from tests.situations import peak_of, until

MINUTES = float(os.environ.get("ETL_SOAK_MINUTES", "30"))
GROWTH = 1.15
"""The maximum of the last third's median divided by the middle third's."""

SETTINGS = FAST | {"autovacuum_naptime": "5s"}  # a night's pause, for a target that has a run every two seconds

SHOP = """
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT i, repeat('x', 90) FROM generate_series(1, 5000) i;
CREATE INDEX ON orders (note);
CREATE TABLE items (id int PRIMARY KEY, doc jsonb);
INSERT INTO items SELECT i, jsonb_build_object('n', i) FROM generate_series(1, 5000) i;
"""

CATALOG = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
 WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
"""
LEDGER = """
SELECT sum(pg_table_size(oid))::float8 / (SELECT count(*) FROM etl.loads) FROM pg_class
 WHERE relnamespace = 'etl'::regnamespace AND relkind = 'r'
"""
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Look:
    """The measurements after a run."""

    memory: int
    catalog_bytes: int
    ledger_bytes_a_load: float
    files: int


@pytest.fixture
def quiet() -> Iterator[Databases]:
    """Two servers that only this test uses."""
    with ExitStack() as stack:
        both = []
        for _ in range(2):
            server = Server.start(settings=SETTINGS)
            stack.callback(server.remove)
            both.append(Database(server, "postgres"))
        yield Databases(*both)


def test_nothing_grows_in_half_an_hour_of_runs(quiet: Databases, tmp_path: Path) -> None:
    """A run's memory, the catalog, the ledger's bytes per load, and files do not grow; no session is left.

    The orders are merged in place, the items are swapped.
    """
    quiet.operational.execute(SHOP)
    (tmp_path / "options.toml").write_text('[orders]\npublish = "in-place"\n')
    options = {"TABLES": "orders,items", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    etl = Etl(quiet.environment | options, fresh=True)
    looks: list[Look] = []
    ends = time.monotonic() + 60 * MINUTES
    with quiet.operational.connect() as source, quiet.reporting.connect() as target:
        while time.monotonic() < ends or len(looks) < 9:
            looks.append(_run(etl, quiet, source, target))
    middle, last = (looks[len(looks) * third // 3 : len(looks) * (third + 1) // 3] for third in (1, 2))
    print(f"\n{len(looks)} runs in {MINUTES:g} minutes; medians of the middle and of the last third:")
    grown = []
    for what in asdict(last[0]):
        before, after = (median(getattr(look, what) for look in part) for part in (middle, last))
        print(f"  {what}: {before:,.0f}, {after:,.0f}")
        grown += [what] if after > before * GROWTH else []
    assert grown == []
    assert quiet.staging_tables() == []


def _run(
    etl: Etl, where: Databases, source: psycopg.Connection[tuple[int]], target: psycopg.Connection[tuple[float]]
) -> Look:
    source.execute("UPDATE orders SET note = left('y' || note, 90) WHERE id % 50 = 0")
    with etl.started("run") as process:
        memory = peak_of(process)
        assert process.returncode == 0, process.communicate()
    until(
        lambda: [_value(one, CONNECTIONS) for one in (source, target)] == [1, 1],
        "only the test's own sessions are left",
    )
    target.execute("CHECKPOINT")  # until the next one, the file of a table that was dropped stays, empty
    return Look(
        memory,
        int(_value(target, CATALOG)),
        _value(target, LEDGER),
        sum(1 for _ in Path(where.reporting.server.data, "base").rglob("*")),
    )


def _value(session: psycopg.Connection[tuple[int]] | psycopg.Connection[tuple[float]], query: str) -> float:
    row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
