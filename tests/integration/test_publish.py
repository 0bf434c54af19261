"""What is attached to a live table outlives its publish; what cannot be kept is in test_cannot_carry.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Database, Databases, Done, Etl
from tests.releases import invokes_views
from tests.situations import live

pytestmark = pytest.mark.whole

ROLES = ("analyst", "boss", "robot")


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Iterator[Databases]:
    """Orders and customers, copied once; three roles in the target."""
    databases.operational.execute(
        "CREATE TABLE customers (id int PRIMARY KEY, name text, secret text);"
        "CREATE TABLE orders (id int PRIMARY KEY, customer int, total int, note text);"
        "INSERT INTO customers VALUES (1, 'Ada', 'x'); INSERT INTO orders VALUES (1, 1, 10, 'a')"
    )
    for name in ROLES:
        databases.reporting.execute(f"CREATE ROLE {name}")
    assert publish(etl).status == 0
    yield databases
    for name in ROLES:
        databases.reporting.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def publish(etl: Etl, **variables: str) -> Done:
    """Runs ``etl`` for both tables."""
    return etl("run", **{"TABLES": "orders,customers", "ETL_RUN_ID": "tonight"} | variables)


def attachments(database: Database, *names: str) -> list[tuple[object, ...]]:
    """Owner, privileges, options, comments, definition and indexes of tables and views."""
    return database.rows(
        "SELECT c.oid::regclass::text, c.relkind::text, c.relowner::regrole::text, c.reloptions,"
        " ARRAY(SELECT a::text FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) a ORDER BY 1),"
        " obj_description(c.oid, 'pg_class'),"
        " ARRAY(SELECT format('%s %s %s', attname, attacl, col_description(c.oid, attnum)) FROM pg_attribute"
        "        WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),"
        " CASE WHEN c.relkind <> 'r' THEN pg_get_viewdef(c.oid) END, c.relispopulated,"
        " ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = c.oid ORDER BY 1)"
        f" FROM pg_class c WHERE c.oid IN ({', '.join(f'{name!r}::regclass' for name in names)}) ORDER BY 1"
    )


@pytest.mark.superuser("gives what is live to other roles")
def test_owner_privileges_and_comments_outlive_the_publish(night: Databases, etl: Etl) -> None:
    """Those of the table and its columns stay exactly the same, including grant options and grants to PUBLIC."""
    night.reporting.execute(
        "GRANT SELECT ON orders TO analyst; GRANT SELECT, UPDATE ON orders TO boss WITH GRANT OPTION;"
        "GRANT SELECT (id, name) ON customers TO PUBLIC; GRANT UPDATE (name) ON customers TO analyst;"
        "GRANT CREATE ON SCHEMA public TO robot; ALTER TABLE orders OWNER TO robot;"
        "REVOKE DELETE ON customers FROM postgres;"
        "COMMENT ON TABLE orders IS 'it''s ours'; COMMENT ON COLUMN orders.total IS 'in cents'"
    )
    before = attachments(night.reporting, "orders", "customers")
    old = live(night.reporting)
    done = publish(etl)
    assert (done.status, done.stderr) == (0, "")
    assert live(night.reporting) != old
    assert attachments(night.reporting, "orders", "customers") == before


def test_the_source_s_comment_wins_over_the_target_s(night: Databases, etl: Etl) -> None:
    """A comment comes with the table; one that only the target has stays."""
    night.reporting.execute("COMMENT ON TABLE orders IS 'old'; COMMENT ON COLUMN orders.total IS 'kept'")
    night.operational.execute("COMMENT ON TABLE orders IS 'new'")
    assert publish(etl).status == 0
    assert night.reporting.value("SELECT obj_description('orders'::regclass)") == "new"
    assert night.reporting.value("SELECT col_description('orders'::regclass, 3)") == "kept"


@pytest.mark.superuser("default privileges of the superuser")
def test_a_first_load_gets_the_schema_s_default_privileges(night: Databases, etl: Etl) -> None:
    """As if it had been created there by hand; a later load keeps the table's current privileges."""
    night.reporting.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO analyst;"
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO robot;"
        "CREATE TABLE by_hand ()"
    )
    night.operational.execute("CREATE TABLE fresh (id int)")
    acl = "SELECT ARRAY(SELECT unnest(relacl)::text ORDER BY 1) FROM pg_class WHERE oid = '{}'::regclass"
    for _ in range(2):
        assert publish(etl, TABLES="fresh").status == 0
        assert night.reporting.value(acl.format("fresh")) == night.reporting.value(acl.format("by_hand"))
    assert publish(etl).status == 0
    assert not night.reporting.value("SELECT has_table_privilege('robot', 'orders', 'SELECT')")


