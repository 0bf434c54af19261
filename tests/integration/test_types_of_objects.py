"""Types whose values are oids of a server's own objects (reg* and aclitem) are refused, however deep they lie."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import Databases, Done, Etl
from tests.lambda_runtime import FunctionError, function
from tests.samples import ANCHORS, NAMING

PLAIN = ("oid", "int4", "text", "oidvector", "name")
"""Types that are as they look, numbers of objects among them that nobody looks up."""

WRAPPED = """
    CREATE DOMAIN {t}_d AS {t}; CREATE DOMAIN {t}_dd AS {t}_d; CREATE DOMAIN {t}_da AS {t}[];
    CREATE TYPE {t}_c AS (one int, two {t}_dd); CREATE TYPE {t}_cc AS (one {t}_c, two int);
    CREATE TYPE {t}_ca AS (one int, two {t}[]); CREATE DOMAIN {t}_dc AS {t}_cc; CREATE TABLE {t}_row (a int, b {t}_dc);
    ALTER TABLE wide
        ADD {t}_1 {t}, ADD {t}_2 {t}[], ADD {t}_3 {t}_d, ADD {t}_4 {t}_dd, ADD {t}_5 {t}_dd[], ADD {t}_6 {t}_da,
        ADD {t}_7 {t}_c, ADD {t}_8 {t}_cc[], ADD {t}_9 {t}_ca, ADD {t}_10 {t}_row, ADD {t}_11 {t}_row[],
        ADD {t}_12 {t}_dc;
"""
RANGES = """
    CREATE TYPE {t}_r AS RANGE (subtype = {t}, multirange_type_name = {t}_m); CREATE TYPE {t}_cr AS (one {t}_m[]);
    ALTER TABLE wide ADD {t}_13 {t}_r, ADD {t}_14 {t}_m, ADD {t}_15 {t}_r[], ADD {t}_16 {t}_cr
"""
HAS_NO_RANGE = ("aclitem", "oidvector")


@pytest.fixture
def wide(databases: Databases) -> Databases:
    """A table with a column for each of these types in each of the forms that a column can have them in."""
    databases.operational.execute(
        "CREATE SCHEMA secret; CREATE TABLE wide (id bigint PRIMARY KEY); CREATE TABLE fine (id bigint PRIMARY KEY)"
    )
    for name in (*NAMING, *PLAIN):
        made = WRAPPED + (RANGES if name not in HAS_NO_RANGE else "")
        databases.operational.execute(made.format(t=name))
    databases.operational.execute("INSERT INTO wide (id, regnamespace_1) VALUES (1, 'secret')")
    return databases


def refused(lines: str) -> set[str]:
    """The columns that the errors name."""
    return set(re.findall(r"public\.wide: column (\w+) of type .*? holds numbers of the source's own objects", lines))


def columns(databases: Databases) -> set[str]:
    """The columns that etl must refuse: all but those of plain types."""
    names = databases.operational.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 1 AND NOT attisdropped"
    )
    return {name for (name,) in names if name.rsplit("_", 1)[0] in NAMING}


def assert_refused(databases: Databases, done: Done) -> None:
    assert done.status == 2
    found = columns(databases)
    assert len(found) == 16 * len(NAMING) - 4
    assert refused(done.stderr) == found
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["check", "run", "snapshot", "verify"])
def test_a_column_that_holds_numbers_of_objects_is_refused(wide: Databases, etl: Etl, command: str) -> None:
    """The error names all of them and no others; it comes before the first load, and has no value."""
    done = etl(command, TABLES="fine,wide", ETL_RUN_ID="tonight")
    assert_refused(wide, done)
    if command in {"run", "snapshot"}:
        assert "table.loaded" not in done.stdout
        assert wide.reporting.value("SELECT to_regclass('fine') IS NULL AND to_regclass('wide') IS NULL")
        has_ledger = wide.reporting.value("SELECT to_regclass('etl.runs') IS NOT NULL")
        assert has_ledger == (command == "snapshot")  # whose shards may be waiting
        assert wide.staging_tables() == []


def test_a_batch_is_refused_likewise(wide: Databases) -> None:
    """Before the live table is made."""
    with (
        function("etl.functions.copy_batch", wide.environment) as copy,
        pytest.raises(FunctionError, match=r"column regclass_1 of type regclass holds numbers") as caught,
    ):
        copy.invoke({"table": "wide", "last_id": 0, "limit": 10})
    assert refused(str(caught.value)) == columns(wide)
    assert wide.reporting.value("SELECT to_regclass('wide') IS NULL")


OPTIONS = """
[audit]
exclude = ["left_out"]
[audit.mask]
tab = "sql:tab::text"
tabs = "sql:tabs::text"
said = "constant:nothing"
hashed = "hmac"
gone = "null"
"""


def test_one_that_is_left_out_or_masked_is_fine(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """It arrives as text, night after night; so does a column that a view casts to text."""
    source, target = databases.operational, databases.reporting
    source.execute(
        f"{ANCHORS} CREATE TABLE audit (id int, tab regclass NOT NULL, tabs regclass[], said regtype, hashed regrole,"
        " gone regproc, left_out regnamespace); INSERT INTO audit VALUES"
        " (1, 'anchor', '{anchor,pg_class}', 'int', 'postgres', 'now', 'public'); CREATE INDEX ON audit (tab);"
        " CREATE VIEW audited AS SELECT id, tab::text FROM audit"
    )
    (tmp_path / "options.toml").write_text(OPTIONS)
    given = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml"), "ETL_MASK_KEY": "k" * 16, "ETL_VERIFY": "checksum"}
    for _ in range(2):
        done = etl("run", TABLES="anchor,audit,audited", **given)
        assert (done.stderr, done.status) == ("", 0)
        assert target.rows("SELECT id, tab, tabs, said, length(hashed), gone FROM audit") == [
            (1, "public.anchor", "{public.anchor,pg_class}", "nothing", 64, None)
        ]
        assert target.rows("SELECT * FROM audited") == [(1, "public.anchor")]
    assert etl("verify", TABLES="audit", **given).status == 0


def test_one_that_is_said_to_need_no_mask_is_refused(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """As is one that the options name in ``columns``."""
    databases.operational.execute("CREATE TABLE wide (id int, tab regclass, own regtype)")
    (tmp_path / "options.toml").write_text('[wide]\ncolumns = ["id", "own", "tab"]\n[wide.mask]\ntab = "none"\n')
    done = etl("run", TABLES="wide", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
    assert (done.status, refused(done.stderr)) == (2, {"tab", "own"})
