"""Rows replaced in place in tables with more than one unique column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from servers.postgres import Server
from tests.harness import Database, Databases, Etl
from tests.integration.test_roles import make
from tests.releases import equals_nulls

Row = tuple[int, int | None, str]

UNIQUE = {
    "a unique constraint": "ADD UNIQUE (place)",
    "two unique constraints": "ADD UNIQUE (place), ADD UNIQUE (place, name)",
    "NULLs that are alike": "ADD UNIQUE NULLS NOT DISTINCT (place)",
    "an exclusion constraint": "ADD EXCLUDE USING btree (place WITH =)",
    "an expression": "ADD UNIQUE (name), ADD EXCLUDE USING btree ((place + 0) WITH =)",
}

YESTERDAY: list[Row] = [(1, 10, "a"), (2, 20, "b"), (3, 30, "c"), (4, 40, "d"), (5, None, "e"), (6, 60, "f")]

TODAY: dict[str, list[Row]] = {
    "two swap": [(1, 20, "a"), (2, 10, "b"), *YESTERDAY[2:]],
    "one follows another": [(1, 20, "a"), (2, 30, "b"), (3, 70, "c"), *YESTERDAY[3:]],
    "a ring": [(1, 20, "a"), (2, 30, "b"), (3, 10, "c"), (4, 40, "D"), *YESTERDAY[4:]],
    "a new one takes the place of one that moves": [(1, 80, "a"), *YESTERDAY[1:], (7, 10, "g")],
    "one takes the place of one that is gone": [(1, 60, "a"), *YESTERDAY[1:5]],
    "NULLs": [(1, None, "a"), *YESTERDAY[1:4], (5, 10, "e"), YESTERDAY[5]],
}


@pytest.mark.parametrize("unique", UNIQUE)
def test_values_that_must_be_unique_may_change_hands(
    databases: Databases, etl: Etl, tmp_path: Path, unique: str
) -> None:
    """Rows that swap values, shift them, or take a new row's, end as at the source, for each kind of unique index."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    databases.operational.execute(
        f"CREATE TABLE seats (id int PRIMARY KEY, place int, name text); ALTER TABLE seats {UNIQUE[unique]}"
    )
    assert etl("run", TABLES="seats", ETL_OPTIONS_FILE=str(options)).status == 0
    before = databases.reporting.value("SELECT 'seats'::regclass::oid")
    for night, today in TODAY.items():
        fill(databases.reporting, YESTERDAY)
        fill(databases.operational, today)
        done = etl("run", TABLES="seats", ETL_OPTIONS_FILE=str(options))
        assert (night, done.status, done.stderr) == (night, 0, "")
        assert (night, databases.reporting.rows("SELECT * FROM seats ORDER BY id")) == (night, sorted(today))
    assert databases.reporting.value("SELECT 'seats'::regclass::oid") == before


def fill(database: Database, rows: Sequence[Row]) -> None:
    """Replaces the table's rows by ``rows``."""
    values = ", ".join(f"({key}, {'NULL' if place is None else place}, '{name}')" for key, place, name in rows)
    database.execute(f"TRUNCATE seats; INSERT INTO seats VALUES {values}")


CUSTOM = """
CREATE FUNCTION same(a text, b text) RETURNS bool IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower(a) = lower(b)';
CREATE FUNCTION below(a text, b text) RETURNS bool IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower(a) < lower(b)';
CREATE FUNCTION upto(a text, b text) RETURNS bool IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower(a) <= lower(b)';
CREATE FUNCTION order_of(a text, b text) RETURNS int IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT bttextcmp(lower(a), lower(b))';
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same, COMMUTATOR = ===, MERGES);
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = below, COMMUTATOR = >>>);
CREATE OPERATOR >>> (LEFTARG = text, RIGHTARG = text, FUNCTION = below, COMMUTATOR = <<<);
CREATE OPERATOR <<<= (LEFTARG = text, RIGHTARG = text, FUNCTION = upto);
CREATE OPERATOR >>>= (LEFTARG = text, RIGHTARG = text, FUNCTION = upto);
CREATE OPERATOR CLASS folded FOR TYPE text USING btree AS OPERATOR 1 <<<, OPERATOR 2 <<<=, OPERATOR 3 ===,
    OPERATOR 4 >>>=, OPERATOR 5 >>>, FUNCTION 1 order_of(text, text);
"""


