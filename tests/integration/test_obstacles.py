"""Every kind of obstacle is known before the first load: ``etl check`` and the start of ``etl run`` say the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import TIMEOUT, Databases, Done, Etl
from tests.situations import ledger, live

pytestmark = pytest.mark.whole


@dataclass(frozen=True, slots=True)
class Kind:
    """An obstacle to one table or more, all of whose names begin with the kind's.

    ``source`` and ``target`` make it; ``night`` is what the source had in an earlier night. ``said`` is what stands in
    the line of the table; ``remedy`` is what removes it from the target, ``mended`` from the source, ``options`` what
    does so otherwise.
    """

    said: str
    source: str = ""
    target: str = ""
    night: str = ""
    remedy: str = ""
    options: str = ""
    mended: str = ""


BASE = (
    "CREATE TYPE big; CREATE FUNCTION big_in(cstring) RETURNS big LANGUAGE internal STRICT IMMUTABLE AS 'int8in';"
    "CREATE FUNCTION big_out(big) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int8out';"
    "CREATE TYPE big (INPUT = big_in, OUTPUT = big_out, LIKE = bigint);"
)


def ok(name: str) -> str:
    return f"CREATE FUNCTION {name}(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';"


KINDS = {
    "base": Kind(
        "column v of public.base cannot arrive: type public.big is a table's row type or a base type",
        source=f"{BASE} CREATE TABLE base (v big)",
        remedy=BASE,
    ),
    "rowed": Kind(
        "column v of public.rowed cannot arrive: type public.absent is a table's row type or a base type",
        source="CREATE TABLE absent (id int); CREATE TABLE rowed (v absent[])",
        remedy="CREATE TABLE absent (id int)",
    ),
    "differs": Kind(
        "column v of public.differs cannot arrive: type public.mood differs: the source has",
        source="CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE differs (v mood)",
        target="CREATE TYPE mood AS ENUM ('c')",
        remedy="DROP TYPE mood",
    ),
    "domained": Kind(
        "column v of public.domained needs function public.of_domain(text) (through its type), which the target lacks",
        source=f"{ok('of_domain')} CREATE DOMAIN d AS text CHECK (of_domain(VALUE)); CREATE TABLE domained (v d[])",
        remedy=ok("of_domain"),
    ),
    "checked": Kind(
        "check checked_v_check of public.checked needs function public.of_check(text), which the target lacks;"
        ' make it there, or set unbuildable_checks = "skip" in its options',
        source=f"{ok('of_check')} CREATE TABLE checked (v text CHECK (of_check(v)))",
        remedy=ok("of_check"),
    ),
    "skipped": Kind(
        "check lacking of public.skipped needs function public.of_skipped(text), which the target lacks",
        source=f"{ok('of_skipped')} "
        "CREATE TABLE skipped (v text, CONSTRAINT lacking CHECK (of_skipped(v)), CONSTRAINT plain CHECK (v <> 'b'))",
        options='["skipped"]\nunbuildable_checks = "skip"\n',
    ),
    "self": Kind(
        "check self_check of public.self needs the table's own row type (public.of_self(public.self))",
        source="CREATE TABLE self (v int);"
        "CREATE FUNCTION of_self(self) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';"
        "ALTER TABLE self ADD CHECK (of_self(self))",
        options='["self"]\nunbuildable_checks = "skip"\n',
    ),
    "indexed": Kind(
        "index indexed_i of public.indexed needs function public.of_index(text), which the target lacks;"
        ' make it there, or set unbuildable_indexes = "skip" in its options',
        source=f"{ok('of_index')} CREATE TABLE indexed (v text); CREATE INDEX indexed_i ON indexed (of_index(v))",
        remedy=ok("of_index"),
    ),
    "collated": Kind(
        "column v of public.collated needs it: collation public.other differs: the source has CREATE COLLATION",
        source="CREATE COLLATION other (locale = 'C'); CREATE TABLE collated (v text COLLATE other)",
        target="CREATE COLLATION other (locale = 'POSIX')",
        remedy="DROP COLLATION other",
    ),
    "renamed": Kind(
        "index renamed_v of public.renamed cannot arrive: an index of public.stale has the name renamed_v in schema",
        source="CREATE TABLE renamed (v int); CREATE INDEX renamed_v ON renamed (v)",
        target="CREATE TABLE stale (v int); CREATE INDEX renamed_v ON stale (v)",
        remedy="DROP TABLE stale",
    ),
    "keyed": Kind(
        "index keyed_pkey of public.keyed cannot arrive: a view has the name keyed_pkey in schema public",
        source="CREATE TABLE keyed (v int PRIMARY KEY)",
        target="CREATE VIEW keyed_pkey AS SELECT 1 AS one",
        remedy="DROP VIEW keyed_pkey",
    ),
    "typed": Kind(
        "table public.typed cannot arrive: a type has the name typed in schema public",
        source="CREATE TABLE typed (v int)",
        target="CREATE TYPE typed AS ENUM ()",
        remedy="DROP TYPE typed",
    ),
    "added": Kind(
        "and index added_i, which the target has added to public.added, have one name in schema public; rename one",
        night="CREATE TABLE added (v int)",
        source="CREATE TABLE added_too (v int); CREATE INDEX added_i ON added_too (v)",
        target="CREATE INDEX added_i ON added (v)",
        remedy="DROP INDEX added_i",
    ),
    "published": Kind(
        "public.published cannot be replaced while this depends on it: publication p",
        night="CREATE TABLE published (v int)",
        target="CREATE PUBLICATION p FOR TABLE published",
        remedy="DROP PUBLICATION p",
        options='["published"]\nunlogged = true\n',
    ),
    "aside": Kind(
        "an old table that an earlier publish has put aside is in the way: on etl_stagingold_public.aside depends"
        " function public.keeps(etl_stagingold_public.aside); drop that",
        night="CREATE TABLE aside (v int)",
        target="CREATE TABLE etl_stagingold_public.aside (v int);"
        "CREATE FUNCTION keeps(etl_stagingold_public.aside) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        remedy="DROP FUNCTION keeps(etl_stagingold_public.aside)",
    ),
    "viewed": Kind(
        'view public.viewed calls public.bare(), which fails: relation "checked" does not exist; etl\'s sessions have'
        " an empty search_path; ALTER FUNCTION",
        source="CREATE FUNCTION bare() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM checked';"
        "CREATE VIEW viewed AS SELECT bare() AS n",
        mended="ALTER FUNCTION bare SET search_path = public",
    ),
    "planted": Kind(
        "constraint ours on table public.planted calls public.of_planted(text), which belongs to planter",
        night="CREATE TABLE planted (v text)",
        target=f"{ok('of_planted')} ALTER FUNCTION of_planted OWNER TO planter;"
        "ALTER TABLE planted ADD CONSTRAINT ours CHECK (of_planted(v))",
        remedy="ALTER FUNCTION of_planted OWNER TO postgres",
    ),
}


@pytest.fixture
def planter(databases: Databases) -> str:
    """A role of the target that nobody trusts."""
    databases.reporting.execute(
        "DO $$ BEGIN CREATE ROLE planter; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "GRANT CREATE ON SCHEMA public TO planter"
    )
    return "planter"


@pytest.mark.superuser("base types, and objects of other roles")
@pytest.mark.usefixtures("planter")
def test_every_kind_is_told_in_advance_and_stops_the_run(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """All kinds in one night: check and run name each, nothing is changed, and after the remedies all is published."""
    options = tmp_path / "options.toml"
    options.write_text("")

    def do(command: str, **variables: str) -> Done:
        return etl(command, TABLES=tables, ETL_OPTIONS_FILE=str(options), **variables)

    source, target, tables = databases.operational, databases.reporting, "*"
    source.execute(";".join(kind.night for kind in KINDS.values() if kind.night))
    assert do("run").stderr == ""
    for kind in KINDS.values():
        source.execute(kind.source)
        target.execute(kind.target)
    options.write_text(KINDS["published"].options)
    tables = "*,!absent*,viewed"
    before = live(target), databases.staging_tables()
    checked, done = do("check"), do("run", ETL_RUN_ID="stopped")
    assert (checked.status, done.status) == (1, 1)
    text = " ".join(checked.stdout.split())
    assert [kind.said for kind in KINDS.values() if kind.said not in text] == []
    assert [kind.said for kind in KINDS.values() if kind.said not in done.stderr] == []
    assert [event["event"] for event in done.events] == ["run.finished"]
    assert (live(target), databases.staging_tables()) == before
    assert ledger(target, "stopped")[0] == "failed"
    assert target.rows("SELECT * FROM etl.loads WHERE run_id = 'stopped'") == []
    for kind in KINDS.values():
        target.execute(kind.remedy)
        source.execute(kind.mended)
    options.write_text("".join(kind.options for kind in KINDS.values()))
    checked, done = do("check"), do("run")
    assert (checked.status, done.status, done.stderr) == (0, 0, ""), checked.stdout
    skipped = [(event["table"], event["check"]) for event in done.events if event["event"] == "check.skipped"]
    assert sorted(skipped) == [("public.self", "self_check"), ("public.skipped", "lacking")]
    checks = "SELECT conname::text FROM pg_constraint WHERE conrelid = 'skipped'::regclass AND contype = 'c'"
    assert target.rows(checks) == [("plain",)]


def test_a_deferred_publish_leaves_time_to_mend(databases: Databases, etl: Etl) -> None:
    """``etl run`` with ETL_PUBLISH=defer warns, and stages what can be staged."""
    databases.operational.execute("CREATE TABLE items (id int PRIMARY KEY)")
    databases.reporting.execute("CREATE VIEW items_pkey AS SELECT 1 AS one")
    said = "public.items: index items_pkey of public.items cannot arrive: a view has the name items_pkey in schema"
    done = etl("run", TABLES="items", ETL_PUBLISH="defer", ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (0, "")
    assert said in done.event("run.obstructed")["error"]
    databases.reporting.execute("DROP VIEW items_pkey")
    assert etl("publish", "tonight").stderr == ""
    assert databases.reporting.rows("SELECT * FROM items") == []


def test_the_tables_of_an_extension_are_copied_only_by_name(databases: Databases, etl: Etl) -> None:
    """``*`` leaves out what CREATE EXTENSION makes in every database."""
    databases.operational.execute(
        "CREATE EXTENSION vector; CREATE TABLE settings (id int); ALTER EXTENSION vector ADD TABLE settings;"
        "CREATE TABLE items (id int)"
    )
    assert "public.settings" not in etl("check", TABLES="*").stdout
    assert "public.settings" in etl("check", TABLES="*,settings").stdout


@pytest.mark.superuser("a role with few privileges, and an event trigger")
def test_privileges_that_are_missing_are_named_with_what_to_grant(databases: Databases, etl: Etl) -> None:
    """The schema of a view, its owner, a materialized view's owner, and CREATE; an event trigger is a note."""
    source, target = databases.operational, databases.reporting
    source.execute("CREATE TABLE items (id int); CREATE SCHEMA lacking; CREATE TABLE lacking.more (id int)")
    target.execute(
        "DO $$ BEGIN CREATE ROLE few LOGIN; CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        "CREATE SCHEMA hidden; CREATE TABLE items (id int); ALTER TABLE items OWNER TO few;"
        "CREATE VIEW hidden.seen AS SELECT * FROM items; CREATE MATERIALIZED VIEW filled AS SELECT * FROM items;"
        "ALTER MATERIALIZED VIEW filled OWNER TO analyst; GRANT CREATE ON SCHEMA public TO few;"
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER watches ON sql_drop EXECUTE FUNCTION noted()"
    )
    few = Etl(etl.environment | {"ETL_REPORTING_URL": target.server.url(target.name, "few")})
    said = f"lacking, which role few may not create; GRANT CREATE ON DATABASE {target.name} TO few"
    checked, done = few("check", TABLES="*.*"), few("run", TABLES="*.*")
    assert (checked.status, done.status) == (1, 1)
    text = " ".join(checked.stdout.split())
    assert said in text
    assert "event trigger watches calls public.noted() at sql_drop: if that rejects" in text
    assert said in done.stderr
    assert "view hidden.seen needs schema hidden" in text  # all at once
    assert "view hidden.seen needs schema hidden" in done.stderr
    target.execute(f"GRANT CREATE ON DATABASE {target.name} TO few")
    lines = [
        "view hidden.seen belongs to postgres, of which few is no member; ALTER VIEW hidden.seen OWNER TO few",
        "view hidden.seen needs schema hidden, which few may not use; GRANT USAGE ON SCHEMA hidden TO few",
        "view hidden.seen is in schema hidden, in which few may not create it; GRANT CREATE ON SCHEMA hidden TO few",
        "materialized view public.filled belongs to analyst, of which few is no member; GRANT analyst TO few",
        "materialized view public.filled belongs to analyst, who may not create it in schema public; GRANT CREATE ON"
        " SCHEMA public TO analyst",
        "materialized view public.filled is filled as analyst, who may not read public.items; GRANT SELECT ON"
        " public.items TO analyst",
    ]
    checked, done = few("check", TABLES="items"), few("run", TABLES="items")
    assert (checked.status, done.status) == (1, 1)
    text = " ".join(checked.stdout.split())
    assert [line for line in lines if line not in text or line not in done.stderr] == []
    assert databases.staging_tables() == []
    for line in lines:
        target.execute(line.partition("; ")[2])
    assert few("check", TABLES="items").status == 0
    assert few("run", TABLES="items").stderr == ""


