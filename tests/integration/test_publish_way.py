"""The ways of publishing a whole run, ETL_PUBLISH_WAY, and the readers for whom it waits, ETL_READERS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness import Database, Databases, Done, Etl
from tests.situations import ended, settled, until

TABLES = """
CREATE TABLE first (id int PRIMARY KEY, night int);
CREATE TABLE second (id int PRIMARY KEY, night int);
INSERT INTO first SELECT g, 1 FROM generate_series(1, 500) g;
INSERT INTO second TABLE first
"""

CHANGE = "UPDATE first SET night = 2 WHERE id = 1"


@pytest.fixture
def auto(databases: Databases, etl: Etl) -> Etl:
    """Two tables that were copied once with ETL_LOAD=auto, of which a row of the first has changed since."""
    databases.operational.execute(TABLES)
    settled(databases.operational)
    run = Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "first,second"})
    assert run("run").status == 0
    databases.operational.execute(CHANGE)
    return run


def oids(database: Database) -> list[int]:
    return [database.value(f"SELECT '{name}'::regclass::oid") for name in ("first", "second")]


def loads(done: Done) -> list[dict[str, Any]]:
    return [event for event in done.events if event["event"] == "table.loaded"]


def test_by_swap_a_changed_table_is_loaded_whole_and_an_unchanged_one_stays(auto: Etl, databases: Databases) -> None:
    """A table whose rows are the same belongs to both nights."""
    before = oids(databases.reporting)
    done = auto("run", ETL_PUBLISH_WAY="swap")
    assert (done.status, done.stderr) == (0, "")
    said = {one["table"]: (one["load"], one["reason"]) for one in loads(done)}
    assert said == {
        "public.first": ("full", "rows have changed, and the run publishes by swap"),
        "public.second": ("unchanged", "no row has changed"),
    }
    after = oids(databases.reporting)
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert databases.reporting.rows("SELECT * FROM first ORDER BY 1") == databases.operational.rows(
        "SELECT * FROM first ORDER BY 1"
    )


def test_merged_tables_that_were_loaded_whole_stay_too(auto: Etl, databases: Databases) -> None:
    """An older snapshot sees yesterday in both, although one of them was loaded whole."""
    databases.operational.execute("ALTER TABLE second ADD CHECK (night > 0); UPDATE second SET night = 2 WHERE id = 1")
    before = oids(databases.reporting)
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = auto("run", ETL_PUBLISH_WAY="merge")
        assert (done.status, done.stderr) == (0, "")
        assert {one["table"]: one["load"] for one in loads(done)} == {
            "public.first": "delta",
            "public.second": "full",
        }
        both = b"SELECT first.night, second.night FROM first JOIN second USING (id) WHERE id = 1"
        assert report.execute(both).fetchall() == [(1, 1)]
        report.execute("COMMIT")
        assert report.execute(both).fetchall() == [(2, 2)]
    assert oids(databases.reporting) == before


def test_a_run_is_published_in_the_way_for_which_its_tables_were_loaded(auto: Etl, databases: Databases) -> None:
    """The ledger has the decision; a publish that is told another one is a mistake, and changes nothing."""
    assert auto("run", ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    refused = auto("publish", "one", ETL_PUBLISH_WAY="swap")
    assert (refused.status, refused.stderr) == (
        2,
        "etl: ETL_PUBLISH_WAY is swap, and the tables of run one are loaded for merge; set it to auto or merge, or"
        " start a new run\n",
    )
    before = oids(databases.reporting)
    assert auto("publish", "one").status == 0
    assert oids(databases.reporting) == before
    assert databases.reporting.rows("SELECT night FROM first WHERE id = 1") == [(2,)]


KEYLESS = """
CREATE TABLE keyless (night int);
INSERT INTO keyless SELECT 1 FROM generate_series(1, 500);
CREATE INDEX keyless_night ON keyless (night)
"""

THREE = {"TABLES": "first,second,keyless"}


@pytest.fixture
def three(auto: Etl, databases: Databases) -> Etl:
    """A third table without a key, whose rows a run has to copy each night; a row of each has changed since."""
    databases.operational.execute(KEYLESS)
    run = Etl(auto.environment | THREE)
    assert run("run").status == 0
    databases.operational.execute("UPDATE keyless SET night = 2; UPDATE first SET night = 2")
    databases.operational.execute("UPDATE second SET night = 2 WHERE id = 1")
    return run


OF_THREE = (
    b"SELECT (SELECT night FROM first WHERE id = 1), (SELECT night FROM second WHERE id = 1), max(night) FROM keyless"
)


def test_a_run_of_changes_merges_the_tables_too_that_it_has_to_copy_whole(three: Etl, databases: Databases) -> None:
    """So an older snapshot sees yesterday in all of them; `etl check` says it of each."""
    checked = " ".join(three("check").stdout.split())
    assert checked.count("its rows are merged into the live table") == len(THREE["TABLES"].split(","))
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = three("run")
        assert (done.status, done.stderr) == (0, "")
        assert {one["table"]: one["load"] for one in loads(done)} == {
            "public.first": "delta",
            "public.second": "delta",
            "public.keyless": "full",
        }
        assert report.execute(OF_THREE).fetchall() == [(2, 1, 1)]
        report.execute("COMMIT")
        assert report.execute(OF_THREE).fetchall() == [(2, 2, 2)]
    decided = [event for event in done.events if event["event"] == "run.decided"]
    assert [event["way"] for event in decided] == ["merge"]
    assert databases.reporting.rows("SELECT DISTINCT publish_way FROM etl.runs WHERE status = 'published'") == [
        ("merge",),
        ("swap",),
    ]


def test_a_run_with_a_table_that_has_to_be_replaced_replaces_all_that_have_changed(
    three: Etl, databases: Databases
) -> None:
    """So an older snapshot sees today in all of them; the new index has arrived, too."""
    databases.operational.execute("CREATE INDEX later ON keyless (night, night)")
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = three("run")
        assert (done.status, done.stderr) == (0, "")
        assert report.execute(OF_THREE).fetchall() == [(2, 2, 2)]
        report.execute("COMMIT")
    why = "public.keyless has to be replaced: its columns, indexes, constraints, comments or options have changed"
    assert {one["table"]: (one["load"], one["reason"]) for one in loads(done)} == {
        "public.first": ("full", f"rows have changed, and the run publishes by swap: {why}"),
        "public.second": ("full", f"rows have changed, and the run publishes by swap: {why}"),
        "public.keyless": ("full", "no primary key or unique constraint tells its rows apart"),
    }
    assert databases.reporting.rows("SELECT to_regclass('later') IS NOT NULL") == [(True,)]
    databases.operational.execute("UPDATE first SET night = 3 WHERE id = 1")
    assert {one["table"]: one["load"] for one in loads(three("run"))} == {
        "public.first": "delta",
        "public.second": "unchanged",
        "public.keyless": "full",
    }


def test_a_table_whose_load_is_to_be_a_delta_does_not_fail_because_of_another_one(
    three: Etl, databases: Databases, tmp_path: Path
) -> None:
    """It is loaded whole in the night in which another table has to be replaced."""
    (tmp_path / "options.toml").write_text('[first]\nload = "delta"')
    run = Etl(three.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")})
    databases.operational.execute("CREATE INDEX later ON keyless (night, night)")
    assert 'load = "delta" is not possible' not in run("check").stdout
    done = run("run")
    assert (done.status, done.stderr) == (0, "")
    assert {one["load"] for one in loads(done) if one["table"] == "public.first"} == {"full"}
    databases.operational.execute("ALTER TABLE first DROP CONSTRAINT first_pkey")
    assert 'load = "delta" is not possible: no primary key' in run("check").stdout
    assert 'load = "delta" is not possible: no primary key' in run("run").event("table.failed")["error"]


BY_FUNCTION = """
CREATE FUNCTION of_second() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN
    RETURN (SELECT night FROM public.second WHERE id = 1);
