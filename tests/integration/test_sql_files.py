"""The queries of etl/sql by hand: psql runs the command that each file says, to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import etl.sessions
from servers.postgres import Server
from tests.harness import Database, Databases, Etl

pytestmark = pytest.mark.xdist_group("sql_files")  # one worker, so its fixture is made once

SQL = Path(etl.sessions.__file__).parents[1] / "sql"

FILES = sorted(str(file.relative_to(SQL)) for file in SQL.rglob("*.sql"))

COMMAND = re.compile(r"^-- .*Try it[^:\n]*:(?:\n-- )? +((?:.+\\\n)*.+)$", re.MULTILINE)

ANSWER = re.compile(r"\(\d+ rows?\)|^(?:INSERT 0|UPDATE|DELETE) \d+$", re.MULTILINE)

TABLE = """
    CREATE TYPE mood AS ENUM ('fine', 'tired');
    CREATE TABLE orders (id serial PRIMARY KEY, mood mood, note text NOT NULL, total int CHECK (total > 0));
    CREATE INDEX orders_note ON orders (note); CREATE STATISTICS orders_both ON id, note FROM orders
"""

ATTACHED = """
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER watched AFTER UPDATE ON orders EXECUTE FUNCTION watch(); ALTER TABLE orders DISABLE TRIGGER watched;
    CREATE RULE kept AS ON DELETE TO orders DO INSTEAD NOTHING; GRANT SELECT ON orders TO PUBLIC;
    CREATE POLICY everyone ON orders; COMMENT ON POLICY everyone ON orders IS 'all';
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY, REPLICA IDENTITY FULL, CLUSTER ON orders_note;
    ALTER TABLE orders ADD CONSTRAINT itself FOREIGN KEY (id) REFERENCES orders;
    ALTER TABLE orders ALTER note SET DEFAULT 'empty'; CREATE VIEW notes AS SELECT id, note FROM orders;
    SET allow_system_table_mods = on;
    INSERT INTO pg_seclabel (classoid, objoid, objsubid, provider, label)
    VALUES ('pg_class'::regclass, 'orders'::regclass, 0, 'shop', 'secret')
"""

MANY_TRANSACTIONS = "DO 'BEGIN FOR i IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'"
"""So that the id 1234, which some commands have, is that of a transaction."""

EMPTY = {"attachments/owner.sql", "untrusted_code.sql", "untrusted_tables.sql", "untrusted_types.sql"}
"""A superuser's own objects have nothing to say here."""


@pytest.fixture(scope="module")
def reporting(operational_server: Server, reporting_server: Server) -> Iterator[Database]:
    """A target after a night, with a ledger, and one of each kind of attachment on its live table."""
    for server in (operational_server, reporting_server):
        server.psql("CREATE DATABASE sql_files")
    both = Databases(Database(operational_server, "sql_files"), Database(reporting_server, "sql_files"))
    both.operational.execute(TABLE)
    assert Etl(both.environment)("run", TABLES="orders", ETL_RUN_ID="tonight").status == 0
    both.reporting.execute(ATTACHED)
    both.reporting.execute(MANY_TRANSACTIONS)
    yield both.reporting
    for server in (operational_server, reporting_server):
        server.psql("DROP DATABASE sql_files WITH (FORCE)")


def by_hand(database: Database, name: str) -> subprocess.CompletedProcess[str]:
    """Runs a file's command in etl/sql, as somebody with a shell there would."""
    found = COMMAND.search((SQL / name).read_text())
    assert found, name
    folders = [str(database.server.bin), str(Path(sys.executable).parent), os.environ["PATH"]]
    connection = {"PGHOST": "127.0.0.1", "PGPORT": str(database.server.port), "PGUSER": "postgres"}
    variables = connection | {"PGDATABASE": database.name, "PATH": os.pathsep.join(folders), "PSQLRC": os.devnull}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", found[1].replace("\\\n-- ", "")],
        cwd=SQL, env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_psql_runs_each_query_as_its_file_says(reporting: Database, name: str) -> None:
    """The command after "Try it" works, to the letter."""
    done = by_hand(reporting, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert ANSWER.search(done.stdout)
    if name.startswith(("attachments", "tables")) and name not in EMPTY:
        assert "(0 rows)" not in done.stdout


def test_all_attachments_have_the_same_columns(reporting: Database) -> None:
    """By name and type, so that a column of one file is never another one's in the query that reads them all."""
    columns = {}
    with reporting.connect() as connection:
        for file in sorted((SQL / "attachments").glob("*.sql")):
            statement = file.read_text().rstrip().removesuffix(";").replace(":'oids'", "'{}'")
            found = connection.execute(f"SELECT * FROM (\n{statement}\n) AS file".encode()).description
            columns[file.name] = sorted((column.name, column.type_code) for column in found or [])
    assert len(columns) == 12
    assert len(set(map(tuple, columns.values()))) == 1, columns
