"""The roles that docs/ describes. With ``make test-roles`` the integration tests run as these, not as a superuser.

Each server has a template database with the grants of the files in docs/, also as default privileges for objects
created later. Objects that a test creates on the target are given to the loader, because docs/target-role.sql requires
that the loader owns live tables.
"""

from __future__ import annotations

import os
from pathlib import Path

from servers.postgres import Server

WANTED = bool(os.environ.get("ETL_TEST_ROLES"))

READER, LOADER = "suite_reader", "suite_loader"

TEMPLATE = "suite_roles"

DOCS = Path(__file__).parents[1] / "docs"

_LATER = f"""
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO {READER};
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {READER};
"""

_HANDED_OVER = f"""
CREATE SCHEMA suite;
CREATE FUNCTION suite.hand_over() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  IF current_user <> 'postgres' THEN RETURN; END IF;
  FOR made IN SELECT * FROM pg_catalog.pg_event_trigger_ddl_commands()
               WHERE NOT in_extension AND schema_name IS DISTINCT FROM 'pg_temp'
                 AND object_type IN ('table', 'view', 'materialized view', 'schema', 'type', 'foreign table',
                                     'statistics object')
  LOOP
    EXECUTE pg_catalog.format('ALTER %s %s OWNER TO {LOADER}', pg_catalog.replace(made.object_type, ' object', ''),
                              made.object_identity);
  END LOOP;
END $$;
CREATE EVENT TRIGGER hand_over ON ddl_command_end
  WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE MATERIALIZED VIEW',
               'CREATE SCHEMA', 'CREATE TYPE', 'CREATE DOMAIN', 'CREATE FOREIGN TABLE', 'CREATE STATISTICS')
  EXECUTE FUNCTION suite.hand_over();
"""


def make_reader(server: Server) -> None:
    """Creates the source's role, and the template of the databases that it reads."""
    server.psql(f"CREATE ROLE {READER} LOGIN; CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    grant(server, TEMPLATE, READER, "source-role.sql")
    server.psql(_LATER, TEMPLATE)


def make_loader(server: Server) -> None:
    """Creates the target's role, and the template of the databases that it writes."""
    server.psql(f"CREATE ROLE {LOADER} LOGIN; CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    grant(server, TEMPLATE, LOADER, "target-role.sql")
    server.psql(f"GRANT pg_read_all_stats, pg_signal_backend TO {LOADER}")  # the last line of docs/target-role.sql
    server.psql(_HANDED_OVER, TEMPLATE)


def open_database(server: Server, name: str) -> None:
    """Lets the loader into a database made from the template. CREATE DATABASE does not copy a database's privileges."""
    server.psql(f"GRANT CONNECT, CREATE ON DATABASE {name} TO {LOADER}")


def grant(server: Server, database: str, role: str, file: str) -> None:
    """Executes the grants of a file in docs/ for a role, on schema public of a database."""
    variables = {"role": role, "schema": "public", "database": database}
    options = [option for name, value in variables.items() for option in ("-v", f"{name}={value}")]
    server.psql((DOCS / file).read_text(encoding="utf-8"), database, *options)