END $$;
CREATE MATERIALIZED VIEW seen AS SELECT first.id, of_second() AS night FROM first WHERE id = 1;
CREATE UNIQUE INDEX ON seen (id)
"""


def test_a_view_that_reads_a_replaced_table_by_a_function_shows_an_older_snapshot_the_same_night(
    auto: Etl, databases: Databases
) -> None:
    """It rests on an unchanged table alone, as far as the catalog tells; a concurrent refresh would keep yesterday."""
    databases.reporting.execute(BY_FUNCTION)
    assert auto("run").status == 0
    databases.operational.execute("UPDATE second SET night = 2 WHERE id = 1")
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = auto("run", ETL_PUBLISH_WAY="swap")
        assert (done.status, done.stderr) == (0, "")
        both = b"SELECT seen.night, second.night FROM seen, second WHERE second.id = 1"
        assert report.execute(both).fetchall() == [(2, 2)]


@pytest.mark.parametrize("load", ["auto", "full"])
def test_such_a_view_keeps_yesterday_with_its_tables_where_all_are_in_place(
    auto: Etl, databases: Databases, tmp_path: Path, load: str
) -> None:
    """Nothing is replaced, whatever the run has decided; so an older snapshot sees yesterday in the view, too."""
    (tmp_path / "options.toml").write_text('[defaults]\npublish = "in-place"')
    databases.reporting.execute(BY_FUNCTION)
    options = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert auto("run", **options).status == 0
    databases.operational.execute("UPDATE second SET night = 2 WHERE id = 1; UPDATE first SET night = 3 WHERE id = 1")
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = auto("run", **options, ETL_LOAD=load)
        assert (done.status, done.stderr) == (0, "")
        both = b"SELECT seen.night, second.night FROM seen, second WHERE second.id = 1"
        assert report.execute(both).fetchall() == [(1, 1)]
        report.execute("COMMIT")
        assert report.execute(both).fetchall() == [(2, 2)]


def test_a_table_that_is_new_is_made_beside_merged_ones(three: Etl, databases: Databases) -> None:
    """It has no yesterday. The next night knows what the load has brought, and merges again."""
    databases.operational.execute("CREATE TABLE new (id int PRIMARY KEY); INSERT INTO new VALUES (1)")
    both = {"TABLES": f"{THREE['TABLES']},new"}
    for load in ("full", "unchanged"):
        done = three("run", **both)
        assert (done.status, done.stderr) == (0, "")
        assert [event["way"] for event in done.events if event["event"] == "run.decided"] == ["merge"]
        assert {one["load"] for one in loads(done) if one["table"] == "public.new"} == {load}
    assert databases.reporting.rows("TABLE new") == [(1,)]


def test_what_somebody_drops_from_a_live_table_comes_back(three: Etl, databases: Databases) -> None:
    """An index or a key that the source brings; without the key, no night would copy changes alone any more."""
    databases.reporting.execute("ALTER TABLE second DROP CONSTRAINT second_pkey; DROP INDEX keyless_night")
    done = three("run")
    assert (done.status, done.stderr) == (0, "")
    assert done.event("run.decided")["reason"] == (
        "public.keyless has to be replaced (and 1 more): the live table lacks keyless_night"
    )
    assert databases.reporting.value(
        "SELECT to_regclass('second_pkey') IS NOT NULL AND to_regclass('keyless_night') IS NOT NULL"
    )
    databases.operational.execute("UPDATE first SET night = 3 WHERE id = 1")
    assert three("run").event("run.decided")["way"] == "merge"


def test_what_the_source_drops_in_a_night_that_merges_goes_with_the_next_one_that_decides(
    auto: Etl, databases: Databases
) -> None:
    """It is no addition of the reporting side, and does not stand in the way of rows that it forbids."""
    databases.operational.execute("ALTER TABLE first ADD other int; UPDATE first SET other = id")
    databases.operational.execute("ALTER TABLE first ADD CONSTRAINT others UNIQUE (other)")
    settled(databases.operational)
    assert auto("run").status == 0
    databases.operational.execute("ALTER TABLE first DROP CONSTRAINT others; UPDATE first SET night = 2 WHERE id = 1")
    assert auto("run", ETL_PUBLISH_WAY="merge").status == 0
    databases.operational.execute("UPDATE first SET other = 7 WHERE id = 8")
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.value("SELECT to_regclass('others') IS NULL AND count(*) = 2 FROM first WHERE other = 7")


def test_a_lost_live_table_is_made_again_with_its_indexes(three: Etl, databases: Databases) -> None:
    """Somebody drops it between two runs; the run has nothing to merge its rows into."""
    databases.reporting.execute("DROP TABLE keyless")
    done = three("run")
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT to_regclass('keyless_night') IS NOT NULL, max(night) FROM keyless") == [
        (True, 2)
    ]


def test_with_readers_by_statement_a_merge_waits_for_no_transaction(auto: Etl, databases: Databases) -> None:
    """A READ COMMITTED transaction then sees both nights; without that setting the publish waits for it."""
    with databases.reporting.connect() as report:
        report.execute("BEGIN")
        assert report.execute("SELECT night FROM first WHERE id = 1").fetchall() == [(1,)]
        waits = auto("run", ETL_PUBLISH_DEADLINE="1")
        assert waits.status == 1
        assert f"held by pid {report.info.backend_pid}" in waits.stderr
        done = auto("run", ETL_READERS="statement", ETL_PUBLISH_DEADLINE="1")
        assert (done.status, done.stderr) == (0, "")
        assert report.execute("SELECT night FROM first WHERE id = 1").fetchall() == [(2,)]


def test_in_a_mixed_run_changes_that_would_take_too_long_to_merge_are_loaded_whole(
    auto: Etl, databases: Databases
) -> None:
    """The ledger knows how long the last merge took for a row; a table whose changes fit is still merged."""
    auto = Etl(auto.environment | {"ETL_PUBLISH_WAY": "mixed"})
    databases.operational.execute(
        "UPDATE first SET night = 3; INSERT INTO first SELECT g, 3 FROM generate_series(501, 1600) g"
    )
    settled(databases.operational)
    assert auto("run").status == 0
    databases.operational.execute(
        "UPDATE first SET night = 4 WHERE id <= 1000; UPDATE second SET night = 4 WHERE id = 1"
    )
    assert auto("run").status == 0
    of_first = "SELECT load, rows_changed, rows_deleted, merge_seconds > 0 FROM etl.loads WHERE relation_name = 'first'"
    last = " AND status = 'published' ORDER BY published_at DESC LIMIT 1"
    assert databases.reporting.rows(of_first + last) == [("delta", 1000, 0, True)]
    of_merge = "UPDATE etl.loads SET merge_seconds = 1000, rows_deleted = {} WHERE rows_changed = 1000"
    databases.reporting.execute(of_merge.format(1_000_000))  # the gone rows have taken most of it
    changes = "UPDATE first SET night = 5 WHERE id <= 301; UPDATE second SET night = 5 WHERE id = 1"
    databases.operational.execute(changes)
    assert {one["load"] for one in loads(auto("run"))} == {"delta"}
    databases.reporting.execute(of_merge.format(0))
    databases.operational.execute(changes)
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")
    said = {one["table"]: (one["load"], one["reason"]) for one in loads(done)}
    assert said["public.first"] == (
        "full",
        "301 rows have changed, whose merge would take about 301 s; with other tables that is more than the 300 s of"
        " ETL_MERGE_MAX",
    )
    assert said["public.second"][0] == "delta"
    assert databases.reporting.rows(of_first + last) == [("full", None, None, None)]
    of_long_ago = "UPDATE etl.loads SET published_at = published_at - interval '31 days' WHERE rows_changed = 1000"
    databases.reporting.execute(of_long_ago)
    databases.operational.execute(changes)
    assert {one["load"] for one in loads(auto("run"))} == {"delta"}  # one slow merge does not decide for ever


def fanned_out(run: Etl, databases: Databases, name: str) -> list[Done]:
    """A run of a holder, two shards and a publish; returns the holder, and the shards."""
    tables = run.environment["TABLES"]
    shared = {"ETL_RUN_ID": name, "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
    has_snapshot = f"SELECT FROM etl.runs WHERE run_id = '{name}' AND snapshot_id IS NOT NULL"
    with run.started("snapshot", ETL_RUN_ID=name, TABLES=tables) as holder:
        until(lambda: databases.reporting.rows(has_snapshot), "the snapshot in the ledger")
        some, other = tables.rsplit(",", 1)
        shards = [
            run("run", TABLES=names, ETL_SHARD=str(number), **shared) for number, names in enumerate((some, other))
        ]
        done = [ended(holder), *shards]
    assert [(one.status, one.stderr) for one in (*done, run("publish", name))] == [(0, "")] * 4
    return done


def test_the_holder_of_the_snapshot_decides_for_all_shards(three: Etl, databases: Databases) -> None:
    """What one shard has to replace, or may merge, is known to the others; an older snapshot sees one night."""
    for number, (change, way, seen) in enumerate(
        (
            ("SELECT", "merge", (2, 1, 1)),
            (
                "CREATE INDEX later ON keyless (night, night); UPDATE first SET night = 3 WHERE id = 1",
                "swap",
                (3, 2, 2),
            ),
        )
    ):
        databases.operational.execute(change)
        with databases.reporting.connect() as report:
            report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            report.execute("SELECT 1 FROM pg_class LIMIT 1")
            holder, *shards = fanned_out(three, databases, f"night {number}".replace(" ", "-"))
            assert report.execute(OF_THREE).fetchall() == [seen]
            report.execute("COMMIT")
        assert holder.event("run.decided")["way"] == way
        assert not [event for one in shards for event in one.events if event["event"] == "run.decided"]
        changed = {"merge": "delta", "swap": "full"}[way]
        assert {one["table"]: one["load"] for shard in shards for one in loads(shard)} == {
            "public.first": changed,
            "public.second": "delta" if number == 0 else "unchanged",
            "public.keyless": "full",
        }


def test_a_shard_that_is_told_another_way_than_the_holder_is_a_mistake(three: Etl, databases: Databases) -> None:
    """The run goes one way."""
    with three.started("snapshot", ETL_RUN_ID="tonight") as holder:
        decided = "SELECT FROM etl.runs WHERE run_id = 'tonight' AND snapshot_id IS NOT NULL"
        until(lambda: databases.reporting.rows(decided), "the snapshot in the ledger")
        shared = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
        refused = three("run", TABLES="first", ETL_SHARD="0", ETL_PUBLISH_WAY="mixed", **shared)
        assert refused.status == 2
        assert "ETL_PUBLISH_WAY is mixed, and the tables of run tonight are loaded for merge" in refused.stderr
        assert three("abort", "tonight").status == 0
        ended(holder)


def test_in_a_fan_out_a_table_that_refers_to_one_of_another_shard_is_replaced_with_it(
    auto: Etl, databases: Databases
) -> None:
    """A foreign key of an unchanged table would hold the old one; its shard knows the other tables of the run."""
    run = Etl(auto.environment | {"ETL_PUBLISH_WAY": "swap"})
    databases.reporting.execute("ALTER TABLE first ADD FOREIGN KEY (id) REFERENCES second")
    assert run("run").status == 0
    databases.operational.execute("UPDATE second SET night = 2 WHERE id = 1")
    _, *shards = fanned_out(run, databases, "tonight")
    assert {one["table"]: (one["load"], one["reason"]) for shard in shards for one in loads(shard)} == {
        "public.first": ("full", "public.second, to which it refers, is replaced"),
        "public.second": ("full", "rows have changed, and the run publishes by swap"),
    }


def test_a_run_that_has_decided_to_merge_swaps_no_table_that_is_to_be_swapped_by_now(
    three: Etl, databases: Databases, tmp_path: Path
) -> None:
    """An option that comes between the loads and the publish is the next run's; this one's tables go one way."""
    assert three("run", ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    (tmp_path / "options.toml").write_text('[keyless]\npublish = "swap"')
    with databases.reporting.connect() as report:
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT 1 FROM pg_class LIMIT 1")
        done = three("publish", "one", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
        assert (done.status, done.stderr) == (0, "")
        assert report.execute(OF_THREE).fetchall() == [(2, 1, 1)]
        report.execute("COMMIT")
        assert report.execute(OF_THREE).fetchall() == [(2, 2, 2)]


NEVER = """
CREATE FUNCTION never() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;
CREATE EVENT TRIGGER guards ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS', 'CREATE SCHEMA')
    EXECUTE FUNCTION never()
