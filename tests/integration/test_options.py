"""The options of a table, each on real servers; the tests of masks are in test_masks.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Databases, Done, Etl
from tests.situations import ledger, live

Run = Callable[..., Done]

ORDERS = """
    CREATE TABLE orders (id int PRIMARY KEY, day date NOT NULL, note text, CHECK (id > 0));
    CREATE INDEX by_day ON orders (day);
    INSERT INTO orders SELECT id, date '2024-01-01' + (id * 7) % 100, 'note ' || id FROM generate_series(1, 100) id;
"""


@pytest.fixture
def run(etl: Etl, tmp_path: Path) -> Run:
    """Runs ``etl`` with an options file, by default on the table ``orders``."""

    def start(options: str, *arguments: str, **variables: str) -> Done:
        file = tmp_path / "options.toml"
        file.write_text(options)
        return etl(*(arguments or ("run",)), **{"TABLES": "orders", "ETL_OPTIONS_FILE": str(file)} | variables)

    return start


def done(run: Done) -> Done:
    """Asserts that a run succeeded, and returns it."""
    assert (run.status, run.stderr) == (0, "")
    return run


RENAMED = '[orders]\nrename = "reporting.bookings"\n'


def test_a_renamed_table_is_live_under_its_new_name(databases: Databases, run: Run) -> None:
    """Night after night, with its attachments; check, verify, history and the logs use the source's name."""
    databases.operational.execute(ORDERS)
    for _ in range(2):
        assert done(run(RENAMED, ETL_VERIFY="checksum")).event("table.loaded")["table"] == "public.orders"
        target = databases.reporting
        target.execute("CREATE OR REPLACE VIEW busy AS SELECT day, count(*) FROM reporting.bookings GROUP BY day")
        target.execute("CREATE INDEX IF NOT EXISTS own ON reporting.bookings (note)")
    assert target.value("SELECT to_regclass('public.orders')") is None
    assert target.value("SELECT sum(count) FROM busy") == 100
    indexes = target.rows("SELECT indexname FROM pg_indexes WHERE schemaname = 'reporting' ORDER BY 1")
    assert indexes == [("bookings_pkey",), ("by_day",), ("own",)]
    assert target.rows("SELECT DISTINCT table_name, schema_name, relation_name, status FROM etl.loads") == [
        ("public.orders", "reporting", "bookings", "published")
    ]
    assert (
        "public.orders: its rows are merged into the live table reporting.bookings; "
        in done(run(RENAMED, "check")).stdout
    )
    assert "public.orders" in done(run(RENAMED, "history")).stdout
    assert done(run(RENAMED, "verify")).status == 0
    target.execute("UPDATE reporting.bookings SET note = 'x' WHERE id = 7")
    assert "public.orders (100 rows on both sides" in run(RENAMED, "verify").stderr
    assert databases.staging_tables() == []


def test_two_tables_may_change_names(databases: Databases, run: Run) -> None:
    """Even if each one's new name is the other's old one."""
    databases.operational.execute("CREATE TABLE a AS SELECT 'a' AS v; CREATE TABLE b AS SELECT 'b' AS v")
    done(run("", TABLES="a,b"))
    options = '[a]\nrename = "b"\n[b]\nrename = "a"'
    done(run(options, TABLES="a,b", ETL_VERIFY="checksum"))
    assert databases.reporting.rows("SELECT a.v, b.v FROM a, b") == [("b", "a")]
    assert done(run(options, "verify", TABLES="a,b")).status == 0


def test_tables_of_two_schemas_arrive_in_one_with_their_indexes(databases: Databases, run: Run) -> None:
    """Names of indexes are unique in a schema; those that contained the table's old name contain its new one."""
    for tenant in ("one", "two"):
        databases.operational.execute(
            f"CREATE SCHEMA {tenant}; CREATE TABLE {tenant}.orders (id int PRIMARY KEY, day date);"
            f"CREATE INDEX ON {tenant}.orders (day); INSERT INTO {tenant}.orders VALUES (1)"
        )
    options = "".join(f'["{tenant}.orders"]\nrename = "tenants.orders_{tenant}"\n' for tenant in ("one", "two"))
    for _ in range(2):
        done(run(options, TABLES="*.orders"))
    names = databases.reporting.rows("SELECT indexname FROM pg_indexes WHERE schemaname = 'tenants' ORDER BY 1")
    assert [name for (name,) in names] == [
        "orders_one_day_idx",
        "orders_one_pkey",
        "orders_two_day_idx",
        "orders_two_pkey",
    ]


