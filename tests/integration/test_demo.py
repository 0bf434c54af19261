"""``make demo`` shows what it promises, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from demo.reader import Answer, Reader, ask
from demo.story import DemoFailed, judge
from tests.harness import TIMEOUT, Database, Databases, environment_of

# Variables of a developer's shell that must not reach the demo.
HOSTILE = {"AWS_PROFILE": "no-such-profile", "ETL_PUBLISH": "defer", "PGHOST": "nowhere.invalid", "TABLES": "none"}


@dataclass
class Demo:
    """A running demo without a terminal: its output, and the processes that it has started so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    started: dict[psutil.Process, list[str]] = field(default_factory=dict)

    def read_until(self, pattern: str) -> re.Match[str]:
        """Reads the demo's output until a line matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._look()
            if match := re.search(pattern, line):
                return match
        pytest.fail(f"the demo ended without {pattern!r}: {self.text}")

    def status(self) -> int:
        """Reads to the end; returns the exit status."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        return self.process.wait(TIMEOUT)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def folders(self) -> set[Path]:
        """The folders of the servers' data."""
        return {Path(words[words.index("-D") + 1]) for words in self.started.values() if "-D" in words}

    def _look(self) -> None:
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # taken anew: between fork and exec it was the demo's own
                    self.started[process] = process.cmdline()

    def assert_nothing_is_left(self) -> None:
        """Fails if a process still runs, or data still exists."""
        commands = [" ".join(words) for words in self.started.values()]
        assert len(self.folders) == 2
        assert any("moto.server" in command for command in commands)
        # A run may be too short to be seen. But it is of the demo's session, unlike the servers.
        session = [process for process in psutil.process_iter() if _session_of(process) == self.process.pid]
        _, alive = psutil.wait_procs({*self.started, *session}, timeout=10)
        assert not alive
        assert [folder for folder in self.folders if folder.exists()] == []


def _session_of(process: psutil.Process) -> int | None:
    """The id of a process's session; None if it has ended."""
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


@contextmanager
def demo(*arguments: str) -> Iterator[Demo]:
    """Starts a small demo in its own session, as a terminal would; ends it in any case."""
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "--rows", "3000", *arguments],
        env=environment_of(HOSTILE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(TIMEOUT, process.terminate)
    watchdog.start()
    try:
        yield Demo(process)
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate(timeout=TIMEOUT)


def test_demo_copies_a_shop_proves_it_and_shows_two_whole_days() -> None:
    """Two nights, six equal tables, reads of yesterday and of today and of nothing else, and nothing left."""
    with demo() as playing:
        playing.read_until(r'"run.started"')
        assert playing.status() == 0, playing.text

    published = re.findall(r'"event": "run.finished".*"status": "published"', playing.text)
    assert len(published) == 2
    assert len(re.findall(r"public\.\w+ .* same", playing.text)) == 6
    reads = {day: int(count) for day, count in re.findall(r"(yesterday|between|today) +(\d+)", playing.text)}
    assert reads["yesterday"] > 0
    assert reads["between"] == 0
    assert reads["today"] > 0
    playing.assert_nothing_is_left()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_stopped_in_the_middle_of_a_run_leaves_nothing(signum: signal.Signals) -> None:
    """Ctrl-C reaches the whole group, as a terminal sends it; kill reaches the demo alone."""
    with demo() as playing:
        playing.read_until(r'"run.started"')
        if signum == signal.SIGINT:
            os.killpg(playing.process.pid, signum)
        else:
            playing.process.send_signal(signum)
        assert playing.status() == 128 + signum, playing.text

    assert "the reader saw" not in playing.text
    assert playing.lines[-1] == "demo: stopped; nothing is left running\n"
    playing.assert_nothing_is_left()


def test_demo_that_is_kept_tells_how_to_reach_it_and_stops_when_asked() -> None:
    """The printed URLs and variables work; after SIGTERM nothing is left."""
    with demo("--keep") as playing:
        playing.read_until(r'"run.started"')
        url = playing.read_until(r"reporting +\S+ (postgresql://\S+)")[1]
        exports = playing.read_until(r"^export (.*)")[1]
        history = playing.read_until(r"^(\S+/etl) history")[1]
        playing.read_until(r"`kill \d+` stops")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) > 0 FROM orders").fetchone() == (True,)
        by_hand = ["bash", "-c", f"export {exports}; {history} history --json"]
        shown = subprocess.run(by_hand, env=environment_of({}), capture_output=True, text=True, check=False)
        assert shown.stdout.count('"published_at"') == 12, shown.stderr
        playing.process.terminate()
        assert playing.status() == 0

    playing.assert_nothing_is_left()


@pytest.fixture
def shop(databases: Databases) -> Database:
    """The two tables of the reader's query."""
    databases.reporting.execute(
        "CREATE TABLE products (price numeric); CREATE TABLE orders (id bigint);"
        "INSERT INTO products VALUES (100); INSERT INTO orders VALUES (1)"
    )
    return databases.reporting


def answer_of(database: Database) -> Answer:
    with psycopg.connect(database.url) as connection:
        return ask(connection)


def test_demo_fails_when_readers_saw_a_mixture(shop: Database) -> None:
    """Tables that change one after the other give mixed reads, and the verdict says so."""
    yesterday = answer_of(shop)
    with Reader(shop.url) as reader:
        reader.await_answer(yesterday)
        shop.execute("UPDATE products SET price = 105")
        reader.await_answer(answer_of(shop))
        shop.execute("INSERT INTO orders VALUES (2)")
        today = answer_of(shop)
        reader.await_answer(today)

    with pytest.raises(DemoFailed, match="yesterday, then a mixture, then today"):
        judge(reader, yesterday, today)


def test_demo_fails_when_a_reader_got_an_error(shop: Database) -> None:
    """A table that is missing for a moment is as bad as a mixture."""
    yesterday = answer_of(shop)
    with Reader(shop.url) as reader:
        reader.await_answer(yesterday)
        shop.execute("DROP TABLE orders")
        reader.await_answer(Answer(yesterday.price_list, -1))

    with pytest.raises(DemoFailed, match='relation "orders" does not exist'):
        judge(reader, yesterday, yesterday)