def test_a_holder_warns_of_what_is_in_the_way_in_place(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Its run is deferred by nature: what is mended until the publish is no obstacle."""
    source, target, options = databases.operational, databases.reporting, tmp_path / "options.toml"
    source.execute("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)")
    options.write_text('["items"]\npublish = "in-place"\n')
    given = {"TABLES": "items", "ETL_OPTIONS_FILE": str(options), "ETL_RUN_ID": "tonight"}
    assert etl("run", **given | {"ETL_RUN_ID": "yesterday"}).stderr == ""
    target.execute("CREATE RULE told AS ON INSERT TO items DO ALSO NOTIFY told")
    source.execute("INSERT INTO items VALUES (2)")
    with etl.started("snapshot", **given) as holder:
        done = etl("run", ETL_SNAPSHOT="run", ETL_PUBLISH="defer", **given)
        stdout, _ = holder.communicate(timeout=TIMEOUT)
    held = Done(holder.returncode, stdout, "")
    assert (done.status, held.status, done.stderr) == (0, 0, "")
    assert "would fire rule told on table public.items" in held.event("run.obstructed")["error"]
    target.execute("DROP RULE told ON items")
    assert etl("publish", **given).stderr == ""
    assert target.rows("SELECT * FROM items ORDER BY id") == [(1,), (2,)]


@pytest.mark.parametrize("fault", ["a column of a reg* type", "a mask that is taken back"])
def test_a_holder_that_cannot_begin_fails_its_run(databases: Databases, etl: Etl, tmp_path: Path, fault: str) -> None:
    """So the ledger says why, and a shard does not wait for a snapshot that nobody will take."""
    databases.operational.execute("CREATE TABLE items (id int PRIMARY KEY, name text)")
    if fault == "a column of a reg* type":
        databases.operational.execute("ALTER TABLE items ADD kind regtype")
        said = "column kind of type regtype holds numbers"
    else:
        options = tmp_path / "options.toml"
        options.write_text('[items.mask]\nname = "null"\n')
        assert etl("run", TABLES="items", ETL_OPTIONS_FILE=str(options)).stderr == ""
        said = "name arrived masked the last time"
    shard = {"TABLES": "items", "ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
    done = etl("snapshot", TABLES="items", ETL_RUN_ID="tonight")
    assert said in done.stderr
    status, error = ledger(databases.reporting, "tonight")
    assert (status, said in str(error)) == ("failed", True)
    waited = etl("run", **shard)
    assert waited.status == 1
    assert f"run tonight is failed already ({error})" in waited.stderr


PARTS = {
    "index": "CREATE INDEX by_it ON {t} (apart.plain(v))",
    "index by its class": "CREATE INDEX by_class ON {t} USING hash (v apart.of_text)",
    "index by its collation": "CREATE INDEX by_collation ON {t} (v COLLATE apart.bytes)",
    "check": "ALTER TABLE {t} ADD CONSTRAINT by_check CHECK (apart.plain(v) <> 'no')",
    "statistics": "CREATE STATISTICS by_statistics ON apart.plain(v), id FROM {t};"
    "ALTER STATISTICS by_statistics OWNER TO few",
    "default": "ALTER TABLE {t} ALTER v SET DEFAULT apart.plain('x')",
    "default of a sequence": "ALTER TABLE {t} ALTER id SET DEFAULT nextval('apart.numbers')",
    "trigger": "CREATE TRIGGER by_trigger BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION apart.fire()",
    "policy": "CREATE POLICY by_policy ON {t} USING (apart.plain(v) = v)",
    "rule": "CREATE RULE by_rule AS ON UPDATE TO {t} DO ALSO INSERT INTO apart.log VALUES (NEW.id)",
    "foreign key": "ALTER TABLE {t} ADD FOREIGN KEY (id) REFERENCES apart.log",
}
"""What the reporting side adds to a table, by a schema that etl's role may not use."""

APART = """
CREATE SCHEMA apart; CREATE TABLE apart.log (id int PRIMARY KEY); CREATE SEQUENCE apart.numbers;
ALTER TABLE apart.log OWNER TO few; CREATE COLLATION apart.bytes (locale = 'C');
CREATE OPERATOR CLASS apart.of_text FOR TYPE text USING hash AS OPERATOR 1 =, FUNCTION 1 hashtext(text);
CREATE FUNCTION apart.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION apart.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA apart FROM PUBLIC;
"""

CALLED = {"index", "check", "statistics", "trigger"}
"""The parts for which PostgreSQL calls the function, or asks for the privilege, when they are made."""


@pytest.fixture
def few(databases: Databases, etl: Etl) -> Etl:
    """``etl`` whose role on the target may do no more than docs/target-role.sql says."""
    target = databases.reporting
    target.execute(
        "DO $$ BEGIN CREATE ROLE few LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        f"GRANT USAGE, CREATE ON SCHEMA public TO few; GRANT CREATE ON DATABASE {target.name} TO few"
    )
    return Etl(etl.environment | {"ETL_REPORTING_URL": target.server.url(target.name, "few")})


@pytest.mark.superuser("a role with few privileges")
def test_what_the_reporting_side_adds_needs_privileges_that_are_named(databases: Databases, few: Etl) -> None:
    """For each kind of part: the schema that it names, and the function that is called when it is made again."""
    source, target = databases.operational, databases.reporting
    names = {kind: f"t{number}" for number, kind in enumerate(PARTS)}
    for name in names.values():
        source.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text)")
    assert few("run", TABLES="t*").stderr == ""
    target.execute(APART)
    for kind, text in PARTS.items():
        target.execute(text.replace("{t}", names[kind]))
    for remedy, kinds in (("GRANT USAGE ON SCHEMA apart TO few", names.keys()), ("GRANT EXECUTE ON FUNCTION", CALLED)):
        checked, done = few("check", "--json", TABLES="t*"), few("run", TABLES="t*")
        found = {one["subject"]: one["text"] for one in json.loads(checked.stdout) if one["obstacle"]}
        said = {table for table, text in found.items() if remedy in text}
        assert said == {f"public.{names[kind]}" for kind in kinds}, found
        assert [part for text in found.values() for part in text.split("; ") if part not in done.stderr] == []
        for text in found.values():
            for part in text.split("; ")[1::2]:
                if part.startswith(remedy):
                    target.execute(part)
    assert few("check", TABLES="t*").status == 0
    assert few("run", TABLES="t*").stderr == ""