def test_tables_that_a_pattern_gives_one_name_are_refused(databases: Databases, run: Run) -> None:
    """By run and check, before anything is touched."""
    databases.operational.execute("CREATE TABLE a (); CREATE TABLE b ()")
    for command in ("run", "check"):
        failed = run('["*"]\nrename = "reporting.same"', command, TABLES="*")
        assert (failed.status, failed.stderr) == (
            2,
            "etl: public.a and public.b would both arrive as reporting.same; rename one of them\n",
        )
    assert databases.reporting.value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'etl%'") == 0


@pytest.mark.parametrize("publish", ["swap", "in-place"])
def test_a_renamed_table_may_be_published_later(databases: Databases, run: Run, publish: str) -> None:
    """By ``etl publish``, which finds the options by the source's name; in place, the live table keeps its oid."""
    databases.operational.execute(ORDERS)
    options = f'[orders]\nrename = "*.bookings"\npublish = "{publish}"'
    done(run(options))
    before = live(databases.reporting)
    databases.operational.execute("DELETE FROM orders WHERE id > 50")
    done(run(options, ETL_PUBLISH="defer", ETL_RUN_ID="tonight"))
    assert databases.reporting.value("SELECT count(*) FROM bookings") == 100
    done(run(options, "publish", "tonight"))
    assert databases.reporting.value("SELECT count(*) FROM bookings") == 50
    assert (live(databases.reporting) == before) == (publish == "in-place")
    assert ledger(databases.reporting) == ("published", None)


def test_runs_that_share_a_live_table_share_its_staging_table(databases: Databases, run: Run) -> None:
    """A later run takes over another run's staging table of the same name, even from another source table."""
    databases.operational.execute("CREATE TABLE a AS SELECT 'a' AS v; CREATE TABLE b AS SELECT 'b' AS v")
    options = '["*"]\nrename = "*.same"'
    done(run(options, TABLES="a", ETL_PUBLISH="defer", ETL_RUN_ID="first"))
    done(run(options, TABLES="b", ETL_RUN_ID="second"))
    assert databases.reporting.value("SELECT v FROM same") == "b"
    late = run(options, "publish", "first")
    assert (late.status, late.stderr) == (1, "etl: run first cannot be published: public.a failed; start a new run\n")


@pytest.mark.parametrize(
    ("order_by", "sorted_by"),
    [('["day DESC", "id"]', "day DESC, id"), ('["length(note)", "note"]', "length(note), note"), ('["note"]', "note")],
)
def test_rows_arrive_in_order(databases: Databases, run: Run, order_by: str, sorted_by: str) -> None:
    """Clustered on the target's disk; a masked column is sorted by its masked values."""
    databases.operational.execute(ORDERS)
    mask = 'mask = { note = "sql:reverse(note)" }' if sorted_by == "note" else ""
    done(run(f"[orders]\norder_by = {order_by}\n{mask}", ETL_VERIFY="checksum"))
    target = databases.reporting
    assert target.rows("SELECT id FROM orders ORDER BY ctid") == target.rows(
        f"SELECT id FROM orders ORDER BY {sorted_by}"
    )


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ("source", {"orders_pkey", "by_day"}),
        ("target", {"by_note", "orders_day_key"}),
        ("both", {"orders_pkey", "by_day", "by_note", "orders_day_key"}),
        ("none", set()),
    ],
)
def test_a_table_gets_the_indexes_that_it_is_to_get(
    databases: Databases, run: Run, indexes: str, expected: set[str]
) -> None:
    """The source's, the reporting side's, both or none, also on the third night; checks always come."""
    databases.operational.execute(ORDERS)
    done(run(""))
    target = databases.reporting
    target.execute("CREATE INDEX by_note ON orders (note); ALTER TABLE orders ADD UNIQUE (day, id)")
    target.execute("ALTER INDEX orders_day_id_key RENAME TO orders_day_key; ALTER TABLE orders ADD CHECK (id < 1000)")
    for _ in range(2):
        done(run(f'[orders]\nindexes = "{indexes}"'))
        names = target.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'orders' AND schemaname = 'public'")
        assert {name for (name,) in names} == expected
        assert (
            target.value("SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'c'")
            == 2
        )


