"""Indexes, constraints, comments and storage parameters arrive as the source has them."""

from __future__ import annotations

import psycopg
import pytest

from tests.harness import Databases, Etl

pytestmark = pytest.mark.whole

TABLES = """
    CREATE COLLATION backwards (provider = builtin, locale = 'C');
    CREATE TABLE indexed (
        id int, code text COLLATE "C", note text COLLATE backwards, at timestamptz, tags text[], doc jsonb,
        area box, span int4range, spot point, address inet, "Odd Name" int, words tsvector)
        WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
    CREATE INDEX i01_plain ON indexed (id);
    CREATE UNIQUE INDEX i02_unique ON indexed (id, code);
    CREATE UNIQUE INDEX i03_partial ON indexed (code) WHERE id > 5 AND code <> 'it''s {%s}';
    CREATE INDEX i04_expression ON indexed (lower(code), (id + 1), (doc ->> 'a b'));
    CREATE INDEX i05_include ON indexed (id) INCLUDE (code, "Odd Name");
    CREATE INDEX i06_order ON indexed (id DESC NULLS LAST, code ASC NULLS FIRST, at DESC);
    CREATE INDEX i07_opclass ON indexed (code text_pattern_ops);
    CREATE INDEX i08_collation ON indexed (code COLLATE "POSIX", note COLLATE backwards DESC);
    CREATE UNIQUE INDEX i09_nulls ON indexed ("Odd Name") NULLS NOT DISTINCT;
    CREATE INDEX i10_gin ON indexed USING gin (tags) WITH (fastupdate = off);
    CREATE INDEX i11_gin_path ON indexed USING gin (doc jsonb_path_ops);
    CREATE INDEX i12_gist ON indexed USING gist (span, area) INCLUDE (id) WITH (buffering = on);
    CREATE INDEX i13_gist_words ON indexed USING gist (words tsvector_ops (siglen = 100));
    CREATE INDEX i14_spgist ON indexed USING spgist (address inet_ops);
    CREATE INDEX i15_spgist_text ON indexed USING spgist (code);
    CREATE INDEX i16_brin ON indexed USING brin (at timestamptz_minmax_multi_ops (values_per_range = 16), id)
        WITH (pages_per_range = 4, autosummarize = on);
    CREATE INDEX i17_hash ON indexed USING hash (code) WITH (fillfactor = 60);
    CREATE INDEX "I 18 ""odd"" ON x.y USING z" ON indexed USING btree ("Odd Name") WITH (deduplicate_items = off);

    CREATE TABLE constrained (
        id int CONSTRAINT present NOT NULL, a int NOT NULL, b text COLLATE "C" NOT NULL,
        span int4range, other int4range,
        CONSTRAINT "The Key" PRIMARY KEY (id, a) INCLUDE (b),
        CONSTRAINT one_b UNIQUE (b) DEFERRABLE INITIALLY DEFERRED, CONSTRAINT one_a UNIQUE NULLS NOT DISTINCT (a),
        CONSTRAINT apart EXCLUDE USING gist (span WITH &&, other WITH =) WHERE (id > 0) DEFERRABLE,
        CONSTRAINT no_overlap UNIQUE (other, span WITHOUT OVERLAPS),
        CONSTRAINT constrained_b_not_null1 CHECK (b IS NOT NULL), CONSTRAINT "Big" CHECK (id > 0 AND b <> '{}%s'),
        CONSTRAINT whole CHECK (constrained IS NOT NULL), CONSTRAINT never CHECK (a > id) NOT ENFORCED);
    ALTER TABLE constrained ADD CONSTRAINT since CHECK (a > 1000) NOT VALID;
    CREATE INDEX whole_row ON constrained (hash_record_extended(constrained.*, 0));

    COMMENT ON TABLE indexed IS 'It''s a \\ {comment} %s';
    COMMENT ON COLUMN indexed."Odd Name" IS 'odd'; COMMENT ON INDEX i04_expression IS 'é 😀';
    COMMENT ON CONSTRAINT "The Key" ON constrained IS 'the key'; COMMENT ON CONSTRAINT apart ON constrained IS '';
"""

