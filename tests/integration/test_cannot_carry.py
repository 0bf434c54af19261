"""Attachments that cannot move to the new table: etl check and the run refuse them by name, before any change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.dump import schema_of
from tests.harness import Database, Databases, Etl
from tests.situations import ledger, live

pytestmark = pytest.mark.whole


@dataclass(frozen=True, slots=True)
class Case:
    """Something that hangs on ``items`` in the target: how it is made, and by what words the error names it.

    ``changed`` is what the source does meanwhile, ``in_place`` whether rows can be replaced in place nevertheless.
    """

    make: str
    named: str
    changed: str = ""
    in_place: bool = True


GONE = "ALTER TABLE items DROP note"

CASES = {
    "foreign key": Case(
        "CREATE TABLE notes (item int REFERENCES items)", "constraint notes_item_fkey on table public.notes"
    ),
    "function with a bound body": Case(
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM items; END",
        "public.items cannot be replaced while this depends on it: function public.total()",
    ),
    "function over its rows": Case(
        "CREATE FUNCTION first() RETURNS SETOF items LANGUAGE sql AS 'SELECT * FROM public.items'",
        "public.items cannot be replaced while this depends on it: function public.first()",
    ),
    "column of its row type": Case("CREATE TABLE kept (item items)", "column item of table public.kept"),
    "inheritance child": Case("CREATE TABLE more (extra int) INHERITS (items)", "table public.more"),
    "policy of another table": Case(
        "CREATE TABLE other (id int); CREATE POLICY few ON other USING (id IN (SELECT id FROM items))",
        "policy few on table public.other",
    ),
    "rule of another table": Case(
        "CREATE TABLE other (id int); CREATE RULE too AS ON DELETE TO other DO ALSO SELECT count(*) FROM items",
        "this depends on it: rule too on table public.other",
    ),
    "view of an extension": Case(
        "CREATE EXTENSION vector; CREATE VIEW counted AS SELECT count(*) FROM items;"
        "ALTER EXTENSION vector ADD VIEW counted",
        "public.counted cannot be replaced while this depends on it: extension vector",
    ),
    "function over a view": Case(
        "CREATE VIEW counted AS SELECT count(*) FROM items;"
        "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count FROM counted; END",
        "public.counted cannot be replaced while this depends on it: function public.total()",
    ),
    "a view in its place": Case(
        "DROP TABLE items; CREATE VIEW items AS SELECT 1 AS id, 'a' AS note",
        "public.items is a view in the target, not a table; rename or drop it",
        in_place=False,
    ),
    "a partitioned table in its place": Case(
        "DROP TABLE items; CREATE TABLE items (id int, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE few PARTITION OF items DEFAULT",
        "public.items is a partitioned table in the target, not a table; rename or drop it",
    ),
    "a sequence in its place": Case(
        "DROP TABLE items; CREATE SEQUENCE items",
        "public.items is a sequence in the target, not a table; rename or drop it",
        in_place=False,
    ),
    "a constraint's name that another table's index has": Case(
        "CREATE TABLE other (id int); CREATE INDEX items_note_key ON other (id)",
        "index items_note_key of public.items cannot arrive: an index of public.other has the name items_note_key",
        "ALTER TABLE items ADD UNIQUE (note)",
        in_place=False,
    ),
    "view on a column that is gone": Case(
        "CREATE VIEW noted AS SELECT note FROM items",
        "view public.noted uses note, which is no longer there",
        GONE,
        in_place=False,
    ),
    "policy on a column that is gone": Case(
        "CREATE POLICY mine ON items USING (note = 'a')",
        "policy mine on table public.items uses note",
        GONE,
        in_place=False,
    ),
    "trigger on a column that is gone": Case(
        "CREATE TRIGGER t BEFORE UPDATE OF note ON items EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger t on table public.items uses note",
        GONE,
        in_place=False,
    ),
    "rule on a column that is gone": Case(
        "CREATE RULE r AS ON UPDATE TO items WHERE NEW.note = 'x' DO INSTEAD NOTHING",
        "rule r on table public.items uses note",
        GONE,
        in_place=False,
    ),
    "publication": Case(
        "CREATE PUBLICATION few FOR TABLE items", "publication few (its subscribers hear of changed rows only)"
    ),
    "publication of its schema": Case(
        "CREATE PUBLICATION few FOR TABLES IN SCHEMA public",
        "publication few (its subscribers hear of changed rows only)",
    ),
}


@pytest.fixture
def items(databases: Databases, etl: Etl) -> Databases:
    """A table after its first night, which has changed since at the source."""
    databases.operational.execute(
        "CREATE TABLE items (id int PRIMARY KEY, note text);"
        "INSERT INTO items SELECT i, 'note ' || i FROM generate_series(1, 9) i"
    )
    assert etl("run", TABLES="items").status == 0
    databases.operational.execute("UPDATE items SET note = 'new' WHERE id = 2; INSERT INTO items VALUES (10, 'x')")
    databases.operational.execute("DELETE FROM items WHERE id = 9")
    return databases


@contextmanager
def in_place() -> Iterator[dict[str, str]]:
    """The variable with options by which all tables are published in place."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "options.toml"
        path.write_text('[defaults]\npublish = "in-place"\n')
        yield {"ETL_OPTIONS_FILE": str(path)}


