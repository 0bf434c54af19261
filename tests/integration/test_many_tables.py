"""Many tables in one publish: the target's lock table has room for them, or the run is refused at the start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Etl

pytestmark = pytest.mark.whole

ROOM = 10 * 25
"""The number of locks in the small server: max_locks_per_transaction times max_connections."""


@pytest.fixture
def small(databases: Databases) -> Iterator[Databases]:
    """A source with more tables than a small target can publish at once."""
    databases.operational.execute(
        f"DO $$ BEGIN FOR i IN 1..{ROOM // 3 + 1} LOOP EXECUTE format("
        "'CREATE TABLE t%s (id int PRIMARY KEY, note text); INSERT INTO t%1$s VALUES (1)', i); END LOOP; END $$"
    )
    server = Server.start(settings=FAST | {"max_locks_per_transaction": "10", "max_connections": "25"})
    yield Databases(databases.operational, Database(server, "postgres"))
    server.remove()


def test_more_tables_than_the_target_has_locks_for_are_refused_before_anything_is_touched(small: Databases) -> None:
    """Exit status 2, with the numbers; with one table less the run publishes, again and again."""
    etl = Etl(small.environment)
    done = etl("run", TABLES="t*")
    assert done.status == 2
    assert done.stderr == (
        "etl: the publish of 84 tables at once takes up to 252 locks, and the target has room for 250;"
        " set its max_locks_per_transaction from 10 to 11 or more\n"
    )
    assert small.reporting.value("SELECT to_regnamespace('etl') IS NULL")
    for _ in range(2):
        done = etl("run", TABLES="t*,!t1")
        assert (done.status, done.stderr) == (0, "")
    assert not [event for event in done.events if event["event"] == "publish.uncleared"]
