"""Check, run and verify agree on every table, of as many kinds as PostgreSQL has.

What ``etl check`` calls ok is published and equal, swapped and in place; what it names stops a run with the same words,
and would not arrive if the run went on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from etl.model.name import label
from tests.harness import Database, Databases, Etl
from tests.mirror import has_xml
from tests.samples import samples_of

pytestmark = pytest.mark.whole


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of table: ``make`` makes it, as ``{t}``, and ``row`` is a row of it, which begins with its number ``i``.

    A kind without ``row`` is read only, or has no rows. ``said`` is how ``etl check`` names what is in its way, if
    anything is; ``since`` is the first release of PostgreSQL that knows the kind.
    """

    make: str
    row: str = "i, 'text ' || i"
    said: str = ""
    since: int = 13

    def filled(self, name: str, first: int, last: int) -> str:
        """The statement that inserts these rows."""
        rows = f"SELECT {self.row} FROM generate_series({first}, {last}) i"
        return f"INSERT INTO {name} OVERRIDING SYSTEM VALUE {rows}" if self.row else ""

    def again(self, name: str, number: int, other: int) -> str:
        """The statement that inserts a row with the values of another one, beside its id."""
        _, _, values = self.row.partition(", ")
        return f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT {number}, {values} FROM (SELECT {other}) x (i)"


def column(of: str, value: str, before: str = "", since: int = 13) -> Kind:
    """A table with a column of a type, and one of its arrays; the value may name ``i``."""
    return Kind(f"{before}; CREATE TABLE {{t}} (id int, v {of}, a {of}[])", f"i, {value}, ARRAY[{value}]", since=since)


def with_index(of: str, value: str, index: str, since: int = 13) -> Kind:
    """A table with an index on its column ``v``, of a type."""
    return Kind(f"CREATE TABLE {{t}} (id int, v {of}); CREATE INDEX ON {{t}} {index}", f"i, {value}", since=since)


def having(text: str, row: str = "i, 'text ' || i", since: int = 13, *, after: str = "") -> Kind:
    """A table with two columns, whose definition has one part more; ``after`` follows the closing parenthesis."""
    return Kind(f"CREATE TABLE {{t}} (id int, v text, {text}) {after}", row, since=since)


def then(text: str, columns: str = "id int PRIMARY KEY, v text", row: str = "i, 'text ' || i", since: int = 13) -> Kind:
    """A table with two columns, to which something is done."""
    return Kind(f"CREATE TABLE {{t}} ({columns}); {text}", row, since=since)


def lacking(make: str, said: str, row: str = "i, 'text ' || i") -> Kind:
    """A table that needs an object which the target lacks."""
    return Kind(make, row, said)


def function(name: str, argument: str = "text", result: str = "boolean", body: str = "true") -> str:
    return f"CREATE FUNCTION {name}({argument}) RETURNS {result} LANGUAGE sql IMMUTABLE AS 'SELECT {body}'"


