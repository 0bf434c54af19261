"""Objects that the reporting side added to live tables are there the next morning, and the morning after."""

from __future__ import annotations

import pytest

from etl.sessions.query import target_query
from tests.dump import difference, schema_of, script
from tests.harness import Database, Databases, Etl

pytestmark = pytest.mark.whole

TABLES = "customers,orders,sales.orders"

MATERIALIZED = {
    "reports.daily": "SELECT at::date, count(*), sum(qty) FROM orders GROUP BY 1",
    "reports.yearly": "SELECT date_trunc('year', at::date), count(*)::numeric FROM orders GROUP BY 1",
    "reports.on_late": "SELECT count(*) FROM orders JOIN sales.orders USING (id)",
}
"""The filled materialized views of shop_target.sql, and their expected contents."""


@pytest.fixture
def shop(databases: Databases, etl: Etl) -> Databases:
    """Two databases after the first night, with the objects that the reporting side has added since."""
    databases.operational.execute(script("shop_source.sql"))
    first = etl("run", TABLES=TABLES, ETL_VERIFY="checksum")
    assert first.stderr == ""
    databases.reporting.execute(script("roles.sql"))
    databases.reporting.execute(script("shop_target.sql"))
    return databases


def privileges(database: Database) -> list[str]:
    """Every privilege on a table, a view or a column of them, as "object=role:privilege*/grantor"."""
    rows = database.rows(
        "SELECT concat(o.name, '=', nullif(x.grantee, 0)::regrole, ':', x.privilege_type,"
        " CASE WHEN x.is_grantable THEN '*' END, '/', x.grantor::regrole) FROM (SELECT oid::regclass::text AS name,"
        " relacl AS acl FROM pg_class UNION ALL SELECT attrelid::regclass || '.' || attname, attacl FROM pg_attribute)"
        " AS o CROSS JOIN aclexplode(o.acl) AS x WHERE o.name !~ '^(pg_|information_schema|etl)' ORDER BY 1"
    )
    return [privilege for (privilege,) in rows]


@pytest.mark.superuser("gives what is live to other roles")
def test_everything_that_was_added_is_there_on_the_second_and_the_third_morning(shop: Databases, etl: Etl) -> None:
    """pg_dump gives the same before and after, apart from new columns and column types of the source."""
    before, granted = schema_of(shop.reporting), privileges(shop.reporting)
    shop.operational.execute("ALTER TABLE orders ALTER qty TYPE bigint, ADD new text; DELETE FROM orders WHERE id = 3")
    for night in ("second", "third"):
        done = etl("run", TABLES=TABLES, ETL_VERIFY="checksum")
        assert done.stderr == "", night
        changed = ["- qty integer NOT NULL", "+ new text", "+ qty bigint NOT NULL"]
        assert difference(before, schema_of(shop.reporting)) == changed, night
        assert privileges(shop.reporting) == granted, night
    assert shop.reporting.value("SELECT pg_typeof(twice)::text FROM order_notes LIMIT 1") == "bigint"
    assert shop.staging_tables() == []


@pytest.mark.superuser("gives what is live to other roles")
def test_materialized_views_are_filled_by_the_publish_and_empty_ones_stay_empty(shop: Databases, etl: Etl) -> None:
    """Also views that read other views, and views over two tables of one name; a view that was empty stays empty."""
    shop.operational.execute("DELETE FROM orders WHERE id % 3 = 0; DELETE FROM sales.orders WHERE id % 5 = 0")
    assert etl("run", TABLES=TABLES).stderr == ""
    for name, query in MATERIALIZED.items():
        assert sorted(shop.reporting.rows(f"SELECT * FROM {name}")) == sorted(shop.reporting.rows(query)), name
    assert shop.reporting.rows("SELECT relname::text FROM pg_class WHERE NOT relispopulated") == [("never_filled",)]


@pytest.mark.superuser("compares the owners and privileges of both sides")
def test_what_the_source_says_of_its_tables_is_what_the_target_says(databases: Databases, etl: Etl) -> None:
    """pg_dump gives the same for both after the first night, apart from defaults and foreign keys."""
    databases.operational.execute(script("shop_source.sql"))
    assert etl("run", TABLES=TABLES, ETL_VERIFY="checksum").stderr == ""
    assert difference(schema_of(databases.operational), schema_of(databases.reporting)) == [
        "- ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES public.customers(id);",
        "- at timestamp with time zone DEFAULT now() NOT NULL",
        "- ALTER TABLE ONLY public.orders",
        "+ at timestamp with time zone NOT NULL",
    ]