def rows(database: Database) -> list[tuple[object, ...]]:
    return sorted(database.rows("SELECT * FROM items"))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_refused_named_and_told_in_advance(items: Databases, etl: Etl, case: Case) -> None:
    """``etl check`` and the run both name the obstacle; schema, tables and rows stay as they are.

    The run names it in one line, and so does the ledger.
    """
    items.reporting.execute(case.make)
    items.operational.execute(case.changed)
    before = schema_of(items.reporting), live(items.reporting), rows(items.reporting)
    checked = etl("check", TABLES="items")
    assert checked.status == 1
    assert case.named in " ".join(checked.stdout.split())
    done = etl("run", TABLES="items", ETL_RUN_ID="refused")
    assert done.status == 1
    (line,) = done.stderr.splitlines()
    assert case.named in line
    assert (schema_of(items.reporting), live(items.reporting), rows(items.reporting)) == before
    assert items.staging_tables() == []
    status, error = ledger(items.reporting, "refused")
    assert (status, case.named in str(error)) == ("failed", True)


@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.in_place], ids=[n for n, c in CASES.items() if c.in_place]
)
def test_rows_are_replaced_in_place_nevertheless(items: Databases, etl: Etl, case: Case) -> None:
    """``publish = "in-place"`` keeps the table and all its attachments."""
    items.reporting.execute(case.make)
    before = schema_of(items.reporting), live(items.reporting)
    with in_place() as options:
        checked = etl("check", TABLES="items", **options)
        assert checked.status == 0, checked.stderr
        done = etl("run", TABLES="items", ETL_VERIFY="checksum", **options)
    assert done.stderr == ""
    assert (schema_of(items.reporting), live(items.reporting)) == before
    assert rows(items.reporting) == rows(items.operational)


