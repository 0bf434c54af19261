"""``etl verify`` detects every possible difference between two tables, however small; loads say what hashes cost."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from tests.harness import Databases, Etl
from tests.releases import cuts_tables

TYPES = """
    CREATE DOMAIN any_number AS numeric;
    CREATE TYPE pair AS (a text, b numeric);
"""
ROWS = """
    CREATE TABLE original (
        id int, a text, b text, n numeric, f float8, s real, bytes bytea, j json, numbers int[], texts text[],
        own any_number, pair pair, pairs pair[], c char(3), i interval, big bigint, d timestamptz, g point);
    INSERT INTO original VALUES
        (1, 'one', 'two', 1.0, 0, 0, '\\x00ff', '{"a": 1}', '{1,2}', '{x}', 1.0, '(a,1.0)', '{"(a,1.0)"}', 'a',
         '1 month', 9007199254740993, '2024-01-01 00:00:00.000001+00', '(0,0)'),
        (2, '', NULL, NULL, 'NaN', 1, '', '{}', '{}', '{}', NULL, NULL, '{}', '', '24 hours', 0, 'infinity', '(1,2)'),
        (3, 'same', 'same', 3, 3, 3, NULL, NULL, '{3}', '{NULL}', 3, '(,)', NULL, NULL, NULL, 3, NULL, NULL);
