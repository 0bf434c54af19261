"""Big tables in page ranges: what arrives is what one stream would bring, and old snapshots never see it empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from etl.model.name import Relation, TargetName
from etl.model.table import Table
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import staging
from servers.postgres import FAST, Server
from servers.programs import wheel_bin
from tests.harness import Database, Databases, Done, Etl
from tests.mirror import assert_same
from tests.releases import cuts_tables
from tests.situations import ended, gate_closed, kill, make_gate, until, waiting

READER = "ctid"

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(
        not cuts_tables(),
        reason="there are page ranges from PostgreSQL 14 on; without ETL_TEST_POSTGRES this test runs",
    ),
]

ITEMS = "CREATE TABLE items AS SELECT i AS id, repeat(md5(i::text), 3) AS note FROM generate_series(1, 5000) i"


@pytest.fixture
def split(etl: Etl, tmp_path: Path) -> Etl:
    """``etl`` with options that cut every table into about five ranges."""
    return optioned(etl, tmp_path, "[defaults]\nsplit = 5\n")


def optioned(etl: Etl, folder: Path, options: str) -> Etl:
    (folder / "options.toml").write_text(options)
    return Etl(etl.environment | {"ETL_OPTIONS_FILE": str(folder / "options.toml")})


def ranges(done: Done) -> dict[str, int]:
    """The number of ranges of each table."""
    assert (done.status, done.stderr) == (0, "")
    return {event["table"]: event["ranges"] for event in done.events if event["event"] == "table.loaded"}


def test_a_heap_arrives_whole_in_ranges(databases: Databases, split: Etl) -> None:
    """Every row once, with its indexes and constraints, hashed on both sides; all of it frozen and all-visible."""
    databases.operational.execute(f"{ITEMS}; ALTER TABLE items ADD PRIMARY KEY (id); CREATE INDEX ON items (note)")
    databases.operational.execute("CREATE UNIQUE INDEX ON items (note, id); COMMENT ON INDEX items_note_idx IS 'mine'")
    done = split("run", TABLES="items", ETL_VERIFY="checksum")
    assert ranges(done) == {"public.items": 5}
    assert done.event("table.loaded")["rows"] == 5000
    assert_same(databases.operational, databases.reporting, ["items"])
    indexes = (
        "SELECT indexdef, obj_description(indexname::regclass) FROM pg_indexes WHERE tablename = 'items' ORDER BY 1"
    )
    assert databases.reporting.rows(indexes) == databases.operational.rows(indexes)
    # Not relpages: writers that wait for one another add several pages at once (hio.c), and leave some of them empty.
    filled = "SELECT count(DISTINCT (ctid::text::point)[0]) FROM items"
    visible = "SELECT relallvisible FROM pg_class WHERE oid = 'items'::regclass"
    assert databases.reporting.rows(filled) == databases.reporting.rows(visible) != [(0,)]
    assert databases.staging_tables() == []


KEYS = """
CREATE TABLE keys (id int, b int, "a DEFERRABLE" int, span int4range, w int4range, c text);
INSERT INTO keys SELECT i, i, i, int4range(i, i + 1), int4range(i, i + 1), md5(i::text) FROM generate_series(1, 5000) i;
ALTER TABLE keys ADD CONSTRAINT "the key" PRIMARY KEY (id) INCLUDE (b) WITH (fillfactor = 70);
ALTER TABLE keys ADD CONSTRAINT late UNIQUE (b) DEFERRABLE INITIALLY DEFERRED, ADD CONSTRAINT may UNIQUE (c) DEFERRABLE,
  ADD CONSTRAINT odd UNIQUE ("a DEFERRABLE"), ADD CONSTRAINT nulls UNIQUE NULLS NOT DISTINCT (c, b),
  ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&), ADD CONSTRAINT over UNIQUE (span, w WITHOUT OVERLAPS),
  ADD CONSTRAINT positive CHECK (id > 0);