VIEWS = """
    CREATE SCHEMA reports;
    CREATE SCHEMA "Odd. name";
    GRANT USAGE, CREATE ON SCHEMA reports, "Odd. name" TO analyst, boss;
    GRANT SELECT ON orders, customers TO analyst, boss;
    CREATE VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
    ALTER VIEW totals OWNER TO analyst;
    GRANT SELECT ON totals TO boss;
    CREATE VIEW reports.named WITH (security_barrier, security_invoker)
        AS SELECT c.name, t.total FROM customers c JOIN totals t ON t.customer = c.id;
    COMMENT ON VIEW reports.named IS 'who owes';
    COMMENT ON COLUMN reports.named.total IS 'in cents';
    GRANT SELECT ON reports.named TO PUBLIC;
    GRANT SELECT (total) ON totals TO robot;
    CREATE MATERIALIZED VIEW reports.daily WITH (fillfactor = 70) AS SELECT name, total, 1 AS one FROM reports.named;
    CREATE UNIQUE INDEX daily_name ON reports.daily (name);
    CREATE INDEX daily_total ON reports.daily (total DESC) WHERE total > 0;
    GRANT SELECT ON reports.daily TO boss;
    ALTER MATERIALIZED VIEW reports.daily OWNER TO boss;
    CREATE MATERIALIZED VIEW reports.empty AS SELECT count(*) FROM reports.daily WITH NO DATA;
    CREATE VIEW "Odd. name"."späße; --" AS SELECT o.*, d.total AS all_total FROM orders o, reports.daily d;
    CREATE VIEW changeable AS SELECT id, note FROM orders WHERE id > 0 WITH LOCAL CHECK OPTION
"""
NAMES = ("totals", "reports.named", "reports.daily", "reports.empty", '"Odd. name"."späße; --"', "changeable")


@pytest.mark.superuser("gives what is live to other roles")
def test_dependent_views_outlive_the_publish(night: Databases, etl: Etl) -> None:
    """Chains of views and materialized views, across schemas, with all attachments; filled anew."""
    night.reporting.execute(VIEWS if invokes_views() else VIEWS.replace(", security_invoker", ""))
    before = attachments(night.reporting, *NAMES)
    night.operational.execute("INSERT INTO orders VALUES (2, 1, 5, 'b')")
    done = publish(etl)
    assert (done.status, done.stderr) == (0, "")
    assert attachments(night.reporting, *NAMES) == before
    assert night.reporting.rows("SELECT name, total FROM reports.daily") == [("Ada", 15)]
    assert night.reporting.rows('SELECT id, all_total FROM "Odd. name"."späße; --" ORDER BY id') == [(1, 15), (2, 15)]


def test_a_view_with_the_schema_s_default_privileges_keeps_only_its_own(night: Databases, etl: Etl) -> None:
    """Default privileges that came after a view was made do not open it to anybody."""
    night.reporting.execute("CREATE VIEW totals AS SELECT sum(total) FROM orders")
    night.reporting.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO robot")
    before = attachments(night.reporting, "totals", "orders")
    assert publish(etl).status == 0
    assert attachments(night.reporting, "totals", "orders") == before