"""

CHANGES = {
    "one bit of a number": "UPDATE $t SET big = big - 1 WHERE id = 1",
    "one bit of a float": "UPDATE $t SET f = 4.9e-324 WHERE id = 1",
    "the sign of a zero": "UPDATE $t SET f = '-0' WHERE id = 1",
    "the sign of a short zero": "UPDATE $t SET s = '-0' WHERE id = 1",
    "the sign of a zero in a point": "UPDATE $t SET g = '(0,-0)' WHERE id = 1",
    "one bit of a bytea": "UPDATE $t SET bytes = '\\x01ff' WHERE id = 1",
    "one microsecond": "UPDATE $t SET d = d + '1 microsecond' WHERE id = 1",
    "one space in a text": "UPDATE $t SET a = a || ' ' WHERE id = 1",
    "one space in a json": "UPDATE $t SET j = '{\"a\":1}' WHERE id = 1",
    "'' for NULL": "UPDATE $t SET b = '' WHERE id = 2",
    "NULL for ''": "UPDATE $t SET a = NULL WHERE id = 2",
    "NULL for an empty array": "UPDATE $t SET numbers = NULL WHERE id = 2",
    "'' for a NULL in an array": "UPDATE $t SET texts = '{\"\"}' WHERE id = 3",
    "'' for a NULL in a composite": "UPDATE $t SET pair = '(\"\",)' WHERE id = 3",
    "NULL for a composite of NULLs": "UPDATE $t SET pair = NULL WHERE id = 3",
    "another lower bound": "UPDATE $t SET numbers = '[0:1]={1,2}' WHERE id = 1",
    "two columns swapped": "UPDATE $t SET a = b, b = a WHERE id = 1",
    "a column moved past a NULL": "UPDATE $t SET a = NULL, b = '' WHERE id = 2",
    "two rows' values swapped": "UPDATE $t SET b = CASE id WHEN 1 THEN 'same' ELSE 'two' END WHERE id IN (1, 3)",
    "1.00 for 1.0": "UPDATE $t SET n = 1.00 WHERE id = 1",
    "1.00 for 1.0 in a domain": "UPDATE $t SET own = 1.00 WHERE id = 1",
    "1.00 for 1.0 in a composite": "UPDATE $t SET pair.b = 1.00 WHERE id = 1",
    "1.00 for 1.0 in an array of composites": "UPDATE $t SET pairs = '{\"(a,1.00)\"}' WHERE id = 1",
    "30 days for a month": "UPDATE $t SET i = '30 days' WHERE id = 1",
    "a day for 24 hours": "UPDATE $t SET i = '1 day' WHERE id = 2",
    "a row twice": "INSERT INTO $t SELECT * FROM $t WHERE id = 1",
    "a row twice, and another gone": "DELETE FROM $t WHERE id = 2; INSERT INTO $t SELECT * FROM $t WHERE id = 1",
    "a row gone": "DELETE FROM $t WHERE id = 3",
    "two rows' ids swapped": "UPDATE $t SET id = 4 - id WHERE id IN (1, 3)",
    "another type of the same values": "ALTER TABLE $t ALTER c TYPE varchar(3)",
    "another width of the same values": "ALTER TABLE $t ALTER big TYPE numeric",
    "a column gone": "ALTER TABLE $t DROP c",
    "the table gone": "DROP TABLE $t",
}


TABLES = {f"changed_{number:02}": what for number, what in enumerate(CHANGES)}


def test_verify_sees_every_difference(databases: Databases, etl: Etl) -> None:
    """It detects each change to a table of the target, and names the table; it does not name unchanged tables."""
    databases.reporting.execute(TYPES)
    databases.operational.execute(TYPES + ROWS)
    for table in TABLES:
        databases.operational.execute(f"CREATE TABLE {table} AS TABLE original")
    assert etl("run", TABLES="*", ETL_VERIFY="checksum").stderr == ""
    assert etl("verify", TABLES="*").status == 0
    for table, what in TABLES.items():
        databases.reporting.execute(Template(CHANGES[what]).substitute(t=table))
    done = etl("verify", "--json", TABLES="*")
    assert done.status == 1
    differing = {found["table"].removeprefix("public.") for found in json.loads(done.stdout) if found["difference"]}
    assert [what for table, what in TABLES.items() if table not in differing] == []
    assert differing == set(TABLES)
    assert [table for table in TABLES if f"public.{table} (" not in done.stderr] == []


def test_verify_does_not_mind_the_order_of_the_rows(databases: Databases, etl: Etl) -> None:
    """Equal rows in another order count as equal."""
    databases.operational.execute("CREATE TABLE t AS SELECT generate_series(1, 5) AS id")
    databases.reporting.execute("CREATE TABLE t AS SELECT generate_series(5, 1, -1) AS id")
    assert etl("verify", TABLES="t").status == 0


def test_the_ledger_says_how_long_a_load_compared_hashes(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """In one stream and in page ranges; of a table whose rows are only counted it says nothing. It is no metric."""
    (tmp_path / "options.toml").write_text("[counted]\nverify = 'rows'\n[cut]\nsplit = 5\n")
    for table in ("counted", "cut", "whole"):
        databases.operational.execute(f"CREATE TABLE {table} AS SELECT g AS id FROM generate_series(1, 20000) g")
    done = etl(
        *("run", "counted", "cut", "whole"),
        ETL_VERIFY="checksum",
        ETL_OPTIONS_FILE=str(tmp_path / "options.toml"),
        ETL_METRICS_NAMESPACE="Shop",
    )
    assert (done.status, done.stderr) == (0, "")
    loads = databases.reporting.rows("SELECT table_name, verify_seconds, copy_seconds FROM etl.loads ORDER BY 1")
    assert [(table, seconds is not None) for table, seconds, _ in loads] == [
        ("public.counted", False),
        ("public.cut", True),
        ("public.whole", True),
    ]
    assert [table for table, seconds, all_ in loads if seconds is not None and not 0 < seconds <= all_] == []
    said = {event["table"]: event for event in done.events if event["event"] == "table.loaded"}
    assert {table: said[table].get("verify_seconds") for table in said} == {
        table: seconds for table, seconds, _ in loads
    }
    metrics = [metric["Name"] for line in said.values() for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert "copy_seconds" in metrics
    assert "verify_seconds" not in metrics  # an update must not add to a bill
    assert said["public.cut"]["ranges"] == (5 if cuts_tables() else 1)
