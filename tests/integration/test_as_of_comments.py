"""Comments on live tables that say as of when they are: ``ETL_COMMENT_AS_OF``."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.harness import Databases, Etl
from tests.lambda_runtime import function
from tests.situations import make_shop

ON = {"ETL_COMMENT_AS_OF": "on"}
TABLES = "orders,customers,log"


@pytest.fixture
def shop(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night without such comments; the source and the reporting side comment on a table each."""
    make_shop(databases)
    databases.operational.execute("COMMENT ON TABLE orders IS 'What was ordered.'")
    assert etl("run", TABLES=TABLES).status == 0
    databases.reporting.execute("COMMENT ON TABLE customers IS 'Ask María.'")
    return etl


def comments(databases: Databases) -> dict[str, str | None]:
    """The comments on the live tables."""
    query = "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class WHERE relkind = 'r'"
    return dict(databases.reporting.rows(f"{query} AND relnamespace = 'public'::regnamespace"))


def line(databases: Databases, run_id: str) -> str:
    """The line of a run."""
    at: datetime = databases.reporting.value(
        f"SELECT snapshot_at AT TIME ZONE 'UTC' FROM etl.runs WHERE run_id = '{run_id}'"
    )
    return f"As of {at:%Y-%m-%d %H:%M:%S} UTC (nightly-etl)"


@pytest.mark.parametrize("way", ["auto", "swap", "merge", "mixed"])
def test_each_night_says_as_of_when_its_tables_are(databases: Databases, shop: Etl, way: str) -> None:
    """Also of a table of which no row has changed; what both sides say stays, and no night swaps for it."""
    plain = {"orders": "What was ordered.", "customers": "Ask María.", "log": None}
    for night, switch in (("one", ON), ("two", ON), ("three", {}), ("four", {})):
        databases.operational.execute("UPDATE orders SET total = total + 1 WHERE id = 7")
        done = shop("run", TABLES=TABLES, ETL_RUN_ID=night, ETL_PUBLISH_WAY=way, **switch)
        assert (done.status, done.stderr) == (0, "")
        as_of = line(databases, night)
        expected = {name: (f"{said}\n\n{as_of}" if said else as_of) if switch else said for name, said in plain.items()}
        assert comments(databases) == expected, night
        loads = dict(databases.reporting.rows(f"SELECT table_name, load FROM etl.loads WHERE run_id = '{night}'"))
        assert loads["public.customers"] == "unchanged"
        if way in {"merge", "mixed"}:
            assert loads["public.orders"] == "delta"


def test_a_deferred_publish_comments_too(databases: Databases, shop: Etl) -> None:
    """As of the run's snapshot, not of the publish; the setting of the publish counts."""
    assert shop("run", TABLES=TABLES, ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    assert shop("publish", "one", **ON).status == 0
    assert comments(databases)["log"] == line(databases, "one")


def test_a_batch_comments_on_its_table(databases: Databases, shop: Etl) -> None:
    """As of its own snapshot."""
    with function("etl.functions.copy_batch", {**shop.environment, **ON}) as copy:
        copy.invoke({"table": "orders", "last_id": 0, "limit": 10})
    (at,) = databases.reporting.rows(
        "SELECT to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM etl.watermarks"
    )
    assert comments(databases)["orders"] == f"What was ordered.\n\nAs of {at[0]} UTC (nightly-etl)"


def test_the_line_of_another_nightly_etl_does_not_arrive(databases: Databases, shop: Etl) -> None:
    """A source that is a target itself changes its comments each night, and no table is another one for that."""
    for night in (1, 2):
        text = f"What was ordered.\n\nAs of 2026-11-0{night} 02:00:03 UTC (nightly-etl)"
        databases.operational.execute(f"COMMENT ON TABLE orders IS '{text}'")
        databases.operational.execute("UPDATE orders SET total = total + 1 WHERE id = 7")
        assert shop("run", TABLES="orders", ETL_RUN_ID=f"night {night}".replace(" ", "-")).status == 0
        assert comments(databases)["orders"] == "What was ordered."
    assert databases.reporting.value("SELECT load FROM etl.loads WHERE run_id = 'night-2'") == "delta"


def test_a_table_of_another_role_is_left_alone(databases: Databases, shop: Etl) -> None:
    """Only its owner may comment on it; the night goes on, and the log names the table."""
    name = databases.reporting.name
    databases.reporting.execute(
        "DROP ROLE IF EXISTS as_of_loader; CREATE ROLE as_of_loader LOGIN;"
        f"GRANT CREATE, TEMPORARY ON DATABASE {name} TO as_of_loader;"
        "GRANT USAGE, CREATE ON SCHEMA public TO as_of_loader;"
        "GRANT ALL ON customers TO as_of_loader; ALTER TABLE log OWNER TO as_of_loader;"
        "ALTER SCHEMA etl OWNER TO as_of_loader; ALTER SCHEMA etl_staging_public OWNER TO as_of_loader;"
        "ALTER SCHEMA etl_stagingold_public OWNER TO as_of_loader;"
        "DO 'DECLARE one text; BEGIN FOREACH one IN ARRAY ARRAY[''runs'', ''loads'', ''watermarks'', ''validations'']"
        " LOOP EXECUTE ''ALTER TABLE etl.'' || one || '' OWNER TO as_of_loader''; END LOOP; END';"
        "ALTER VIEW etl.freshness OWNER TO as_of_loader"
    )
    try:
        url = databases.reporting.server.url(name, user="as_of_loader")
        done = shop(
            "run", TABLES="customers,log", ETL_RUN_ID="one", ETL_REPORTING_URL=url, ETL_PUBLISH_WAY="merge", **ON
        )
        assert (done.status, done.stderr) == (0, "")
        assert done.event("comment.not_written")["table"] == "public.customers"
        assert comments(databases)["customers"] == "Ask María."
    finally:
        databases.reporting.execute("DROP OWNED BY as_of_loader CASCADE; DROP ROLE as_of_loader")
