"""Materialized views on tables that are loaded by their changes: which are refreshed, and which are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.harness import Databases, Done, Etl
from tests.situations import settled

TABLES = """
CREATE TABLE a (id int PRIMARY KEY, n int, at timestamptz DEFAULT '2026-01-01');
CREATE TABLE b (id int PRIMARY KEY, a int);
INSERT INTO a SELECT g, g FROM generate_series(1, 100) g; INSERT INTO b SELECT g, g FROM generate_series(1, 50) g
"""

BESIDE = """
CREATE TABLE other (id int); INSERT INTO other VALUES (1);
CREATE VIEW small AS SELECT id, n FROM a WHERE n < 50;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2'
"""

STILL = {
    "a sum": "SELECT sum(n) AS n FROM a",
    "a join": "SELECT a.id, count(b.id) AS n FROM a LEFT JOIN b ON b.a = a.id GROUP BY a.id HAVING count(*) > 0",
    "a view": "WITH s AS (SELECT * FROM small) SELECT max(id) AS n, 'small' AS what FROM s"
    " WHERE id IN (SELECT a FROM b)"
    " AND EXISTS (SELECT FROM b WHERE b.id = s.id)",
    "a union": "SELECT id, row_number() OVER (ORDER BY id) FROM a UNION ALL SELECT id, -1 FROM b ORDER BY 1 LIMIT 20",
    "a function": "SELECT g, a.n FROM generate_series(1, 3) g JOIN a ON a.id = g AND lower(g::text) = '1'",
    "another one": 'SELECT n + 1 AS n FROM "a sum"',
}
"""Queries of views that are left alone."""

DOUBTFUL = {
    "the time": ("SELECT count(*) AS n, now() AS at FROM a", "its query calls now(), which is not immutable"),
    "the date": ("SELECT count(*) AS n, CURRENT_DATE AS at FROM a", "its query has the time or the role"),
    "a time zone": ("SELECT at::date AS day FROM a", "its query calls date(timestamp with time zone), which is not"),
    "rows as text": ("SELECT json_agg(n) AS n FROM a", "its query calls json_agg(anyelement), which is not immutable"),
    "the whole row": ("SELECT a FROM a", "its query has a system column, or the row as a whole"),
    "a table beside": (
        "SELECT count(*) AS n FROM a, other",
        "its query reads public.other, of which this run copies no changes",
    ),
    "a catalog": (
        "SELECT count(*) AS n FROM a, pg_class",
        "its query reads pg_catalog.pg_class, of which this run copies no changes",
    ),
    "a catalog's view": ("SELECT count(*) AS n FROM a, pg_tables", "its query"),
    "an own function": (
        "SELECT twice(n) AS n FROM a",
        "its query calls public.twice(integer), which is not PostgreSQL's own",
    ),
    "one below": ('SELECT count(*) AS n FROM "the time"', "public.the time is refreshed"),
}
"""Queries of views that are refreshed each night, and why."""


UNSTEADY = {"the time", "the date", "a catalog", "a catalog's view", "one below"}
"""Views that are not compared with their queries, which give something else each time."""


class Night:
    """Nights of the tables a and b."""

    def __init__(self, both: Databases, etl: Etl, options: Path) -> None:
        self.source, self.target, self.options = both.operational, both.reporting, options
        self.etl = Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "a,b", "ETL_OPTIONS_FILE": str(options)})
        options.write_text('[defaults]\npublish = "in-place"')
        self.source.execute(TABLES)
        settled(self.source)
        assert self.run().status == 0
        self.target.execute(BESIDE)

    def run(self, **variables: str) -> Done:
        done = self.etl("run", **variables)
        assert (done.status, done.stderr) == (0, "")
        return done

    def creates(self, name: str, query: str, *, unique: str = "") -> None:
        self.target.execute(f'CREATE MATERIALIZED VIEW "{name}" AS {query}')
        if unique:
            self.target.execute(f'CREATE UNIQUE INDEX ON "{name}" ({unique})')

    def passes(self, made: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
        """The views that a night leaves alone, and those that it refreshes, with their reasons; all show the tables.

        A swap has ``made`` some anew.
        """
        files = self.files()
        done = self.run()
        left = [one["view"].split(".", 1)[1].strip('"') for one in done.events if one["event"] == "view.unchanged"]
        refreshed = {
            one["view"].split(".", 1)[1].strip('"'): one["reason"]
            for one in done.events
            if one["event"] == "view.refreshed"
        }
        now = self.files()
        assert {name: now[name] for name in left} == {name: files[name] for name in left}
        for name, query in self.target.rows("SELECT matviewname, rtrim(definition, ';') FROM pg_matviews"):
            if name not in UNSTEADY:
                stored, fresh = f'SELECT t::text FROM "{name}" t', f"SELECT t::text FROM ({query}) t"
                differing = f"({stored} EXCEPT ALL {fresh}) UNION ALL ({fresh} EXCEPT ALL {stored})"
                assert self.target.rows(differing) == [], name
        told = self.target.rows(
            "SELECT v.key, v.value->>'refreshed' FROM etl.loads l, jsonb_each(l.views) v WHERE run_id ="
            " (SELECT run_id FROM etl.runs ORDER BY started_at DESC LIMIT 1)"
        )
        assert {(name.split(".", 1)[1].strip('"'), why) for name, why in told} == {
            *((name, None) for name in left),
            *refreshed.items(),
            *((name, "a swap has made it") for name in made),
        }
        return left, refreshed

    def files(self) -> dict[str, int]:
        """The file of each view's rows."""
        return dict(self.target.rows("SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relkind = 'm'"))


