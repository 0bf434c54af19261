"""A runner whose clock was ahead, and has been put right, is no reason for full loads until the clock has passed."""

from __future__ import annotations

import pytest

from tests.harness import Databases, Etl
from tests.situations import settled


@pytest.mark.parametrize("way", ["swap", "merge"])
def test_the_last_publish_is_the_last_also_after_a_clock_that_was_ahead(
    databases: Databases, etl: Etl, way: str
) -> None:
    """The next load finds what the last one left, and analysts see that one."""
    databases.operational.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 900)")
    settled(databases.operational)
    assert etl("run", TABLES="t").status == 0
    databases.reporting.execute("UPDATE etl.loads SET published_at = published_at + interval '1 day'")
    for number in range(3):
        databases.operational.execute(f"INSERT INTO t VALUES ({1000 + number})")
        done = etl("run", TABLES="t", ETL_RUN_ID=f"night-{number}", ETL_PUBLISH_WAY=way)
        assert done.status == 0
        assert databases.reporting.value("SELECT run_id FROM etl.freshness") == f"night-{number}"
    assert databases.reporting.value("SELECT max(load) FROM etl.loads WHERE run_id = 'night-2'") == (
        "delta" if way == "merge" else "full"
    )
