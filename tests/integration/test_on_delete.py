"""Rows merged in place under foreign keys, triggers and rules: a row that stays is never deleted or changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from tests.harness import Database, Databases, Etl
from tests.releases import equals_nulls, filters_publications
from tests.situations import locked

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT")

ON_DELETE = {
    **{
        f"ON DELETE {action}": f"ALTER TABLE {{notes}} ADD FOREIGN KEY (item) REFERENCES {{items}} ON DELETE {action}"
        for action in ACTIONS
    },
    "a trigger": "CREATE TRIGGER t AFTER DELETE ON {items} FOR EACH ROW EXECUTE FUNCTION forget('{notes}')",
    "a rule": "CREATE RULE r AS ON DELETE TO {items} DO ALSO DELETE FROM {notes} WHERE item = OLD.id",
}

UNIQUE = {
    "nothing": "",
    "columns": "ALTER TABLE {items} ADD UNIQUE (place)",
    "columns, at the statement's end": "ALTER TABLE {items} ADD UNIQUE (place) DEFERRABLE",
    "an expression": "CREATE UNIQUE INDEX ON {items} ((place + 0))",
    "an exclusion constraint": "ALTER TABLE {items} ADD EXCLUDE USING btree (place WITH =)",
} | ({"NULLs that are alike": "ALTER TABLE {items} ADD UNIQUE NULLS NOT DISTINCT (place)"} if equals_nulls() else {})
"""The constraints that keep ``place`` unique."""

NIGHTS = {
    "nothing changed": "SELECT 1",
    "values, a row less and one more": "UPDATE {items} SET name = 'new' WHERE id < 3;"
    "DELETE FROM {items} WHERE id = 7; INSERT INTO {items} VALUES (8, 80, 'h', 1)",
    "its parent is gone": "UPDATE {items} SET parent = 1 WHERE id = 5; DELETE FROM {items} WHERE id = 6",
    "two swap what is unique": "UPDATE {items} SET place = CASE id WHEN 1 THEN 90 ELSE 10 END WHERE id IN (1, 2);"
    "UPDATE {items} SET place = 20 WHERE id = 1",
}

FAMILY = {
    f"items_{n}": (unique, on_delete, refers_to_itself)
    for n, (unique, on_delete, refers_to_itself) in enumerate(product(UNIQUE, ON_DELETE, (False, True)))
    # the statements of a table with a rule are executed one by one, so its foreign keys must hold after each
    if not refers_to_itself or (unique in ("nothing", "an expression") and on_delete != "a rule")
}

ROWS = "(1, 10, 'a', NULL), (2, 20, 'b', 1), (3, 30, 'c', 1), (4, NULL, 'd', 2), (5, 50, 'e', 6), (6, 60, 'f', 1)"

FORGET = """
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE pg_catalog.format('DELETE FROM public.%I WHERE item = $1', TG_ARGV[0]) USING OLD.id; RETURN NULL; END $$;
"""


@pytest.fixture
def options(tmp_path: Path) -> dict[str, str]:
    """The variable with options by which all tables are published in place, and their triggers fire."""
    path = tmp_path / "options.toml"
    path.write_text('[defaults]\npublish = "in-place"\ntriggers = "fire"\n')
    return {"ETL_OPTIONS_FILE": str(path)}


def all_rows(database: Database, prefix: str = "") -> dict[str, list[str]]:
    """The rows of the family's tables, or of those with a prefix, by table."""
    names = [f"{prefix}{table}" for table in FAMILY]
    queries = (f"SELECT '{name}', array_agg(t::text ORDER BY t::text) FROM {name} t" for name in names)
    return dict(database.rows(" UNION ALL ".join(queries)))