def test_a_row_is_the_same_if_the_index_of_the_key_says_so(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """By the operator of the index's operator class: 'A' and 'a' are one row, and what refers to it stays."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    for side in (databases.operational, databases.reporting):
        side.execute(
            "CREATE TABLE items (id text NOT NULL, name text); INSERT INTO items VALUES ('A', 'a'), ('b', 'b')"
        )
    target = databases.reporting
    target.execute(f"{CUSTOM}; CREATE UNIQUE INDEX ON items (id folded)")
    before = target.rows("SELECT xmin::text, id FROM items WHERE id = 'b'")
    databases.operational.execute("UPDATE items SET id = 'a'; INSERT INTO items VALUES ('b', 'b'), ('C', 'c')")
    databases.operational.execute("DELETE FROM items WHERE name = 'b' AND id = 'a'")
    assert etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options)).stderr == ""
    assert target.rows("SELECT id FROM items ORDER BY name") == [("a",), ("b",), ("C",)]
    assert target.rows("SELECT xmin::text, id FROM items WHERE id = 'b'") == before


EQUAL = {
    "citext": ("citext", "'A'", "'a'"),
    "ltree": ("ltree", "'a.b'", "'a.b'"),
    "hstore": ("hstore", "'a=>1'", "'a=>1'"),
    "collation": ("text COLLATE public.folded", "'A'", "'a'"),
}


@pytest.mark.parametrize("case", EQUAL)
def test_a_key_of_an_extensions_type_identifies_a_row(system_server: Server, tmp_path: Path, case: str) -> None:
    """citext, ltree, hstore and a collation without case: the row is updated, and its notes are not deleted."""
    kind, was, becomes = EQUAL[case]
    extension = "" if case == "collation" else f"CREATE EXTENSION {case};"
    made = f"""{extension}
        CREATE COLLATION public.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE items (id {kind} PRIMARY KEY, name text); INSERT INTO items VALUES ({was}, 'old')"""
    names = [f"{case}_{side}" for side in ("source", "target")]
    for name in names:
        system_server.psql(f"CREATE DATABASE {name}")
    source, target = (Database(system_server, name) for name in names)
    for side in (source, target):
        side.execute(made)
    target.execute(
        f"CREATE TABLE notes (item {kind} REFERENCES items ON DELETE CASCADE); INSERT INTO notes VALUES ({was})"
    )
    source.execute(f"UPDATE items SET id = {becomes}, name = 'new'")
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    etl = Etl(Databases(source, target).environment)
    done = etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options))
    assert (done.status, done.stderr) == (0, "")
    rows = "SELECT id::text, name FROM items"
    assert target.rows(rows) == source.rows(rows)
    assert target.value("SELECT count(*) FROM notes") == 1


def test_columns_that_the_target_computes_are_left_out(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """An identity takes the source's values, a generated column computes its own, whether the source has it or not."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    generated = "GENERATED ALWAYS AS (n * 2) STORED"
    databases.operational.execute(
        f"CREATE TABLE items (id int PRIMARY KEY, n int, double int {generated});"
        "INSERT INTO items VALUES (1, 10), (2, 20), (3, 30)"
    )
    target = databases.reporting
    target.execute(
        f"CREATE TABLE items (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, n int, double int {generated},"
        " more int GENERATED ALWAYS AS (n + 1) STORED);"
        "INSERT INTO items OVERRIDING SYSTEM VALUE VALUES (1, 11), (3, 30), (4, 40)"
    )
    run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options)}
    assert etl("check", **run).status == 0
    assert etl("run", **run).stderr == ""
    assert target.rows("TABLE items ORDER BY id") == [(1, 10, 20, 11), (2, 20, 40, 21), (3, 30, 60, 31)]
    target.execute("ALTER TABLE items DROP double; ALTER TABLE items ADD double int GENERATED ALWAYS AS (n * 3) STORED")
    done = etl("run", **run)
    assert done.status == 1
    assert "has other rows than those staged" in done.stderr
    assert "the generated column double" in done.stderr