CREATE INDEX by_c ON keys (c text_pattern_ops) WHERE id > 7; CREATE INDEX by_expression ON keys (lower(c));
COMMENT ON CONSTRAINT "the key" ON keys IS 'kept'; COMMENT ON INDEX by_c IS 'kept, too'
"""


def test_indexes_that_are_built_side_by_side_are_those_of_the_source(databases: Databases, split: Etl) -> None:
    """Keys take an index that was built before them; definitions, deferral, storage and comments are the source's."""
    databases.operational.execute(KEYS)
    with databases.reporting.connect() as session:
        session.execute(f"ALTER DATABASE {databases.reporting.name} SET log_statement = 'all'")
    assert ranges(split("run", TABLES="keys"))["public.keys"] == 5
    for query in (
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'keys' ORDER BY 1",
        "SELECT conname, pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint"
        " WHERE conrelid = 'keys'::regclass ORDER BY 1",
        "SELECT obj_description('by_c'::regclass)",
    ):
        assert databases.reporting.rows(query) == databases.operational.rows(query)
    log = databases.reporting.server.log.read_text(errors="replace")  # other tests have databases of other encodings
    for name in ('"the key"', '"late"', '"may"', '"odd"', '"nulls"', '"by_c"'):
        assert re.search(rf"LOG:  statement: DROP INDEX .*{name}; .*CREATE (UNIQUE )?INDEX {name} ON", log), name


