"""``etl plan``: what it says on a terminal, which tables stay together, and how long it takes for very many."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Databases, Etl, environment_of
from tests.situations import settled

MANY = 10_000


def plan(etl: Etl, shards: int, **variables: str) -> list[dict[str, Any]]:
    """The shards that ``etl plan`` prints, their tables as a list."""
    done = etl("plan", "--shards", str(shards), **variables)
    assert (done.status, done.stderr) == (0, "")
    return [shard | {"tables": json.loads(shard["tables"])} for shard in json.loads(done.stdout)["shards"]]


def test_the_last_nights_seconds_count_and_bytes_where_there_were_none(databases: Databases, etl: Etl) -> None:
    """The slowest table is alone, however small it is; a new one is judged by its bytes and the others' speed."""
    for name in ("a", "b", "c", "d"):
        databases.operational.execute(f"CREATE TABLE {name} AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
    assert etl("run", TABLES="*", ETL_RUN_ID="last night").status == 2, "a run's id has no blank"
    assert etl("run", TABLES="*", ETL_RUN_ID="last-night").status == 0
    seconds = "CASE table_name WHEN 'public.a' THEN interval '70 s' ELSE interval '10 s' END"
    databases.reporting.execute(f"UPDATE etl.loads SET finished_at = started_at + {seconds}")
    databases.operational.execute("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)")
    shards = plan(etl, 2, TABLES="*")
    (alone,) = [shard for shard in shards if "public.a" in shard["tables"]]
    (rest,) = [shard for shard in shards if shard is not alone]
    assert alone == alone | {"tables": ["public.a"], "expected_seconds": 70.0}
    # four tables of 100 s in all, so one with twice the bytes takes about 50
    assert rest["tables"][0] == "public.big"
    assert 15 < rest["expected_seconds"] <= 50


def test_a_table_of_which_changes_are_copied_weighs_what_they_take(databases: Databases, etl: Etl) -> None:
    """Not what the full load took; in the night of its next full load it weighs that again."""
    databases.operational.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
    settled(databases.operational)
    auto = Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "a"})
    assert [auto("run").status for _ in range(3)] == [0, 0, 0]
    took = "CASE load WHEN 'full' THEN interval '100 s' ELSE interval '2 s' END"
    databases.reporting.execute(f"UPDATE etl.loads SET finished_at = started_at + {took}")
    assert plan(auto, 1)[0]["expected_seconds"] == 2.0
    assert plan(auto, 1, ETL_LOAD="full")[0]["expected_seconds"] == 100.0


def test_tables_that_the_options_bind_together_are_in_one_shard(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """However uneven that makes the shards; the others fill up."""
    for number in range(8):
        databases.operational.execute(f"CREATE TABLE t{number} (id int)")
    options = tmp_path / "options.toml"
    options.write_text('[t1]\ntogether = "pair"\n[t5]\ntogether = "pair"\n["t7"]\ntogether = "pair"\n')
    shards = plan(etl, 4, TABLES="*", ETL_OPTIONS_FILE=str(options))
    assert [shard["tables"] for shard in shards if "public.t1" in shard["tables"]] == [
        ["public.t1", "public.t5", "public.t7"]
    ]
    assert sorted(len(shard["tables"]) for shard in shards) == [1, 2, 2, 3]


def test_a_terminal_shows_the_shards(databases: Databases, etl: Etl) -> None:
    """A table with each shard's seconds, and how uneven they are; ``--json`` prints JSON there too."""
    databases.operational.execute(
        "CREATE TABLE orders (id int); CREATE TABLE items (id int); CREATE TABLE days (id int)"
    )
    text = _on_terminal(etl, "plan", "--shards", "2")
    assert "expected s" in text
    assert "the longest shard is 33% longer than the mean" in text
    assert json.loads(_on_terminal(etl, "plan", "--shards", "2", "--json"))["shards"][0]["shard"] == 0


def _on_terminal(etl: Etl, *arguments: str) -> str:
    ours, theirs = pty.openpty()
    variables = environment_of(etl.environment | {"TABLES": "*", "TERM": "xterm", "COLUMNS": "120"})
    with subprocess.Popen(
        [sys.executable, "-m", "etl", *arguments], env=variables, stdout=theirs, stdin=theirs, close_fds=True
    ) as process:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 4096):
                text += piece
        except OSError:  # the other side is closed
            pass
        os.close(ours)
        assert process.wait(30) == 0
    return text.decode()


@pytest.mark.parametrize("shards", ["0", "501", "two"])
def test_a_number_of_shards_that_is_none_is_refused(databases: Databases, etl: Etl, shards: str) -> None:
    """Exit 2, as for any wrong argument."""
    done = etl("plan", "--shards", shards, TABLES="*")
    assert (done.status, "--shards" in done.stderr) == (2, True)


def test_ten_thousand_tables_are_planned_at_once(databases: Databases, etl: Etl) -> None:
    """Against a real server, with thirty nights in the ledger; ``pytest -s`` prints its seconds: 1.2 in quiet."""
    name = databases.operational.name
    for first in range(0, MANY, 1000):  # locks are let go each time: max_locks_per_transaction is for fewer
        databases.operational.execute(
            f"DO $$ BEGIN FOR n IN {first}..{first + 999} LOOP EXECUTE format("
            "'CREATE TABLE t%s (id int PRIMARY KEY)', lpad(n::text, 5, '0')); END LOOP; END $$"
        )
    assert etl("run", TABLES="t00000", ETL_RUN_ID="first").status == 0
    databases.reporting.execute(
        "INSERT INTO etl.loads (run_id, table_name, shard, status, started_at, finished_at, published_at)"
        " SELECT 'night-' || night, format('public.t%s', lpad(n::text, 5, '0')), n % 20, 'published', at,"
        " at + random() * interval '60 s', at"
        f" FROM generate_series(0, {MANY - 1}) n, generate_series(1, 30) night,"
        " LATERAL (SELECT timestamptz '2024-01-01' + night * interval '1 day') d (at); ANALYZE etl.loads"
    )
    began = time.perf_counter()
    shards = plan(etl, 20, TABLES="*")
    took = time.perf_counter() - began
    print(f"\n{name}: etl plan of {MANY} tables, 30 nights in the ledger: {took:.2f} s, process start included")
    assert sum(len(shard["tables"]) for shard in shards) == MANY
    longest = max(shard["expected_seconds"] for shard in shards)
    assert longest <= 1.05 * sum(shard["expected_seconds"] for shard in shards) / len(shards)