def test_what_refers_to_rows_that_stay_stays(databases: Databases, etl: Etl, options: dict[str, str]) -> None:
    """For each object that acts ON DELETE, each unique constraint and each night."""
    source, target = databases.operational, databases.reporting
    target.execute(FORGET)
    for table, (unique, _, _) in FAMILY.items():
        source.execute(
            f"CREATE TABLE {table} (id int PRIMARY KEY, place int, name text, parent int);"
            f"INSERT INTO {table} VALUES {ROWS}, (7, 70, 'g', 2); {UNIQUE[unique].format(items=table)}"
        )
    assert etl("run", TABLES="*").status == 0
    for table, (_, on_delete, refers_to_itself) in FAMILY.items():
        action = on_delete if on_delete.startswith("ON") else ""
        itself = f"ALTER TABLE {table} ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES {table} {action}"
        target.execute(
            f"CREATE TABLE notes_{table} (item int DEFAULT 1, note text);"
            f"INSERT INTO notes_{table} SELECT id, 'of ' || id FROM generate_series(1, 5) id;"
            f"{ON_DELETE[on_delete].format(items=table, notes=f'notes_{table}')}; {itself if refers_to_itself else ''}"
        )
    notes = all_rows(target, "notes_")
    for night, change in NIGHTS.items():
        source.execute("; ".join(change.format(items=table) for table in FAMILY))
        done = etl("run", TABLES="*", ETL_JOBS="2", **options)
        assert (night, done.status, done.stderr) == (night, 0, "")
        arrived, wanted, left = all_rows(target), all_rows(source), all_rows(target, "notes_")
        for table, case in FAMILY.items():
            assert (night, case, left[f"notes_{table}"]) == (night, case, notes[f"notes_{table}"])
            assert (night, case, arrived[table]) == (night, case, wanted[table])


@pytest.mark.parametrize("key", ["UNIQUE", ""])
def test_rows_without_a_key_stay_too(databases: Databases, etl: Etl, options: dict[str, str], key: str) -> None:
    """Rows that are equal are the same row, as often as both sides have it; what refers to them by a key stays."""
    rows = "(1, 'a'), (2, 'b'), (3, 'c'), (NULL, 'd'), (NULL, 'd'), (NULL, 'e'), (NULL, NULL)"
    for side in (databases.operational, databases.reporting):
        side.execute(f"CREATE TABLE items (id int {key}, name text); INSERT INTO items VALUES {rows}")
    target = databases.reporting
    if key:
        target.execute("CREATE TABLE notes (item int REFERENCES items (id) ON DELETE CASCADE)")
        target.execute("INSERT INTO notes VALUES (1), (2)")
    before = target.rows("SELECT xmin::text, ctid::text, id, name FROM items WHERE id = 1 OR id IS NULL AND name = 'd'")
    databases.operational.execute(
        "UPDATE items SET name = 'B' WHERE id = 2; DELETE FROM items WHERE id = 3; UPDATE items SET name = 'E' WHERE"
        " name = 'e'; INSERT INTO items VALUES (NULL, 'd'), (4, NULL)"
    )
    assert etl("run", TABLES="items", **options).stderr == ""
    same = "SELECT id, name FROM items ORDER BY 1, 2"
    assert target.rows(same) == databases.operational.rows(same)
    assert set(before) <= set(target.rows("SELECT xmin::text, ctid::text, id, name FROM items"))
    if key:
        assert target.rows("SELECT item FROM notes ORDER BY 1") == [(1,), (2,)]


@dataclass(frozen=True)
class Same:
    """A live table whose rows stay by the key to which ``refers`` refers, and what the source changes beside it."""

    table: str
    refers: str
    rows: str
    change: str
    noted: str


