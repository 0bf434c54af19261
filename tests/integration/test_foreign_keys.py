"""Foreign keys of the reporting side at a swap: proven before the publish, and validated after its commit."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.harness import Database, Databases, Done, Etl
from tests.situations import ended, kill_control, ledger, live, until

pytestmark = [pytest.mark.whole, pytest.mark.superuser("refers to tables of the reporting side")]

TABLES = "orders,customers"

WATCH = """
CREATE TABLE seen (transaction text, table_oid oid, is_valid bool);
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.seen SELECT pg_catalog.pg_current_xact_id(), conrelid, convalidated FROM pg_catalog.pg_constraint
     WHERE conname = 'of_customer' AND conrelid = pg_catalog.to_regclass('public.orders');
END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION watch();
"""


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Databases:
    """Orders that refer to customers by the reporting side's key, and both tables copied once."""
    databases.operational.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int);"
        "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob'); INSERT INTO orders VALUES (1, 1), (2, 2), (3, NULL)"
    )
    assert etl("run", TABLES=TABLES).status == 0
    databases.reporting.execute(
        "ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers"
    )
    return databases


def publish(etl: Etl, **variables: str) -> Done:
    """Runs ``etl`` for both tables."""
    return etl("run", **{"TABLES": TABLES, "ETL_RUN_ID": "tonight"} | variables)


def keys(database: Database) -> dict[str, bool]:
    """The foreign keys of the live schema, and whether they are valid."""
    return dict(
        database.rows(
            "SELECT conname::text, convalidated FROM pg_constraint"
            " WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace"
        )
    )


@contextmanager
def validation(database: Database, does: str) -> Iterator[None]:
    """Has each VALIDATE CONSTRAINT do something first, for as long as the block lasts."""
    database.execute(
        "CREATE FUNCTION before() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF pg_catalog.current_query() LIKE '%VALIDATE CONSTRAINT%' THEN {does}; END IF; END $$;"
        "CREATE EVENT TRIGGER before ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION before()"
    )
    yield
    database.execute("DROP EVENT TRIGGER before; DROP FUNCTION before()")


def test_no_row_is_read_for_a_foreign_key_under_the_locks(night: Databases, etl: Etl) -> None:
    """The publish adds the key NOT VALID, for which the server reads no row; another transaction validates it."""
    night.reporting.execute(WATCH)
    done = publish(etl)
    assert (done.status, done.stderr) == (0, "")
    assert done.event("foreign_key.validated")["constraint"] == "of_customer"
    of_new = "FROM seen WHERE table_oid = 'orders'::regclass"
    assert night.reporting.rows(f"SELECT DISTINCT is_valid {of_new} ORDER BY 1") == [(False,), (True,)]
    each = f"SELECT bool_or(is_valid) <> bool_and(is_valid) {of_new} GROUP BY transaction"
    assert (True,) not in night.reporting.rows(each)
    assert night.reporting.value("SELECT count(*) FROM etl.validations") == 0


KINDS = {
    "itself": ("id int PRIMARY KEY, x int", "(1, 1), (2, 1)", "(x) REFERENCES {}", "(3, 9)"),
    "a reporting table": ("id int PRIMARY KEY, x int", "(1, 1)", "(x) REFERENCES own", "(3, 9)"),
    "a partitioned table": ("id int PRIMARY KEY, x int", "(1, 1)", "(x) REFERENCES parts", "(3, 9)"),
    "two columns": ("x int, y text", "(1, 'a'), (9, NULL)", "(x, y) REFERENCES own (id, t)", "(1, 'b')"),
    "match full": ("x int, y text", "(1, 'a')", "(x, y) REFERENCES own (id, t) MATCH FULL", "(1, NULL)"),
    "other types": ("x bigint, y varchar(9)", "(1, 'a')", "(x, y) REFERENCES own (id, t)", "(9, 'a')"),
    "another collation": ('y text COLLATE "C"', "('a')", "(y) REFERENCES words", "('b')"),
    "a domain and an array": ("x int[]", "('{1}')", "(x) REFERENCES arrays", "('{2}')"),
}
"""The columns of a table, its rows, its key, and a row that violates the key."""

