"""Nights that copy only what has changed: the live table equals the source, and the load says what it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from tests.harness import Database, Databases, Done, Etl
from tests.situations import gate_closed, make_gate, settled, until, waiting

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, note text, at timestamptz DEFAULT now());
INSERT INTO orders SELECT g, 'note ' || g FROM generate_series(1, 500) g;
"""


FIRST = "it has not been published with a base before, or its changes could not be published"


@pytest.fixture
def night(databases: Databases, etl: Etl) -> Night:
    """A table of orders that was copied once, with ``load`` auto."""
    databases.operational.execute(ORDERS)
    settled(databases.operational)
    one = Night(databases, Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "orders"}))
    assert one.passes("full").event("table.loaded")["reason"].startswith("it has not been published with a base before")
    return one


class Sessions(list[psycopg.Connection[Any]]):
    """The sessions of the source that a day has left open."""


class Night:
    """Runs of one table, each compared with its source."""

    def __init__(self, both: Databases, etl: Etl) -> None:
        self.both, self.etl = both, etl

    def passes(self, load: str, *others: str, **variables: str) -> Done:
        """A run that succeeds, with a load of this kind, after which both sides are equal."""
        done = self.etl("run", **variables)
        assert (done.status, done.stderr) == (0, "")
        said = done.event("table.loaded")
        assert said["load"] in {load, *others}, said
        assert self.rows(self.both.reporting) == self.rows(self.both.operational)
        assert self.both.staging_tables() == []
        return done

    def tells(self, days: Mapping[str, tuple[str, str]]) -> None:
        """Nights after some days, of which one follows the other: no load is full, and its reason has these words."""
        for what, (statements, said) in days.items():
            self.both.operational.execute(statements or "SELECT")
            reason = self.passes("delta", "unchanged").event("table.loaded")["reason"]
            assert said in reason, f"{what}: {reason}"

    def lives_through(self, nights: int, day: Callable[[int, Sessions], object]) -> list[dict[str, Any]]:
        """So many nights, each after a day that may leave open sessions; returns the events of the loads."""
        said, sessions = [], Sessions()
        for number in range(nights):
            day(number, sessions)
            said.append(self.passes("delta", "unchanged", "full").event("table.loaded"))
        for session in sessions:
            session.close()
        return said

    def rows(self, database: Database) -> list[tuple[Any, ...]]:
        """All rows of the table, as bytes."""
        return database.rows("SELECT md5(orders::text), orders::text FROM orders ORDER BY 1, 2")

    def loads(self) -> list[tuple[Any, ...]]:
        """What the ledger has of the last load."""
        return self.both.reporting.rows(
            "SELECT load, rows, reason FROM etl.loads WHERE status = 'published' ORDER BY published_at DESC LIMIT 1"
        )


def test_a_night_without_a_change_copies_nothing(night: Night) -> None:
    """The load is unchanged, no row of the live table is written, and its rows are still counted."""
    before = night.both.reporting.rows("SELECT ctid, xmin, id FROM orders")
    done = night.passes("unchanged")
    assert done.event("table.loaded")["bytes"] == 0
    assert night.loads() == [("unchanged", 500, "no row has changed")]
    assert night.both.reporting.rows("SELECT ctid, xmin, id FROM orders") == before
    night.passes("unchanged")


def test_changed_new_and_deleted_rows_are_all_that_is_written(night: Night) -> None:
    """The oid and the unchanged rows of the live table stay; the ledger says how many rows changed."""
    oid = night.both.reporting.value("SELECT 'orders'::regclass::oid")
    kept = "SELECT ctid, xmin, id FROM orders WHERE id NOT IN (3, 7) ORDER BY id"
    before = night.both.reporting.rows(kept)
    night.both.operational.execute(
        "UPDATE orders SET note = 'new' WHERE id = 3; DELETE FROM orders WHERE id = 7;"
        "INSERT INTO orders VALUES (501, 'more'); UPDATE orders SET id = 600 WHERE id = 9"
    )
    night.passes("delta")
    assert night.loads() == [("delta", 500, "3 rows changed and 2 gone, 1 % of 500")]
    assert night.both.reporting.value("SELECT 'orders'::regclass::oid") == oid
    after = [row for row in night.both.reporting.rows(kept) if row[2] not in {501, 600}]
    assert after == [row for row in before if row[2] != 9]
    night.passes("unchanged")


def test_a_sample_does_not_count_the_pages_of_long_values(night: Night) -> None:
    """Most pages of the table are TOAST; a few hundred changed rows are still copied alone."""
    source = night.both.operational
    source.execute(
        "ALTER TABLE orders ADD body text, ADD plain text; ALTER TABLE orders ALTER body SET STORAGE EXTERNAL,"
        " ALTER plain SET STORAGE PLAIN; UPDATE orders SET body = repeat('x', 60000), plain = repeat('y', 4000)"
    )
    settled(source)
    night.passes("full")
    source.execute("UPDATE orders SET note = 'new' WHERE id <= 400")
    settled(source)
    night.passes("delta")
    assert night.loads() == [("delta", 500, "400 rows changed and 0 gone, 80 % of 500")]


SOURCE_DOUBTS = {
    "the table has another's name": (
        "ALTER TABLE orders RENAME TO old; CREATE TABLE orders (LIKE old INCLUDING ALL); INSERT INTO orders TABLE old",
        "the definition",
    ),
    "a column was added with a default": ("ALTER TABLE orders ADD COLUMN more int DEFAULT 7", "the definition"),
    "a column was dropped": ("ALTER TABLE orders DROP COLUMN at", "the definition"),
    "an index was added": ("CREATE INDEX ON orders (note)", "the definition"),
    "a comment was added": ("COMMENT ON TABLE orders IS 'ours'", "the definition"),
    "a child inherits": (
        "CREATE TABLE child () INHERITS (orders); INSERT INTO child VALUES (901, 'child')",
        "other tables inherit from it",
    ),
    "most rows have changed": (
        "INSERT INTO orders SELECT g FROM generate_series(601, 1700) g",
        "1,100 of 1,600 rows have changed",
    ),
    "the key is deferrable": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ADD PRIMARY KEY (id) DEFERRABLE",
        "no primary key or unique constraint",
    ),
}