SAME = {
    "a unique index that is not the primary key": Same(
        "items (id int PRIMARY KEY, code text UNIQUE, name text)",
        "code text REFERENCES items (code)",
        "(1, 'a', 'x'), (2, 'b', 'y')",
        "UPDATE items SET id = id + 10",
        "('a'), ('b')",
    ),
    "the wider one of two unique indexes": Same(
        "items (a int NOT NULL, b int NOT NULL, c int NOT NULL UNIQUE, UNIQUE (a, b))",
        "a int, b int, FOREIGN KEY (a, b) REFERENCES items (a, b)",
        "(1, 1, 10), (2, 2, 20)",
        "UPDATE items SET c = c + 100",
        "(1, 1), (2, 2)",
    ),
    "a key that may be NULL": Same(
        "items (id int PRIMARY KEY, code text UNIQUE, name text)",
        "code text REFERENCES items (code)",
        "(1, 'a', 'x'), (2, NULL, 'y'), (3, NULL, 'y')",
        "UPDATE items SET id = id + 10, name = 'z'",
        "('a')",
    ),
    "two keys, of which one changes hands": Same(
        "items (id int PRIMARY KEY, code text UNIQUE, name text)",
        "code text REFERENCES items (code)",
        "(1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')",
        "UPDATE items SET id = id + 10; UPDATE items SET id = 14 - id",
        "('a'), ('b')",
    ),
    "a generated column": Same(
        "items (code text, n int, folded text GENERATED ALWAYS AS (lower(code)) STORED PRIMARY KEY)",
        "folded text REFERENCES items",
        "('A', 1), ('B', 2)",
        "UPDATE items SET n = n + 1",
        "('a'), ('b')",
    ),
}


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT"])
@pytest.mark.parametrize("case", SAME)
def test_a_row_is_the_same_by_the_key_to_which_others_refer(
    databases: Databases, etl: Etl, options: dict[str, str], case: str, action: str
) -> None:
    """Whatever other keys the table has: what refers to a value that is still there is not acted on."""
    same, source, target = SAME[case], databases.operational, databases.reporting
    for side in (source, target):
        side.execute(f"CREATE TABLE {same.table}; INSERT INTO items VALUES {same.rows}")
    refers = f"{same.refers} ON DELETE {action} ON UPDATE {action}"
    target.execute(f"CREATE TABLE notes ({refers}); INSERT INTO notes VALUES {same.noted}")
    before = target.rows("TABLE notes ORDER BY 1")
    source.execute(same.change)
    assert etl("run", TABLES="items", **options).stderr == ""
    assert target.rows("TABLE notes ORDER BY 1") == before
    assert target.rows("TABLE items ORDER BY 1, 2, 3") == source.rows("TABLE items ORDER BY 1, 2, 3")