COLUMNS = {
    "enum": column("mood", "'sad'::mood", "CREATE TYPE mood AS ENUM ('sad', 'o''k', 'Ünder')"),
    "domain": column("short", "'s' || i", "CREATE DOMAIN short AS text NOT NULL CHECK (length(VALUE) < 9)"),
    "domain_of_domain": column(
        "shorter", "'s' || i", "CREATE DOMAIN short2 AS text; CREATE DOMAIN shorter AS short2 CHECK (VALUE <> '')"
    ),
    "domain_of_array": column("few", "ARRAY[i]::few", "CREATE DOMAIN few AS int[] CHECK (cardinality(VALUE) > 0)"),
    "composite": column("pair", "ROW(i, 'x')::pair", 'CREATE TYPE pair AS (one int, "Two" text)'),
    "composite_in_composite": column(
        "outer_pair",
        "ROW(ROW(i), '{1}')::outer_pair",
        "CREATE TYPE inner_pair AS (one int); CREATE TYPE outer_pair AS (a inner_pair, b int[])",
    ),
    "range": column("floats", "floats(0, i)", "CREATE TYPE floats AS RANGE (subtype = float8)"),
    "multirange": column(
        "many_floats",
        "many_floats(few_floats(0, i))",
        "CREATE TYPE few_floats AS RANGE (subtype = float8, multirange_type_name = many_floats)",
        since=14,
    ),
    "other_schema_s_type": column('"Odd".kind', "'a'::\"Odd\".kind", "CREATE TYPE \"Odd\".kind AS ENUM ('a')"),
    "with_modifiers": column("numeric(9, 2)", "i + 0.25"),
    "with_length": column("varchar(9)", "'x' || i"),
    "collated": having('w text COLLATE "C"', "i, 'x', 'x' || i"),
    "collated_by_user": Kind(
        "CREATE COLLATION ours (locale = 'C'); CREATE TABLE {t} (id int, v text COLLATE ours, a text[] COLLATE ours)",
        "i, 'x', ARRAY['x' || i]",
    ),
    "big": column("text", "(SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 400) n)"),
}

INDEXES = {
    "btree": with_index("text", "'x' || i", "(v DESC NULLS LAST, id)"),
    "hash": with_index("text", "'x' || i", "USING hash (v)"),
    "gin": with_index("int[]", "ARRAY[i]", "USING gin (v) WITH (fastupdate = off)"),
    "gin_jsonb": with_index("jsonb", "jsonb_build_object('a', i)", "USING gin (v jsonb_path_ops)"),
    "gist": with_index("int4range", "int4range(i, i + 5)", "USING gist (v)"),
    "gist_words": with_index("tsvector", "to_tsvector('simple', 'x')", "USING gist (v tsvector_ops (siglen = 100))"),
    "spgist": with_index("point", "point(i, i)", "USING spgist (v)"),
    "brin": with_index("int", "i", "USING brin (v int4_bloom_ops (n_distinct_per_range = 9), id)", since=14),
    "pattern": with_index("text", "'x' || i", 'USING btree (v COLLATE "C" text_pattern_ops)'),
    "covering": with_index("text", "'x' || i", "(id) INCLUDE (v)"),
    "partial": with_index("text", "'x' || i", "(v) WHERE id > 1 AND v <> ''"),
    "of_expression": with_index("text", "'x' || i", "(lower(v), (id % 7)) WITH (fillfactor = 70)"),
    "of_own_function": with_index("text", "'x' || i", "(pg_catalog.md5(v))"),
    "nulls_equal": Kind("CREATE TABLE {t} (id int, v text, UNIQUE NULLS NOT DISTINCT (id, v))", "i, NULL", since=15),
}

CONSTRAINTS = {
    "key": having("PRIMARY KEY (id)"),
    "key_of_two": having("PRIMARY KEY (v, id)"),
    "unique_one": having('CONSTRAINT "Only ""one""" UNIQUE (id) INCLUDE (v)'),
    "deferred": having("UNIQUE (id) DEFERRABLE INITIALLY DEFERRED"),
    "excluding": having("r int4range, EXCLUDE USING gist (r WITH &&)", "i, 'x', int4range(i, i + 1)"),
    "excluding_some": having("EXCLUDE USING btree (id WITH =) WHERE (id > 0)"),
    "without_overlaps": Kind(
        "CREATE TABLE {t} (id int, k int4range, v daterange, PRIMARY KEY (k, v WITHOUT OVERLAPS))",
        "i, int4range(i, i + 1), daterange('2024-01-01', '2024-02-01')",
        since=18,
    ),
    "checked": having("CHECK (id > 0 AND v ~ '^text'), CONSTRAINT never CHECK (id < 1000) NO INHERIT"),
    "checked_as_a_row": then("ALTER TABLE {t} ADD CHECK ({t} IS NOT NULL)"),
    "not_valid": then("ALTER TABLE {t} ADD CHECK (id > 0) NOT VALID"),
    "not_enforced": having("CHECK (id < 0) NOT ENFORCED", since=18),
    "named_not_null": having("w int CONSTRAINT given NOT NULL", "i, 'x', i", since=18),
    "referring": having("of int REFERENCES key_of_all", "i, 'x', 1"),
    "referring_to_itself": then("ALTER TABLE {t} ADD FOREIGN KEY (id) REFERENCES {t}"),
    "replica_identity": then("ALTER TABLE {t} REPLICA IDENTITY FULL"),
    "clustered": then("CLUSTER {t} USING clustered_pkey"),
}