PLACED = "SELECT spcname::text FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.relname = '{}'"
METHOD = "SELECT amname::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = '{}'"

KEPT = {
    "a table's tablespace": ("ALTER TABLE items SET TABLESPACE etl_test", PLACED.format("items"), "etl_test"),
    "a key's tablespace": ("ALTER INDEX items_pkey SET TABLESPACE etl_test", PLACED.format("items_pkey"), "etl_test"),
    "an index's tablespace": ("ALTER INDEX theirs SET TABLESPACE etl_test", PLACED.format("theirs"), "etl_test"),
    "an added index's tablespace": (
        "CREATE INDEX ours ON items (note) WHERE id > 0; ALTER INDEX ours SET TABLESPACE etl_test",
        PLACED.format("ours"),
        "etl_test",
    ),
    "an added key's tablespace": (
        "ALTER TABLE items ADD CONSTRAINT once UNIQUE (id, note) USING INDEX TABLESPACE etl_test;"
        "COMMENT ON INDEX once IS 'ours'",
        PLACED.format("once"),
        "etl_test",
    ),
    "a materialized view's tablespace": (
        "CREATE MATERIALIZED VIEW kept WITH (fillfactor = 50) TABLESPACE etl_test AS SELECT * FROM items",
        PLACED.format("kept"),
        "etl_test",
    ),
    "a materialized view's index's": (
        "CREATE UNIQUE INDEX kept_id ON kept (id) TABLESPACE etl_test",
        PLACED.format("kept_id"),
        "etl_test",
    ),
    "a materialized view's access method": (
        "CREATE MATERIALIZED VIEW kept2 USING heap2 AS SELECT * FROM items",
        METHOD.format("kept2"),
        "heap2",
    ),
    "a table's access method": (
        "DROP TABLE other; CREATE TABLE other (id int PRIMARY KEY) USING heap2",
        METHOD.format("other"),
        "heap2",
    ),
    "a comment on a key's index": (
        "COMMENT ON INDEX items_pkey IS 'ours'",
        "SELECT obj_description('items_pkey'::regclass)",
        "ours",
    ),
    "a comment on an added key's index": ("", "SELECT obj_description('once'::regclass)", "ours"),
    "a comment on an index": (
        "COMMENT ON INDEX theirs IS 'ours'",
        "SELECT obj_description('theirs'::regclass)",
        "ours",
    ),
    "a comment on a constraint": (
        "COMMENT ON CONSTRAINT checked ON items IS 'ours'",
        "SELECT obj_description(oid) FROM pg_constraint WHERE conname = 'checked'",
        "ours",
    ),
    "a comment on statistics": (
        "COMMENT ON STATISTICS seen IS 'ours'",
        "SELECT obj_description(oid) FROM pg_statistic_ext WHERE stxname = 'seen'",
        "ours",
    ),
    "the source's comment": ("", "SELECT obj_description('commented'::regclass)", "theirs"),
}
"""What the reporting side does with a table that arrived, and how the catalog shows it."""


@pytest.mark.superuser("makes a tablespace and an access method")
def test_where_things_are_stored_and_what_is_said_of_them_outlives_the_publish(databases: Databases, etl: Etl) -> None:
    """Also of the objects that come from the source; the source's comment goes before one made here."""
    source, target = databases.operational, databases.reporting
    source.execute(
        "CREATE TABLE items (id int PRIMARY KEY, note text, CONSTRAINT checked CHECK (id > 0));"
        "CREATE INDEX theirs ON items (note); CREATE INDEX commented ON items (id, note);"
        "COMMENT ON INDEX commented IS 'theirs'; CREATE STATISTICS seen ON id, note FROM items;"
        "CREATE TABLE other (id int PRIMARY KEY); INSERT INTO items VALUES (1, 'x')"
    )
    assert etl("run", TABLES="items,other").stderr == ""
    target.execute("COMMENT ON INDEX commented IS 'ours'")
    with target.connect() as session:
        session.execute("SET allow_in_place_tablespaces = on")
        session.execute("CREATE TABLESPACE etl_test LOCATION ''")
    try:
        target.execute("CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler")
        target.execute(";".join(statement for statement, _, _ in KEPT.values()))
        expected = {name: value for name, (_, _, value) in KEPT.items()}
        for night in ("second", "third"):
            assert etl("run", TABLES="items,other").stderr == "", night
            assert {name: target.value(query) for name, (_, query, _) in KEPT.items()} == expected, night
    finally:
        target.execute("DROP TABLE items, other CASCADE")
        target.execute("DROP TABLESPACE etl_test")