def test_values_of_a_second_key_that_go_to_other_rows_are_not_published(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """Two keys are referred to, with actions, and the source pairs their values anew: one of them would act."""
    source, target = databases.operational, databases.reporting
    for side in (source, target):
        side.execute("CREATE TABLE items (id int PRIMARY KEY, code text UNIQUE)")
        side.execute("INSERT INTO items VALUES (1, 'a'), (2, 'b')")
    target.execute(
        "CREATE TABLE notes (id int REFERENCES items ON DELETE CASCADE, code text REFERENCES items (code)"
        " ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO notes VALUES (1, 'a'), (2, 'b')"
    )
    source.execute("UPDATE items SET code = code || 'x'; UPDATE items SET code = chr(99 - id) WHERE id < 3")
    done = etl("run", TABLES="items", **options)
    assert done.status == 1
    assert "public.items is published in place, and 2 values of code go over to rows with another key" in done.stderr
    assert target.rows("TABLE notes ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_key_of_one_partition_that_others_refer_to_is_refused_in_advance(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """The rows of the whole table cannot be told apart by it."""
    databases.operational.execute("CREATE TABLE items (id int, n int); INSERT INTO items VALUES (1, 1)")
    databases.reporting.execute(
        "CREATE TABLE items (id int, n int) PARTITION BY RANGE (id);"
        "CREATE TABLE lowest PARTITION OF items FOR VALUES FROM (0) TO (10); ALTER TABLE lowest ADD PRIMARY KEY (id);"
        "INSERT INTO items VALUES (1, 1); CREATE TABLE notes (id int REFERENCES lowest ON DELETE CASCADE)"
    )
    words = (
        "public.items is published in place, and constraint notes_id_fkey on table notes would act on rows that stay"
    )
    said = " ".join(etl("check", TABLES="items", **options).stdout.split()).replace("table public.notes", "table notes")
    assert words in said
    assert words in etl("run", TABLES="items", **options).stderr.replace("table public.notes", "table notes")


def test_tables_between_those_of_the_run_are_part_of_the_family(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """A reporting-only table refers to one of the run, and another one of the run to it: all changes are one."""
    source, target = databases.operational, databases.reporting
    for side in (source, target):
        side.execute("CREATE TABLE first (id int PRIMARY KEY); INSERT INTO first VALUES (1), (2)")
        side.execute("CREATE TABLE last (id int PRIMARY KEY, of int); INSERT INTO last VALUES (1, 1), (2, 2)")
    target.execute(
        "CREATE TABLE middle (id int PRIMARY KEY, of int REFERENCES first ON DELETE CASCADE);"
        "INSERT INTO middle VALUES (1, 1), (2, 2); ALTER TABLE last ADD FOREIGN KEY (of) REFERENCES middle"
    )
    source.execute("DELETE FROM first WHERE id = 1; UPDATE last SET of = 2 WHERE id = 1")
    assert etl("run", TABLES="first,last", **options).stderr == ""
    assert target.rows("TABLE middle") == [(2, 2)]
    assert target.rows("TABLE last ORDER BY id") == [(1, 2), (2, 2)]


FIRED = {
    "a trigger": "CREATE TRIGGER shouts BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION shout()",
    "a trigger of statements": "CREATE TRIGGER shouts AFTER INSERT ON items EXECUTE FUNCTION note()",
    "a rule": "CREATE RULE shouts AS ON DELETE TO items DO ALSO INSERT INTO log VALUES ('gone')",
}


@pytest.mark.parametrize("fires", FIRED)
def test_what_would_fire_is_refused_before_the_first_load_and_at_the_publish(
    databases: Databases, etl: Etl, tmp_path: Path, fires: str
) -> None:
    """The check and the run name it; a publish does, if it has come since; nothing fires."""
    make_items(databases)
    target = databases.reporting
    (tmp_path / "options.toml").write_text('[defaults]\npublish = "in-place"\n')
    refuse = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml"), "TABLES": "items"}
    before = target.rows("SELECT * FROM items ORDER BY id")
    assert etl("run", ETL_RUN_ID="deferred", ETL_PUBLISH="defer", **refuse).status == 0
    target.execute(FIRED[fires])
    said = [" ".join(etl("check", **refuse).stdout.split())]
    for command, run_id in (("publish", "deferred"), ("run", "tomorrow")):
        done = etl(command, *([run_id] if command == "publish" else []), **refuse | {"ETL_RUN_ID": run_id})
        assert (command, done.status) == (command, 1)
        assert [one for one in done.events if one["event"] == "table.loaded"] == []
        said.append(done.stderr)
    what = f"{'rule' if fires == 'a rule' else 'trigger'} shouts on table public.items"
    words = f'public.items is published in place, and would fire {what}; drop or disable that, or set triggers = "fire"'
    assert [one for one in said if words not in one] == []
    assert (target.rows("SELECT * FROM items ORDER BY id"), target.rows("SELECT * FROM log")) == (before, [])


SIDE_EFFECTS = {
    "a trigger that drops a row": "CREATE TRIGGER alters BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION lose()",
    "a trigger that changes a value": "CREATE TRIGGER alters BEFORE UPDATE ON items"
    " FOR EACH ROW EXECUTE FUNCTION shout()",
    "a trigger that keeps a row": "CREATE TRIGGER alters BEFORE DELETE ON items FOR EACH ROW EXECUTE FUNCTION lose()",
    "a trigger that writes afterwards": "CREATE TRIGGER alters AFTER INSERT ON items EXECUTE FUNCTION spoil()",
    "a trigger that writes at the commit": "CREATE CONSTRAINT TRIGGER alters AFTER INSERT ON items"
    " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spoil()",
    "a rule that keeps rows": "CREATE RULE alters AS ON DELETE TO items DO INSTEAD NOTHING",
    "a rule that loses a change": "CREATE RULE alters AS ON UPDATE TO items DO INSTEAD NOTHING",
    "a rule that loses a row": "CREATE RULE alters AS ON INSERT TO items WHERE NEW.id = 4 DO INSTEAD NOTHING",
    "a trigger that writes to another table of the run": "CREATE TRIGGER alters AFTER UPDATE ON others"
    " EXECUTE FUNCTION spoil()",
}

FUNCTIONS = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name || ''!''; RETURN NEW; END';
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE public.items SET name = 'spoilt' WHERE id = 1; RETURN NULL; END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.log VALUES (TG_OP); RETURN NULL; END $$;
CREATE TABLE log (what text);
"""


def make_items(databases: Databases) -> None:
    """Creates two live tables whose rows differ from the source's: one row is changed, one deleted, one new."""
    databases.reporting.execute(FUNCTIONS)
    for side in (databases.operational, databases.reporting):
        side.execute(
            "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c');"
            "CREATE TABLE others (id int PRIMARY KEY, name text); INSERT INTO others VALUES (1, 'a')"
        )
    databases.operational.execute(
        "UPDATE items SET name = 'new' WHERE id = 2; DELETE FROM items WHERE id = 3; INSERT INTO items VALUES (4, 'd');"
        "UPDATE others SET name = 'new'"
    )


@pytest.mark.parametrize("alters", SIDE_EFFECTS)
def test_what_a_trigger_or_a_rule_has_changed_is_not_published(
    databases: Databases, etl: Etl, options: dict[str, str], alters: str
) -> None:
    """A row dropped or kept, or a value changed, at once or at the commit: the run fails and names the object."""
    make_items(databases)
    databases.reporting.execute(SIDE_EFFECTS[alters])
    before = databases.reporting.rows("SELECT * FROM items ORDER BY id")
    done = etl("run", TABLES="items,others", **options)
    assert done.status == 1
    assert "public.items is published in place, and has " in done.stderr
    assert "alters on " in done.stderr or "a trigger or a rule of another table" in done.stderr
    assert databases.reporting.rows("SELECT * FROM items ORDER BY id") == before
    assert databases.staging_tables() == []


def test_a_trigger_that_changes_no_row_is_no_harm(databases: Databases, etl: Etl, options: dict[str, str]) -> None:
    """It fires for changed rows, and the night is published; a disabled trigger does not even fire."""
    make_items(databases)
    databases.reporting.execute(
        "CREATE TRIGGER notes AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION note();"
        "CREATE TRIGGER off BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION lose();"
        "ALTER TABLE items DISABLE TRIGGER off"
    )
    done = etl("run", TABLES="items,others", **options)
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT * FROM items ORDER BY id") == [(1, "a"), (2, "new"), (4, "d")]
    assert databases.reporting.rows("SELECT what FROM log ORDER BY 1") == [("DELETE",), ("INSERT",), ("UPDATE",)]


@pytest.mark.parametrize("by", ["ETL_VERIFY", "the table's option"])
def test_with_checksums_the_live_rows_are_hashed_whatever_hangs_on_the_table(
    databases: Databases, etl: Etl, tmp_path: Path, by: str
) -> None:
    """A third table's trigger, fired by a foreign key's action, changes a row: seen by the checksum alone."""
    make_items(databases)
    databases.reporting.execute(
        "CREATE TABLE notes (item int REFERENCES items ON DELETE CASCADE); INSERT INTO notes VALUES (3);"
        "CREATE CONSTRAINT TRIGGER alters AFTER DELETE ON notes INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    path = tmp_path / "options.toml"
    verify = "" if by == "ETL_VERIFY" else 'verify = "checksum"\n'
    path.write_text(f'[items]\npublish = "in-place"\ntriggers = "fire"\n{verify}')
    variables = {"ETL_VERIFY": "checksum"} if by == "ETL_VERIFY" else {}
    done = etl("run", TABLES="items", ETL_OPTIONS_FILE=str(path), **variables)
    assert done.status == 1
    assert "has other rows than those staged" in done.stderr
    assert databases.reporting.rows("SELECT name FROM items WHERE id = 1") == [("a",)]


FILTERED = {
    "a publication's filter": (
        "CREATE TABLE {items} (id int PRIMARY KEY, name text)",
        "CREATE PUBLICATION feed FOR TABLE {items} WHERE (name <> 'x')",
        'cannot delete from table "{items}": Column used in the publication WHERE expression is not part of the replica'
        " identity.; with ALTER PUBLICATION, let the publication's filter use columns of the table's",
    ),
    "a publication's column list": (
        "CREATE TABLE {items} (id int PRIMARY KEY, name text)",
        "CREATE PUBLICATION feed FOR TABLE {items} (name)",
        'cannot delete from table "{items}": Column list used by the publication does not cover the replica identity.;'
        " with ALTER PUBLICATION, let the publication's filter use columns of the table's replica identity",
    ),
}

UNPLANNABLE = (FILTERED if filters_publications() else {}) | {
    "no replica identity": (
        "CREATE TABLE {items} (id int, name text)",
        "CREATE PUBLICATION feed FOR TABLE {items}",
        'cannot delete from table "{items}" because it does not have a replica identity',
    ),
    "a key that is deferrable": (
        "CREATE TABLE {items} (id int PRIMARY KEY DEFERRABLE, name text)",
        "CREATE PUBLICATION feed FOR TABLE {items}",
        'cannot delete from table "{items}" because it does not have a replica identity',
    ),
    "a key whose owner may not use the schema": (
        "CREATE TABLE {items} (id int PRIMARY KEY, name text)",
        "CREATE ROLE {items}_clerk; CREATE SCHEMA {items}_desk; CREATE TABLE {items}_desk.notes (id int REFERENCES"
        " {items}); ALTER TABLE {items}_desk.notes OWNER TO {items}_clerk",
        "constraint notes_id_fkey on table {items}_desk.notes is enforced as role {items}_clerk, which may not use"
        " schema {items}_desk; GRANT USAGE ON SCHEMA {items}_desk TO {items}_clerk",
    ),
    "a key whose owner may not delete": (
        "CREATE TABLE {items} (id int PRIMARY KEY, name text)",
        "CREATE ROLE {items}_clerk; CREATE TABLE {items}_notes (id int REFERENCES {items} ON DELETE CASCADE);"
        " ALTER TABLE {items}_notes OWNER TO {items}_clerk; REVOKE DELETE ON {items}_notes FROM {items}_clerk",
        "which may not DELETE public.{items}_notes; GRANT DELETE ON public.{items}_notes TO {items}_clerk",
    ),
}


def test_what_the_server_would_refuse_each_night_is_told_before_the_first_load(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """Publications without a replica identity, or with a filter; foreign keys whose owner lacks privileges."""
    named = []
    for n, (table, make, words) in enumerate(UNPLANNABLE.values()):
        for side in (databases.operational, databases.reporting):
            side.execute(table.format(items=f"items_{n}"))
        databases.reporting.execute(make.format(items=f"items_{n}").replace("feed", f"feed_{n}"))
        named.append(words.format(items=f"items_{n}"))
    checked = " ".join(etl("check", TABLES="*", **options).stdout.split())
    assert [words for words in named if words not in checked] == []
    done = etl("run", TABLES="*", **options)
    assert done.status == 1
    assert [words for words in named if words not in done.stderr] == []
    assert [one for one in done.events if one["event"] == "table.loaded"] == []


def test_a_published_table_with_a_replica_identity_is_published_in_place(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """REPLICA IDENTITY FULL suffices for a table without a key."""
    for side in (databases.operational, databases.reporting):
        side.execute("CREATE TABLE items (id int, name text)")
    databases.reporting.execute("CREATE PUBLICATION feed FOR TABLE items; ALTER TABLE items REPLICA IDENTITY FULL")
    databases.operational.execute("INSERT INTO items VALUES (1, 'a')")
    assert etl("check", TABLES="items", **options).status == 0
    assert etl("run", TABLES="items", **options).status == 0
    assert databases.reporting.rows("SELECT * FROM items") == [(1, "a")]


def test_a_table_that_somebody_has_locked_is_not_waited_for_before_the_publish(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """The server's answer about this table is then unknown, which does not delay the check or the loads."""
    for side in (databases.operational, databases.reporting):
        side.execute("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)")
    with locked(databases.reporting, "items"):
        assert etl("check", TABLES="items", **options).status == 0
        done = etl("run", TABLES="items", ETL_PUBLISH="defer", ETL_RUN_ID="tonight", **options)
        assert (done.status, done.stderr) == (0, "")
    assert etl("publish", "tonight", **options).status == 0


def test_a_foreign_key_that_refers_to_the_table_of_which_it_is_a_partition_on_delete_too(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """Two rows swap unique values, and the rows that refer to them are still there."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY, place int UNIQUE)")
    databases.operational.execute("INSERT INTO orders VALUES (1, 10), (2, 20)")
    databases.reporting.execute(
        "CREATE TABLE whole (id int PRIMARY KEY, place int) PARTITION BY RANGE (id);"
        "CREATE TABLE orders PARTITION OF whole FOR VALUES FROM (0) TO (1000); ALTER TABLE orders ADD UNIQUE (place);"
        "CREATE TABLE notes (id int PRIMARY KEY, item int REFERENCES whole ON DELETE CASCADE)"
    )
    assert etl("run", TABLES="orders", **options).status == 0
    databases.reporting.execute("INSERT INTO notes VALUES (1, 1), (2, 2)")
    databases.operational.execute(
        "UPDATE orders SET place = 99 WHERE id = 1; UPDATE orders SET place = 10 WHERE id = 2"
    )
    databases.operational.execute("UPDATE orders SET place = 20 WHERE id = 1")
    done = etl("run", TABLES="orders", **options)
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("TABLE orders ORDER BY id") == [(1, 20), (2, 10)]
    assert databases.reporting.rows("SELECT id FROM notes ORDER BY id") == [(1,), (2,)]


@pytest.mark.whole
def test_what_a_referential_action_sets_off_elsewhere_is_found_without_checksums(
    databases: Databases, etl: Etl, options: dict[str, str]
) -> None:
    """A trigger of the referring table changes the live one: etl hashes its rows, and publishes nothing."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY, code text UNIQUE, total int)")
    databases.operational.execute("INSERT INTO orders VALUES (1, 'a', 10), (2, 'b', 20)")
    assert etl("run", TABLES="orders", **options).status == 0
    databases.reporting.execute(
        "CREATE TABLE notes (item text REFERENCES orders (code) ON UPDATE CASCADE);"
        "INSERT INTO notes VALUES ('a'), ('b');"
        "CREATE FUNCTION raise_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE public.orders SET total = total + 1000 WHERE code = NEW.item; RETURN NULL; END $$;"
        "CREATE TRIGGER t AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION raise_it()"
    )
    databases.operational.execute("UPDATE orders SET code = 'z' WHERE id = 1")
    done = etl("run", TABLES="orders", **options)
    assert done.status == 1
    assert "has other rows than those staged" in done.stderr
    assert databases.reporting.rows("SELECT total FROM orders ORDER BY id") == [(10,), (20,)]