UNUSABLE = {
    "enum's owner": (
        "CREATE TYPE {n} AS ENUM ('a')",
        "{n}",
        "CREATE TYPE {n} AS ENUM ('a'); ALTER TYPE {n} OWNER TO planter",
        "type public.{n} in the target belongs to planter",
        "ALTER TYPE {n} OWNER TO postgres",
    ),
    "enum's new label": (
        "CREATE TYPE {n} AS ENUM ('a', 'b')",
        "{n}",
        "CREATE TYPE {n} AS ENUM ('a')",
        "must be owner of type public.{n}",
        "ALTER TYPE {n} OWNER TO few",
    ),
    "type's schema": (
        "CREATE SCHEMA {n}; CREATE TYPE {n}.e AS ENUM ('a')",
        "{n}.e",
        "CREATE SCHEMA {n}; CREATE TYPE {n}.e AS ENUM ('a')",
        "GRANT USAGE ON SCHEMA {n} TO few",
        "GRANT USAGE ON SCHEMA {n} TO few",
    ),
    "schema of a type that is made": (
        "CREATE SCHEMA {n}; CREATE TYPE {n}.e AS ENUM ('a')",
        "{n}.e",
        "CREATE SCHEMA {n}",
        "type {n}.e cannot be made in the target: permission denied for schema {n}",
        "GRANT ALL ON SCHEMA {n} TO few",
    ),
    "type's use": (
        "CREATE TYPE {n} AS ENUM ('a')",
        "{n}",
        "CREATE TYPE {n} AS ENUM ('a'); REVOKE USAGE ON TYPE {n} FROM PUBLIC",
        "GRANT USAGE ON TYPE public.{n} TO few",
        "GRANT USAGE ON TYPE {n} TO few",
    ),
    "multirange's name": (
        "CREATE TYPE {n} AS RANGE (subtype = int, multirange_type_name = {n}_many)",
        "{n}",
        "CREATE TYPE {n}_many AS ENUM ()",
        'type public.{n} cannot be made in the target: type "{n}_many" already exists',
        "DROP TYPE {n}_many",
    ),
    "composite's name": (
        "CREATE TYPE {n} AS (one int)",
        "{n}",
        "CREATE SEQUENCE {n}",
        'type public.{n} cannot be made in the target: relation "{n}" already exists',
        "DROP SEQUENCE {n}",
    ),
    "extension": (
        "CREATE EXTENSION vector",
        "vector",
        "SELECT",
        'extension vector cannot be made in the target: permission denied to create extension "vector"',
        "CREATE EXTENSION vector",
    ),
    "range over a collation": (
        "CREATE COLLATION {n}_c (locale = 'C'); CREATE TYPE {n} AS RANGE (subtype = text, collation = {n}_c)",
        "{n}",
        "SELECT",
        "",
        "",
    ),
    "domain over a composite": (
        "CREATE TYPE {n}_ AS (one int); CREATE DOMAIN {n} AS {n}_ CHECK ((VALUE).one > 0)",
        "{n}",
        "SELECT",
        "",
        "",
    ),
}
"""Types that the target has, or could make, and etl's role may not: what the source has, the column's type, what the
target has, how that is told, and the remedy. The last two can be made."""


