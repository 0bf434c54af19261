"""A server that works without sending anything is not taken for dead, even if the limit of silence is a second."""

from __future__ import annotations

from pathlib import Path

from tests.harness import Databases, Etl

SLOW = "LANGUAGE plpgsql AS $$ BEGIN IF n = 1 THEN PERFORM pg_catalog.pg_sleep(5); END IF; RETURN n; END $$"


def impatient(databases: Databases) -> dict[str, str]:
    """The URLs with a silence limit of one second."""
    return {name: f"{url}?keepalives_idle=1&keepalives_interval=1" for name, url in databases.environment.items()}


def test_a_view_that_sorts_for_long_is_waited_for(databases: Databases) -> None:
    """The server sends nothing meanwhile, and the load is not repeated."""
    databases.operational.execute(
        "CREATE VIEW slow AS SELECT i AS id, pg_sleep(CASE WHEN i = 1 THEN 5 ELSE 0 END)::text AS pause"
        " FROM generate_series(1, 10) AS i"
    )
    done = Etl(impatient(databases))("run", TABLES="slow")
    assert (done.status, done.stderr) == (0, "")
    assert [event for event in done.events if event["event"] == "table.retried"] == []
    assert databases.reporting.value("SELECT count(*) FROM slow") == 10


def test_an_index_build_that_takes_long_is_waited_for(databases: Databases) -> None:
    """No connection carries any bytes meanwhile."""
    for side in (databases.operational, databases.reporting):
        side.execute(f"CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE {SLOW}")
    databases.operational.execute("CREATE TABLE orders (id int); CREATE INDEX ON orders (public.slow(id))")
    databases.operational.execute("INSERT INTO orders VALUES (1)")
    done = Etl(impatient(databases))("run", TABLES="orders")
    assert (done.status, done.stderr) == (0, "")
    assert [event for event in done.events if event["event"] == "table.retried"] == []
    assert done.event("table.loaded")["index_seconds"] > 4


def test_a_merge_that_takes_long_is_waited_for(databases: Databases, tmp_path: Path) -> None:
    """The session that publishes hears nothing while the live table's check makes each of its rows wait."""
    databases.operational.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    (tmp_path / "options.toml").write_text('[defaults]\npublish = "in-place"\n')
    etl = Etl(impatient(databases) | {"TABLES": "orders", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")})
    assert etl("run").status == 0
    databases.reporting.execute(f"CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE {SLOW}")
    databases.reporting.execute("ALTER TABLE orders ADD CHECK (public.slow(id) > 0)")
    databases.operational.execute("INSERT INTO orders VALUES (1)")
    done = etl("run")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.published")["seconds"] > 4
    assert databases.reporting.rows("TABLE orders") == [(1,)]