@pytest.fixture
def night(databases: Databases, etl: Etl, tmp_path: Path) -> Night:
    """Two tables that were copied once, and whose rows are always merged."""
    return Night(databases, etl, tmp_path / "options.toml")


def test_a_view_is_left_alone_while_no_row_that_it_reads_has_changed(night: Night) -> None:
    """From the second night that finds it so; a view that reads a changed table, or more than tables, is refreshed."""
    for name, query in {**STILL, **{name: query for name, (query, _) in DOUBTFUL.items()}}.items():
        night.creates(name, query)
    _, refreshed = night.passes()
    assert {refreshed[name] for name in STILL if name != "another one"} == {"no publish has left it as it is"}
    left, refreshed = night.passes()
    assert sorted(left) == sorted(STILL)
    assert {name: said for name, (_, said) in DOUBTFUL.items() if said not in refreshed[name]} == {}
    assert sorted(refreshed) == sorted(DOUBTFUL)

    night.source.execute("UPDATE b SET a = a + 1 WHERE id = 50; DELETE FROM b WHERE id = 1")
    left, refreshed = night.passes()
    assert sorted(left) == ["a function", "a sum", "another one"]
    assert {refreshed[name] for name in ("a join", "a view", "a union")} == {"public.b has changed"}
    night.source.execute("UPDATE a SET n = n + 1 WHERE id < 5")
    left, refreshed = night.passes()
    assert left == []
    assert refreshed["another one"] == "public.a sum is refreshed"
    left, refreshed = night.passes()
    assert sorted(left) == sorted(STILL)


HANDS = {
    "its rows were refreshed between an edit and its end": (
        "INSERT INTO a VALUES (-1, 0); REFRESH MATERIALIZED VIEW plain; DELETE FROM a WHERE id = -1",
        {"plain"},
    ),
    "the same, concurrently": (
        "INSERT INTO a VALUES (-1, 0); REFRESH MATERIALIZED VIEW CONCURRENTLY keyed; DELETE FROM a WHERE id = -1",
        {"keyed"},
    ),
    "a view below has another query": ("CREATE OR REPLACE VIEW small AS SELECT id, n FROM a WHERE n < 40", {"below"}),
    "a view below has another name": ("ALTER VIEW small RENAME TO little", set[str]()),
    "it was made again": (
        "DROP MATERIALIZED VIEW plain; CREATE MATERIALIZED VIEW plain AS SELECT count(*) AS n FROM a",
        {"plain"},
    ),
    "it was written anew": ("CLUSTER keyed USING keyed_id_idx", {"keyed"}),
    "it has another name": ("ALTER MATERIALIZED VIEW plain RENAME TO simple", {"simple"}),
}


def test_a_view_that_is_not_as_a_publish_has_left_it_is_refreshed(night: Night) -> None:
    """Others have refreshed it, or changed what it shows; the night after is quiet again."""
    night.creates("plain", "SELECT count(*) AS n FROM a")
    night.creates("keyed", "SELECT a.id, b.id AS b FROM a LEFT JOIN b ON b.id = a.id", unique="id")
    night.creates("below", "SELECT sum(n) AS n FROM small")
    all_three = {"plain", "keyed", "below"}
    night.passes()
    night.passes()  # the first one has refreshed keyed within the attempt, behind the others, and not read its rows
    assert set(night.passes()[0]) == all_three
    for what, (statements, wanted) in HANDS.items():
        for statement in statements.split("; "):
            night.target.execute(statement)
        if "simple" in wanted:
            all_three = all_three - {"plain"} | wanted
        left, refreshed = night.passes()
        assert (what, set(refreshed), set(left)) == (what, wanted, all_three - wanted)
        assert set(refreshed.values()) <= {"no publish has left it as it is"}
        assert set(night.passes()[0]) == all_three, what