def test_a_key_that_the_rows_break_fails_the_load(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Nothing is published, and no row is quoted; what cannot be built is left out where the options say so."""
    databases.operational.execute(f"{ITEMS}; ALTER TABLE items ADD PRIMARY KEY (id)")
    options = "[items]\nsplit = 5\nmask = {id = 'sql:1'}\n"
    done = optioned(etl, tmp_path, options)("run", TABLES="items")
    assert done.status == 1
    assert 'could not create unique index "items_pkey"' in done.stderr
    assert "(id)=(1)" not in done.stderr + done.stdout
    assert databases.staging_tables() == []
    databases.operational.execute("CREATE SCHEMA own; CREATE FUNCTION own.f(i int) RETURNS int IMMUTABLE RETURN i")
    databases.operational.execute("CREATE INDEX by_f ON items (own.f(id)); COMMENT ON INDEX by_f IS 'mine'")
    done = optioned(etl, tmp_path, "[items]\nsplit = 5\n")("run", TABLES="items")
    assert "index by_f of public.items needs function own.f(integer), which the target lacks" in done.stderr
    done = optioned(etl, tmp_path, "[items]\nsplit = 5\nunbuildable_indexes = 'skip'\n")("run", TABLES="items")
    assert ranges(done) == {"public.items": 5}
    assert done.event("index.skipped")["index"] == "by_f"
    assert databases.reporting.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'items'") == [("items_pkey",)]


def test_wide_values_count_and_arrive(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """A heap of few pages with much TOAST is cut by what is in its TOAST."""
    databases.operational.execute(
        "CREATE TABLE documents (id int, body text); ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;"
        "INSERT INTO documents SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 400) i"
    )
    pages = databases.operational.value("SELECT pg_relation_size('documents') / 8192")
    done = optioned(etl, tmp_path, '[documents]\nsplit = "1MB"\n')("run", TABLES="documents", ETL_VERIFY="checksum")
    assert 2 <= ranges(done)["public.documents"] <= pages
    assert_same(databases.operational, databases.reporting, ["documents"])


def test_partitions_of_partitions_arrive_as_one_table(databases: Databases, split: Etl) -> None:
    """Each leaf is a range or more; its columns may lie in another order; empty ones cost nothing."""
    databases.operational.execute(
        "CREATE TABLE events (day date, id int, note text) PARTITION BY RANGE (day);"
        "CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (id);"
        "CREATE TABLE old_1 PARTITION OF old FOR VALUES IN (1); CREATE TABLE old_rest PARTITION OF old DEFAULT;"
        "CREATE TABLE new (note text, gone int, id int, day date); ALTER TABLE new DROP gone;"
        "ALTER TABLE events ATTACH PARTITION new FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');"
        "CREATE TABLE never PARTITION OF events DEFAULT;"
        "INSERT INTO events SELECT date '2020-01-01' + i % 700, i % 3, md5(i::text) FROM generate_series(1, 9000) i"
    )
    done = split("run", TABLES="events", ETL_VERIFY="checksum")
    assert ranges(done)["public.events"] >= 5
    assert_same(databases.operational, databases.reporting, ["events"])


def test_inheritance_children_arrive_with_their_parent(databases: Databases, split: Etl) -> None:
    """Rows of parent, child and grandchild, each once, also where a child has two parents of the family."""
    databases.operational.execute(
        "CREATE TABLE parent AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 2000) i;"
        "CREATE TABLE one () INHERITS (parent); CREATE TABLE two (more int) INHERITS (parent);"
        "CREATE TABLE three () INHERITS (one, two);"
        "INSERT INTO one SELECT i, 'one' FROM generate_series(1, 1000) i;"
        "INSERT INTO three SELECT i, 'three', 7 FROM generate_series(1, 1000) i"
    )
    assert ranges(split("run", TABLES="parent", ETL_VERIFY="checksum"))["public.parent"] >= 3
    assert_same(databases.operational, databases.reporting, ["parent"])
    assert databases.reporting.value("SELECT count(*) FROM parent") == 4000


def test_ranges_may_be_empty(databases: Databases, split: Etl) -> None:
    """Pages without a row left in them, and a table without any, are no trouble."""
    databases.operational.execute(
        f"{ITEMS}; DELETE FROM items WHERE id BETWEEN 1000 AND 4000; CREATE TABLE none (i int)"
    )
    assert ranges(split("run", TABLES="items,none", ETL_VERIFY="checksum")) == {"public.items": 5, "public.none": 1}
    assert_same(databases.operational, databases.reporting, ["items", "none"])


@pytest.mark.parametrize(
    "options",
    [
        "[items]\nsplit = false",
        "[defaults]\nsplit = 4\n[items]\nsplit = true",
        "[items]\nsplit = 4\norder_by = ['note']",
        '[items]\nsplit = "1GB"',
    ],
)
def test_one_stream_where_the_options_say_so(databases: Databases, etl: Etl, tmp_path: Path, options: str) -> None:
    """Split off; back to the default, which is for tables of gigabytes; sorted; smaller than one range."""
    databases.operational.execute(ITEMS)
    assert ranges(optioned(etl, tmp_path, options)("run", TABLES="items")) == {"public.items": 1}


def test_what_has_no_pages_of_its_own_comes_in_one_stream(databases: Databases, split: Etl) -> None:
    """A view, and a materialized view, which might be refreshed between two ranges."""
    databases.operational.execute(
        f"{ITEMS}; CREATE VIEW seen AS TABLE items; CREATE MATERIALIZED VIEW kept AS TABLE items"
    )
    assert ranges(split("run", TABLES="seen,kept")) == {"public.seen": 1, "public.kept": 1}
    assert_same(databases.operational, databases.reporting, ["seen", "kept"])


def test_a_partition_that_the_role_may_not_read_itself_comes_through_its_parent(
    databases: Databases, split: Etl
) -> None:
    """Privileges on the parent are enough, as for any SELECT."""
    databases.operational.execute(
        "CREATE TABLE events (id int, note text) PARTITION BY HASH (id);"
        "CREATE TABLE e0 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE e1 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO events SELECT i, md5(i::text) FROM generate_series(1, 5000) i;"
        "DROP ROLE IF EXISTS parent_reader; CREATE ROLE parent_reader LOGIN;"
        "GRANT SELECT ON events, e0 TO parent_reader"
    )
    try:
        server = databases.operational.server
        url = server.url(databases.operational.name, user="parent_reader")
        assert ranges(split("run", TABLES="events", ETL_OPERATIONAL_URL=url)) == {"public.events": 1}
        databases.operational.execute("GRANT SELECT ON e1 TO parent_reader")
        assert ranges(split("run", TABLES="events", ETL_OPERATIONAL_URL=url))["public.events"] > 1
        assert_same(databases.operational, databases.reporting, ["events"])
    finally:
        databases.operational.execute("DROP OWNED BY parent_reader; DROP ROLE parent_reader")


@pytest.mark.parametrize(("name", "count"), [("", 6), ("items.", 6), ("public.items.", 1)])
def test_masks_and_conditions_hold_in_every_range(
    databases: Databases, etl: Etl, tmp_path: Path, name: str, count: int
) -> None:
    """By the table's name too; with its schema it is unknown within a partition, and all comes in one stream."""
    databases.operational.execute(
        "CREATE TABLE items (id int, note text) PARTITION BY HASH (id);"
        "CREATE TABLE i0 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE i1 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO items SELECT i, 'secret ' || i FROM generate_series(1, 5000) i"
    )
    options = f"[items]\nsplit = 6\nwhere = '{name}id % 3 = 0 OR {name}id = 1 -- some'\n"
    done = optioned(etl, tmp_path, options + f"mask = {{note = 'sql:{name}id || $$ masked$$'}}\n")(
        "run", TABLES="items", ETL_VERIFY="checksum"
    )
    assert (ranges(done)["public.items"] > 1) == (count > 1)
    rows = databases.reporting.rows("SELECT count(*), count(DISTINCT id), bool_and(note = id || ' masked') FROM items")
    assert rows == [(1667, 1667, True)]


@pytest.fixture
def gated(databases: Databases, etl: Etl, tmp_path: Path) -> tuple[Databases, Etl]:
    """A table of which the range with row 2500 stands still while the gate is closed."""
    make_gate(databases.operational)
    databases.operational.execute(f"{ITEMS}; ALTER TABLE items ADD PRIMARY KEY (id)")
    databases.operational.execute("VACUUM items")  # cuts off the empty pages at its end, so that no range is empty
    where = "CASE WHEN id = 2500 THEN public.gate(id) > 0 ELSE true END"
    return databases, optioned(etl, tmp_path, f'[items]\nsplit = 5\nwhere = "{where}"\n')


def stands_still(databases: Databases) -> None:
    """Waits until one range is at the gate and the rows of the other four are committed."""
    until(lambda: waiting(databases.operational, READER), "a range stands at the gate")
    others = "SELECT count(DISTINCT xmin::text) FROM etl_staging_public.items"
    until(lambda: databases.reporting.value(others) == 4, "the others are in")


@pytest.mark.parametrize("side", ["operational", "reporting"])
def test_a_range_whose_session_is_killed_is_copied_again_alone(gated: tuple[Databases, Etl], side: str) -> None:
    """The retry names the range; the other ranges' transactions are those of their first try; no row comes twice."""
    databases, etl = gated
    with etl.started("run", TABLES="items", ETL_RUN_ID="tonight", ETL_VERIFY="checksum") as process:
        with gate_closed(databases.operational):
            stands_still(databases)
            first = databases.reporting.rows("SELECT DISTINCT xmin::text FROM etl_staging_public.items")
            kill(getattr(databases, side), "ctid" if side == "operational" else "COPY ", "tonight")
        done = ended(process)
    assert ranges(done) == {"public.items": 5}
    assert done.event("table.retried")["range"].startswith("public.items pages ")
    assert set(databases.reporting.rows("SELECT DISTINCT xmin::text FROM items")) > set(first)
    assert_same(databases.operational, databases.reporting, ["items"])


def test_what_is_written_vacuumed_and_appended_meanwhile_changes_nothing(gated: tuple[Databases, Etl]) -> None:
    """The last range is open, the first rows move, the table shrinks and grows: the snapshot's rows arrive."""
    databases, etl = gated
    before = databases.operational.rows("SELECT id, note FROM items ORDER BY id")
    with etl.started("run", TABLES="items", ETL_RUN_ID="tonight", ETL_VERIFY="checksum") as process:
        with gate_closed(databases.operational):
            until(lambda: waiting(databases.operational, READER), "a range stands at the gate")
            databases.operational.execute("DELETE FROM items WHERE id > 3000; UPDATE items SET note = 'new'")
            databases.operational.execute("INSERT INTO items SELECT i, 'more' FROM generate_series(9000, 20000) i")
            databases.operational.execute("VACUUM items")
        done = ended(process)
    assert ranges(done) == {"public.items": 5}
    assert databases.reporting.rows("SELECT id, note FROM items ORDER BY id") == before


def test_a_range_that_keeps_failing_fails_its_table_and_leaves_nothing(gated: tuple[Databases, Etl]) -> None:
    """The other ranges are stopped, what they had brought is dropped, and nothing live was touched."""
    databases, etl = gated
    databases.operational.execute(
        "CREATE OR REPLACE FUNCTION public.gate(n int) RETURNS int LANGUAGE sql RETURN 1 / (n - 2500)"
    )
    done = etl("run", TABLES="items")
    assert done.status == 1
    assert "table.failed public.items: division by zero" in done.stderr
    assert databases.staging_tables() == []
    assert databases.reporting.value("SELECT to_regclass('items') IS NULL")


@contextmanager
def old_snapshot(database: Database, table: str = "other") -> Iterator[psycopg.Connection[TupleRow]]:
    """A report in REPEATABLE READ, which has not read the table that is to be published."""
    with database.connect(application_name="long report") as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute(f"SELECT count(*) FROM {table}".encode())
        yield report


@pytest.fixture
def night(databases: Databases, split: Etl) -> Databases:
    """A table that came in ranges last night, changed since, and another that nobody copies."""
    databases.operational.execute(ITEMS)
    databases.reporting.execute("CREATE TABLE other AS SELECT 1 AS id")
    assert ranges(split("run", TABLES="items")) == {"public.items": 5}
    databases.operational.execute("UPDATE items SET note = 'today'")
    return databases


def test_the_publish_waits_for_snapshots_that_would_see_an_empty_table(night: Databases, split: Etl) -> None:
    """Until it ends the report sees all of yesterday; the log names it; then all of today is there, frozen."""
    with old_snapshot(night.reporting) as report, split.started("run", TABLES="items") as process:
        # staged, and the publish looks for old snapshots time and again
        staged = "SELECT count(*) FROM etl.loads WHERE status = 'staged'"
        until(lambda: night.reporting.value(staged) == 1, "staged")
        assert report.execute("SELECT count(*), min(note) = 'today' FROM items").fetchall() == [(5000, False)]
        report.execute("COMMIT")
        done = ended(process)
    assert ranges(done) == {"public.items": 5}
    assert night.reporting.rows("SELECT count(*), min(note) FROM items") == [(5000, "today")]


def test_a_snapshot_that_stays_is_named_at_the_deadline_and_nothing_is_published(night: Databases, split: Etl) -> None:
    """Exit status 1; the report goes on, and what is live is yesterday's."""
    with old_snapshot(night.reporting) as report:
        done = split("run", TABLES="items", ETL_PUBLISH_DEADLINE="1")
        assert done.status == 1
        assert "for 1 s a snapshot was older than the rows of public.items, held by pid " in done.stderr
        assert f"pid {report.info.backend_pid} (postgres, long report) since 20" in done.stderr
        assert "split = false" in done.stderr
        assert report.execute("SELECT count(*), min(note) = 'today' FROM items").fetchall() == [(5000, False)]
    assert night.staging_tables() == []


@pytest.mark.superuser("ends a superuser's session")
def test_a_snapshot_that_stays_is_ended_where_that_is_wanted(night: Databases, split: Etl) -> None:
    """ETL_PUBLISH_BLOCKERS=end: its session goes at the deadline, and the run publishes."""
    with old_snapshot(night.reporting) as report:
        done = split("run", TABLES="items", ETL_PUBLISH_DEADLINE="1", ETL_PUBLISH_BLOCKERS="end")
        assert ranges(done) == {"public.items": 5}
        assert done.event("publish.ended_blocker")["pid"] == report.info.backend_pid
        with pytest.raises(psycopg.errors.AdminShutdown):
            report.execute("SELECT 1")
    assert night.reporting.value("SELECT min(note) FROM items") == "today"


def test_a_deferred_publish_waits_for_old_snapshots_too(night: Databases, split: Etl) -> None:
    """What `etl publish` needs to know of the ranges stands in the ledger."""
    with old_snapshot(night.reporting):
        assert split("run", TABLES="items", ETL_RUN_ID="waits", ETL_PUBLISH="defer").status == 0
        done = split("publish", "waits", ETL_PUBLISH_DEADLINE="1")
        assert (done.status, "a snapshot was older" in done.stderr) == (1, True)
    assert split("publish", "waits").status == 0
    assert night.reporting.value("SELECT min(note) FROM items") == "today"


async def test_a_commit_whose_answer_was_lost_is_told_by_the_rows_that_stand_there(databases: Databases) -> None:
    """Committed, rolled back, or open in a session that is lost to us, which is ended: none is counted twice."""
    target = await connect_target(DatabaseUrl.parse(databases.reporting.url, {}), "test")
    table = Table(Relation("public", "items"), TargetName("public", "items"))
    databases.reporting.execute("CREATE SCHEMA etl_staging_public; CREATE TABLE etl_staging_public.items (i int)")
    found = {}
    with databases.reporting.connect() as lost:
        for end in ("COMMIT", "ROLLBACK", ""):
            lost.execute("BEGIN")
            lost.execute("INSERT INTO etl_staging_public.items SELECT generate_series(1, 10)")
            ((xid,),) = lost.execute("SELECT pg_current_xact_id()::text::bigint").fetchall()
            if end:
                lost.execute(end.encode())
            found[end] = await staging.arrived(target, table, xid)
        with pytest.raises(psycopg.errors.AdminShutdown):
            lost.execute("COMMIT")
    await target.close()
    assert found == {"COMMIT": 10, "ROLLBACK": 0, "": 0}


def test_a_range_is_read_by_a_scan_of_its_pages_alone(databases: Databases, split: Etl) -> None:
    """On 16 too; before 14 each range would be a scan of the whole table (tests/unit/test_ranges.py)."""
    server = Server.start(wheel_bin("16"), FAST)
    try:
        source = Database(server, "postgres")
        source.execute(ITEMS)
        assert ranges(split("run", TABLES="items", ETL_OPERATIONAL_URL=source.url)) == {"public.items": 5}
        plan = source.rows("EXPLAIN SELECT * FROM ONLY items WHERE ctid >= '(10,0)' AND ctid < '(20,0)'")
        assert "Tid Range Scan" in plan[0][0]
    finally:
        server.remove()