LABELS = (
    ("TABLE public.items", "'pg_class'::regclass, 'items'::regclass, 0"),
    ("COLUMN public.items.id", "'pg_class'::regclass, 'items'::regclass, 1"),
    ("VIEW public.seen", "'pg_class'::regclass, 'seen'::regclass, 0"),
    ("MATERIALIZED VIEW public.kept", "'pg_class'::regclass, 'kept'::regclass, 0"),
)


@pytest.mark.superuser("writes the catalog")
def test_security_labels_are_given_again(databases: Databases, etl: Etl) -> None:
    """No label provider is shipped with PostgreSQL, so the catalog is written, and the server refuses the statement."""
    databases.operational.execute("CREATE TABLE items (id int)")
    assert etl("run", TABLES="items").stderr == ""
    target = databases.reporting
    target.execute("CREATE VIEW seen AS SELECT id FROM items; CREATE MATERIALIZED VIEW kept AS SELECT id FROM items")
    labels = ", ".join(f"({where}, 'Shop', 'it''s secret')" for _, where in LABELS)
    columns = "classoid, objoid, objsubid, provider, label"
    target.execute(f"SET allow_system_table_mods = on; INSERT INTO pg_seclabel ({columns}) VALUES {labels}")
    oids = "SELECT array_agg(oid) FROM pg_class WHERE relname IN ('items', 'seen', 'kept')"
    with target.connect() as session:
        parameters = {"oids": target.value(oids)}
        found = session.execute(target_query("attachments"), parameters).fetchall()
    expected = [f"""SECURITY LABEL FOR "Shop" ON {what} IS 'it''s secret'""" for what, _ in LABELS]
    assert sorted(row[-1] for row in found if "LABEL" in row[-1]) == sorted(expected)
    assert 'security label provider "Shop" is not loaded' in etl("run", TABLES="items").stderr


def test_an_index_stays_for_ever_or_goes_with_the_sources(databases: Databases, etl: Etl) -> None:
    """Three nights: an index of the reporting side stays; an index that the source dropped does not come back."""
    source, target = databases.operational, databases.reporting
    source.execute(
        "CREATE TABLE items (id int PRIMARY KEY, note text CHECK (note <> ''), CONSTRAINT once UNIQUE (note));"
        "CREATE INDEX theirs ON items (note); CREATE STATISTICS seen ON id, note FROM items"
    )
    assert etl("run", TABLES="items").stderr == ""
    target.execute("CREATE INDEX ours ON items (note, id); ALTER TABLE items ADD CONSTRAINT sane CHECK (id < 9)")
    names = (
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'items'::regclass UNION ALL"
        " SELECT stxname::text FROM pg_statistic_ext UNION ALL SELECT conname::text FROM pg_constraint"
        " WHERE conrelid = 'items'::regclass AND contype = 'c' ORDER BY 1"
    )
    assert [name for (name,) in target.rows(names)] == [
        "items_note_check", "items_pkey", "once", "ours", "sane", "seen", "theirs",
    ]  # fmt: skip
    source.execute(
        "DROP INDEX theirs; DROP STATISTICS seen; ALTER TABLE items DROP CONSTRAINT once,"
        " DROP CONSTRAINT items_note_check; CREATE INDEX later ON items (id)"
    )
    for night in range(3):
        assert etl("run", TABLES="items").stderr == ""
        assert [name for (name,) in target.rows(names)] == ["items_pkey", "later", "ours", "sane"], night
    source.execute("DROP INDEX later")
    for night in range(3):
        assert etl("run", TABLES="items").stderr == ""
        assert [name for (name,) in target.rows(names)] == ["items_pkey", "ours", "sane"], night


def own_sequence(database: Database, column: str) -> None:
    """Creates a sequence that a column of ``items`` owns. The table's owner must own the sequence, too."""
    owner = database.value("SELECT tableowner FROM pg_tables WHERE tablename = 'items'")
    database.execute(f'CREATE SEQUENCE numbers; ALTER SEQUENCE numbers OWNER TO "{owner}"')
    database.execute(f"ALTER SEQUENCE numbers OWNED BY items.{column}")


