"""A materialized view shows the same night as the tables, however its query reads their rows."""

from __future__ import annotations

import pytest

from tests.harness import Databases, Etl

pytestmark = pytest.mark.whole

COUNTS = """
CREATE FUNCTION of_b() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.b';
CREATE FUNCTION more(n int, m int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.b';
CREATE OPERATOR public.## (LEFTARG = int, RIGHTARG = int, FUNCTION = more);
CREATE FUNCTION add(s bigint, n int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.b';
CREATE AGGREGATE counted(int) (SFUNC = add, STYPE = bigint);
"""

VIEWS = {
    "a function": "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, of_b() AS b FROM a",
    "a function of a view below": (
        "CREATE VIEW v AS SELECT a.id, of_b() AS n FROM a;"
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(n) AS b FROM v"
    ),
    "a function of a view beside": (
        "CREATE VIEW v AS SELECT of_b() AS n; CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(n) AS b FROM a, v"
    ),
    "an operator": "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(id OPERATOR(public.##) 1) AS b FROM a",
    "a function with a bound body": (
        "CREATE FUNCTION bound() RETURNS bigint IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT of_b(); END;"
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(bound()) AS b FROM a"
    ),
    "an aggregate": "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, counted(id) AS b FROM a",
    "a function in FROM": "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(f) AS b FROM a, of_b() AS f",
    "a materialized view below": (
        "CREATE MATERIALIZED VIEW below AS SELECT id, of_b() AS n FROM a;"
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, max(n) AS b FROM below"
    ),
    "a query in a text": (
        "CREATE MATERIALIZED VIEW m AS SELECT count(DISTINCT a.id) AS a, max(ndoc) AS b"
        " FROM a, ts_stat('SELECT ''word''::tsvector FROM public.b')"
    ),
    "the name of a table": (
        "CREATE MATERIALIZED VIEW m AS"
        " SELECT count(*) AS a, count(*) FILTER (WHERE tableoid = 'a'::regclass) AS b FROM a"
    ),
    "a policy": (
        "CREATE FUNCTION is_even() RETURNS bool LANGUAGE sql STABLE AS 'SELECT count(*) % 2 = 0 FROM public.b';"
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE a FORCE ROW LEVEL SECURITY;"
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, (SELECT count(*) FROM b) AS b FROM a"
    ),
}


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Databases:
    """Two tables of one row each, copied once."""
    databases.operational.execute("CREATE TABLE a AS SELECT 1 AS id; CREATE TABLE b AS SELECT 1 AS id")
    assert etl("run", TABLES="a,b").status == 0
    databases.reporting.execute(COUNTS)
    return databases


IN_PLACE = ["a function", "a materialized view below", "a policy"]

MARKS = {"a policy": [pytest.mark.superuser("sees what a policy hides")]}

PUBLISHED = [*((name, "") for name in VIEWS), *((name, one) for name in IN_PLACE for one in ("ab", "a", "b"))]


@pytest.mark.parametrize(
    ("name", "in_place"), [pytest.param(name, one, marks=MARKS.get(name, [])) for name, one in PUBLISHED]
)
def test_a_materialized_view_never_shows_two_nights(
    night: Databases, etl: Etl, name: str, in_place: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its query calls a function that reads another table of the run: the publish fills it after both tables."""
    night.reporting.execute(VIEWS[name])
    night.operational.execute("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)")
    options = tmp_path_factory.mktemp("options") / "options.toml"
    options.write_text("".join(f'[{table}]\npublish = "in-place"\n' for table in in_place))
    done = etl("run", TABLES="a,b", ETL_OPTIONS_FILE=str(options))
    assert (done.status, done.stderr) == (0, "")
    assert night.reporting.rows("SELECT a, b FROM m") == [(2, 2)]


def test_check_says_which_views_are_filled_while_readers_wait(night: Databases, etl: Etl) -> None:
    """The reason is a function or policy that may read tables unknown to the catalog."""
    night.reporting.execute("CREATE MATERIALIZED VIEW m AS SELECT count(*) AS a, of_b() AS b FROM a")
    said = etl("check", TABLES="a,b").stdout
    assert "public.m (filled within the publish, for public.of_b())" in said


def test_check_tells_of_a_publication_of_all_tables(night: Databases, etl: Etl) -> None:
    """Its subscribers would get the changes of etl's own schemas, which they do not have."""
    night.reporting.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    done = etl("check", TABLES="a,b")
    assert done.status == 0
    assert "publication everything is FOR ALL TABLES" in " ".join(done.stdout.split())