UNBUILDABLE = """
    CREATE FUNCTION half(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n / 2';
    CREATE UNIQUE INDEX halves ON orders (half(id * 2)); COMMENT ON INDEX halves IS 'both halves';
    ALTER TABLE orders ADD CONSTRAINT apart EXCLUDE USING btree (half(id * 2) WITH =);
"""


def test_an_index_that_cannot_be_built_is_named(databases: Databases, run: Run) -> None:
    """It stops the run before it copies a row, and the error has the remedy."""
    databases.operational.execute(ORDERS + UNBUILDABLE)
    failed = run("")
    assert failed.status == 1
    lacks = "needs function public.half(integer), which the target lacks; make it there"
    error = failed.event("run.finished")["error"]
    assert f'index halves of public.orders {lacks}, or set unbuildable_indexes = "skip" in its options' in error
    assert f"constraint apart of public.orders {lacks}" in error


@pytest.mark.whole
def test_an_index_that_cannot_be_built_is_left_out_where_the_options_say_so(databases: Databases, run: Run) -> None:
    """With a warning for each; the other indexes and constraints are there, also on the next night."""
    databases.operational.execute(ORDERS + UNBUILDABLE)
    for _ in range(2):
        ended = done(run('[orders]\nunbuildable_indexes = "skip"'))
        skipped = [event for event in ended.events if event["event"] == "index.skipped"]
        assert [(one["level"], one["table"], one["index"]) for one in skipped] == [
            ("warning", "public.orders", "halves"),
            ("warning", "public.orders", "apart"),
        ]
        assert all("public.half(integer) does not exist" in one["error"] for one in skipped)
        indexes = databases.reporting.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'orders' ORDER BY 1")
        assert indexes == [("by_day",), ("orders_pkey",)]
    databases.reporting.execute("CREATE FUNCTION half(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n / 2'")
    done(run('[orders]\nunbuildable_indexes = "skip"'))
    assert databases.reporting.value("SELECT count(*) FROM pg_indexes WHERE tablename = 'orders'") == 4


def test_rows_that_an_index_refuses_are_never_skipped(databases: Databases, run: Run) -> None:
    """A unique index that the rows violate stops the run, even if options leave out indexes that cannot be built."""
    databases.operational.execute(ORDERS)
    options = '[orders]\nunbuildable_indexes = "skip"\nmask = { id = "sql:id % 10 + 1" }'
    failed = run(options)
    assert failed.status == 1
    assert 'could not create unique index "orders_pkey"' in failed.event("table.failed")["error"]


UNSTEADY = '[orders]\nmask = { note = "sql:random()::text" }\n'


def test_a_table_is_verified_as_its_own_option_says(databases: Databases, run: Run) -> None:
    """More or less strictly than ETL_VERIFY; a mask with random values cannot pass a checksum."""
    databases.operational.execute(ORDERS)
    done(run(UNSTEADY))
    failed = run(UNSTEADY + 'verify = "checksum"')
    assert "the staged rows' checksum" in failed.event("table.failed")["error"]
    done(run(UNSTEADY + 'verify = "rows"', ETL_VERIFY="checksum"))


def test_a_table_may_arrive_unlogged(databases: Databases, run: Run) -> None:
    """Without the option it becomes logged again."""
    databases.operational.execute(ORDERS)
    query = "SELECT relpersistence::text FROM pg_class WHERE oid = 'orders'::regclass"
    for options, persistence in (("[orders]\nunlogged = true", "u"), ("", "p")):
        done(run(options))
        assert databases.reporting.value(query) == persistence


CLASSIFIED = '[orders]\ncolumns = ["id", "day"]\nexclude = ["note"]\n'