def test_a_view_that_a_swap_has_made_is_left_alone_from_the_next_night_on(night: Night) -> None:
    """A run of one of its two tables knows nothing of the other, and refreshes it."""
    night.options.write_text("")
    night.creates("both", "SELECT count(*) AS n FROM a JOIN b ON b.id = a.id")
    night.creates("keyed", "SELECT id FROM a", unique="id")
    night.passes()
    assert set(night.passes()[0]) == {"both", "keyed"}
    night.source.execute("COMMENT ON TABLE b IS 'ours'")
    left, refreshed = night.passes(made=["both"])
    assert (left, refreshed) == (["keyed"], {"both": "its query reads public.b, of which this run copies no changes"})
    assert night.passes()[1] == {"both": "no publish has left it as it is"}
    night.source.execute("COMMENT ON TABLE b IS 'yours'; COMMENT ON TABLE a IS 'yours'")
    assert night.passes(made=["both", "keyed"]) == ([], {})
    assert set(night.passes()[0]) == {"both", "keyed"}

    done = night.run(TABLES="a")
    assert [one["view"] for one in done.events if one["event"] == "view.unchanged"] == ["public.keyed"]
    assert done.event("view.refreshed")["reason"] == "its query reads public.b, of which this run copies no changes"
    night.source.execute("INSERT INTO b VALUES (60, 1)")
    night.run(TABLES="b")
    assert night.passes()[1] == {"both": "no publish has left it as it is"}
    assert set(night.passes()[0]) == {"both", "keyed"}


WAITS = "the readers of materialized view public.m would wait for its refresh; give it a unique index of columns"


FREE = ('[a]\npublish = "in-place"', '[a]\nload = "delta"')


def test_a_table_goes_by_swap_if_readers_of_a_view_would_wait_for_its_refresh(night: Night) -> None:
    """In a night with changes, or always if the view is never left alone; not where an option wants the merge.

    If the run is decided as a whole, all tables go by swap (``test_check.py``).
    """

    def load(options: str = "", *, changes: bool = True) -> tuple[str, str, bool]:
        """The kind of a night's load, its reason, and whether check has told before that readers would wait."""
        night.options.write_text(options)
        night.source.execute("UPDATE a SET n = n + 1 WHERE id = 1" if changes else "SELECT")
        mixed = {"TABLES": "a", "ETL_PUBLISH_WAY": "mixed"}
        told = WAITS in night.etl("check", **mixed).stdout
        done = night.run(**mixed).event("table.loaded")
        assert night.target.value("SELECT n FROM m") == night.source.value("SELECT sum(n) FROM a")
        return done["load"], done["reason"], told

    one = "1 rows changed and 0 gone, 1 % of 100"
    night.creates("m", "SELECT sum(n) AS n FROM a")
    assert load() == ("full", WAITS, True)
    assert load(changes=False) == ("unchanged", "no row has changed", True)
    assert [load(options) for options in FREE] == [("delta", one, False)] * 2
    night.target.execute("CREATE UNIQUE INDEX ON m (n)")
    assert load() == ("delta", one, False)
    night.target.execute("DROP MATERIALIZED VIEW m")
    night.creates("m", "SELECT sum(n) AS n, now() AS at FROM a")
    assert load(changes=False) == ("full", WAITS, True)


HIDDEN = """
DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE hidden (id int); INSERT INTO hidden VALUES (1); GRANT SELECT ON a, hidden TO analyst;
GRANT CREATE ON SCHEMA public TO analyst;
ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a TO analyst USING (id NOT IN (SELECT id FROM hidden));
CREATE MATERIALIZED VIEW hers AS SELECT count(*) AS n FROM a; ALTER MATERIALIZED VIEW hers OWNER TO analyst
"""


@pytest.mark.superuser("makes roles, and views that belong to them")
@pytest.mark.parametrize("publish", ["swap", "in-place"])
def test_a_view_shows_what_policies_show_to_its_owner_each_night(night: Night, publish: str) -> None:
    """It is not left alone, because a policy may show other rows, and a merge does not let its refresh fail."""
    night.options.write_text(f'[a]\npublish = "{publish}"\nload = "delta"')
    night.target.execute(HIDDEN)
    for change, shown in (("SELECT", 99), ("UPDATE a SET n = 0 WHERE id = 7", 99), ("DELETE FROM a WHERE id = 7", 98)):
        night.source.execute(change)
        night.run(ETL_PUBLISH_WAY="mixed")
        assert night.target.value("SELECT n FROM hers") == shown
    night.target.execute("INSERT INTO hidden VALUES (2)")
    night.run(ETL_PUBLISH_WAY="mixed")
    assert night.target.value("SELECT n FROM hers") == 97