ROWS = """
    INSERT INTO indexed
        SELECT g, 'c' || g, 'n', now(), ARRAY['t' || g, NULL], jsonb_build_object('a b', g),
               box(point(g, 0), point(0, g)),
               int4range(g, g + 3), point(g, g), ('10.0.0.' || g % 256)::inet, g, to_tsvector('simple', 'word' || g)
          FROM generate_series(1, 1000) g;
    ALTER TABLE constrained DROP CONSTRAINT since;
    INSERT INTO constrained VALUES (1, 1, 'b', '[1,5)', '[1,5)'), (2, 2, 'c', '[5,9)', '[1,5)'),
        (3, 3, 'd', '[5,9)', '[6,7)');
    ALTER TABLE constrained ADD CONSTRAINT since CHECK (a > 1000) NOT VALID;
"""

INDEXES = """
    SELECT c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisvalid, c.reloptions::text,
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnatts) n)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid IN ('public.indexed'::regclass, 'public.constrained'::regclass) ORDER BY 1
"""
CONSTRAINTS = """
    SELECT conname, contype, pg_get_constraintdef(oid), condeferrable, condeferred, convalidated,
           conenforced, conkey::text
      FROM pg_constraint WHERE conrelid IN ('public.indexed'::regclass, 'public.constrained'::regclass) ORDER BY 1
"""
COLUMNS = """
    SELECT attrelid::regclass::text, attnum::int, attname, format_type(atttypid, atttypmod), attnotnull,
           attcollation::regcollation::text
      FROM pg_attribute
     WHERE attrelid IN ('public.indexed'::regclass, 'public.constrained'::regclass) AND attnum > 0 ORDER BY 1, 2
"""
COMMENTS = """
    SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description
     WHERE objoid >= 16384 AND classoid IN ('pg_class'::regclass, 'pg_constraint'::regclass)
       AND objoid IS DISTINCT FROM to_regclass('etl.freshness')::oid ORDER BY 1
"""
STORAGE = """
    SELECT c.relname, c.reloptions::text, t.reloptions::text
      FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1
"""


# COPY extends a table by more pages than it then needs, so that relpages would be too many.
PAGES = """
    SELECT count(DISTINCT (ctid::text::point)[0])::int,
           (SELECT ARRAY[relallvisible, relallfrozen] FROM pg_class WHERE oid = 'public.{table}'::regclass)
      FROM public.{table}
"""


def test_indexes_and_constraints_arrive_as_they_are(databases: Databases, etl: Etl) -> None:
    """Both catalogs have equal indexes, constraints, columns, comments and storage parameters, two nights in a row."""
    source, target = databases.operational, databases.reporting
    source.execute(TABLES)
    source.execute(ROWS)
    target.execute("CREATE COLLATION backwards (provider = builtin, locale = 'C')")
    for _ in ("first night", "second night"):
        done = etl("run", TABLES="indexed,constrained", ETL_VERIFY="checksum")
        assert done.stderr == ""
        for query in (INDEXES, CONSTRAINTS, COLUMNS, COMMENTS, STORAGE):
            assert target.rows(query) == source.rows(query)
    assert len(target.rows(INDEXES)) == 24


def test_an_arrived_constraint_binds(databases: Databases, etl: Etl) -> None:
    """The target's exclusion constraint refuses the same rows as the source's."""
    databases.operational.execute(TABLES)
    databases.reporting.execute("CREATE COLLATION backwards (provider = builtin, locale = 'C')")
    assert etl("run", TABLES="constrained").stderr == ""
    databases.reporting.execute("INSERT INTO constrained VALUES (1, 2000, 'b', '[1,5)', '[1,5)')")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        databases.reporting.execute("INSERT INTO constrained VALUES (2, 2001, 'c', '[4,9)', '[1,5)')")


def test_rows_arrive_frozen_and_all_visible(databases: Databases, etl: Etl) -> None:
    """Vacuum has no work on loaded tables, and index-only scans need not read the table."""
    if int(databases.reporting.value("SHOW server_version_num")) < 180000:
        pytest.skip("the catalog counts frozen pages (pg_class.relallfrozen) from PostgreSQL 18 on")
    databases.operational.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 50000) g"
    )
    databases.reporting.execute("CREATE TABLE unfrozen AS SELECT generate_series(1, 100); ANALYZE unfrozen")
    assert etl("run", TABLES="t").stderr == ""
    ((pages, marked),) = databases.reporting.rows(PAGES.format(table="t"))
    assert pages > 100
    assert marked == [pages, pages]
    assert databases.reporting.rows(PAGES.format(table="unfrozen")) == [(1, [0, 0])]
    plan = "\n".join(
        line
        for (line,) in databases.reporting.rows(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM t WHERE id < 100"
        )
    )
    assert "Heap Fetches: 0" in plan
