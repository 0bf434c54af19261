"""Code of untrusted roles runs as its owner or not at all, in each place where a night could call it.

``alice`` is an analyst whose functions record the role that they run as. etl is a superuser, or the role of
docs/target-role.sql as a member of alice's role, so that it may replace her objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from etl.model.errors import CannotCarry
from etl.model.name import TargetName
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from etl.target import additions
from tests.harness import Database, Databases, Done, Etl
from tests.integration.test_roles import make
from tests.integration.test_trust import ALICE

pytestmark = [pytest.mark.whole, pytest.mark.superuser("makes roles, and functions that belong to them")]

SOURCE = """
CREATE FUNCTION public.named(v text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT v';
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION public.is_short(v text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT length(v) < 99';
CREATE DOMAIN short AS text CONSTRAINT short CHECK (public.is_short(VALUE));
CREATE TABLE items (id int PRIMARY KEY, note text NOT NULL, other text);
CREATE TABLE first (id int, note text);
CREATE TABLE named (id int, note text);
CREATE TABLE moody (id int, mood mood);
CREATE TABLE brief (id int, note short);
INSERT INTO items SELECT i, 'note ' || i, 'other' FROM generate_series(1, 300) i;
INSERT INTO first SELECT id, note FROM items;
INSERT INTO named SELECT id, note FROM items;
INSERT INTO moody SELECT id, 'glad' FROM items;
INSERT INTO brief SELECT id, note FROM items;
"""

HERS = "ALTER TABLE items OWNER TO alice; SET ROLE alice; {}; RESET ROLE"


@dataclass(frozen=True, slots=True)
class Place:
    """A place that calls her function during a night; ``refused`` is the expected error.

    Without ``refused`` her function has run as ``alice``, or, if not ``called``, it has not run.
    """

    make: str
    refused: str | None = None
    called: bool = True
    tables: str = "items"
    verify: str = "rows"


PLACES = {
    "a materialized view": Place(
        "SET ROLE alice; CREATE MATERIALIZED VIEW alice.m AS SELECT id, alice.evil(note) AS v FROM items; RESET ROLE"
    ),
    "a materialized view, by a volatile function": Place(
        "ALTER FUNCTION alice.evil(text) VOLATILE; SET ROLE alice;"
        "CREATE MATERIALIZED VIEW alice.m AS SELECT id, alice.evil(note) AS v FROM items; RESET ROLE"
    ),
    "a materialized view on a view": Place(
        "SET ROLE alice; CREATE VIEW alice.v AS SELECT id, alice.evil(note) AS v FROM items;"
        "CREATE MATERIALIZED VIEW alice.m AS SELECT * FROM alice.v; RESET ROLE"
    ),
    "an index of a materialized view": Place(
        "SET ROLE alice; CREATE MATERIALIZED VIEW alice.m AS SELECT id, note FROM items;"
        "CREATE INDEX ON alice.m (alice.evil(note)); RESET ROLE"
    ),
    "statistics of a materialized view": Place(
        # autovacuum would analyze the view, and call her function as alice
        "SET ROLE alice;"
        "CREATE MATERIALIZED VIEW alice.m WITH (autovacuum_enabled = false) AS SELECT id, note FROM items;"
        "CREATE STATISTICS alice.s ON (alice.evil(note)) FROM alice.m; RESET ROLE",
        called=False,
    ),
    "a late materialized view's index": Place(
        "ALTER FUNCTION alice.evil_of_two(text, text) VOLATILE; SET ROLE alice;"
        "CREATE MATERIALIZED VIEW alice.m AS SELECT id, alice.evil_of_two(note, note) AS v FROM items;"
        "CREATE INDEX ON alice.m (alice.evil(v)); RESET ROLE"
    ),
    "a policy that a materialized view reads through": Place(
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON items USING (alice.is_fine(note));"
        "SET ROLE alice;"
        "CREATE MATERIALIZED VIEW alice.m AS SELECT id, note FROM items; RESET ROLE"
    ),
    "an index of her table": Place(HERS.format("CREATE INDEX extra ON items (alice.evil(note))")),
    "an index of some rows": Place(HERS.format("CREATE INDEX extra ON items (id) WHERE alice.is_fine(note)")),
    "statistics of her table": Place(HERS.format("CREATE STATISTICS s ON (alice.evil(note)) FROM items")),
    "a check of her table": Place(
        HERS.format("ALTER TABLE items ADD CONSTRAINT fine CHECK (alice.is_fine(note))"),
        "constraint fine on table public.items calls alice.is_fine(text), which belongs to alice",
    ),
    "a check that is not valid": Place(
        HERS.format("ALTER TABLE items ADD CONSTRAINT fine CHECK (alice.is_fine(note)) NOT VALID"), called=False
    ),
    "a trigger, a default, a rule": Place(
        HERS.format(
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION alice.fire();"
            "ALTER TABLE items ALTER note SET DEFAULT alice.evil('x');"
            "CREATE RULE r AS ON INSERT TO items DO ALSO SELECT alice.evil(NEW.note)"
        ),
        called=False,
    ),
    "a table that waits for the first night": Place(
        "CREATE TABLE first (id int, note text CHECK (alice.is_fine(note))); ALTER TABLE first OWNER TO alice",
        "table public.first already exists in the target and belongs to alice",
        tables="items,first",
    ),
    "a function that the source's index names": Place(
        "SET ROLE alice; CREATE FUNCTION public.named(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM alice.tell(); RETURN v; END $$; RESET ROLE",
        "index public.named_named_idx of the source calls public.named(text), which belongs to alice in the target",
        tables="items,named",
    ),
    "a domain of the source": Place(
        "SET ROLE alice; CREATE FUNCTION public.is_short(v text) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM alice.tell(); RETURN true; END $$; RESET ROLE",
        "calls public.is_short(text), which belongs to alice and would run as",
        tables="items,brief",
    ),
    "a domain that was there before": Place(
        "CREATE FUNCTION public.is_short(v text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';"
        "CREATE DOMAIN short AS text CONSTRAINT short CHECK (public.is_short(VALUE));"
        "ALTER DOMAIN short OWNER TO alice",
        "type public.short in the target belongs to alice, whose constraints and casts would run as",
        tables="items,brief",
    ),
    "a cast of an enum that was there before": Place(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); ALTER TYPE mood OWNER TO alice; SET ROLE alice;"
        "CREATE FUNCTION alice.as_text(m mood) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM alice.tell(); RETURN 'x'; END $$;"
        "CREATE CAST (mood AS text) WITH FUNCTION alice.as_text(mood); RESET ROLE",
        "type public.mood in the target belongs to alice",
        tables="items,moody",
        verify="checksum",
    ),
}


@pytest.fixture(params=[True, False], ids=["superuser", "loader"])
def night(databases: Databases, etl: Etl, request: pytest.FixtureRequest) -> Iterator[tuple[Databases, Etl]]:
    """The first night of ``items``, done by either role, and ``alice`` after it."""
    databases.operational.execute(SOURCE)
    reporting = databases.reporting
    reporting.execute(ALICE)
    if not request.param:
        url = make(reporting, "etl_loader", "target-role.sql")
        reporting.execute("GRANT alice TO etl_loader")
        etl = Etl(databases.environment | {"ETL_REPORTING_URL": url})
    try:
        assert etl("run", TABLES="items").status == 0
        reporting.execute("GRANT USAGE, CREATE ON SCHEMA public TO alice; GRANT SELECT ON items TO alice")
        databases.operational.execute(
            "CREATE INDEX ON named (public.named(note)); INSERT INTO items VALUES (0, '0', '0')"
        )
        yield databases, etl
    finally:
        roles = "alice" if request.param else "alice, etl_loader"
        reporting.execute(f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}")


def whom(database: Database) -> set[str]:
    """The roles that her functions have run as."""
    return {who for (who,) in database.rows("SELECT DISTINCT who FROM alice.caught")}


@pytest.mark.parametrize("name", PLACES)
def test_it_runs_as_its_owner_or_not_at_all(night: tuple[Databases, Etl], name: str) -> None:
    """A function that records current_user records ``alice`` if a night calls it; otherwise the night is refused."""
    databases, etl = night
    place = PLACES[name]
    databases.reporting.execute(place.make)
    databases.reporting.execute("DELETE FROM alice.caught")
    done = etl("run", TABLES=place.tables, ETL_VERIFY=place.verify)
    caught = whom(databases.reporting)
    if place.refused:
        assert done.status != 0
        assert place.refused in done.stderr + done.stdout
        assert caught == set()
    else:
        assert (done.status, done.stderr) == (0, "")
        assert databases.reporting.value("SELECT count(*) FROM public.items WHERE id = 0") == 1
        assert caught == ({"alice"} if place.called else set())


async def test_a_check_is_judged_as_it_is_made_and_not_as_the_live_table_has_it(databases: Databases) -> None:
    """Its owner may drop it from the live table meanwhile, so etl examines the check on the staging table."""
    reporting = databases.reporting
    reporting.execute(ALICE)
    reporting.execute("CREATE TABLE items (note text); CREATE SCHEMA etl_staging_public")
    reporting.execute("CREATE TABLE etl_staging_public.items AS SELECT 'a' AS note")
    check = "ALTER TABLE etl_staging_public.items ADD CONSTRAINT fine CHECK (alice.is_fine(note))"
    target = await connect_target(DatabaseUrl.parse(reporting.url), "test")
    try:
        with pytest.raises(CannotCarry, match=r"^constraint fine on table public\.items calls alice\.is_fine"):
            async with target.transaction():
                await additions.make(target, TargetName("public", "items"), {("check", "fine"): [check]})
        assert whom(reporting) == set()
    finally:
        await target.close()
        reporting.execute("DROP OWNED BY alice CASCADE; DROP ROLE alice")


UNTRUSTED = {
    "schema etl": "CREATE SCHEMA etl AUTHORIZATION alice",
    "table etl.runs": (
        "CREATE SCHEMA etl; CREATE TABLE etl.runs (run_id text PRIMARY KEY); ALTER TABLE etl.runs OWNER TO alice;"
        "CREATE TRIGGER t BEFORE INSERT ON etl.runs FOR EACH ROW EXECUTE FUNCTION alice.fire()"
    ),
    "view etl.loads": "CREATE SCHEMA etl; CREATE VIEW etl.loads AS SELECT 1 AS x; ALTER VIEW etl.loads OWNER TO alice",
    "schema etl_staging_public": "CREATE SCHEMA etl_staging_public AUTHORIZATION alice",
    "schema etl_stagingold_public": "CREATE SCHEMA etl_stagingold_public AUTHORIZATION alice",
}


@pytest.mark.parametrize("untrusted", UNTRUSTED)
def test_what_others_made_under_our_names_is_refused(databases: Databases, etl: Etl, untrusted: str) -> None:
    """This role must own the ledger and the staging schemas; otherwise one line names the owner, and the remedy."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    databases.reporting.execute(ALICE)
    try:
        databases.reporting.execute(UNTRUSTED[untrusted])
        for command in (
            (("run",), ("history",), ("plan", "--shards", "2")) if "staging" not in untrusted else (("run",),)
        ):
            done: Done = etl(*command, TABLES="items")
            assert done.status == 2, command
            assert f"{untrusted} already exists in the target and belongs to alice" in done.stderr
            assert "OWNER TO postgres" in done.stderr
        assert whom(databases.reporting) == set()
    finally:
        databases.reporting.execute("DROP OWNED BY alice CASCADE; DROP ROLE alice")


def test_a_schema_of_another_tool_is_not_taken_for_the_ledger(databases: Databases, etl: Etl) -> None:
    """A table etl.runs with other columns stays as it is, and the error names it."""
    databases.operational.execute("CREATE TABLE items AS SELECT 1 AS id")
    databases.reporting.execute("CREATE SCHEMA etl; CREATE TABLE etl.runs (id int, x text)")
    done = etl("run", TABLES="items")
    assert done.status == 2
    assert "table etl.runs in the target is not this tool's ledger, for it has no run_id" in done.stderr
    assert (
        databases.reporting.value(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'etl.runs'::regclass AND attnum > 0"
        )
        == 2
    )
