"""The stages of a run are named in what the servers are asked, where an administrator sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.sessions.stage import Stage
from tests.harness import Databases, Etl
from tests.recorder import Recorder
from tests.situations import settled

SOURCE = (Stage.CONNECT, Stage.LOCK, Stage.SNAPSHOT, Stage.CATALOG, Stage.JOIN, Stage.COPY_OUT, Stage.CHECKSUM)
TARGET = (
    *(Stage.CONNECT, Stage.OPEN, Stage.TAKEN, Stage.CREATE, Stage.COPY_IN, Stage.CHECKSUM, Stage.INDEX, Stage.ANALYZE),
    *(Stage.RECORD, Stage.DIFFERENCE, Stage.MERGE, Stage.FILL, Stage.PUBLISH, Stage.VALIDATE),
)


@pytest.mark.whole
def test_each_stage_is_named_in_order(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """On the side where it is done; the catalog may be read before the snapshot, too.

    Orders are merged in place, and a materialized view reads them. Items, which refer to them, are swapped.
    """
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY)")
    assert etl("run", TABLES="orders,items").status == 0
    databases.operational.execute("INSERT INTO orders VALUES (1)")
    databases.reporting.execute(
        f"SET ROLE {databases.reporting.role};"
        "ALTER TABLE items ADD FOREIGN KEY (id) REFERENCES orders; CREATE MATERIALIZED VIEW kept AS TABLE orders"
    )
    (tmp_path / "options.toml").write_text('[orders]\npublish = "in-place"\n')
    with Recorder(databases.operational).running() as source, Recorder(databases.reporting).running() as target:
        urls = {"ETL_OPERATIONAL_URL": source.url, "ETL_REPORTING_URL": target.url}
        options = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml"), "ETL_JOBS": "1"}
        done = etl("run", TABLES="orders,items", ETL_VERIFY="checksum", **urls, **options)
    assert (done.status, done.stderr) == (0, "")
    assert {*SOURCE, *TARGET, Stage.COUNT} == {*Stage}
    for recorder, stages in ((source, SOURCE), (target, TARGET)):
        found = [recorder.asked.rfind(stage.encode()) for stage in stages[1:]]
        assert stages[0].encode() in recorder.asked
        assert -1 not in found, dict(zip(stages[1:], found, strict=True))
        assert found == sorted(found)


def test_the_counting_of_changes_is_named(databases: Databases, etl: Etl) -> None:
    """It comes after the snapshot is joined, and before the changed rows are copied out."""
    databases.operational.execute(
        "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2), (3), (4)"
    )
    settled(databases.operational)
    assert etl("run", TABLES="orders", ETL_LOAD="auto").status == 0
    databases.operational.execute("INSERT INTO orders VALUES (5)")
    with Recorder(databases.operational).running() as source:
        done = etl("run", TABLES="orders", ETL_LOAD="auto", ETL_OPERATIONAL_URL=source.url)
    assert (done.status, done.event("table.loaded")["load"]) == (0, "delta")
    found = [source.asked.rfind(stage.encode()) for stage in (Stage.JOIN, Stage.COUNT, Stage.COPY_OUT)]
    assert -1 not in found
    assert found == sorted(found)