@pytest.mark.parametrize("default", ["", "; ALTER TABLE items ALTER id SET DEFAULT nextval('numbers')"])
def test_a_sequence_that_a_live_column_owns_stays_its_own(databases: Databases, etl: Etl, default: str) -> None:
    """It continues its count; the column's default, if any, still uses it."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    assert etl("run", TABLES="items").stderr == ""
    own_sequence(databases.reporting, "id")
    databases.reporting.execute(f"ALTER SEQUENCE numbers RESTART 5{default}")
    assert databases.reporting.value("SELECT nextval('numbers')") == 5
    before = schema_of(databases.reporting)
    for night in ("second", "third"):
        assert etl("run", TABLES="items").stderr == "", night
        assert schema_of(databases.reporting) == before, night
    assert databases.reporting.value("SELECT nextval('numbers')") == 6
    assert databases.reporting.value("SELECT pg_get_serial_sequence('items', 'id')") == "public.numbers"


def test_a_sequence_outlives_the_column_that_owned_it(databases: Databases, etl: Etl) -> None:
    """No column owns it then."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id, 2 AS n")
    assert etl("run", TABLES="items").stderr == ""
    own_sequence(databases.reporting, "n")
    databases.operational.execute("ALTER TABLE items DROP n")
    assert etl("run", TABLES="items").stderr == ""
    assert databases.reporting.value("SELECT nextval('numbers')") == 1


@pytest.mark.superuser("default privileges of the superuser")
def test_default_privileges_hold_for_the_first_night_only(databases: Databases, etl: Etl) -> None:
    """A new table gets the schema's and the global ones; a live table keeps its privileges, even if they are fewer."""
    target = databases.reporting
    target.execute(script("roles.sql"))
    target.execute(
        "CREATE SCHEMA sales;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO shop_bi WITH GRANT OPTION;"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
        "ALTER DEFAULT PRIVILEGES GRANT UPDATE ON TABLES TO shop_a"
    )
    databases.operational.execute("CREATE SCHEMA sales; CREATE TABLE sales.orders (); CREATE TABLE items ()")
    everyone, shop_a = ":SELECT/postgres", "shop_a:UPDATE/postgres"
    assert etl("run", TABLES="items,sales.orders").stderr == ""
    assert [one for one in privileges(target) if "=postgres" not in one] == [
        f"items={everyone}", f"items={shop_a}",
        f"sales.orders={everyone}", f"sales.orders={shop_a}", "sales.orders=shop_bi:SELECT*/postgres",
    ]  # fmt: skip
    target.execute("REVOKE ALL ON items FROM PUBLIC, shop_a; REVOKE ALL ON sales.orders FROM shop_bi")
    assert etl("run", TABLES="items,sales.orders").stderr == ""
    assert [one for one in privileges(target) if "=postgres" not in one] == [
        f"sales.orders={everyone}", f"sales.orders={shop_a}",
    ]  # fmt: skip


def test_the_sources_comment_goes_before_one_made_here(databases: Databases, etl: Etl) -> None:
    """If the source has no comment, the comment of the reporting side stays."""
    databases.operational.execute("CREATE TABLE items (a int, b int); COMMENT ON COLUMN items.a IS 'theirs'")
    assert etl("run", TABLES="items").stderr == ""
    databases.reporting.execute("COMMENT ON COLUMN items.a IS 'ours'; COMMENT ON COLUMN items.b IS 'ours'")
    assert etl("run", TABLES="items").stderr == ""
    comments = "SELECT col_description('items'::regclass, n) FROM generate_series(1, 2) n"
    assert databases.reporting.rows(comments) == [("theirs",), ("ours",)]


def test_a_primary_key_by_another_name_is_the_sources(databases: Databases, etl: Etl) -> None:
    """A key that was renamed here has the source's name again; one of other columns stops the load, and is named."""
    source, target = databases.operational, databases.reporting
    source.execute("CREATE TABLE items (id int CONSTRAINT items_key PRIMARY KEY, name text NOT NULL)")
    assert etl("run", TABLES="items").status == 0
    target.execute("ALTER TABLE items RENAME CONSTRAINT items_key TO ours")
    keys = "SELECT conname::text FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'p'"
    assert etl("run", TABLES="items", ETL_RUN_ID="tonight", ETL_PUBLISH="defer").stderr == ""
    target.execute("ALTER TABLE items RENAME CONSTRAINT ours TO mine")
    assert etl("publish", "tonight").stderr == ""
    assert target.rows(keys) == [("items_key",)]
    target.execute("ALTER TABLE items DROP CONSTRAINT items_key, ADD CONSTRAINT ours PRIMARY KEY (name)")
    done = etl("run", TABLES="items")
    assert (
        "the live table public.items has the primary key ours, and its source has another one; drop ours,"
        in done.stderr
    )
    assert target.rows(keys) == [("ours",)]