"""


@pytest.mark.superuser("event triggers")
@pytest.mark.parametrize("tag", ["CREATE TABLE AS", "CREATE SCHEMA"])
def test_a_target_that_rejects_what_only_merges_need_is_told_and_swapped(
    three: Etl, databases: Databases, tag: str
) -> None:
    """No night fails for it, and `etl check` says it in advance."""
    if tag == "CREATE SCHEMA":  # before a load of changes has needed it
        databases.reporting.execute("DROP SCHEMA etl_staginggone_public")
    databases.reporting.execute(NEVER)
    why = f"rows cannot be merged: the target rejects {tag} by postgres: never; disable event trigger guards"
    assert why in " ".join(three("check").stdout.split())
    done = three("run")
    assert (done.status, done.stderr, done.event("run.decided")["way"]) == (0, "", "swap")
    assert {one["reason"].startswith(why) for one in loads(done) if one["table"] == "public.first"} == {True}
    assert databases.reporting.rows(OF_THREE.decode()) == [(2, 2, 2)]


@pytest.mark.superuser("event triggers")
def test_after_a_merge_that_the_server_refuses_the_next_night_swaps(three: Etl, databases: Databases) -> None:
    """What nothing foresees does not come each night. A table that was loaded whole has an older base to forget."""
    databases.reporting.execute("UPDATE second SET night = 7 WHERE id = 3")
    assert three("run", ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    staged = "SELECT relation_name::text, load FROM etl.loads WHERE run_id = 'one' ORDER BY 1"
    assert databases.reporting.rows(staged) == [("first", "delta"), ("keyless", "full"), ("second", "full")]
    databases.reporting.execute(NEVER)
    failed = three("publish", "one")
    said = "etl: the publish failed, the live tables are as they were: never\n"
    assert (failed.status, failed.stderr) == (1, said)
    databases.reporting.execute("DROP EVENT TRIGGER guards")
    done = three("run")
    assert (done.status, done.stderr, done.event("run.decided")["way"]) == (0, "", "swap")
    assert databases.reporting.rows(OF_THREE.decode()) == [(2, 2, 2)]


def test_many_small_tables_are_copied_without_a_question(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """It would take longer than the copy; an option that wants changes alone wants the question, too."""
    make = "CREATE TABLE t%s (id int PRIMARY KEY); INSERT INTO t%1$s VALUES (1)"
    databases.operational.execute(f"DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE format('{make}', i); END LOOP; END $$")
    settled(databases.operational)
    why = "50 tables have 0 MB in all; to look for changes takes longer than to copy all rows"
    for _ in range(2):
        done = etl("run", TABLES="t*")
        assert (done.status, done.stderr) == (0, "")
        assert {(one["load"], one["reason"]) for one in loads(done)} == {("full", why)}
        assert (done.event("run.decided")["way"], done.event("run.decided")["reason"]) == ("swap", why)
    assert f"the next load copies all rows: {why}" in " ".join(etl("check", TABLES="t*").stdout.split())
    assert "reason" not in etl("run", TABLES="t*", ETL_LOAD="full").event("run.decided")
    (tmp_path / "options.toml").write_text('[t1]\nload = "delta"')
    wants = {"TABLES": "t*", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert [{one["load"] for one in loads(etl("run", **wants))} for _ in range(2)] == [{"full"}, {"unchanged"}]


def test_a_limit_for_gone_rows_holds_among_many_small_tables(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Only a load of changes knows the gone rows; a run that asks for none would never look at the limit."""
    make = "CREATE TABLE t%s (id int PRIMARY KEY); INSERT INTO t%1$s SELECT generate_series(1, 200)"
    databases.operational.execute(f"DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE format('{make}', i); END LOOP; END $$")
    settled(databases.operational)
    (tmp_path / "options.toml").write_text('[t1]\ndeleted_at_most = "30%"')
    wants = {"TABLES": "t*", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert etl("run", **wants).status == 0
    databases.operational.execute("DELETE FROM t1 WHERE id <= 80; INSERT INTO t1 SELECT generate_series(1001, 1070)")
    stopped = etl("run", **wants)
    assert (stopped.status, stopped.event("table.stopped")["rows_deleted"]) == (1, 80)
    assert databases.reporting.value("SELECT min(id) FROM t1") == 1


def refused_and_run_again(auto: Etl, databases: Databases, change: str, said: str) -> None:
    """A deferred run that a change before its publish stops, with these words; the next run goes."""
    assert auto("run", ETL_RUN_ID="one", ETL_PUBLISH="defer").status == 0
    databases.reporting.execute(change)
    refused = auto("publish", "one")
    assert refused.status == 1
    assert said in refused.stderr
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")


VIEW = "CREATE MATERIALIZED VIEW m AS SELECT id, night FROM first WHERE id = 1; CREATE UNIQUE INDEX m_id ON m (id)"

BETWEEN = {
    "a view without a unique index comes": "CREATE MATERIALIZED VIEW other AS SELECT id, night FROM first WHERE id = 1",
    "a view loses its unique index": "DROP INDEX m_id",
}


@pytest.mark.parametrize("what", BETWEEN)
def test_a_view_that_only_its_readers_wait_for_stops_a_publish_that_was_decided_to_merge(
    auto: Etl, databases: Databases, what: str
) -> None:
    """It comes hours after the decision; an older snapshot would see today in it, and yesterday in the tables."""
    databases.reporting.execute(VIEW)
    said = "since the run has decided to merge rows; an older snapshot would see two nights; give"
    refused_and_run_again(auto, databases, BETWEEN[what], said)
    assert databases.reporting.rows("SELECT m.night, first.night FROM m JOIN first USING (id)") == [(2, 2)]


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_publish_that_merges_waits_for_a_transaction_that_has_read_a_refreshed_view(
    auto: Etl, databases: Databases, level: str
) -> None:
    """It goes on to the tables of the same night; as with swapped tables, the publish waits until it ends."""
    databases.reporting.execute(VIEW)
    with databases.reporting.connect() as report:
        report.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
        assert report.execute("SELECT night FROM m").fetchall() == [(1,)]
        waits = auto("run", ETL_PUBLISH_DEADLINE="1")
        assert waits.status == 1
        assert f"held by pid {report.info.backend_pid}" in waits.stderr
        assert report.execute("SELECT night FROM first WHERE id = 1").fetchall() == [(1,)]
        report.execute("COMMIT")
    assert auto("run").status == 0
    assert databases.reporting.rows("SELECT m.night, first.night FROM m JOIN first USING (id)") == [(2, 2)]


def test_a_live_column_that_takes_no_null_is_replaced_where_null_may_arrive(auto: Etl, databases: Databases) -> None:
    """Somebody has set it NOT NULL by hand; a merge would fail, and a swap does not know it."""
    databases.reporting.execute("ALTER TABLE first ALTER night SET NOT NULL")
    databases.operational.execute("UPDATE first SET night = NULL WHERE id = 1")
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")
    assert "night of the live table is NOT NULL, and NULL may arrive" in done.event("run.decided")["reason"]
    assert databases.reporting.rows("SELECT night FROM first WHERE id = 1") == [(None,)]


def test_a_ledger_of_an_older_version_costs_one_night_of_full_loads(auto: Etl, databases: Databases) -> None:
    """Also where changes alone are wanted: what the last load brought is not known, and is then recorded."""
    databases.reporting.execute("UPDATE etl.loads SET shape = NULL")
    for load in ("full", "unchanged"):
        done = auto("run", ETL_LOAD="delta")
        assert (done.status, done.stderr) == (0, "")
        assert {one["load"] for one in loads(done)} == {load}


def test_an_index_that_could_not_be_built_is_tried_again_when_the_table_is_due(
    auto: Etl, databases: Databases, tmp_path: Path
) -> None:
    """Nights that merge build none, and it may be possible by now."""
    (tmp_path / "options.toml").write_text('[first]\nunbuildable_indexes = "skip"\nfull_every = "3 nights"')
    run = Etl(auto.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")})
    function = "CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1'"
    databases.operational.execute(f"{function}; CREATE INDEX later ON first (f(night))")
    assert run("run").event("index.skipped")["index"] == "later"
    databases.reporting.execute(function)
    ways = []
    for number in range(3):
        databases.operational.execute(f"UPDATE first SET night = {number} WHERE id = 1")
        ways.append(run("run").event("run.decided")["way"])
    assert ways == ["merge", "merge", "swap"]
    assert databases.reporting.value("SELECT to_regclass('later') IS NOT NULL")


def test_a_table_that_is_filled_again_under_new_keys_stops_no_night(auto: Etl, databases: Databases) -> None:
    """It loses all of its rows by key, and none by number."""
    databases.operational.execute("DELETE FROM first; INSERT INTO first SELECT g, 2 FROM generate_series(1001, 1500) g")
    done = auto("run")
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.rows("SELECT count(*), min(id) FROM first") == [(500, 1001)]


@pytest.mark.superuser("limits the temporary files of a database")
def test_what_a_server_refuses_to_a_load_of_changes_makes_it_a_full_one(databases: Databases, etl: Etl) -> None:
    """A full load needs fewer temporary files; the reason has the server's words."""
    long = "SELECT g AS id, 'n' || g || repeat('x', 50) AS note FROM generate_series(1, 60000) g"
    databases.operational.execute(f"CREATE TABLE orders AS {long}; ALTER TABLE orders ADD PRIMARY KEY (id)")
    settled(databases.operational)
    for limit in ("temp_file_limit = '200kB'", "work_mem = '64kB'"):
        databases.reporting.execute(f"ALTER DATABASE {databases.reporting.name} SET {limit}")
    seen = []
    for night in range(3):
        update, delete = "UPDATE orders SET note = 'y' WHERE id % 1000 = {}", "DELETE FROM orders WHERE id % 5000 = 1{}"
        databases.operational.execute(f"{update.format(night)}; {delete.format(night)}")
        done = etl("run", TABLES="orders", ETL_PUBLISH_WAY="mixed")
        assert (done.status, done.stderr) == (0, "")
        seen.append(done.event("table.loaded")["reason"])
    assert any(reason.startswith("its changes cannot be read: temporary file size exceeds") for reason in seen)
    assert databases.reporting.rows("SELECT count(*) FROM orders") == databases.operational.rows(
        "SELECT count(*) FROM orders"
    )


def test_changes_are_not_merged_into_a_table_that_has_lost_its_key_since(auto: Etl, databases: Databases) -> None:
    """By whole rows, the merge would delete all that have not changed."""
    said = "public.first: the live table has lost the key by which its changes were loaded; run again"
    refused_and_run_again(auto, databases, "ALTER TABLE first DROP CONSTRAINT first_pkey", said)
    assert databases.reporting.rows("SELECT count(*), max(night) FROM first") == [(500, 2)]
    assert databases.reporting.value("SELECT to_regclass('first_pkey') IS NOT NULL")