OWN = """
CREATE TABLE own (id int PRIMARY KEY, t text, UNIQUE (id, t)); INSERT INTO own VALUES (1, 'a');
CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
INSERT INTO parts VALUES (1); CREATE TABLE words (t text COLLATE "POSIX" PRIMARY KEY); INSERT INTO words VALUES ('a');
CREATE DOMAIN list AS int[]; CREATE TABLE arrays (t list PRIMARY KEY); INSERT INTO arrays VALUES ('{1}');
"""


def test_a_key_of_any_kind_is_found_to_hold_or_not_before_the_publish(databases: Databases, etl: Etl) -> None:
    """The proof agrees with the server; the error names all keys that do not hold, and no value of a row."""
    names = {f"t{number}": kind for number, kind in enumerate(KINDS.values())}
    for name, (columns, rows, _, _) in names.items():
        databases.operational.execute(f"CREATE TABLE {name} ({columns}); INSERT INTO {name} VALUES {rows}")
    assert etl("run", TABLES=",".join(names)).status == 0
    databases.reporting.execute(OWN)
    for name, (_, _, key, _) in names.items():
        databases.reporting.execute(f"ALTER TABLE {name} ADD CONSTRAINT of_{name} FOREIGN KEY {key.format(name)}")
    assert etl("run", TABLES=",".join(names)).status == 0
    assert keys(databases.reporting) == {f"of_{name}": True for name in names}
    before = live(databases.reporting)
    for name, (_, _, _, row) in names.items():
        databases.operational.execute(f"INSERT INTO {name} VALUES {row}")
    done = etl("run", TABLES=",".join(names))
    assert done.status == 1
    assert "the new rows violate foreign key of_t0 of public.t0 to public.t0 and foreign key of_t1" in done.stderr
    assert all(f"foreign key of_{name} of public.{name} to" in done.stderr for name in names)
    assert live(databases.reporting) == before
    for name, (_, _, _, row) in names.items():  # the server agrees: each of these rows violates its key
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            databases.reporting.execute(f"INSERT INTO {name} VALUES {row}")


def test_a_key_with_a_period_is_proven(databases: Databases, etl: Etl) -> None:
    """The periods of the referenced rows have to cover the period of the row that refers to them (PostgreSQL 18)."""
    databases.operational.execute("CREATE TABLE stays (x int4range, during daterange)")
    databases.operational.execute("INSERT INTO stays VALUES ('[1,1]', '[2020-01-01,2020-03-01)')")
    assert etl("run", TABLES="stays").status == 0
    databases.reporting.execute(
        "CREATE TABLE rooms (id int4range, open daterange, PRIMARY KEY (id, open WITHOUT OVERLAPS));"
        "INSERT INTO rooms VALUES ('[1,1]', '[2020-01-01,2020-02-01)'), ('[1,1]', '[2020-02-01,2020-04-01)');"
        "ALTER TABLE stays ADD CONSTRAINT of_room FOREIGN KEY (x, PERIOD during) REFERENCES rooms (id, PERIOD open)"
    )
    assert etl("run", TABLES="stays").status == 0
    assert keys(databases.reporting) == {"of_room": True}
    databases.operational.execute("INSERT INTO stays VALUES ('[1,1]', '[2020-03-20,2020-05-01)')")
    done = etl("run", TABLES="stays")
    assert (done.status, "violate foreign key of_room of public.stays to public.rooms" in done.stderr) == (1, True)


def test_a_key_that_the_reporting_side_has_not_validated_stays_so(night: Databases, etl: Etl) -> None:
    """NOT VALID keys are neither proven nor validated, also where the rows violate them."""
    night.operational.execute("INSERT INTO orders VALUES (4, 9)")
    night.reporting.execute(
        "ALTER TABLE orders DROP CONSTRAINT of_customer;"
        "ALTER TABLE orders ADD CONSTRAINT unproven FOREIGN KEY (customer) REFERENCES customers NOT VALID"
    )
    for _ in range(2):
        assert publish(etl).status == 0
        assert keys(night.reporting) == {"unproven": False}


def test_a_key_that_is_not_enforced_stays_so(night: Databases, etl: Etl) -> None:
    """PostgreSQL 18: the server never checks such a key, and does not validate it."""
    night.operational.execute("INSERT INTO orders VALUES (4, 9)")
    night.reporting.execute("ALTER TABLE orders ALTER CONSTRAINT of_customer NOT ENFORCED")
    assert publish(etl).status == 0
    assert keys(night.reporting) == {"of_customer": False}


