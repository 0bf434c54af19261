"""Code of untrusted roles on live tables: etl finds it in every place before it could run as etl's role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import trust
from etl.target.trust import UntrustedCode
from servers.postgres import FAST, Server
from servers.programs import wheel_bin
from tests.harness import Database, Databases, Etl
from tests.lambda_runtime import FunctionError, function

pytestmark = pytest.mark.whole

ALICE = """
CREATE ROLE alice;
CREATE SCHEMA alice;
ALTER SCHEMA alice OWNER TO alice;
GRANT USAGE ON SCHEMA alice TO PUBLIC;
SET ROLE alice;
CREATE TABLE alice.caught (who text);
GRANT INSERT ON alice.caught TO PUBLIC;
CREATE FUNCTION alice.tell() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO alice.caught VALUES (current_user); END $$;
CREATE FUNCTION alice.evil(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  PERFORM alice.tell(); RETURN v; END $$;
CREATE FUNCTION alice.is_fine(v text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  PERFORM alice.tell(); RETURN true; END $$;
CREATE FUNCTION alice.same(a text, b text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  PERFORM alice.tell(); RETURN a IS NOT DISTINCT FROM b; END $$;
CREATE OPERATOR alice.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = alice.same);
CREATE FUNCTION alice.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM alice.tell(); RETURN coalesce(NEW, OLD); END $$;
CREATE FUNCTION alice.evil_of_two(a text, b text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  PERFORM alice.tell(); RETURN b; END $$;
CREATE AGGREGATE alice.last(text) (SFUNC = alice.evil_of_two, STYPE = text);
RESET ROLE;
"""
"""A role like any analyst's, with functions that tell as whom they ran."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where her function is called from: how that is made, of which kind it is, and by what words it is named.

    ``items (id, note)`` is the live table, whose ``note`` may be given another ``type``.
    """

    make: str
    kind: str
    named: str
    function: str
    type: str = "text"
    runs: bool = True


PLACES = {
    "a row's trigger": Place(
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION alice.fire()",
        "trigger",
        "trigger t on table public.items",
        "alice.fire()",
    ),
    "a statement's trigger": Place(
        "CREATE TRIGGER t AFTER INSERT ON items EXECUTE FUNCTION alice.fire()",
        "trigger",
        "trigger t on table public.items",
        "alice.fire()",
    ),
    "a trigger that fires at the commit": Place(
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE ON items INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION alice.fire()",
        "trigger",
        "trigger t on table public.items",
        "alice.fire()",
    ),
    "a trigger's condition": Place(
        "CREATE TRIGGER t BEFORE UPDATE ON items FOR EACH ROW WHEN (alice.is_fine(NEW.note))"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger",
        "trigger t on table public.items",
        "alice.is_fine(text)",
    ),
    "a rule": Place(
        "CREATE RULE r AS ON INSERT TO items DO ALSO SELECT alice.evil(NEW.note)",
        "rule",
        "rule r on table public.items",
        "alice.evil(text)",
    ),
    "an aggregate of a rule": Place(
        "CREATE RULE r AS ON UPDATE TO items DO ALSO SELECT alice.last(note) FROM items",
        "rule",
        "rule r on table public.items",
        "alice.evil_of_two(text,text)",
    ),
    "a trigger of the table that a rule writes to": Place(
        "CREATE TABLE log (note text); CREATE RULE r AS ON UPDATE TO items DO ALSO INSERT INTO log VALUES (NEW.note);"
        "CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION alice.fire()",
        "trigger",
        "trigger t on table public.log",
        "alice.fire()",
    ),
    "a view that a rule reads": Place(
        "CREATE VIEW seen AS SELECT alice.evil('x') AS note;"
        "CREATE RULE r AS ON UPDATE TO items DO ALSO SELECT note FROM seen",
        "rule",
        "rule _RETURN on view public.seen",
        "alice.evil(text)",
    ),
    "a check constraint": Place(
        "ALTER TABLE items ADD CONSTRAINT fine CHECK (alice.is_fine(note))",
        "check",
        "constraint fine on table public.items",
        "alice.is_fine(text)",
    ),
    "a check constraint that is not valid": Place(
        "ALTER TABLE items ADD CONSTRAINT fine CHECK (alice.is_fine(note)) NOT VALID",
        "constraint",
        "constraint fine on table public.items",
        "alice.is_fine(text)",
    ),
    "an operator": Place(
        "ALTER TABLE items ADD CONSTRAINT fine CHECK (note OPERATOR(alice.===) 'x' OR true)",
        "check",
        "constraint fine on table public.items",
        "alice.same(text,text)",
    ),
    "an index's expression": Place(
        "CREATE INDEX i ON items (alice.evil(note))", "index", "index public.i", "alice.evil(text)"
    ),
    "a unique index's expression": Place(
        "CREATE UNIQUE INDEX i ON items (alice.evil(note))", "index", "index public.i", "alice.evil(text)"
    ),
    "a partial index's predicate": Place(
        "CREATE INDEX i ON items (id) WHERE alice.is_fine(note)", "index", "index public.i", "alice.is_fine(text)"
    ),
    "an exclusion constraint's expression": Place(
        "ALTER TABLE items ADD CONSTRAINT apart EXCLUDE USING btree (alice.evil(note) WITH =)",
        "index",
        "index public.apart",
        "alice.evil(text)",
    ),
    "an operator class": Place(
        "CREATE FUNCTION alice.compare(a text, b text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM alice.tell(); RETURN pg_catalog.bttextcmp(a, b); END $$; ALTER FUNCTION alice.compare OWNER TO alice;"
        "CREATE OPERATOR CLASS alice.ours FOR TYPE text USING btree"
        " AS OPERATOR 3 =, FUNCTION 1 alice.compare(text, text);"
        "CREATE INDEX i ON items (note alice.ours)",
        "index",
        "index public.i",
        "alice.compare(text,text)",
    ),
    "a generated column": Place(
        "ALTER TABLE items ADD twice text GENERATED ALWAYS AS (alice.evil(note)) STORED",
        "generated",
        "default value for column twice of table public.items",
        "alice.evil(text)",
        runs=False,  # such a table is never published in place: its columns are others than the source's
    ),
    "a default": Place(
        "ALTER TABLE items ALTER note SET DEFAULT alice.evil('x')",
        "default",
        "default value for column note of table public.items",
        "alice.evil(text)",
        runs=False,  # no column is left to its default
    ),
    "a policy": Place(
        "CREATE POLICY p ON items USING (alice.is_fine(note))",
        "policy",
        "policy p on table public.items",
        "alice.is_fine(text)",
        runs=False,  # row security is off, or the run fails
    ),
    "extended statistics": Place(
        "CREATE STATISTICS s ON (alice.evil(note)), id FROM items",
        "statistics",
        "statistics object public.s",
        "alice.evil(text)",
        runs=False,  # a table whose rows are replaced is not analyzed
    ),
    "a domain's constraint": Place(
        "",
        "column",
        "column note of table public.items",
        "alice.is_fine(text)",
        "word",
    ),
    "a domain within a composite type": Place(
        "",
        "column",
        "column note of table public.items",
        "alice.is_fine(text)",
        "pair",
    ),
    "an array of a domain": Place(
        "",
        "column",
        "column note of table public.items",
        "alice.is_fine(text)",
        "word[]",
    ),
}

TYPES = "CREATE DOMAIN word AS text CHECK (alice.is_fine(VALUE)); CREATE TYPE pair AS (a int, b word);"


@pytest.fixture
def alice(databases: Databases) -> Iterator[Databases]:
    """Two databases; the target's has a role alice with functions of her own, which is gone with the test."""
    databases.reporting.execute(ALICE)
    yield databases
    databases.reporting.execute("DROP OWNED BY alice CASCADE; DROP ROLE alice")


async def found_on(database: Database, table: str) -> list[UntrustedCode]:
    """The untrusted code of one live table, as etl's role finds it."""
    target = await connect_target(DatabaseUrl.parse(database.etl_url, {}), "test")
    try:
        return await trust.untrusted_code(target, [database.value(f"SELECT '{table}'::regclass::oid")])
    finally:
        await target.close()


@pytest.mark.parametrize("name", PLACES)
async def test_somebody_elses_function_is_found_wherever_it_is_called_from(alice: Databases, name: str) -> None:
    """The place that calls it is named, with the function, its owner and the role that it would run as."""
    place, reporting = PLACES[name], alice.reporting
    reporting.execute(f"{TYPES} CREATE TABLE items (id int PRIMARY KEY, note {place.type}); {place.make}")
    found = await found_on(reporting, "items")
    said = [(one.kind, one.what, one.function, one.owner, one.role) for one in found]
    assert (place.kind, place.named, place.function, "alice", reporting.role) in said


@pytest.mark.parametrize("name", PLACES)
async def test_a_function_of_etls_role_or_of_a_superuser_is_trusted(alice: Databases, name: str) -> None:
    """As soon as all that is called is given to one of them."""
    place, reporting = PLACES[name], alice.reporting
    reporting.execute(f"{TYPES} CREATE TABLE items (id int PRIMARY KEY, note {place.type}); {place.make}")
    reporting.execute(f"GRANT CREATE ON SCHEMA alice TO PUBLIC; REASSIGN OWNED BY alice TO {reporting.role}")
    assert await found_on(reporting, "items") == []


VALUES = {"text": "{}", "word": "{}", "pair": "(1,{})", "word[]": "{{{}}}"}
"""A word as a value of each type that ``note`` may have."""


def plant(databases: Databases, tables: dict[str, str]) -> None:
    """Creates a live table for each place that runs, in its own schema, and other rows for it in the source."""
    databases.operational.execute(
        "CREATE SCHEMA alice; CREATE FUNCTION alice.is_fine(v text) RETURNS bool IMMUTABLE LANGUAGE sql RETURN true"
    )
    for side in (databases.operational, databases.reporting):
        side.execute(TYPES)
    for schema, name in tables.items():
        place = PLACES[name]
        make = f"CREATE SCHEMA {schema}; SET search_path = {schema}, public; CREATE TABLE items (id int PRIMARY KEY,"
        old, new, more = (VALUES[place.type].format(word) for word in ("old", "new", "more"))
        databases.operational.execute(
            f"{make} note {place.type}); INSERT INTO items VALUES (1, '{new}'), (2, '{more}')"
        )
        databases.reporting.execute(f"{make} note {place.type}); INSERT INTO items VALUES (1, '{old}'); {place.make}")
    databases.reporting.execute("DELETE FROM alice.caught")


def test_somebody_elses_code_on_a_table_published_in_place_is_refused_before_the_first_load(
    alice: Databases, etl: Etl, tmp_path: Path
) -> None:
    """Wherever it is called from; once it is given to etl's role it runs as that, and the night is published."""
    tables = {f"place_{n}": name for n, name in enumerate(PLACES) if PLACES[name].runs}
    plant(alice, tables)
    reporting, options = alice.reporting, tmp_path / "options.toml"
    options.write_text('[defaults]\npublish = "in-place"\ntriggers = "fire"\n')
    variables = {"TABLES": "place_*.items", "ETL_OPTIONS_FILE": str(options)}
    checked, done = etl("check", **variables), etl("run", **variables)
    said = [" ".join(checked.stdout.split()), done.stderr]
    for schema, name in tables.items():
        what, function = PLACES[name].named.replace("public.", f"{schema}."), PLACES[name].function
        words = f"{schema}.items is published in place, and {what} calls {function}, which belongs to alice"
        assert (name, [words in one for one in said]) == (name, [True, True])
    assert (checked.status, done.status) == (1, 1)
    assert [one for one in done.events if one["event"] == "table.loaded"] == []
    assert reporting.rows("SELECT * FROM alice.caught") == []
    reporting.execute(f"GRANT CREATE ON SCHEMA alice TO PUBLIC; REASSIGN OWNED BY alice TO {reporting.role}")
    night = etl("run", **variables)
    assert (night.status, night.stderr) == (0, "")
    assert reporting.rows("SELECT DISTINCT who FROM alice.caught") == [(reporting.role,)]


def test_somebody_elses_code_stops_a_batch_too(alice: Databases) -> None:
    """A batch writes to the live table as etl's role: it is refused before a row comes."""
    alice.operational.execute("CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items VALUES (1, 'a')")
    alice.reporting.execute("CREATE TABLE items (id int PRIMARY KEY, note text)")
    alice.reporting.execute(PLACES["a row's trigger"].make)
    named = r"public\.items is copied in batches, and trigger t on table public\.items"
    with function("etl.functions.copy_batch", alice.environment) as copy, pytest.raises(FunctionError, match=named):
        copy.invoke({"table": "items", "last_id": None, "limit": 10})
    assert alice.reporting.rows("SELECT * FROM items") == []
    assert alice.reporting.rows("SELECT * FROM alice.caught") == []


CASCADE = """
CREATE TABLE items (id int PRIMARY KEY); CREATE TABLE notes (item int REFERENCES items ON DELETE CASCADE);
CREATE TRIGGER before BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION alice.fire();
CREATE TRIGGER after AFTER DELETE ON notes FOR EACH ROW EXECUTE FUNCTION alice.fire();
ALTER TABLE notes OWNER TO alice; INSERT INTO items VALUES (1); INSERT INTO notes VALUES (1);
"""


async def test_what_follows_a_foreign_keys_action_runs_as_its_owner_since_postgresql_18(alice: Databases) -> None:
    """So it is not refused there, and alice's triggers run as alice."""
    if alice.reporting.value("SELECT current_setting('server_version_num')::int") < 180000:
        pytest.skip("before PostgreSQL 18 they run as the role that deletes; without ETL_TEST_POSTGRES this test runs")
    alice.reporting.execute(CASCADE)
    assert await found_on(alice.reporting, "items") == []
    alice.reporting.execute("DELETE FROM items")
    assert alice.reporting.rows("SELECT DISTINCT who FROM alice.caught") == [("alice",)]


async def test_what_follows_a_foreign_keys_action_ran_as_who_deleted_before_postgresql_18() -> None:
    """An AFTER trigger of the table that refers is refused there."""
    server = Server.start(wheel_bin("16"), FAST)
    try:
        older = Database(server, "postgres")
        older.execute(ALICE + CASCADE)
        assert [one.what for one in await found_on(older, "items")] == ["trigger after on table public.notes"]
        older.execute("DELETE FROM items")
        assert older.rows("SELECT who FROM alice.caught ORDER BY 1") == [("alice",), ("postgres",)]
    finally:
        server.remove()