def test_what_refers_to_a_swapped_table_from_one_that_stays_is_told_in_advance(
    items: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Each way of publishing is asked about its own tables: a foreign key of one that stays does not go with a swap."""
    items.operational.execute("CREATE TABLE lines (id int PRIMARY KEY, item int)")
    options = tmp_path / "options.toml"
    options.write_text('["lines"]\npublish = "in-place"\n')
    variables = {"TABLES": "items,lines", "ETL_OPTIONS_FILE": str(options)}
    assert etl("run", **variables).status == 0
    items.reporting.execute("ALTER TABLE lines ADD CONSTRAINT of_item FOREIGN KEY (item) REFERENCES items")
    named = "public.items cannot be replaced while this depends on it: constraint of_item on table public.lines"
    checked, done = etl("check", **variables), etl("run", **variables)
    assert (checked.status, done.status) == (1, 1)
    assert named in " ".join(checked.stdout.split())
    assert named in done.stderr


@pytest.mark.parametrize("name", ["a view in its place", "view on a column that is gone"])
def test_in_place_has_its_limits(items: Databases, etl: Etl, name: str) -> None:
    """Rows of a view cannot be replaced, and columns cannot change; both are said, in advance too."""
    case = CASES[name]
    items.reporting.execute(case.make)
    items.operational.execute(case.changed)
    before = schema_of(items.reporting), rows(items.reporting)
    words = "dropped note" if case.changed else "public.items is a view"
    with in_place() as options:
        assert words in " ".join(etl("check", TABLES="items", **options).stdout.split())
        done = etl("run", TABLES="items", **options)
    assert done.status == 1
    assert words in done.stderr
    assert (schema_of(items.reporting), rows(items.reporting)) == before


def test_indexes_and_constraints_go_with_the_column_that_they_use(items: Databases, etl: Etl) -> None:
    """As they do when PostgreSQL drops a column: no error, and those on other columns stay."""
    items.reporting.execute(
        "CREATE INDEX gone ON items (lower(note)); CREATE INDEX stays ON items (id) WHERE id > 1;"
        "ALTER TABLE items ADD CONSTRAINT gone_too CHECK (note <> ''), ADD UNIQUE (note, id), ADD CHECK (id > 0);"
        "CREATE STATISTICS gone_as_well ON id, note FROM items; GRANT SELECT (note) ON items TO PUBLIC;"
        "COMMENT ON COLUMN items.note IS 'ours'; ALTER TABLE items ALTER note SET DEFAULT 'x'"
    )
    items.operational.execute(GONE)
    done = etl("run", TABLES="items")
    assert done.stderr == ""
    assert done.event("table.drifted")["changes"] == "dropped note"
    left = items.reporting.rows(
        "SELECT conname::text FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype <> 'n' UNION ALL"
        " SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'items'::regclass AND NOT indisprimary"
        " UNION ALL SELECT stxname::text FROM pg_statistic_ext ORDER BY 1"
    )
    assert left == [("items_id_check",), ("items_pkey",), ("stays",)]


UNSUITED = {
    "policy": ("CREATE POLICY few ON items USING (note > 'a'::text)", "policy few on table public.items"),
    "trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.note > 'a'::text)"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger t on table public.items",
    ),
    "rule": (
        "CREATE RULE r AS ON INSERT TO items WHERE NEW.note > 'a'::text DO ALSO NOTHING",
        "rule r on table public.items",
    ),
    "default": (
        "ALTER TABLE items ALTER note SET DEFAULT upper('a')",
        "ALTER TABLE public.items ALTER COLUMN note SET DEFAULT upper('a'::text)",
    ),
}
"""What does not suit a column's new type: how it is made, and its name in the error."""


@pytest.mark.parametrize(("make", "named"), UNSUITED.values(), ids=UNSUITED)
def test_the_publish_names_the_object_that_does_not_suit_a_columns_new_type(
    databases: Databases, etl: Etl, make: str, named: str
) -> None:
    """The live table is as it was."""
    databases.operational.execute("CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items VALUES (1)")
    assert etl("run", TABLES="items").status == 0
    databases.reporting.execute(make)
    databases.operational.execute("ALTER TABLE items ALTER note TYPE date USING NULL; INSERT INTO items VALUES (2)")
    before = schema_of(databases.reporting)
    done = etl("run", TABLES="items")
    assert done.status == 1
    assert f"the live tables are as they were: {named} does not suit its new table: " in done.stderr
    assert "; change it, or drop it" in done.stderr
    assert schema_of(databases.reporting) == before
    assert databases.reporting.value("SELECT count(*) FROM items") == 1