COLUMN_SETTINGS = {
    "identity_always": then("", "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text"),
    "identity_always_beside_the_key": then("", "id int PRIMARY KEY, v int GENERATED ALWAYS AS IDENTITY", "i, i"),
    "identity_by_default": then("", "id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT 7), v text"),
    "serial": then("", "id serial, v text"),
    "generated_stored": having("g text GENERATED ALWAYS AS (upper(v)) STORED"),
    "generated_virtual": having("g int GENERATED ALWAYS AS (id * 2) VIRTUAL", since=18),
    "generated_by_a_missing_function": Kind(
        f"{function('made', result='text', body='$1')};"
        "CREATE TABLE {t} (id int, v text, g text GENERATED ALWAYS AS (made(v)) STORED)"
    ),
    "default_by_a_missing_function": Kind(
        f"{function('said')}; CREATE TABLE {{t}} (id int, v text, d boolean DEFAULT said('x'))", "i, 'x', true"
    ),
    "dropped_column": then("ALTER TABLE {t} DROP gone", "id int, gone int, v text"),
    "added_column": then("ALTER TABLE {t} ADD w int DEFAULT 7", row="i, 'x', i"),
    "stored_otherwise": then(
        "ALTER TABLE {t} ALTER v SET STORAGE EXTERNAL, ALTER v SET STATISTICS 7, ALTER v SET (n_distinct = 3)"
    ),
    "compressed": having("w text COMPRESSION pglz", "i, 'x', repeat('x', 9999)", since=14),
}

