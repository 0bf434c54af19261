"""The stages of a run are named in what the servers are asked, where an administrator sees them."""

from __future__ import annotations

from etl.sessions.stage import Stage
from tests.harness import Databases, Etl
from tests.recorder import Recorder

SOURCE = (Stage.CONNECT, Stage.LOCK, Stage.SNAPSHOT, Stage.CATALOG, Stage.JOIN, Stage.COPY_OUT, Stage.CHECKSUM)
TARGET = (
    *(Stage.CONNECT, Stage.OPEN, Stage.TAKEN, Stage.CREATE, Stage.COPY_IN, Stage.CHECKSUM, Stage.INDEX, Stage.ANALYZE),
    *(Stage.RECORD, Stage.PUBLISH),
)


def test_each_stage_is_named_in_order(databases: Databases, etl: Etl) -> None:
    """On the side where it is done; the catalog may be read before the snapshot, too."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    with Recorder(databases.operational).running() as source, Recorder(databases.reporting).running() as target:
        urls = {"ETL_OPERATIONAL_URL": source.url, "ETL_REPORTING_URL": target.url}
        done = etl("run", TABLES="orders", ETL_VERIFY="checksum", **urls)
    assert (done.status, done.stderr) == (0, "")
    assert {*SOURCE, *TARGET} == {*Stage}
    for recorder, stages in ((source, SOURCE), (target, TARGET)):
        found = [recorder.asked.rfind(stage.encode()) for stage in stages[1:]]
        assert stages[0].encode() in recorder.asked
        assert -1 not in found, dict(zip(stages[1:], found, strict=True))
        assert found == sorted(found)