def test_a_key_to_a_table_in_place_is_proven_on_its_new_rows(night: Databases, etl: Etl, tmp_path: Path) -> None:
    """A customer that arrives tonight counts, and one that is gone tonight does not."""
    (tmp_path / "options.toml").write_text('[customers]\npublish = "in-place"\n')
    options = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    night.operational.execute("INSERT INTO customers VALUES (3, 'Eve'); INSERT INTO orders VALUES (4, 3)")
    done = publish(etl, **options)
    assert (done.status, done.stderr, keys(night.reporting)) == (0, "", {"of_customer": True})
    assert night.reporting.value("SELECT max(customer) FROM orders") == 3


def test_a_validation_that_fails_leaves_the_run_published_and_is_told(night: Databases, etl: Etl) -> None:
    """Exit status 1; report, history and check name the key, and `etl publish` validates it."""
    before = live(night.reporting)
    with validation(night.reporting, "RAISE EXCEPTION 'not now'"):
        done = publish(etl)
    said = "run tonight is published, but these foreign keys are NOT VALID, because their validation failed:"
    key = "foreign key of_customer of public.orders"
    assert (done.status, done.stderr) == (
        1, f"etl: {said} {key}: not now; correct the rows: the next publish tries again\n"
    )  # fmt: skip
    assert done.event("run.finished")["status"] == "published"
    assert live(night.reporting) != before
    assert ledger(night.reporting) == ("published", done.stderr.removeprefix("etl: ").rstrip())
    assert json.loads(etl("report", "tonight", "--json").stdout)["waiting"] == [key]
    assert json.loads(etl("history", "tonight", "--json").stdout)[0]["waiting"] == [key]
    assert (
        f"{key} is NOT VALID since run tonight, and waits for its validation (not now)"
        in etl("check", TABLES=TABLES).stdout
    )
    assert keys(night.reporting) == {"of_customer": False}
    assert "has nothing staged to publish" in etl("publish", "tonight").stderr
    assert keys(night.reporting) == {"of_customer": True}
    assert json.loads(etl("report", "tonight", "--json").stdout)["waiting"] == []


def test_a_validation_that_was_cut_short_is_made_up_for_by_the_next_run(night: Databases, etl: Etl) -> None:
    """Even by a run of another table; a key that the next publish adds again is a key to validate, too."""
    night.operational.execute("CREATE TABLE other AS SELECT 1 AS id")
    validating = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    for tables in ("other", TABLES):
        with (
            validation(night.reporting, "PERFORM pg_catalog.pg_sleep(60)"),
            etl.started("run", TABLES=TABLES, ETL_RUN_ID="tonight") as process,
        ):
            until(lambda: night.reporting.value(validating), "the run validates the key")
            assert ledger(night.reporting)[0] == "published"
            kill_control(night.reporting)
            assert ended(process).status == 1
        assert keys(night.reporting) == {"of_customer": False}
        assert etl("run", TABLES=tables).status == 0
        assert keys(night.reporting) == {"of_customer": True}


@pytest.mark.parametrize("after", ["the validation", "the drop of the old tables"])
def test_a_signal_after_the_commit_leaves_a_run_that_says_that_it_is_published(
    night: Databases, etl: Etl, after: str
) -> None:
    """The log says so, as the ledger does; the next run does the rest."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' OR wait_event_type = 'Lock'"
    toast = night.reporting.value("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'customers'::regclass")
    with (
        validation(night.reporting, "PERFORM pg_catalog.pg_sleep(60)"),
        night.reporting.connect() as session,
        etl.started("run", TABLES=TABLES, ETL_RUN_ID="tonight") as process,
    ):
        if after == "the drop of the old tables":
            session.execute(f"BEGIN; SELECT FROM {toast}".encode())
        until(lambda: night.reporting.value(waits), "the run waits")
        assert ledger(night.reporting) == ("published", None)
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert (done.status, done.event("run.published")["tables"]) == (143, 2)
    finished = done.event("run.finished")
    assert (finished["status"], finished["error"]) == ("published", "stopped by a signal")
    assert keys(night.reporting) == {"of_customer": False}
    assert etl("run", TABLES=TABLES).status == 0
    assert keys(night.reporting) == {"of_customer": True}
