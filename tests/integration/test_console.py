"""The output for people: at a terminal of 80 columns, and in a file."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from contextlib import ExitStack

import pytest

from tests import forkserver
from tests.harness import TIMEOUT, Databases, Etl, environment_of
from tests.situations import gate_closed, make_gated

NAME = "a_table_whose_name_is_as_long_as_names_may_be_in_postgresql_now"


@pytest.fixture
def two_tables(databases: Databases) -> Databases:
    """A table with a long name and a hundred thousand rows, and one with one row."""
    databases.operational.execute(
        f"CREATE TABLE {NAME} AS SELECT n, repeat('x', 50) AS filler FROM generate_series(1, 100000) AS n;"
        "CREATE TABLE small AS SELECT 1 AS n; ANALYZE"
    )
    return databases


def at_terminal(etl: Etl, *arguments: str, width: int = 80, **variables: str) -> tuple[int, str]:
    """Runs ``etl`` at a terminal of so many columns; returns its exit status and its output."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = environment_of(etl.environment | variables | {"TERM": "xterm-256color"})
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    process = forkserver.start(arguments, environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    written = b""
    while piece := _read(leader):
        written += piece
    os.close(leader)
    return process.wait(TIMEOUT), written.decode()


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux says EIO when the last process has left the terminal
        return b""


def plain(written: str) -> list[str]:
    """The lines that stay on the screen or were drawn on it, without colours and cursor movements."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written))
    return [line for line in lines if line.strip()]


def test_run_at_a_terminal_shows_progress_and_a_table_that_fits(etl: Etl, two_tables: Databases) -> None:
    """Bars with rows, bytes, speed; then a table with whole names and sums, within 80 columns; and no JSON."""
    status, written = at_terminal(etl, "run", TABLES=f"{NAME},small")

    lines = plain(written)
    assert status == 0, written
    assert any(re.search(r"^2 tables .* rows .*/s", line) for line in lines)
    whole = [re.search(r"2 tables .* 100,001 rows +(\S+)/(\S+) [kM]B", line) for line in lines]
    assert any(found and found[1] == found[2] for found in whole), "the run's bar never came to its end"
    closing = lines[next(n for n, line in enumerate(lines) if re.match(r"run \S+: published in", line)) :]
    assert re.search(r"table +load +rows +MB +copy s +index s +seconds +rows/s", closing[1])
    assert f"public.{NAME}" in "".join(line.split(" ")[2] for line in closing if line.startswith("  "))
    assert any(re.match(r"  2 tables +100,001 ", line) for line in closing)
    assert max(len(line) for line in closing) <= 80
    assert not any(line.startswith("{") for line in lines)


def test_run_that_fails_at_a_terminal_says_why_once(etl: Etl, two_tables: Databases) -> None:
    """The whole error stands there as plain text, without a table of loads that would look like success."""
    two_tables.reporting.execute("CREATE VIEW small AS SELECT 1 AS n")

    status, written = at_terminal(etl, "run", TABLES="small")

    text = " ".join(plain(written))
    assert status == 1
    assert "public.small is a view in the target, not a table; rename or drop it" in text
    assert "rows/s" not in text.split("small is a view")[-1]


def test_history_in_a_pipe_cuts_nothing_off(etl: Etl, two_tables: Databases) -> None:
    """Names and errors are complete, however long, because a file has no width."""
    assert etl("run", TABLES=f"{NAME},small").status == 0
    two_tables.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    two_tables.operational.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    two_tables.operational.execute("ALTER TABLE small ADD CONSTRAINT odd_numbers CHECK (public.odd(n::int))")
    assert etl("run", TABLES=f"{NAME},small").status == 1

    shown = etl("history").stdout

    failed, published = shown.split("\nrun ")[1:]
    assert f"public.{NAME}  " in published
    assert "status" not in published
    assert "error" not in published
    assert re.search(r"public\.small +failed ", failed)
    assert 'check constraint "odd_numbers" of relation "small" is violated by some row' in failed


def test_a_terminal_has_no_log_lines_unless_they_are_asked_for(etl: Etl, two_tables: Databases) -> None:
    """Bars and one table; with ``-v``, or with a level of one's own, the lines of the log too."""
    _, written = at_terminal(etl, "run", TABLES="small")
    assert "run.started" not in written
    assert "table.loaded" not in written
    _, written = at_terminal(etl, "run", "-v", TABLES="small")
    assert "run.started" in written
    _, written = at_terminal(etl, "run", TABLES="small", ETL_LOG_LEVEL="info")
    assert "run.started" in written
    _, written = at_terminal(etl, "run", TABLES="small", ETL_LOG_FORMAT="json")
    assert '"event": "run.started"' in written
    _, written = at_terminal(etl, "run", TABLES="small", ETL_TYPO="x")
    assert "setting.unknown" in written, "warnings are always shown"


def test_the_bar_of_a_failed_table_goes(etl: Etl, two_tables: Databases) -> None:
    """The other table is still being loaded, and has one."""
    make_gated(two_tables.operational)
    two_tables.operational.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT true'")
    two_tables.reporting.execute("CREATE FUNCTION odd(int) RETURNS bool LANGUAGE sql AS 'SELECT false'")
    two_tables.operational.execute("ALTER TABLE small ADD CONSTRAINT odd_numbers CHECK (public.odd(n::int))")
    with ExitStack() as gate:
        gate.enter_context(gate_closed(two_tables.operational))
        threading.Timer(3, gate.close).start()
        _, written = at_terminal(etl, "run", TABLES="gated,small", ETL_RUN_ID="tonight")
    frames = re.split(r"(?=2 tables)", written)
    failed = next(number for number, frame in enumerate(frames) if "odd_numbers" in frame)
    later = frames[failed + 2 : -1]  # the next one was drawn before; the last one has the run's error, with the table
    assert any("public.gated" in frame for frame in later)
    assert not any("public.small" in frame for frame in later)