REFUSED_IN_ADVANCE = {
    "other columns": (
        "CREATE TABLE items (id int PRIMARY KEY)",
        "ALTER TABLE items ADD mine int",
        "its columns are not the arriving ones: dropped mine; change the live table, or publish it by swap for one",
    ),
}


@pytest.mark.parametrize("case", REFUSED_IN_ADVANCE)
def test_what_cannot_be_merged_is_refused_in_advance(databases: Databases, etl: Etl, tmp_path: Path, case: str) -> None:
    """The check and the run say what to do."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    made, change, words = REFUSED_IN_ADVANCE[case]
    for side in (databases.operational, databases.reporting):
        side.execute(made)
    databases.reporting.execute(change or "SELECT 1")
    run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options)}
    assert words in " ".join(etl("check", **run).stdout.split())
    assert words in etl("run", **run).stderr


@pytest.mark.superuser("takes a privilege from PUBLIC")
def test_a_role_without_temporary_tables_is_told_before_the_first_load(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """The merge makes one; the line has the GRANT."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    for side in (databases.operational, databases.reporting):
        side.execute("CREATE TABLE items (id int PRIMARY KEY)")
    target = databases.reporting
    url = make(target, "etl_loader", "target-role.sql")
    target.execute(f"REVOKE TEMPORARY ON DATABASE {target.name} FROM PUBLIC; ALTER TABLE items OWNER TO etl_loader")
    try:
        run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options), "ETL_REPORTING_URL": url}
        words = f"GRANT TEMPORARY ON DATABASE {target.name} TO etl_loader"
        assert words in " ".join(etl("check", **run).stdout.split())
        assert words in etl("run", **run).stderr
        target.execute(words)
        assert etl("run", **run).stderr == ""
    finally:
        target.execute("DROP OWNED BY etl_loader CASCADE; DROP ROLE etl_loader")


def test_a_key_that_only_the_live_table_has_is_named_if_new_rows_share_it(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """It is no trigger's fault."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"\nindexes = "target"')
    databases.operational.execute("CREATE TABLE items (id int, n int); INSERT INTO items VALUES (1, 1), (1, 2)")
    databases.reporting.execute("CREATE TABLE items (id int PRIMARY KEY, n int); INSERT INTO items VALUES (1, 3)")
    done = etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options))
    assert done.status == 1
    assert "1 pairs of new rows have the same id, by which the live table tells its rows apart" in done.stderr


def test_a_unique_generated_column_of_the_live_table_alone_may_change_hands(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Two rows swap the values from which it is computed."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    databases.operational.execute("CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL)")
    databases.reporting.execute(
        "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, twice int GENERATED ALWAYS AS (n * 2) STORED UNIQUE);"
        "INSERT INTO items VALUES (1, 1), (2, 2)"
    )
    databases.operational.execute("INSERT INTO items VALUES (1, 2), (2, 1)")
    assert etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options)).stderr == ""
    assert databases.reporting.rows("TABLE items ORDER BY id") == [(1, 2, 4), (2, 1, 2)]


def test_an_identity_beside_the_key_is_refused_in_advance(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """No UPDATE may write it, so check and run say what to do."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    for side in (databases.operational, databases.reporting):
        side.execute("CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL)")
    databases.reporting.execute("ALTER TABLE items ALTER n ADD GENERATED ALWAYS AS IDENTITY")
    run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options)}
    words = "public.items is published in place, and n, which is GENERATED ALWAYS AS IDENTITY and not in its key"
    assert words in " ".join(etl("check", **run).stdout.split())
    assert words in etl("run", **run).stderr