@pytest.mark.parametrize("kept", [10, 100])
def test_many_gone_rows_make_a_full_load(night: Night, kept: int) -> None:
    """To delete more than a twentieth of the rows one by one costs more than to copy those that are left."""
    night.both.operational.execute("INSERT INTO orders SELECT g, 'more' FROM generate_series(1001, 40000) g")
    settled(night.both.operational)
    night.passes("full")
    night.both.operational.execute(f"DELETE FROM orders WHERE id > 500 AND id % {kept} = 0")
    settled(night.both.operational)
    kind = {10: "full", 100: "delta"}[kept]
    reason = night.passes(kind, ETL_PUBLISH_WAY="mixed").event("table.loaded")["reason"]
    assert (
        reason
        == {
            10: "3,900 of 39,500 rows have changed or are gone",
            100: "0 rows changed and 390 gone, 1 % of 39,110",
        }[kept]
    )


@pytest.mark.parametrize("share", [3, 30])
def test_a_sample_of_a_big_table_shows_that_many_rows_have_changed(night: Night, share: int) -> None:
    """Then nobody counts all of them: the night that copies all costs no more than it did."""
    source = night.both.operational
    source.execute("INSERT INTO orders SELECT g, repeat('x', 700) FROM generate_series(1001, 25000) g")
    settled(source)
    night.passes("full")
    source.execute(f"UPDATE orders SET at = now() WHERE id > 500 AND id % 100 < {share}")
    settled(source)
    kind, reason = {
        3: ("delta", r"720 rows changed and 0 gone, 2\.9 % of 24,500$"),
        30: ("full", "about [23][0-9] % of its rows have changed$"),
    }[share]
    assert re.match(reason, night.passes(kind, ETL_PUBLISH_WAY="mixed").event("table.loaded")["reason"])


@pytest.mark.parametrize("what", SOURCE_DOUBTS)
def test_a_table_of_the_source_that_is_not_the_same_is_loaded_whole(night: Night, what: str) -> None:
    """The load is full, says why, and is the base of the next night."""
    statements, reason = SOURCE_DOUBTS[what]
    night.both.operational.execute(statements)
    assert reason in night.passes("full", ETL_PUBLISH_WAY="mixed").event("table.loaded")["reason"]


LIVE_DOUBTS = {
    "a row was changed": ("UPDATE orders SET note = 'mine' WHERE id = 4", "others have written 1 rows"),
    "a row was added": ("INSERT INTO orders VALUES (-1, 'mine')", "others have written 1 rows"),
    "a row was deleted": ("DELETE FROM orders WHERE id = 4", "has 499 rows, and 500 were published"),
    "one row for another": (
        "DELETE FROM orders WHERE id = 4; INSERT INTO orders VALUES (-1, 'mine')",
        "others have written 1 rows",
    ),
    "all rows were written again": (
        "CREATE TABLE o AS TABLE orders; TRUNCATE orders; INSERT INTO orders TABLE o; DROP TABLE o",
        "others have written 500 rows",
    ),
    "it is another table": (
        "ALTER TABLE orders RENAME TO old; CREATE TABLE orders (LIKE old INCLUDING ALL); INSERT INTO orders TABLE old;"
        "DROP TABLE old; ALTER INDEX orders_pkey1 RENAME TO orders_pkey",
        "the live table is another one",
    ),
    "a column lost its values": (
        "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text",
        "the live table's columns have changed",
    ),
    "a trigger would fire": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f()",
        "rows cannot be merged: trigger t on table public.orders would fire, but not where the table is replaced; drop"
        ' or disable that, or set publish = "in-place" and triggers = "fire" for the table',
    ),
    "it has no key": ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", "the live table lacks orders_pkey"),
}


@pytest.mark.parametrize("what", LIVE_DOUBTS)
def test_a_live_table_that_is_not_as_it_was_published_is_loaded_whole(night: Night, what: str) -> None:
    """What others have changed in it is gone after the night, and the load says what it was."""
    statements, reason = LIVE_DOUBTS[what]
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1")
    night.both.reporting.execute(statements)
    assert reason in night.passes("full").event("table.loaded")["reason"]


FIRES = """
CREATE TABLE told (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  INSERT INTO public.told VALUES (TG_OP || coalesce(OLD.id, NEW.id)); RETURN NULL; END$$;
CREATE FUNCTION exchange() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
  IF pg_trigger_depth() > 1 THEN RETURN OLD; END IF;
  DELETE FROM public.orders WHERE id = 9; RETURN NULL; END$$;
CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END$$;
CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION tell()
"""

CHANGES_MORE = {
    "keeps a row, and deletes another": (
        "CREATE TRIGGER u BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION exchange()",
        "public.orders has 500 rows after its changes, and the source 500; 0 of the changed rows are missing,"
        " 1 of the gone rows are still there, and 2 rows were written instead of 2",
    ),
    "keeps a row": ("CREATE RULE u AS ON DELETE TO orders DO INSTEAD NOTHING", "has 501 rows after its changes"),
    "changes a value": (
        "CREATE TRIGGER u BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION louder()",
        "1 of the changed rows are missing",
    ),
}


def test_triggers_that_may_fire_do_so_for_what_has_changed(night: Night, tmp_path: Path) -> None:
    """In place they fire for rows that differ, whether all rows were copied or those that have changed."""
    (tmp_path / "options.toml").write_text('[orders]\npublish = "in-place"\ntriggers = "fire"')
    fire = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    target, source = night.both.reporting, night.both.operational
    target.execute(FIRES)
    for kind in ("full", "auto"):
        source.execute(
            "UPDATE orders SET note = note || 'x' WHERE id = 3; UPDATE orders SET id = id WHERE id = 4;"
            "DELETE FROM orders WHERE id = 9; INSERT INTO orders VALUES (501, 'more')"
        )
        done = night.etl("run", ETL_LOAD=kind, **fire)
        assert (done.status, done.stderr, night.rows(target)) == (0, "", night.rows(source))
        assert target.rows("DELETE FROM told RETURNING what") == [("DELETE9",), ("UPDATE3",), ("INSERT501",)]
        source.execute("DELETE FROM orders WHERE id = 501; INSERT INTO orders VALUES (9, 'again')")
        done = night.etl("run", **fire)
        assert (done.status, done.stderr, night.rows(target)) == (0, "", night.rows(source))
        target.execute("TRUNCATE told")
    assert night.loads() == [("delta", 500, "1 rows changed and 1 gone, 0.4 % of 500")]