def test_a_column_that_nobody_has_classified_stops_its_table(databases: Databases, run: Run) -> None:
    """Before any row is read, with its name; ``etl check`` says so in advance, and other tables follow the run."""
    databases.operational.execute(ORDERS + "CREATE TABLE other AS SELECT 1 AS id")
    options = CLASSIFIED + 'on_new_column = "fail"'
    done(run(options, TABLES="orders,other"))
    databases.operational.execute("ALTER TABLE orders ADD iban text DEFAULT 'DE02'; INSERT INTO other VALUES (2)")
    before = live(databases.reporting)
    says = "on_new_column is fail"
    assert f"public.orders: {says}; name iban in columns" in run(options, "check", TABLES="orders,other").stdout
    failed = run(options, TABLES="orders,other", ETL_RUN_ID="tonight")
    assert (failed.status, live(databases.reporting)) == (1, before)
    error = f"{says}, and the options do not say what to do with iban; name it in columns, exclude or mask"
    assert failed.event("table.failed")["error"] == error
    loads = databases.reporting.rows("SELECT bytes, error FROM etl.loads WHERE run_id = 'tonight' AND bytes IS NULL")
    assert loads == [(None, error)]
    done(run(options, TABLES="other"))
    assert databases.reporting.value("SELECT count(*) FROM other") == 2
    done(run(options + '\nmask = { iban = "null" }', TABLES="orders,other"))


@pytest.mark.parametrize(("what", "columns"), [("copy", ["id", "day", "note", "iban"]), ("ignore", ["id", "note"])])
def test_a_new_column_is_copied_or_ignored(databases: Databases, run: Run, what: str, columns: list[str]) -> None:
    """As the options say; the mask ``none`` classifies a column that is copied unchanged."""
    databases.operational.execute(ORDERS + "ALTER TABLE orders ADD iban text")
    options = f'[orders]\nmask = {{ id = "none", note = "none" }}\non_new_column = "{what}"'
    done(run(options, ETL_VERIFY="checksum"))
    rows = databases.reporting.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert [name for (name,) in rows] == columns


BAD = """
[orders]
where = "dya > now()"
order_by = ["id", "lenth(note)"]
mask = { note = "sql:upper(note, note)", day = "constant:someday" }
[other]
where = "id > ("
[fine]
where = "id > 1 -- all but the first"
"""


def test_bad_expressions_are_told_before_the_first_load(databases: Databases, run: Run) -> None:
    """All of them, with table, option and the server's message; check and run do the same, and nothing is loaded."""
    tables = "CREATE TABLE other AS SELECT 1 AS id; CREATE TABLE fine AS SELECT 1 AS id"
    databases.operational.execute(ORDERS + tables)
    done(run("", TABLES="orders,other"))
    before = live(databases.reporting)
    for command in ("check", "run"):
        failed = run(BAD, command, TABLES="orders,other,fine", ETL_RUN_ID="tonight")
        assert failed.status == 2
        lines = [
            line.partition(" does not exist")[0].partition("; mend its SQL")[0] for line in failed.stderr.splitlines()
        ]
        assert lines == [
            'etl: options of public.orders: where: column "dya"',
            "etl: options of public.orders: order_by: function lenth(text)",
            'etl: options of public.orders: mask.day: invalid input syntax for type date: "…"',
            "etl: options of public.orders: mask.note: function upper(text, text)",
            'etl: options of public.other: where: syntax error at or near ")"',
        ]
    assert "table.loaded" not in failed.stdout
    assert live(databases.reporting) == before
    assert databases.staging_tables() == []
    assert ledger(databases.reporting)[0] == "failed"


def test_a_condition_may_end_in_a_comment(databases: Databases, run: Run) -> None:
    """And verify counts the same rows."""
    databases.operational.execute(ORDERS)
    options = "[orders]\nwhere = 'id <= 30 -- the first'"
    done(run(options, ETL_VERIFY="checksum"))
    ((found,),) = [json.loads(done(run(options, "verify", "--json")).stdout)]
    assert (found["rows"], found["difference"]) == (30, None)