@pytest.mark.superuser("a role with few privileges")
@pytest.mark.usefixtures("planter")
def test_types_that_the_role_may_not_use_or_make_stop_their_tables_only(databases: Databases, few: Etl) -> None:
    """Each is told in advance with its column, and a deferred run fails those tables and no others."""
    source, target = databases.operational, databases.reporting
    names = {kind: f"u{number}" for number, kind in enumerate(UNUSABLE)}
    for kind, (made, column, there, _, _) in UNUSABLE.items():
        name = names[kind]
        source.execute(f"{made}; CREATE TABLE of_{name} (id int, v {column})".replace("{n}", name))
        target.execute(there.replace("{n}", name))
    bad = {f"public.of_{names[kind]}" for kind, (*_, said, _) in UNUSABLE.items() if said}
    checked, done = few("check", "--json", TABLES="of_*"), few("run", TABLES="of_*")
    found = {one["subject"]: one["text"] for one in json.loads(checked.stdout) if one["obstacle"]}
    assert found.keys() == bad
    for kind, (_, _, _, said, _) in UNUSABLE.items():
        assert said.replace("{n}", names[kind]) in found.get(f"public.of_{names[kind]}", "")
    assert [text for text in found.values() if text not in done.stderr] == []
    deferred = few("run", TABLES="of_*", ETL_PUBLISH="defer")
    failed = {event["table"]: event["error"] for event in deferred.events if event["event"] == "table.failed"}
    assert failed.keys() == bad
    assert "column v of public.of_u6 cannot arrive: type public.u6 cannot be made" in failed["public.of_u6"]
    for kind, (*_, remedy) in UNUSABLE.items():
        target.execute(remedy.replace("{n}", names[kind]) or "SELECT")
    assert few("run", TABLES="of_*").stderr == ""