@pytest.mark.parametrize("what", CHANGES_MORE)
def test_a_trigger_that_changes_other_rows_than_the_source_is_not_published(
    night: Night, tmp_path: Path, what: str
) -> None:
    """Also one by which the numbers of rows balance: a row that is gone stays, and one that stays is deleted."""
    (tmp_path / "options.toml").write_text('[orders]\npublish = "in-place"\ntriggers = "fire"')
    statement, said = CHANGES_MORE[what]
    night.both.reporting.execute(f"{FIRES}; {statement}")
    before = night.rows(night.both.reporting)
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 3; DELETE FROM orders WHERE id = 7")
    night.both.operational.execute("INSERT INTO orders VALUES (501, 'more')")
    done = night.etl("run", ETL_OPTIONS_FILE=str(tmp_path / "options.toml"))
    assert (done.status, done.event("table.loaded")["load"]) == (1, "delta")
    assert said in done.stderr
    assert night.rows(night.both.reporting) == before


def test_a_transaction_older_than_the_publish_is_seen_when_it_writes_later(night: Night) -> None:
    """Its id is below those of the publish; the publish's snapshot knows that it has not ended."""
    with night.both.reporting.connect() as session:
        session.execute("BEGIN; SELECT pg_current_xact_id()")
        night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1")
        night.passes("delta")
        session.execute("UPDATE orders SET note = 'mine' WHERE id = 2")
        session.execute("COMMIT")
    assert "others have written 1 rows" in night.passes("full").event("table.loaded")["reason"]


def test_a_table_that_could_not_be_loaded_by_its_changes_fails_if_that_is_asked_for(night: Night) -> None:
    """``load = delta`` loads whole the first time only."""
    night.passes("unchanged", ETL_LOAD="delta")
    night.both.reporting.execute("DELETE FROM orders WHERE id = 4")
    done = night.etl("run", ETL_LOAD="delta")
    assert done.status == 1
    assert 'load = "delta" is not possible: the live table has 499 rows' in done.event("table.failed")["error"]


def test_a_table_that_others_write_each_day_is_soon_loaded_whole_at_once(night: Night) -> None:
    """Its rows are counted five times for nothing, and again after some weeks; then a good day brings changes alone."""
    source, target, hopeless = night.both.operational, night.both.reporting, "its changes could not be used in"
    reasons = []
    for day in range(7):
        source.execute(f"UPDATE orders SET note = 'of the day {day}' WHERE id = 1")
        target.execute("UPDATE orders SET note = 'by hand' WHERE id = 2")
        reasons.append(night.passes("full").event("table.loaded")["reason"])
    assert all("others have written 1 rows" in reason for reason in reasons[:5])
    assert [reason for reason in reasons if hopeless in reason] == reasons[5:]
    assert f"{hopeless} 7 nights; they are counted again in 23" in night.etl("check").stdout
    target.execute("UPDATE etl.loads SET base = jsonb_set(base::jsonb, '{in_vain}', '30')::json")
    target.execute("UPDATE orders SET note = 'by hand' WHERE id = 2")
    assert "others have written 1 rows" in night.passes("full").event("table.loaded")["reason"]
    target.execute("UPDATE etl.loads SET base = jsonb_set(base::jsonb, '{in_vain}', '60')::json")
    night.passes("unchanged")
    target.execute("UPDATE orders SET note = 'by hand' WHERE id = 2")
    assert "others have written 1 rows" in night.passes("full").event("table.loaded")["reason"]


def test_a_source_that_does_not_tell_its_history_is_copied_whole_each_night(night: Night) -> None:
    """The reason says so each night, and ``etl check`` in advance; ``load = delta`` fails at once, and not for ever."""
    source = night.both.operational
    source.execute("DROP ROLE IF EXISTS outsider; CREATE ROLE outsider LOGIN; GRANT SELECT ON orders TO outsider")
    source.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC")
    as_outsider = {"ETL_OPERATIONAL_URL": source.server.url(source.name, user="outsider")}
    try:
        hidden = "the source does not tell its history, or has not flushed it"
        reasons = [night.passes("full", **as_outsider).event("table.loaded")["reason"] for _ in range(2)]
        assert reasons[0] == f"{hidden}, so the next load copies all rows, too"
        assert reasons[1] == f"{FIRST}; {hidden}, so the next load copies all rows, too"
        assert hidden in night.etl("check", **as_outsider).stdout
        done = night.etl("run", ETL_LOAD="delta", **as_outsider)
        assert (done.status, done.event("table.failed")["error"]) == (1, f'load = "delta" is not possible: {hidden}')
        assert night.etl("check", ETL_LOAD="delta", **as_outsider).status == 1
    finally:
        source.execute("DROP OWNED BY outsider; DROP ROLE outsider")
    night.passes("full")
    night.passes("unchanged")


def test_a_table_is_loaded_whole_again_after_so_many_nights(night: Night, tmp_path: Path) -> None:
    """``full_every`` counts the nights since the last full load, also for ``load = delta``."""
    options = tmp_path / "options.toml"
    options.write_text('[orders]\nload = "delta"\nfull_every = "3 nights"')
    kinds = [night.passes("unchanged", "full", ETL_OPTIONS_FILE=str(options)).event("table.loaded") for _ in range(4)]
    assert [kind["load"] for kind in kinds] == ["unchanged", "unchanged", "full", "unchanged"]
    assert kinds[2]["reason"] == "due every 3 nights"


def test_monday_s_deferred_changes_do_not_follow_tuesday_s(night: Night) -> None:
    """A run whose base is not the last publish any more is refused, and readers keep the newer rows."""
    source = night.both.operational
    source.execute("UPDATE orders SET note = 'monday' WHERE id = 1")
    assert night.etl("run", ETL_PUBLISH="defer", ETL_RUN_ID="monday").status == 0
    staged = "SELECT staging_oid, delta_oid FROM etl.loads WHERE run_id = 'monday'"
    assert night.both.reporting.rows(staged) == [
        (None, night.both.reporting.value("SELECT 'etl_staging_public.orders'::regclass::oid"))
    ], "an older version would publish the changed rows as the table"
    source.execute("UPDATE orders SET note = 'tuesday' WHERE id = 1")
    night.passes("delta", ETL_RUN_ID="tuesday")
    done = night.etl("publish", "monday")
    assert done.status == 1
    assert night.both.reporting.value("SELECT note FROM orders WHERE id = 1") == "tuesday"
    night.passes("unchanged")