TABLES = {
    "plain": then("", "id int, v text"),
    "empty": Kind("CREATE TABLE {t} (id int PRIMARY KEY)", ""),
    "zero_columns": Kind("CREATE TABLE {t} (); INSERT INTO {t} DEFAULT VALUES", ""),
    "unlogged": Kind("CREATE UNLOGGED TABLE {t} (id int, v text)"),
    "typed": Kind("CREATE TYPE of_table AS (id int, v text); CREATE TABLE {t} OF of_table (PRIMARY KEY (id))"),
    "parent": Kind("CREATE TABLE {t} (id int, v text); CREATE TABLE {t}_child (more int) INHERITS ({t})"),
    "partitioned": having(
        "PRIMARY KEY (id)",
        after="PARTITION BY RANGE (id); CREATE TABLE {t}_few PARTITION OF {t} FOR VALUES FROM (0) TO (4);"
        "CREATE TABLE {t}_rest PARTITION OF {t} DEFAULT PARTITION BY HASH (id);"
        "CREATE TABLE {t}_even PARTITION OF {t}_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE {t}_odd PARTITION OF {t}_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ),
    "partitioned_by_list": having(
        "CHECK (id > 0)",
        after="PARTITION BY LIST (v); CREATE TABLE {t}_all (v text, id int, CONSTRAINT {t}_id_check CHECK (id > 0));"
        "ALTER TABLE {t} ATTACH PARTITION {t}_all DEFAULT; CREATE INDEX ON {t} (id)",
    ),
    '"Odd ""Name"" 😀"': Kind('CREATE TABLE {t} (id int, "a ""b"" %s $1" text, "select" int)', "i, 'x', i"),
    f'"{"x" * 63}"': having("PRIMARY KEY (id)"),
    '"Odd".plain': then("CREATE INDEX ON {t} (v)"),
    "_plain": then("", "id int, v text"),
    "with_statistics": then(
        'CREATE STATISTICS of_two ON id, v FROM {t}; CREATE STATISTICS "Odd".elsewhere (mcv) ON id, v FROM {t}'
    ),
    "with_statistics_of_expressions": then("CREATE STATISTICS of_lower ON lower(v), id FROM {t}", since=14),
    "with_comments": then(
        "COMMENT ON TABLE {t} IS 'it''s'; COMMENT ON COLUMN {t}.v IS 'a'; COMMENT ON INDEX {t}_pkey IS 'b';"
        "COMMENT ON CONSTRAINT {t}_pkey ON {t} IS 'c'"
    ),
    "with_parameters": then(
        "ALTER TABLE {t} SET (fillfactor = 50, autovacuum_enabled = off, toast.vacuum_truncate = off)"
    ),
    "with_row_security": then(
        "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY; ALTER TABLE {t} FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON {t} USING (v = current_user)"
    ),
    "with_triggers": then(
        "CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER fires BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION fired()"
    ),
    "with_rules": then("CREATE RULE told AS ON DELETE TO {t} DO ALSO NOTIFY told"),
    "with_privileges": then("GRANT SELECT ON {t} TO PUBLIC; GRANT UPDATE (v) ON {t} TO PUBLIC"),
    "seen": Kind("CREATE VIEW {t} WITH (security_barrier) AS SELECT id, v, row_number() OVER () AS n FROM plain", ""),
    "seen_twice": Kind("CREATE VIEW {t} AS SELECT a.id, b.v FROM seen a JOIN plain b USING (id)", ""),
    "materialized": Kind("CREATE MATERIALIZED VIEW {t} AS SELECT * FROM key; CREATE UNIQUE INDEX ON {t} (id)", ""),
}

LACKING = {
    "of_base_type": lacking(
        "CREATE TYPE base;"
        "CREATE FUNCTION base_in(cstring) RETURNS base LANGUAGE internal STRICT IMMUTABLE AS 'int8in';"
        "CREATE FUNCTION base_out(base) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int8out';"
        "CREATE TYPE base (INPUT = base_in, OUTPUT = base_out, LIKE = bigint); CREATE TABLE {t} (id int, v base)",
        "column v of public.of_base_type cannot arrive: type public.base is a table's row type or a base type",
        "i, i::text::base",
    ),
    "of_row_type": lacking(
        "CREATE TABLE {t} (id int, v plain_row[])",
        "column v of public.of_row_type cannot arrive: type public.plain_row is a table's row type",
        "i, NULL",
    ),
    "checked_by_missing": lacking(
        f"{function('m_check')}; CREATE TABLE {{t}} (id int, v text, CONSTRAINT c CHECK (m_check(v)))",
        "check c of public.checked_by_missing needs function public.m_check(text), which the target lacks",
    ),
    "checked_by_own_row": lacking(
        f"CREATE TABLE {{t}} (id int, v text); {function('m_row', 'checked_by_own_row')};"
        "ALTER TABLE {t} ADD CONSTRAINT c CHECK (m_row({t}))",
        "check c of public.checked_by_own_row needs the table's own row type",
    ),
    "domain_by_missing": lacking(
        f"{function('m_domain')}; CREATE DOMAIN m_d AS text CHECK (m_domain(VALUE));CREATE TABLE {{t}} (id int, v m_d)",
        "column v of public.domain_by_missing needs function public.m_domain(text)",
    ),
    "indexed_by_missing": lacking(
        f"{function('m_index')}; CREATE TABLE {{t}} (id int, v text); CREATE INDEX i ON {{t}} (m_index(v))",
        "index i of public.indexed_by_missing needs function public.m_index(text)",
    ),
    "indexed_where_missing": lacking(
        f"{function('m_where')}; CREATE TABLE {{t}} (id int, v text); CREATE INDEX iw ON {{t}} (id) WHERE m_where(v)",
        "index iw of public.indexed_where_missing needs function public.m_where(text)",
    ),
    "indexed_by_missing_operators": lacking(
        "CREATE OPERATOR CLASS m_ops FOR TYPE text USING hash AS OPERATOR 1 =, FUNCTION 1 hashtext(text);"
        "CREATE TABLE {t} (id int, v text); CREATE INDEX io ON {t} USING hash (v m_ops)",
        "index io of public.indexed_by_missing_operators needs operator class public.m_ops",
    ),
    "checked_by_missing_operator": lacking(
        "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);"
        "CREATE TABLE {t} (id int, v text, CONSTRAINT x CHECK (v OPERATOR(public.===) v))",
        "check x of public.checked_by_missing_operator needs operator public.===",
    ),
    "statistics_by_missing": lacking(
        f"{function('m_statistics')}; CREATE TABLE {{t}} (id int, v text);"
        "CREATE STATISTICS s ON m_statistics(v), id FROM {t}",
        "statistics s of public.statistics_by_missing needs function public.m_statistics(text)",
    ),
}

KINDS = COLUMNS | INDEXES | CONSTRAINTS | COLUMN_SETTINGS | TABLES | LACKING

FOREIGN = {
    "foreign_one": Kind(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw"
        " OPTIONS (host '127.0.0.1', port '{port}', dbname '{db}');"
        "CREATE USER MAPPING FOR postgres SERVER here OPTIONS (user 'postgres');"
        "CREATE FOREIGN TABLE {t} (id int, v text) SERVER here OPTIONS (table_name 'plain')",
        "",
    )
}
"""Where the server has postgres_fdw."""

FIRST = """
    CREATE SCHEMA "Odd"; CREATE TABLE plain_row (id int);
    CREATE TABLE key_of_all (id int PRIMARY KEY); INSERT INTO key_of_all VALUES (1)
"""
"""What several kinds need."""


def builtin(release: int, *, with_xml: bool) -> Iterator[tuple[str, Kind]]:
    """All built-in types, ten a table, each with a column of it and one of its arrays."""
    samples = list(samples_of(release, has_xml=with_xml).items())
    for first in range(0, len(samples), 10):
        columns, row = ["id int"], ["i"]
        for name, values in samples[first : first + 10]:
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
            value = f'(ARRAY[{texts}])[i % {len(values)} + 1]::pg_catalog."{name}"'
            columns += [f'"v_{name}" pg_catalog."{name}"', f'"a_{name}" pg_catalog."{name}"[]']
            row += [value, f"ARRAY[{value}]"]
        yield f"builtin_{first}", Kind(f"CREATE TABLE {{t}} ({', '.join(columns)})", ", ".join(row))


def _with(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    return text


@dataclass(frozen=True, slots=True)
class Story:
    """The kinds that a server knows, in a source."""

    source: Database
    kinds: dict[str, Kind]

    def make(self) -> None:
        """Makes the tables, with three rows each."""
        here = {"{port}": str(self.source.server.port), "{db}": self.source.name}
        self._execute([FIRST, *(_with(kind.make, here | {"{t}": name}) for name, kind in self.kinds.items())])
        self._execute(kind.filled(name, 1, 3) for name, kind in self.kinds.items())

    def change(self) -> None:
        """Deletes a row of each table that can be written to, changes another one, and inserts two."""
        rows = {name: kind for name, kind in self.kinds.items() if kind.row}
        self._execute(f"DELETE FROM {name} WHERE id IN (1, 2)" for name in rows)
        self._execute(kind.again(name, 2, 7) for name, kind in rows.items())
        self._execute(kind.filled(name, 4, 5) for name, kind in rows.items())
        self._execute(["REFRESH MATERIALIZED VIEW materialized"])

    def _execute(self, statements: Iterable[str]) -> None:
        with self.source.connect() as session:
            for text in filter(None, statements):
                session.execute(text.encode())

    @property
    def named(self) -> dict[str, str]:
        """The relations that a run can copy, partitions and views among them: how TABLES and how etl names them."""
        rows = self.source.rows(
            "SELECT format('%I.%I', n.nspname, c.relname), n.nspname::text, c.relname::text"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname IN ('public', 'Odd')"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
        )
        return {label(schema, relation): name for name, schema, relation in rows}


@pytest.fixture
def story(databases: Databases) -> Story:
    """The source, with all kinds that its release knows."""
    source = databases.operational
    release = source.value("SELECT current_setting('server_version_num')::int / 10000")
    kinds = KINDS | dict(builtin(release, with_xml=has_xml(source)))
    if source.value("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgres_fdw')"):
        kinds |= FOREIGN
    made = Story(source, {name: kind for name, kind in kinds.items() if kind.since <= release})
    made.make()
    return made


IN_PLACE = '[defaults]\npublish = "in-place"\n'


@pytest.mark.superuser("base types, and objects of the source's superuser")
def test_check_run_and_verify_agree_on_every_kind(databases: Databases, story: Story, etl: Etl, tmp_path: Path) -> None:
    """What check calls ok arrives equal, in place too; the other tables stop a run, and fail if it goes on."""
    options = tmp_path / "options.toml"
    options.write_text("")
    given = {"ETL_OPTIONS_FILE": str(options), "ETL_VERIFY": "checksum"}
    lacking = {f"public.{name}": kind.said for name, kind in story.kinds.items() if kind.said}
    names = story.named

    def tables(wanted: Iterable[str]) -> str:
        return json.dumps([names[one] for one in wanted])

    checked = etl("check", "--json", TABLES=tables(names), **given)
    assert checked.status == 1, checked.stderr
    found = {one["subject"]: one for one in json.loads(checked.stdout)}
    assert names.keys() - found.keys() == set()
    bad = {name: one["text"] for name, one in found.items() if one["obstacle"]}
    assert {name: said for name, said in lacking.items() if said not in bad.get(name, "")} == {}
    assert bad.keys() == lacking.keys()

    stopped = etl("run", TABLES=tables(bad), **given)
    assert stopped.status == 1
    assert [event["event"] for event in stopped.events] == ["run.finished"]
    without_names = re.sub("|".join(f"{re.escape(name)}: " for name in bad), "", stopped.stderr)
    one_line = without_names.replace("\netl: ", "; ")  # the run says each on a line of its own
    assert one_line == f"etl: {'; '.join(text for _, text in sorted(bad.items()))}\n"
    # what would happen without the look at the start
    done = etl("run", TABLES=tables(bad), ETL_PUBLISH="defer", **given)
    assert (done.status, done.event("run.finished")["status"]) == (1, "failed")
    assert {event["table"] for event in done.events if event["event"] == "table.failed"} == bad.keys()

    good = names.keys() - bad.keys()
    for night, text in (("swap", ""), ("in-place", IN_PLACE)):
        options.write_text(text)
        if night == "in-place":
            story.change()
            checked = etl("check", TABLES=tables(good), **given)
            assert (checked.status, checked.stderr) == (0, ""), checked.stdout
        done = etl("run", TABLES=tables(good), ETL_RUN_ID=night, **given)
        assert (done.status, done.stderr) == (0, ""), night
        assert _published(databases.reporting, night) == good
        compared = json.loads(etl("verify", "--json", TABLES=tables(good), **given).stdout)
        assert {one["table"] for one in compared} == good
        assert [one for one in compared if one["difference"]] == [], night


def _published(target: Database, run_id: str) -> set[str]:
    rows = target.rows(f"SELECT table_name FROM etl.loads WHERE run_id = '{run_id}' AND status = 'published'")
    return {name for (name,) in rows}