SAME_NAME = {
    "a procedure": "CREATE PROCEDURE f(text) LANGUAGE sql AS 'SELECT 1'",
    "an aggregate": "CREATE AGGREGATE f(text) (SFUNC = textcat, STYPE = text)",
    "another result": "CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a set": "CREATE FUNCTION f(text) RETURNS SETOF boolean LANGUAGE sql AS 'SELECT true'",
}


@pytest.mark.parametrize("kind", SAME_NAME)
def test_a_function_of_the_same_name_that_is_another_one_is_told(databases: Databases, etl: Etl, kind: str) -> None:
    """The check would fail when it is made, after the rows were copied."""
    databases.operational.execute(f"{ok('f')} CREATE TABLE items (v text CHECK (f(v)))")
    databases.reporting.execute(SAME_NAME[kind])
    said = "check items_v_check of public.items needs function public.f(text), which is another one in the target ("
    checked, done = etl("check", TABLES="items"), etl("run", TABLES="items")
    assert said in " ".join(checked.stdout.split())
    assert said in done.stderr


REJECTED = {
    "CREATE SCHEMA": ("CREATE SCHEMA fresh; CREATE TABLE fresh.items (id int)", "", ""),
    "CREATE TABLE": ("CREATE TABLE items (id int)", "", ""),
    "ALTER TABLE": ("CREATE TABLE items (id int)", "", ""),
    "DROP TABLE": ("CREATE TABLE items (id int)", "", ""),
    "CREATE INDEX": ("CREATE TABLE items (id int); CREATE INDEX ON items (id)", "", ""),
    "COMMENT": ("CREATE TABLE items (id int); COMMENT ON COLUMN items.id IS 'a'", "", ""),
    "CREATE STATISTICS": ("CREATE TABLE items (id int, v int); CREATE STATISTICS s ON id, v FROM items", "", ""),
    "CREATE TABLE AS": ("CREATE TABLE items (id int)", "", '["items"]\npublish = "in-place"\n'),
    "CREATE VIEW": ("CREATE TABLE items (id int)", "CREATE VIEW seen AS SELECT * FROM items", ""),
    "DROP VIEW": ("CREATE TABLE items (id int)", "CREATE VIEW seen AS SELECT * FROM items", ""),
    "ALTER VIEW": ("CREATE TABLE items (id int)", "CREATE VIEW seen AS SELECT * FROM items", ""),
    "REFRESH MATERIALIZED VIEW": (
        "CREATE TABLE items (id int)",
        "CREATE MATERIALIZED VIEW seen AS SELECT * FROM items",
        "",
    ),
    "ALTER MATERIALIZED VIEW": (
        "CREATE TABLE items (id int)",
        "CREATE MATERIALIZED VIEW seen AS SELECT * FROM items",
        "",
    ),
    "GRANT": ("CREATE TABLE items (id int)", "GRANT SELECT ON items TO PUBLIC", ""),
    "CREATE POLICY": ("CREATE TABLE items (id int)", "CREATE POLICY p ON items", ""),
    "CREATE TRIGGER": (
        "CREATE TABLE items (id int)",
        "CREATE TRIGGER t BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "",
    ),
}
"""Commands that an event trigger rejects: what the source has, what the target has added, and options."""