@pytest.mark.parametrize("is_held_back", [True, False])
def test_a_snapshot_that_is_older_than_the_last_publish_s_is_read_whole(night: Night, is_held_back: bool) -> None:
    """A night passes while a run's containers wait: what it has published is not in their snapshot, nor in their load.

    An open transaction holds the xmin of both snapshots back, so that it is the same.
    """
    source = night.both.operational
    held = {"ETL_RUN_ID": "held", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
    with source.connect() as session:
        session.execute("BEGIN; SELECT pg_current_xact_id()" if is_held_back else "SELECT 1")
        with night.etl.started("snapshot", ETL_RUN_ID="held") as holder:
            known = "SELECT snapshot_id FROM etl.runs WHERE run_id = 'held' AND snapshot_id IS NOT NULL"
            until(lambda: night.both.reporting.rows(known), "the snapshot to be held")
            before = night.rows(source)
            source.execute("UPDATE orders SET note = 'later' WHERE id = 3")
            night.passes("delta")
            loaded = night.etl("run", **held)
            holder.communicate(timeout=60)
    said = loaded.event("table.loaded")
    assert (said["load"], said["reason"]) == ("full", "the snapshot is older than that of the last published load")
    assert night.etl("publish", "held").status == 0
    assert night.rows(night.both.reporting) == before
    night.passes("delta")


def test_changes_that_are_staged_do_not_follow_a_hand_s_edit(night: Night) -> None:
    """Somebody writes to the live table between the load and the deferred publish: nothing is published."""
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1; DELETE FROM orders WHERE id = 2")
    for edit in ("UPDATE orders SET note = 'mine' WHERE id = 3", "INSERT INTO orders VALUES (900, 'mine')"):
        assert night.etl("run", ETL_PUBLISH="defer", ETL_RUN_ID="monday").status == 0
        night.both.reporting.execute(edit)
        done = night.etl("publish", "monday")
        assert done.status == 1
        assert "others have written 1 rows of the live table" in done.stderr
        night.passes("full")
        night.both.operational.execute(
            "UPDATE orders SET note = note || 'x' WHERE id = 1; DELETE FROM orders WHERE id = 4"
        )


ACTS = "CREATE TABLE other (id int REFERENCES orders ON DELETE CASCADE)"


@pytest.mark.parametrize("acts", ["", ACTS])
def test_changes_that_are_staged_do_not_follow_a_hand_s_deletion(night: Night, acts: str) -> None:
    """A row that is gone leaves no trace, but it is missing from the count, and nothing else could have deleted it."""
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1")
    night.both.reporting.execute(acts or "SELECT")
    assert night.etl("run", ETL_PUBLISH="defer", ETL_RUN_ID="monday").status == 0
    night.both.reporting.execute("DELETE FROM orders WHERE id = 3")
    done = night.etl("publish", "monday")
    assert done.status == 1
    if acts:
        assert "public.orders has 499 rows after its changes, and the source 500" in done.stderr
        assert done.stderr.endswith(
            "; run again, if somebody has deleted rows of the live table since the load; else drop or disable what"
            " changes them: constraint other_id_fkey on table public.other\n"
        )
    else:
        assert done.stderr.endswith(
            "the changes that are staged do not fit the live tables any more; run again: public.orders: others have"
            " deleted 1 rows of the live table\n"
        )
    night.both.reporting.execute("DROP TABLE IF EXISTS other")
    night.passes("full")


def test_an_edit_of_an_unchanged_table_is_found_by_the_next_load(night: Night) -> None:
    """The publish leaves such a table alone, and does not read it; it is as if the edit came a moment later."""
    assert night.etl("run", ETL_PUBLISH="defer", ETL_RUN_ID="monday").status == 0
    night.both.reporting.execute("UPDATE orders SET note = 'mine' WHERE id = 3")
    assert night.etl("publish", "monday").status == 0
    done = night.passes("full")
    assert done.event("table.loaded")["reason"] == "others have written 1 rows of the live table"


def test_an_unchanged_table_in_which_an_action_deletes_rows_is_not_published(night: Night) -> None:
    """Its rows refer to a table whose row goes, and a foreign key of the reporting side deletes them."""
    night.both.operational.execute("CREATE TABLE lines (id int PRIMARY KEY); INSERT INTO lines SELECT id FROM orders")
    both = {"TABLES": "orders,lines"}
    assert night.etl("run", **both).status == 0
    night.both.reporting.execute("ALTER TABLE lines ADD FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE")
    night.both.operational.execute("DELETE FROM orders WHERE id = 5")
    done = night.etl("run", **both)
    assert done.status == 1
    assert night.both.reporting.value("SELECT count(*) FROM lines") == 500


KEYS = {
    "numbers": "g::bigint * 1000003 - 250000000, 'n' || g",
    "ids": "md5(g::text)::uuid, 'n' || g",
    "names": "'name ' || g % 7 || ' ' || g, 'n' || g",
    "sums": "g / 7.0, 'n' || g",
    "days": "date '2020-01-01' + g, 'n' || g",
    "pairs": "g / 3, g % 3, 'n' || g",
    "tenants": "g % 3, g, 'n' || g",
}
"""Tables by their key: the values of row g."""


@pytest.mark.parametrize("rows", [700, 12_000])
def test_gone_rows_are_found_and_slices_proven_by_keys_of_all_kinds(
    databases: Databases, etl: Etl, tmp_path: Path, rows: int
) -> None:
    """Integers in ranges, other keys by their hash; few rows go, then many, then none; others change.

    In the larger tables, the nights after one with gone rows count by buckets of keys at once.
    """
    for name, values in KEYS.items():
        columns = "a, b, note" if name in {"pairs", "tenants"} else "a, note"
        key = columns.removesuffix(", note")
        databases.operational.execute(
            f"CREATE TABLE {name} AS"
            f" SELECT * FROM (SELECT {values} FROM generate_series(1, {rows}) g) AS r ({columns});"
            f"ALTER TABLE {name} ADD PRIMARY KEY ({key})"
        )
    settled(databases.operational)
    (tmp_path / "options.toml").write_text("[defaults]\nproof_nights = 2")
    run = {"TABLES": ",".join(KEYS), "ETL_LOAD": "auto", "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    assert etl("run", **run).status == 0
    for gone in (4, 120, 250, 0, 0):
        for name in KEYS:
            row = f"ctid IN (SELECT ctid FROM {name} ORDER BY md5(note) LIMIT {{}} OFFSET {{}})"
            databases.operational.execute(
                f"DELETE FROM {name} WHERE {row.format(gone, 10)};"
                f"UPDATE {name} SET note = note || 'x' WHERE {row.format(5 if gone else 0, 3)}"
            )
        done = etl("run", **run)
        assert (done.status, done.stderr) == (0, "")
        loads = {event["table"]: event["load"] for event in done.events if event["event"] == "table.loaded"}
        assert loads == {f"public.{name}": "delta" if gone else "unchanged" for name in KEYS}
        for name in KEYS:
            contents = f"SELECT {name}::text FROM {name} ORDER BY 1"
            assert databases.reporting.rows(contents) == databases.operational.rows(contents)


@pytest.mark.parametrize("load", ["auto", "full"])
def test_an_action_on_rows_that_are_deleted_last_does_not_escape(night: Night, tmp_path: Path, load: str) -> None:
    """A row goes to which an old row of a swapped table refers, and by another key a row that stays."""
    night.both.operational.execute(
        "CREATE TABLE lines AS SELECT id, id AS of FROM orders; ALTER TABLE lines ADD PRIMARY KEY (id);"
        "CREATE TABLE visits AS SELECT id, id AS of FROM orders; ALTER TABLE visits ADD PRIMARY KEY (id)"
    )
    in_place = '[orders]\npublish = "in-place"\n[lines]\npublish = "in-place"\n' if load == "full" else ""
    (tmp_path / "options.toml").write_text(f'{in_place}[visits]\nload = "full"\n')
    run = {"TABLES": "orders,lines,visits", "ETL_LOAD": load, "ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    run |= {"ETL_PUBLISH_WAY": "mixed"}
    assert night.etl("run", **run).stderr == ""
    night.both.reporting.execute(
        "ALTER TABLE lines ADD FOREIGN KEY (of) REFERENCES orders ON DELETE CASCADE;"
        "ALTER TABLE visits ADD FOREIGN KEY (of) REFERENCES orders"
    )
    assert night.etl("run", **run).stderr == ""
    night.both.operational.execute("DELETE FROM visits WHERE of = 7; DELETE FROM orders WHERE id = 7")
    done = night.etl("run", **run)
    assert done.status == 1
    assert "1 rows of public.orders go to which rows that stay refer, by foreign key lines_of_fkey" in done.stderr
    assert night.both.reporting.value("SELECT count(*) FROM lines") == 500
    night.both.operational.execute("DELETE FROM lines WHERE of = 7")
    assert night.etl("run", **run).stderr == ""
    assert night.both.reporting.rows("SELECT count(*) FROM lines UNION ALL SELECT count(*) FROM orders") == [(499,)] * 2


@pytest.mark.parametrize("added", ["CHECK (length(note) < 6)", "FOREIGN KEY (id) REFERENCES few"])
def test_a_constraint_of_the_reporting_side_that_rows_may_violate_makes_full_loads(night: Night, added: str) -> None:
    """A merge would have to satisfy what is NOT VALID, and fail night after night."""
    night.both.reporting.execute(
        f"CREATE TABLE few (id int PRIMARY KEY); ALTER TABLE orders ADD CONSTRAINT theirs {added} NOT VALID"
    )
    for number in range(2):
        night.both.operational.execute(f"UPDATE orders SET note = note || ' changed' WHERE id = {number + 1}")
        done = night.passes("full")
        assert "theirs is NOT VALID, and rows may violate it" in done.event("table.loaded")["reason"]


def test_a_composite_type_of_the_target_that_has_lost_values_makes_a_full_load(night: Night) -> None:
    """An attribute that is dropped and added again is NULL in all rows, which keep their xmin."""
    source, target = night.both.operational, night.both.reporting
    source.execute(
        "CREATE TYPE pair AS (a int, b text); ALTER TABLE orders ADD p pair; UPDATE orders SET p = (id, 'b')"
    )
    settled(source)
    night.passes("full")
    target.execute("ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b text")
    done = night.passes("full")
    assert done.event("table.loaded")["reason"] == "the live table's columns have changed"


def lie(night: Night) -> None:
    """Changes a row, and makes the ledger say that the last load has read it."""
    night.both.operational.execute("UPDATE orders SET note = 'overlooked' WHERE id = 250")
    settled(night.both.operational)
    xmin = night.both.operational.value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8")
    night.both.reporting.execute(
        f"UPDATE etl.loads SET base = jsonb_set(base, '{{seen,xmin}}', '{xmin}') WHERE base IS NOT NULL"
    )


@pytest.mark.parametrize("kind", ["unchanged", "delta"])
@pytest.mark.parametrize(("more", "what"), [(0, "all keys differs"), (20_000, "of 3 of the keys differs")])
def test_the_rotating_proof_finds_rows_that_differ_for_no_reason(
    night: Night, tmp_path: Path, kind: str, more: int, what: str
) -> None:
    """Within proof_nights nights, a table whose base lies is loaded whole, with a warning.

    All rows of a small table are proven in one of these nights, those of another one slice by slice.
    """
    night.both.operational.execute(f"INSERT INTO orders SELECT g, 'more' FROM generate_series(1001, 1000 + {more}) g")
    settled(night.both.operational)
    night.passes("full" if more else "unchanged")
    (tmp_path / "options.toml").write_text("[orders]\nproof_nights = 3")
    options = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    lie(night)
    loads = []
    for number in range(3):
        if kind == "delta":
            night.both.operational.execute(f"UPDATE orders SET note = 'night {number}' WHERE id = 7")
        done = night.etl("run", **options)
        assert (done.status, done.stderr) == (0, "")
        loads.append(done.event("table.loaded")["load"])
        if loads[-1] == "full":
            break
    assert loads == [kind] * (len(loads) - 1) + ["full"]
    assert what in done.event("table.unlike")["what"]
    assert night.rows(night.both.reporting) == night.rows(night.both.operational)


@pytest.mark.parametrize("by", ["ETL_VERIFY", 'verify = "checksum"\nproof_nights = 0'])
def test_with_verify_checksum_each_night_hashes_all_rows(night: Night, tmp_path: Path, by: str) -> None:
    """A load of changes is proven whole: one that is right stays one, and one whose base lies is a full load."""
    (tmp_path / "options.toml").write_text("" if by == "ETL_VERIFY" else f"[orders]\n{by}")
    verified = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")} | (
        {"ETL_VERIFY": "checksum"} if by == "ETL_VERIFY" else {}
    )
    night.both.operational.execute("UPDATE orders SET note = 'new' WHERE id = 3; DELETE FROM orders WHERE id = 5")
    night.passes("delta", **verified)
    night.passes("unchanged", **verified)
    for change in ("", "UPDATE orders SET note = 'seen' WHERE id = 8"):
        lie(night)
        night.both.operational.execute(change or "SELECT")
        done = night.passes("full", **verified)
        assert "all keys differs" in done.event("table.unlike")["what"]
        night.both.operational.execute("UPDATE orders SET note = 'as before' WHERE id = 250")
        night.passes("delta", **verified)


def test_the_ledger_says_how_long_a_proof_took(night: Night, tmp_path: Path) -> None:
    """Of a load of changes and of one without, if a slice is due; a load that is proven by nothing says nothing."""
    night.both.operational.execute("INSERT INTO orders SELECT g, 'more' FROM generate_series(1001, 31000) g")
    settled(night.both.operational)
    night.passes("full")
    change = "UPDATE orders SET note = note || 'x' WHERE id % 1000 = 7"
    for nights, statement, load in (
        (0, change, "delta"),
        (0, "", "unchanged"),
        (3, change, "delta"),
        (3, "", "unchanged"),
    ):
        (tmp_path / "options.toml").write_text(f"[orders]\nproof_nights = {nights}")
        night.both.operational.execute(statement or "SELECT")
        said = night.passes(load, ETL_OPTIONS_FILE=str(tmp_path / "options.toml")).event("table.loaded")
        found = "SELECT verify_seconds, copy_seconds FROM etl.loads ORDER BY started_at DESC LIMIT 1"
        ((seconds, copy_seconds),) = night.both.reporting.rows(found)
        assert said.get("verify_seconds") == seconds
        assert 0 < seconds <= copy_seconds if nights else seconds is None


def test_what_an_action_changes_in_an_unchanged_table_stops_the_publish(databases: Databases, etl: Etl) -> None:
    """A foreign key of the reporting side would null a column of a table that has not changed at the source."""
    databases.operational.execute(
        f"{ORDERS} CREATE TABLE items (id int PRIMARY KEY, of_order int); INSERT INTO items VALUES (1, 7), (2, 8)"
    )
    auto = Etl(etl.environment | {"ETL_LOAD": "auto", "TABLES": "orders,items"})
    settled(databases.operational)
    assert auto("run").status == 0
    databases.reporting.execute("ALTER TABLE items ADD FOREIGN KEY (of_order) REFERENCES orders ON DELETE SET NULL")
    databases.operational.execute("DELETE FROM orders WHERE id = 7")
    done = auto("run")
    assert done.status == 1
    assert "public.items: others have written 1 rows of the live table" in done.stderr
    assert databases.reporting.rows("TABLE items ORDER BY id") == [(1, 7), (2, 8)]


def test_shards_stage_changes_for_one_publish(databases: Databases, etl: Etl) -> None:
    """One shard's table has changes, the other's none; a shard that is repeated finds its table staged."""
    source = databases.operational
    source.execute(f"{ORDERS} CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)")
    auto = Etl(etl.environment | {"ETL_LOAD": "auto"})
    settled(source)
    assert auto("run", TABLES="orders,items").status == 0
    source.execute("UPDATE orders SET note = 'x' WHERE id = 1; DELETE FROM orders WHERE id = 2")
    of_run = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer"}
    with auto.started("snapshot", TABLES="orders,items", ETL_RUN_ID="tonight") as holder:
        loads = [auto("run", TABLES=name, ETL_SHARD=shard, **of_run) for shard, name in enumerate_of("items", "orders")]
        assert [(done.status, done.event("table.loaded")["load"]) for done in loads] == [(0, "unchanged"), (0, "delta")]
        holder.communicate(timeout=60)
    again = auto("run", TABLES="items", ETL_SHARD="0", **of_run)
    assert (again.status, again.event("table.skipped")["table"]) == (0, "public.items")
    published = auto("publish", "tonight")
    assert (published.status, published.stderr) == (0, "")
    for name in ("orders", "items"):
        assert databases.reporting.rows(f"TABLE {name} ORDER BY 1") == source.rows(f"TABLE {name} ORDER BY 1")
    assert databases.staging_tables() == []


def enumerate_of(*names: str) -> list[tuple[str, str]]:
    """Names with their numbers, as shards have them."""
    return [(str(number), name) for number, name in enumerate(names)]


def test_random_nights_leave_both_sides_equal(night: Night) -> None:
    """Writers with open and prepared transactions, savepoints, VACUUM FREEZE, TRUNCATE and rewrites beside the runs."""
    random = Random(19)

    def day(number: int, sessions: Sessions) -> None:
        for _ in range(random.randint(0, 4)):
            disturb(random, night.both.operational, sessions, number)

    assert [one["load"] for one in night.lives_through(14, day)].count("delta") > 3


def disturb(random: Random, source: Database, sessions: Sessions, number: int) -> None:
    """Does one thing to the source that may happen between two nights, if no open transaction is in its way."""
    some = f"id % {random.randint(20, 60)} = {random.randint(0, 5)}"
    fresh = f"SELECT {number} * 100000 + {random.randint(1, 9)} * 1000 + g, 'fresh' FROM generate_series(1, 3) g"
    insert = f"INSERT INTO orders (id, note) {fresh} ON CONFLICT DO NOTHING"
    statements = [
        insert,
        f"UPDATE orders SET note = 'n{number}' WHERE {some}",
        f"DELETE FROM orders WHERE {some}",
        f"UPDATE orders SET id = -id - {number} WHERE id = (SELECT max(id) FROM orders)",
        "VACUUM FREEZE orders",
        "VACUUM FULL orders",
        f"BEGIN; SAVEPOINT a; {insert}; RELEASE a; SAVEPOINT b; DELETE FROM orders; ROLLBACK TO b; COMMIT",
        "BEGIN; CREATE TEMP TABLE o AS TABLE orders; TRUNCATE orders; INSERT INTO orders SELECT * FROM o; COMMIT",
        "ALTER TABLE orders ADD COLUMN IF NOT EXISTS more int DEFAULT 5; UPDATE orders SET more = 6 WHERE id % 50 = 0",
        "CREATE TABLE IF NOT EXISTS elsewhere (id int); INSERT INTO elsewhere VALUES (1)",
    ]
    match random.randint(0, 9):
        case 0:
            session = psycopg.connect(source.url, options="-c lock_timeout=50ms")
            session.execute(f"{insert}".encode())
            with suppress(psycopg.errors.LockNotAvailable), session.transaction():
                session.execute(f"UPDATE orders SET note = 'late' WHERE id = {random.randint(1, 400)}".encode())
            sessions.append(session)
        case 1 | 2 if sessions:
            session = sessions.pop(0)
            (session.commit if random.random() < 0.7 else session.rollback)()
            session.close()
        case _:
            with (
                suppress(psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation),
                source.connect(options="-c lock_timeout=50ms") as connection,
            ):
                connection.execute(random.choice(statements).encode())


def test_rows_that_go_and_to_which_a_swapped_table_s_old_rows_refer_are_counted_at_last(
    databases: Databases, etl: Etl
) -> None:
    """The old table of the items still refers to an order that the delta deletes; the rows are counted without it."""
    source = databases.operational
    source.execute(
        f"{ORDERS} CREATE TABLE items (id int PRIMARY KEY, of_order int);"
        "INSERT INTO items VALUES (1, 7), (2, 8), (3, 9)"
    )
    auto = Etl(etl.environment | {"ETL_PUBLISH_WAY": "mixed", "TABLES": "orders,items"})
    settled(databases.operational)
    assert auto("run").status == 0
    databases.reporting.execute("ALTER TABLE items ADD FOREIGN KEY (of_order) REFERENCES orders")
    for order in (7, 8):
        source.execute(f"DELETE FROM items WHERE of_order = {order}; DELETE FROM orders WHERE id = {order}")
        source.execute(f"COMMENT ON TABLE items IS 'without {order}'")  # so that it is swapped
        done = auto("run")
        assert (done.status, done.stderr) == (0, "")
        loads = {one["table"]: one["load"] for one in done.events if one["event"] == "table.loaded"}
        assert loads == {"public.orders": "delta", "public.items": "full"}
        for name in ("orders", "items"):
            assert databases.reporting.rows(f"TABLE {name} ORDER BY 1") == source.rows(f"TABLE {name} ORDER BY 1")


def test_what_a_trigger_writes_in_a_subtransaction_is_counted(night: Night, tmp_path: Path) -> None:
    """A trigger exchanges a row that has not changed: nothing is published, and the next night is whole."""
    night.both.operational.execute("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)")
    options = tmp_path / "options.toml"
    options.write_text('[items]\npublish = "in-place"\ntriggers = "fire"\nload = "full"')
    both = {"TABLES": "orders,items", "ETL_OPTIONS_FILE": str(options)}
    assert night.etl("run", **both).status == 0
    night.both.reporting.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " BEGIN DELETE FROM public.orders WHERE id = 4; INSERT INTO public.orders VALUES (-1, 'mine');"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL; END$$;"
        "CREATE TRIGGER t AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION f()"
    )
    night.both.operational.execute("INSERT INTO items VALUES (2); UPDATE orders SET note = 'x' WHERE id = 1")
    done = night.etl("run", **both)
    assert done.status == 1
    assert "2 rows were written instead of 1" in done.stderr
    assert night.both.reporting.rows("SELECT id FROM orders WHERE id IN (-1, 4)") == [(4,)]
    done = night.etl("run", **both)
    assert (done.status, done.stderr) == (0, "")
    assert night.rows(night.both.reporting) == night.rows(night.both.operational)


def test_the_gate_stops_a_delta_too(night: Night) -> None:
    """A table that was emptied is stopped before its publish; ``--anyway`` publishes it."""
    night.both.operational.execute("TRUNCATE orders")
    assert night.etl("run", ETL_RUN_ID="tonight").status != 0
    assert night.both.reporting.value("SELECT count(*) FROM orders") == 500
    assert night.etl("publish", "tonight", "--anyway", "--reason", "we emptied it").status == 0
    assert night.both.reporting.value("SELECT count(*) FROM orders") == 0
    assert night.passes("unchanged").event("table.loaded")["rows"] == 0


@pytest.mark.parametrize(
    "options", ['deleted_at_most = "50%"', 'deleted_at_most = "30%"', "", 'deleted_at_most = "off"']
)
def test_the_gate_stops_a_delta_that_deletes_too_many_rows(night: Night, tmp_path: Path, options: str) -> None:
    """New rows make up for the deleted ones, so the number of rows looks right; the deleted ones are counted."""
    deleted, added = (160, 100) if "30%" in options else (270, 75)
    night.both.operational.execute(
        f"DELETE FROM orders WHERE id <= {deleted};"
        f"INSERT INTO orders SELECT g, 'new' FROM generate_series(1001, 1000 + {added}) g"
    )
    (tmp_path / "options.toml").write_text(f"[orders]\n{options}")
    auto = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    if options in {"", 'deleted_at_most = "off"'}:
        night.passes("delta", **auto)
        return
    done = night.etl("run", ETL_RUN_ID="tonight", ETL_PUBLISH="defer", **auto)
    assert (done.status, done.event("table.loaded")["load"]) == (0, "delta")
    done, most = night.etl("publish", "tonight"), options
    assert done.status == 1
    (line,) = done.stderr.splitlines()
    assert "because 1 table would lose too many rows; if that is right, `etl publish tonight --anyway" in line
    base = night.both.reporting.value("SELECT base_run FROM etl.loads WHERE run_id = 'tonight'")
    assert line.endswith(f": public.orders would lose {deleted} of the 500 rows that run {base} has published ({most})")
    stopped = done.event("table.stopped")
    assert (stopped["rows"], stopped["rows_before"], stopped["rows_deleted"]) == (500 - deleted + added, 500, deleted)
    assert night.both.reporting.value("SELECT count(*) FROM orders") == 500
    assert night.etl("publish", "tonight", "--anyway", "--reason", "they are archived").status == 0
    assert night.rows(night.both.reporting) == night.rows(night.both.operational)
    night.passes("unchanged", **auto)


def test_a_live_table_that_somebody_has_locked_does_not_hold_the_load_up(night: Night) -> None:
    """A full load needs no live table until its rows are staged; a delta that cannot read it becomes one.

    ``tests/faults/test_environment.py`` locks one that a view reads.
    """
    night.both.operational.execute("UPDATE orders SET note = 'x' WHERE id = 1")
    with night.both.reporting.connect() as session:
        session.execute("BEGIN; LOCK TABLE orders")
        with night.etl.started("run") as run:
            until(night.both.staging_tables, "the rows to be staged")
            session.rollback()
            run.communicate(timeout=60)
    assert night.loads() == [("full", 500, "the live table is locked")]
    night.passes("unchanged")


@pytest.mark.parametrize("rows", [500, 12_000])
def test_a_live_table_that_goes_while_rows_are_counted_is_loaded_whole(night: Night, tmp_path: Path, rows: int) -> None:
    """Counted at once, or by buckets of keys, as after a night that deleted rows of a larger table."""
    source, target = night.both.operational, night.both.reporting
    make_gate(source)
    (tmp_path / "options.toml").write_text('[orders]\nwhere = "public.gate(id) > 0"\npure = true')
    gated = {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    source.execute(f"INSERT INTO orders SELECT g, 'more' FROM generate_series(501, {rows}) g")
    settled(source)
    night.passes("full", **gated)
    source.execute("DELETE FROM orders WHERE id = 7")
    settled(source)
    night.passes("delta", **gated)
    source.execute("UPDATE orders SET note = 'x' WHERE id = 1")
    with ExitStack() as stack:
        with gate_closed(source):
            run = stack.enter_context(night.etl.started("run", **gated))
            until(lambda: waiting(source, "count("), "the source's rows to be counted")
            target.execute("DROP TABLE orders")
        run.communicate(timeout=60)
    assert night.loads() == [("full", rows - 1, "the live table is gone, or is no plain table any more")]
    assert night.rows(target) == night.rows(source)


REFERENCED = {
    "many of its rows have changed": "UPDATE orders SET note = 'x' WHERE id > 1000",
    "its definition has changed": "CREATE INDEX ON orders (note)",
    "it has another column": "ALTER TABLE orders ADD more int DEFAULT 7",
}


@pytest.mark.parametrize("item", ["stays", "changes"])
@pytest.mark.parametrize("what", REFERENCED)
def test_a_table_that_is_loaded_whole_may_be_referred_to_by_one_of_changes(night: Night, what: str, item: str) -> None:
    """A foreign key of the reporting side would keep the table from being replaced."""
    source, target = night.both.operational, night.both.reporting
    source.execute(
        "INSERT INTO orders SELECT g, 'more' FROM generate_series(1001, 4000) g;"
        "CREATE TABLE items (id int PRIMARY KEY, of int); INSERT INTO items SELECT g, g FROM generate_series(1, 400) g;"
        "CREATE TABLE parts (id int PRIMARY KEY, of int); INSERT INTO parts SELECT g, g FROM generate_series(1, 40) g"
    )
    settled(source)
    both = {"TABLES": "orders,items,parts", "ETL_PUBLISH_WAY": "mixed"}
    assert night.etl("run", **both).status == 0
    target.execute(
        "ALTER TABLE items ADD FOREIGN KEY (of) REFERENCES orders;"
        "ALTER TABLE parts ADD FOREIGN KEY (of) REFERENCES items"
    )
    source.execute(REFERENCED[what])
    source.execute("UPDATE items SET of = 2 WHERE id = 1" if item == "changes" else "SELECT 1")
    settled(source)
    done = night.etl("run", **both)
    assert (done.status, done.stderr) == (0, "")
    loads = {one["table"]: one["load"] for one in done.events if one["event"] == "table.loaded"}
    beside = {"stays": "unchanged", "changes": "delta"}[item]
    is_known = what != "many of its rows have changed"
    assert loads == {
        "public.orders": "full",
        "public.items": "full" if is_known else beside,
        "public.parts": "full" if is_known else "unchanged",
    }
    for table in ("orders", "items", "parts"):
        contents = f"SELECT * FROM {table} ORDER BY id"
        assert target.rows(contents) == source.rows(contents)
    done = night.etl("run", **both)
    assert (done.status, done.stderr) == (0, "")
    assert {one["load"] for one in done.events if one["event"] == "table.loaded"} == {"unchanged"}


def test_a_run_that_swaps_loads_a_table_whole_that_refers_to_another(night: Night) -> None:
    """Rows of the other one are never merged, which an older snapshot would not see."""
    source, target = night.both.operational, night.both.reporting
    source.execute("CREATE TABLE items (id int PRIMARY KEY, of int); INSERT INTO items VALUES (1, 1)")
    settled(source)
    both = {"TABLES": "orders,items", "ETL_PUBLISH_WAY": "swap"}
    assert night.etl("run", **both).status == 0
    target.execute("ALTER TABLE items ADD FOREIGN KEY (of) REFERENCES orders")
    for number in range(2):
        source.execute(f"UPDATE orders SET note = '{number}' WHERE id = 1")
        settled(source)
        done = night.etl("run", **both)
        assert (done.status, done.stderr) == (0, "")
        reasons = {one["table"]: one["reason"] for one in done.events if one["event"] == "table.loaded"}
        assert reasons["public.items"] == "public.orders, to which it refers, is replaced"
        assert night.rows(target) == night.rows(source)