def test_a_swapped_table_may_refer_to_one_in_place(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """What the old table still refers to goes when that table does; a materialized view sees neither."""
    options = tmp_path / "options.toml"
    databases.operational.execute(
        "CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (1), (2), (4);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int); INSERT INTO orders VALUES (1, 1), (2, 2)"
    )
    run = {"TABLES": "customers,orders", "ETL_OPTIONS_FILE": str(options)}
    options.write_text('[customers]\npublish = "in-place"')
    assert etl("run", **run).status == 0
    target = databases.reporting
    target.execute("ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers")
    target.execute("CREATE MATERIALIZED VIEW filled AS SELECT id FROM customers; CREATE UNIQUE INDEX ON filled (id)")
    databases.operational.execute("DELETE FROM orders WHERE id = 1; DELETE FROM customers WHERE id IN (1, 4)")
    databases.operational.execute("INSERT INTO customers VALUES (3); UPDATE orders SET customer = 3")
    assert etl("check", **run).status == 0
    assert etl("run", **run).stderr == ""
    assert target.rows("SELECT o.id, c.id FROM orders o, customers c ORDER BY 2") == [(2, 2), (2, 3)]
    assert target.rows("TABLE filled ORDER BY 1") == [(2,), (3,)]
    assert target.value("SELECT convalidated FROM pg_constraint WHERE contype = 'f'") is True


@pytest.mark.whole
def test_a_row_that_the_publish_will_still_delete_is_nothing_to_refer_to(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Old and new rows of a swapped table refer to it: the proof of the foreign key says so before the publish."""
    options = tmp_path / "options.toml"
    options.write_text('[customers]\npublish = "in-place"')
    databases.operational.execute("CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (1), (2)")
    databases.operational.execute("CREATE TABLE orders (id int, customer int); INSERT INTO orders VALUES (1, 1)")
    run = {"TABLES": "customers,orders", "ETL_OPTIONS_FILE": str(options)}
    assert etl("run", **run).status == 0
    databases.reporting.execute("ALTER TABLE orders ADD FOREIGN KEY (customer) REFERENCES customers")
    databases.operational.execute("DELETE FROM customers WHERE id = 1; INSERT INTO orders VALUES (2, 1)")
    done = etl("run", **run)
    assert done.status == 1
    assert "the new rows violate foreign key orders_customer_fkey of public.orders to public.customers" in done.stderr
    assert databases.reporting.rows("TABLE orders") == [(1, 1)]
    assert databases.reporting.rows("TABLE customers ORDER BY id") == [(1,), (2,)]


COLLIDES = {
    "an action that collides": (
        "CREATE TABLE notes (id int UNIQUE NULLS NOT DISTINCT REFERENCES items ON DELETE SET NULL);"
        "INSERT INTO notes VALUES (2), (NULL)",
        "gives two rows of public.notes values that notes_id_key keeps apart; change it, or drop notes_id_key",
    ),
}

VIOLATED = (COLLIDES if equals_nulls() else {}) | {
    "NULL": ("ALTER TABLE items ALTER name SET NOT NULL", "NULL in name, which is NOT NULL; correct the rows, or DROP"),
    "a check": ("ALTER TABLE items ADD CHECK (name <> 'new')", "one of them violates its check constraint items_name"),
    "a reference": (
        "CREATE TABLE names AS SELECT 'old' AS name; ALTER TABLE names ADD PRIMARY KEY (name);"
        "ALTER TABLE items ADD FOREIGN KEY (name) REFERENCES names",
        "violate the foreign key items_name_fkey of public.items: a row of that table would refer to one that is not",
    ),
    "rows that refer": (
        "CREATE TABLE notes (id int REFERENCES items); INSERT INTO notes VALUES (2)",
        "the foreign key notes_id_fkey of public.notes: a row of that table would refer to one that is not there;"
        " correct the rows of public.notes, or give the key ON DELETE CASCADE or SET NULL, or drop it",
    ),
    "rows that refer, at the commit": (
        "CREATE TABLE notes (id int REFERENCES items DEFERRABLE INITIALLY DEFERRED); INSERT INTO notes VALUES (2)",
        "the foreign key notes_id_fkey of public.notes: a row of that table would refer to one that is not there",
    ),
    "rows that refer with RESTRICT": (
        "CREATE TABLE notes (id int REFERENCES items ON DELETE RESTRICT); INSERT INTO notes VALUES (2)",
        "the foreign key notes_id_fkey of public.notes, which is RESTRICT and does not let a row go, or change, to"
        " which a row of that table refers; delete the rows of public.notes that refer to it, or make the key NO",
    ),
    "an action that sets NULL": (
        "CREATE TABLE notes (id int NOT NULL REFERENCES items ON DELETE SET NULL); INSERT INTO notes VALUES (2)",
        "public.notes cannot have the rows that a publish in place gives it: NULL in id, which is NOT NULL",
    ),
    "a partition": (
        "DROP TABLE items; CREATE TABLE items (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);"
        "CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (0) TO (3)",
        "public.items cannot have the rows that a publish in place gives it: no partition is for one of them",
    ),
    "a partition's bounds": (
        "CREATE TABLE whole (id int NOT NULL, name text) PARTITION BY RANGE (id);"
        "ALTER TABLE whole ATTACH PARTITION items FOR VALUES FROM (0) TO (3)",
        "one of them is out of the bounds of this partition; correct the row, or detach the partition",
    ),
    "a rule": (
        "CREATE TABLE notes (id int REFERENCES items); INSERT INTO notes VALUES (2);"
        "CREATE RULE logs AS ON INSERT TO items DO ALSO SELECT 1",
        "or drop it; or drop the rules of public.items, or make the key DEFERRABLE: because of rules, the tables are",
    ),
}


def test_rows_that_violate_a_constraint_of_the_live_table_are_told_with_the_remedy(
    databases: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Each is one line that names the table and the constraint and shows no value; nothing is published."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"\ntriggers = "fire"')
    source, target = databases.operational, databases.reporting
    source.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
    source.execute("INSERT INTO items VALUES (1, 'new'), (4, NULL)")
    for case, (made, words) in VIOLATED.items():
        target.execute("DROP TABLE IF EXISTS notes, whole, items, names CASCADE")
        target.execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'old'), (2, 'old')"
        )
        target.execute(made)
        before = target.rows("TABLE items ORDER BY id")
        done = etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options))
        assert (case, done.status, words in done.stderr) == (case, 1, True), done.stderr
        assert "'new'" not in done.stderr
        assert target.rows("TABLE items ORDER BY id") == before


WRITERS = {
    "a writer": "UPDATE items SET name = name",
    "a row that is locked": "SELECT FROM items FOR KEY SHARE",
    "a row that refers": "INSERT INTO notes VALUES (1)",
    "a row that is referred to": "DELETE FROM groups WHERE id = 2",
    "a row that would be deleted with others": "SELECT FROM notes FOR UPDATE",
    "a row that would be deleted with those": "SELECT FROM replies FOR UPDATE",
    "a partition": "LOCK TABLE items_all IN ROW EXCLUSIVE MODE",
}


@pytest.mark.superuser("ends a superuser's session")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_is_waited_for_named_and_ended(databases: Databases, etl: Etl, tmp_path: Path, writer: str) -> None:
    """Of the table, of its rows, and of rows to which they refer or that refer to them."""
    options = tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"')
    source, target = databases.operational, databases.reporting
    source.execute("CREATE TABLE items (id int PRIMARY KEY, name text, of int)")
    source.execute("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 1)")
    run = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options), "ETL_PUBLISH_DEADLINE": "1"}
    target.execute("CREATE TABLE items (id int PRIMARY KEY, name text, of int) PARTITION BY RANGE (id)")
    target.execute("CREATE TABLE items_all PARTITION OF items DEFAULT")
    assert etl("run", **run).status == 0
    target.execute("CREATE TABLE notes (item int UNIQUE REFERENCES items ON DELETE CASCADE)")
    target.execute("CREATE TABLE replies (note int REFERENCES notes (item) ON DELETE CASCADE)")
    target.execute("INSERT INTO notes VALUES (2); INSERT INTO replies VALUES (2)")
    target.execute("CREATE TABLE groups (id int PRIMARY KEY); INSERT INTO groups VALUES (1), (2)")
    target.execute("ALTER TABLE items ADD FOREIGN KEY (of) REFERENCES groups")
    source.execute("DELETE FROM items WHERE id = 2; UPDATE items SET of = 2")
    with target.connect(application_name="the writer") as session:
        session.execute(b"BEGIN; " + WRITERS[writer].encode())
        pid = session.info.backend_pid
        done = etl("run", **run)
        assert done.status == 1
        assert f"held by pid {pid} (postgres, the writer) on public." in done.stderr
        done = etl("run", **run, ETL_PUBLISH_BLOCKERS="end")
        assert (done.status, done.stderr) == (0, "")
        with pytest.raises(psycopg.errors.AdminShutdown):
            session.execute("SELECT 1")
    assert target.rows("TABLE items") == [(1, "a", 2)]