@pytest.mark.superuser("event triggers")
def test_commands_are_tried_out_for_each_schema(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """A publish in place in two schemas makes temporary tables for both, and an event trigger lets it."""
    databases.operational.execute(
        "CREATE SCHEMA one; CREATE TABLE one.items (id int PRIMARY KEY);"
        "CREATE SCHEMA two; CREATE TABLE two.items (id int PRIMARY KEY)"
    )
    (tmp_path / "options.toml").write_text('[defaults]\npublish = "in-place"\n')
    given = {"TABLES": "one.*,two.*", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert etl("run", **given).stderr == ""
    databases.reporting.execute(
        "CREATE FUNCTION noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER watches ON ddl_command_end EXECUTE FUNCTION noted()"
    )
    assert [etl(command, **given).stderr for command in ("check", "run")] == ["", ""]


@pytest.mark.superuser("event triggers")
@pytest.mark.parametrize("event", ["ddl_command_start", "ddl_command_end"])
def test_what_an_event_trigger_rejects_is_told_if_the_run_does_it(
    databases: Databases, etl: Etl, tmp_path: Path, event: str
) -> None:
    """Each command is told where the run needs it, and a trigger that lets etl's role pass is no obstacle."""
    source, target = databases.operational, databases.reporting
    for number, (tag, (made, added, text)) in enumerate(REJECTED.items()):
        source.execute("DROP TABLE IF EXISTS items")
        source.execute(made)
        (tmp_path / f"{number}.toml").write_text(text)
        given = {
            "TABLES": "fresh.items" if "fresh" in made else "items",
            "ETL_OPTIONS_FILE": str(tmp_path / f"{number}.toml"),
        }
        if added or text:
            assert etl("run", **given).stderr == ""
            target.execute(added)
        target.execute(
            "CREATE FUNCTION rejects() RETURNS event_trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'never %', tg_tag; END $$; CREATE EVENT TRIGGER guards ON {event}"
            f" WHEN TAG IN ('{tag}') EXECUTE FUNCTION rejects()"
        )
        said = f"rejects {tag} by postgres: never {tag}; disable event trigger guards, or let it except that role"
        checked, done = etl("check", **given), etl("run", **given)
        target.execute("DROP EVENT TRIGGER guards; DROP FUNCTION rejects(); DROP TABLE IF EXISTS items CASCADE")
        assert (checked.status, done.status) == (1, 1), tag
        assert said in " ".join(checked.stdout.split()), tag
        assert f"the target {said}" in done.stderr, tag
        assert databases.staging_tables() == []
    source.execute("DROP TABLE items; CREATE TABLE items (id int)")
    target.execute(
        "CREATE FUNCTION rejects() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF current_user <> 'postgres' THEN RAISE EXCEPTION 'never'; END IF; END $$;"
        f"CREATE EVENT TRIGGER guards ON {event} EXECUTE FUNCTION rejects();"
        "CREATE FUNCTION no_index() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;"
        "CREATE EVENT TRIGGER other ON sql_drop WHEN TAG IN ('DROP INDEX') EXECUTE FUNCTION no_index()"
    )
    assert etl("run", TABLES="items").stderr == ""
