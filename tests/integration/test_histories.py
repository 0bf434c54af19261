"""Nights of a source that was restarted, promoted, or replaced by a copy of its storage: is its history the same?"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl
from tests.integration.test_deltas import ORDERS, Night, Sessions, disturb
from tests.situations import settled, until

PROVEN = "and all rows are proven to be the same"


class Servers:
    """A source and a target of their own, and standbys of the source."""

    def __init__(self) -> None:
        settings = FAST | {"wal_level": "replica", "max_wal_senders": "4"}
        self.primary, self.target = Server.start(settings=settings), Server.start(settings=FAST)
        self.all = [self.primary, self.target]
        for server in self.all:
            server.psql("CREATE DATABASE shop")
        Database(self.primary, "shop").execute(ORDERS)

    def standby(self) -> Server:
        """A new standby of the source."""
        self.all.append(self.primary.replica())
        return self.all[-1]

    def night(self, source: Server) -> Night:
        """Nights that read this server."""
        both = Databases(Database(source, "shop"), Database(self.target, "shop"))
        return Night(both, Etl(both.environment | {"ETL_LOAD": "auto", "TABLES": "orders"}))

    def copied(self) -> Path:
        """A copy of the source's storage, made while the source is down; then it goes on."""
        self.primary.stop()
        copy = self.primary.data.parent / "copy"
        subprocess.run(["cp", "-a", self.primary.data, copy], check=True)
        self.primary.restart()
        return copy

    def put(self, copy: Path) -> None:
        """Puts the copy in the place of the source's storage."""
        self.primary.stop()
        shutil.rmtree(self.primary.data)
        copy.rename(self.primary.data)
        self.primary.restart()


@pytest.fixture
def servers() -> Iterator[Servers]:
    """The servers, until the test ends."""
    one = Servers()
    try:
        yield one
    finally:
        for server in reversed(one.all):
            server.remove()


def test_a_server_that_was_restarted_or_promoted_is_proven_whole(servers: Servers) -> None:
    """A restart, a crash, a promotion, another node: all rows are proven, and changes alone are copied."""
    primary, night = servers.primary, servers.night(servers.primary)
    night.passes("full")
    night.passes("unchanged")
    for how in (signal.SIGINT, signal.SIGQUIT):
        primary.stop(how)
        primary.restart()
        reason = night.passes("unchanged").event("table.loaded")["reason"]
        assert reason == f"no row has changed; the source has been restarted, {PROVEN}"
        primary.stop(how)
        primary.restart()
        night.both.operational.execute(
            "UPDATE orders SET note = note || 'x' WHERE id = 4;"
            "DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)"
        )
        reason = night.passes("delta").event("table.loaded")["reason"]
        assert "1 rows changed and 1 gone" in reason
        assert reason.endswith(f"; the source has been restarted, {PROVEN}")
    night.passes("unchanged")
    primary.psql("ALTER DATABASE shop RENAME TO was; CREATE DATABASE shop TEMPLATE was; DROP DATABASE was")
    assert "the source is another database" in night.passes("full").event("table.loaded")["reason"]
    standby = servers.standby()
    copy = servers.night(standby)
    doubt = "the source has become a primary, or a standby"
    assert copy.passes("unchanged").event("table.loaded")["reason"].endswith(f"{doubt}, {PROVEN}")
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1; DELETE FROM orders WHERE id = 2")
    until(lambda: copy.rows(copy.both.operational) == night.rows(night.both.operational), "the standby to follow")
    assert copy.passes("delta").event("table.loaded")["reason"] == "1 rows changed and 1 gone, 0.4 % of 497"
    standby.psql("SELECT pg_promote()")
    assert copy.passes("unchanged").event("table.loaded")["reason"].endswith(f"{doubt}, {PROVEN}")


@pytest.mark.parametrize("lacks", [False, True])
def test_a_promoted_standby_that_lacks_what_the_last_night_has_read_is_found(servers: Servers, lacks: bool) -> None:
    """It has not received the last transactions, and gives others the same ids; with them, it is the same history."""
    night, standby = servers.night(servers.primary), servers.standby()
    night.passes("full")
    if lacks:
        standby.stop()
    night.both.operational.execute("UPDATE orders SET note = 'last' WHERE id = 3")
    night.passes("delta")
    servers.primary.stop()
    if lacks:
        standby.restart()
    standby.psql("SELECT pg_promote()")
    promoted = servers.night(standby)
    for _ in range(20):
        promoted.both.operational.execute(OTHERS)
    done = promoted.passes("full" if lacks else "unchanged")
    found = "and both sides differ" if lacks else PROVEN
    assert f"the source is on another timeline, {found}" in done.event("table.loaded")["reason"]
    promoted.passes("unchanged")


DIVERGED = {
    "a row is written here and there": ("UPDATE orders SET note = 'lost' WHERE id = 3", ""),
    "a row is deleted here, another there": ("DELETE FROM orders WHERE id = 7", "DELETE FROM orders WHERE id = 8"),
}
"""What the source has done after its storage was copied, and the copy in its place."""

OTHERS = "CREATE TABLE IF NOT EXISTS other (id int); INSERT INTO other VALUES (1);"


@pytest.mark.parametrize("what", DIVERGED)
def test_a_copy_of_the_storage_in_the_original_s_place_is_found(servers: Servers, what: str) -> None:
    """It is older than the last night and has written more since: ids and numbers of rows look right."""
    lost, instead = DIVERGED[what]
    night = servers.night(servers.primary)
    night.passes("full")
    copy = servers.copied()
    night.both.operational.execute(lost)
    assert PROVEN in night.passes("delta").event("table.loaded")["reason"]
    servers.put(copy)
    night.both.operational.execute(instead or "SELECT")
    for _ in range(20):
        night.both.operational.execute(OTHERS)
    done = night.passes("full")
    assert "the source has been restarted, and both sides differ" in done.event("table.loaded")["reason"]
    assert "all keys differs" in done.event("table.unlike")["what"]
    night.passes("unchanged")


def test_random_nights_with_restarts_in_between_leave_both_sides_equal(servers: Servers) -> None:
    """The source is stopped or killed each other day, with open transactions; no doubt costs a full load."""
    random, night = Random(18), servers.night(servers.primary)
    settled(night.both.operational)
    night.passes("full")

    def day(number: int, sessions: Sessions) -> None:
        disturb(random, night.both.operational, sessions, number)
        if number % 2:
            servers.primary.stop(random.choice([signal.SIGINT, signal.SIGQUIT]))
            for session in sessions:
                session.close()
            sessions.clear()
            servers.primary.restart()
        disturb(random, night.both.operational, sessions, number)

    loads = night.lives_through(8, day)
    assert [one["reason"].endswith(PROVEN) for one in loads] == [False, True] * 4
    assert [one["load"] for one in loads].count("delta") > 3
