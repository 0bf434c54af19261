"""A big table copied batch by batch: in key order, insert or update, idempotent, resumable, ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Databases, Etl
from tests.lambda_runtime import Function, FunctionError, function
from tests.situations import gate_closed, make_gate, until, waiting


@pytest.fixture
def events(databases: Databases) -> Databases:
    """A table of 1,000 rows with gaps in its ids, with an index and comments, in the source."""
    databases.operational.execute(
        "CREATE TABLE events (id bigint PRIMARY KEY, note text, at timestamptz DEFAULT now());"
        "INSERT INTO events SELECT n * 3, 'first ' || n, '2024-01-01' FROM generate_series(1, 1000) n;"
        "CREATE INDEX events_at ON events (at); COMMENT ON TABLE events IS 'what happened'"
    )
    return databases


@pytest.fixture
def copy(events: Databases) -> Iterator[Function]:
    """The Lambda that copies a batch."""
    with function("etl.functions.copy_batch", events.environment) as running:
        yield running


def through(copy: Function, table: str = "events", limit: int = 300, last_id: int | None = 0) -> list[dict[str, Any]]:
    """Calls the Lambda as the state machine does, with only ``last_id`` changing, until there are no more rows."""
    answers: list[dict[str, Any]] = []
    while not answers or not answers[-1]["done"]:
        answers.append(copy.invoke({"table": table, "last_id": last_id, "limit": limit}))
        last_id = answers[-1]["last_id"]
        assert len(answers) < 100
    return answers


ROWS = "SELECT array_agg((id, note, at)::text ORDER BY id) FROM events"


def test_two_jobs_whose_tables_are_called_alike_do_not_share_a_watermark(
    events: Databases, copy: Function, tmp_path: Path
) -> None:
    """The second one would begin where the first one is, and lack rows. It is refused, and makes nothing."""
    through(copy)
    file = tmp_path / "options.toml"
    file.write_text('["public.*"]\nrename = "acme.*"\n')
    with function("etl.functions.copy_batch", events.environment | {"ETL_OPTIONS_FILE": str(file)}) as other:
        for last_id in (None, 0):
            with pytest.raises(FunctionError, match=r"have copied it to public.events, and not to acme.events"):
                other.invoke({"table": "events", "last_id": last_id, "limit": 10})
    assert events.reporting.value("SELECT to_regclass('acme.events')") is None
    assert copy.invoke({"table": "events", "last_id": None, "limit": 10})["rows"] == 0


def test_a_table_is_copied_batch_by_batch_until_there_is_no_more(events: Databases, copy: Function) -> None:
    """The first batch creates the live table with its key and indexes; the last one says that it is the last."""
    answers = through(copy)
    assert [(one["last_id"], one["rows"], one["done"]) for one in answers] == [
        (900, 300, False),
        (1800, 300, False),
        (2700, 300, False),
        (3000, 100, True),
    ]
    assert events.reporting.value(ROWS) == events.operational.value(ROWS)
    assert events.reporting.rows("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1") == (
        events.operational.rows("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    )
    assert events.reporting.value("SELECT obj_description('events'::regclass)") == "what happened"
    assert events.reporting.rows("SELECT table_name, last_id FROM etl.watermarks") == [("public.events", 3000)]


def test_the_same_batch_again_gives_the_same(events: Databases, copy: Function) -> None:
    """A caller that got no answer may repeat a batch; changed rows are updated, and no row is duplicated."""
    first = copy.invoke({"table": "events", "last_id": 300, "limit": 100})
    assert (
        copy.invoke({"table": "events", "last_id": 300, "limit": 100})
        == first
        == {
            "last_id": 600,
            "rows": 100,
            "done": False,
        }
    )
    events.operational.execute("UPDATE events SET note = 'second' WHERE id = 600")
    assert copy.invoke({"table": "events", "last_id": 300, "limit": 100}) == first
    assert events.reporting.rows("SELECT count(*), count(*) FILTER (WHERE note = 'second') FROM events") == [(100, 1)]


def test_it_goes_on_from_the_watermark(events: Databases, copy: Function) -> None:
    """Without a last id it starts at the beginning, then after the last batch; negative ids work too."""
    events.operational.execute("INSERT INTO events VALUES (-5, 'below nought')")
    first = copy.invoke({"table": "events", "limit": 2})
    assert (first["last_id"], first["rows"]) == (3, 2)
    assert copy.invoke({"table": "events", "last_id": None, "limit": 2})["last_id"] == 9
    through(copy, last_id=None)
    events.operational.execute("INSERT INTO events VALUES (5000, 'new')")
    assert copy.invoke({"table": "events", "limit": 10}) == {"last_id": 5000, "rows": 1, "done": True}
    assert copy.invoke({"table": "events", "limit": 10}) == {"last_id": 5000, "rows": 0, "done": True}
    assert events.reporting.value(ROWS) == events.operational.value(ROWS)


def test_a_batch_that_fails_leaves_neither_rows_nor_a_watermark(events: Databases, copy: Function) -> None:
    """Rows and watermark are written in one transaction."""
    copy.invoke({"table": "events", "last_id": 0, "limit": 10})
    events.reporting.execute("ALTER TABLE events ADD CHECK (note <> 'first 15')")
    with pytest.raises(FunctionError) as caught:
        copy.invoke({"table": "events", "last_id": 30, "limit": 10})
    assert "violates check constraint" in str(caught.value)
    assert events.reporting.rows("SELECT count(*), max(id) FROM events") == [(10, 30)]
    assert events.reporting.value("SELECT last_id FROM etl.watermarks") == 30


def test_options_and_other_keys_are_obeyed(events: Databases, tmp_path: Path) -> None:
    """A condition that ends in a comment, a rename, masks, and a key other than the primary key."""
    events.operational.execute("ALTER TABLE events ADD number int UNIQUE; UPDATE events SET number = 1000 - id / 3")
    options = """
        [events]
        where = "number < 500 -- the later half"
        rename = "copies.happened"
        mask = { note = "constant:***" }
    """
    (tmp_path / "options.toml").write_text(options)
    environment = events.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    with function("etl.functions.copy_batch", environment) as copy:
        first = copy.invoke({"table": "events", "limit": 200, "key": "number"})
        assert (first["last_id"], first["done"]) == (199, False)
        assert copy.invoke({"table": "events", "last_id": 199, "limit": 400, "key": "number"})["rows"] == 300
    assert events.reporting.rows("SELECT count(*), min(note), max(note) FROM copies.happened") == [(500, "***", "***")]


KEPT_APART = {
    "unique": "email text UNIQUE",
    "deferrable": "email text UNIQUE DEFERRABLE INITIALLY DEFERRED",
    "not null": "email text NOT NULL UNIQUE",
    "a deferrable key": "email text UNIQUE, CONSTRAINT p PRIMARY KEY (id) DEFERRABLE",
}


@pytest.mark.parametrize("columns", KEPT_APART.values(), ids=KEPT_APART)
def test_values_that_must_be_unique_move_within_a_batch(databases: Databases, columns: str) -> None:
    """To a new row from one that the source has deleted, and between two rows; a row that stays is not touched."""
    key = "" if "PRIMARY KEY" in columns else " PRIMARY KEY"
    databases.operational.execute(f"CREATE TABLE people (id int{key}, {columns})")
    databases.operational.execute("INSERT INTO people SELECT n, 'e' || n FROM generate_series(1, 5) n")
    people = "SELECT id, email FROM people ORDER BY id"
    with function("etl.functions.copy_batch", databases.environment) as copy:
        copy.invoke({"table": "people", "limit": 10})
        assert databases.reporting.rows(people) == databases.operational.rows(people)
        untouched = databases.reporting.value("SELECT xmin::text FROM people WHERE id = 4")
        databases.operational.execute(
            "DELETE FROM people WHERE id = 1; INSERT INTO people VALUES (6, 'e1');"
            "UPDATE people SET email = 'later' WHERE id = 2; UPDATE people SET email = 'e2' WHERE id = 3;"
            "UPDATE people SET email = 'e3' WHERE id = 2"
        )
        again = copy.invoke({"table": "people", "last_id": 0, "limit": 10})
        assert again == {"last_id": 6, "rows": 5, "done": True}
        assert databases.reporting.rows(people) == databases.operational.rows(people)
        assert databases.reporting.value("SELECT xmin::text FROM people WHERE id = 4") == untouched


def test_a_row_in_the_way_outside_of_the_batch_is_named_by_its_constraint(databases: Databases) -> None:
    """A batch proves nothing of the rows outside of its range, so they stay; the remedy that the error names helps."""
    databases.operational.execute("CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE)")
    databases.operational.execute("INSERT INTO people SELECT n, 'secret' || n FROM generate_series(1, 5) n")
    with function("etl.functions.copy_batch", databases.environment) as copy:
        copy.invoke({"table": "people", "limit": 10})
        databases.operational.execute("DELETE FROM people WHERE id = 1; INSERT INTO people VALUES (6, 'secret1')")
        with pytest.raises(FunctionError) as caught:
            copy.invoke({"table": "people", "limit": 10})
        assert caught.value.type == "LoadFailed"
        assert "people_email_key keeps them apart" in str(caught.value)
        assert "copy again from a smaller last_id" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert databases.reporting.rows("SELECT count(*), max(id) FROM people") == [(5, 5)]
        assert copy.invoke({"table": "people", "last_id": 0, "limit": 10})["last_id"] == 6
    assert databases.reporting.rows("SELECT id FROM people ORDER BY 1") == [(2,), (3,), (4,), (5,), (6,)]


def test_rows_that_are_committed_late_arrive_within_the_lag(events: Databases, copy: Function) -> None:
    """A batch that goes on from the watermark begins so many ids before it; one that might not reach it is refused."""
    through(copy)
    events.operational.execute(
        "INSERT INTO events VALUES (2999, 'late'), (3001, 'new'); DELETE FROM events WHERE id = 2997"
    )
    with pytest.raises(FunctionError, match="lag is 10, limit 10; a batch has to reach the watermark"):
        copy.invoke({"table": "events", "limit": 10, "lag": 10})
    assert copy.invoke({"table": "events", "limit": 11, "lag": 10}) == {"last_id": 3001, "rows": 5, "done": True}
    assert events.reporting.value(ROWS) == events.operational.value(ROWS)


def test_a_live_table_that_has_lost_its_key_is_named(events: Databases, copy: Function) -> None:
    """Without a key, a row that is copied again could not be told from a new one."""
    copy.invoke({"table": "events", "limit": 1})
    events.reporting.execute("ALTER TABLE events DROP CONSTRAINT events_pkey")
    with pytest.raises(FunctionError, match="has no primary key or unique constraint on id alone"):
        copy.invoke({"table": "events", "limit": 1})


REFUSED = {
    "unknown": ({"table": "evnts", "limit": 1}, "ConfigurationError", "public.evnts is not in the source"),
    "a pattern": ({"table": "e*", "limit": 1}, "ConfigurationError", "is no table's name"),
    "no key": ({"table": "keyless", "limit": 1}, "ConfigurationError", "its primary key is not one column of integers"),
    "a text": ({"table": "worded", "limit": 1}, "ConfigurationError", "its primary key is not one column of integers"),
    "not unique": ({"table": "events", "limit": 1, "key": "note"}, "ConfigurationError", "'note' is not one column"),
    "no limit": ({"table": "events"}, "ConfigurationError", "event: limit: Field required"),
    "no number": (
        {"table": "events", "limit": 1, "last_id": "x"},
        "ConfigurationError",
        "event: last_id: Input should be",
    ),
    "injection": ({"table": "events", "limit": 1, "key": 'id" FROM x; --'}, "ConfigurationError", "is not one column"),
}


def test_what_cannot_be_copied_so_is_refused(events: Databases, copy: Function) -> None:
    """The error is one line each, and nothing is created in the target."""
    events.operational.execute("CREATE TABLE keyless (id int); CREATE TABLE worded (id text PRIMARY KEY)")
    for event, kind, expected in REFUSED.values():
        with pytest.raises(FunctionError) as caught:
            copy.invoke(event)
        assert (caught.value.type, expected in str(caught.value)) == (kind, True), str(caught.value)
    assert events.reporting.rows("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_section_for_no_table_is_refused(events: Databases, tmp_path: Path) -> None:
    """As a run refuses it. A section for another table of the source does not matter to this batch."""
    (tmp_path / "options.toml").write_text("[evnts.mask]\nnote = 'null'\n[other]\nwhere = 'true'")
    events.operational.execute("CREATE TABLE other (id int)")
    environment = events.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    with function("etl.functions.copy_batch", environment) as copy, pytest.raises(FunctionError) as caught:
        copy.invoke({"table": "events", "limit": 1})
    said = "options: [evnts]: public.evnts is not in the source; did you mean public.events?"
    assert (caught.value.type, str(caught.value)) == ("ConfigurationError", said)


def test_columns_that_have_changed_are_named(events: Databases, copy: Function, etl: Etl) -> None:
    """Only the nightly run changes a live table's columns; batches refuse."""
    copy.invoke({"table": "events", "limit": 1})
    events.operational.execute("ALTER TABLE events ADD COLUMN later int")
    with pytest.raises(FunctionError) as caught:
        copy.invoke({"table": "events", "limit": 1})
    assert caught.value.type == "LoadFailed"
    assert "its columns have changed" in str(caught.value)
    assert "later" in str(caught.value)
    assert etl("run", TABLES="events").status == 0
    assert copy.invoke({"table": "events", "limit": 1})["rows"] == 1


def test_a_table_that_a_run_loads_is_not_touched(events: Databases, copy: Function) -> None:
    """A batch and a run of one table exclude each other, like two runs."""
    make_gate(events.operational)
    events.operational.execute("CREATE VIEW gated AS SELECT public.gate(1) AS id")
    with gate_closed(events.operational), Etl(events.environment).started("run", TABLES="events,gated"):
        until(lambda: waiting(events.operational, "COPY (/* etl: copy out */ SELECT"), "the run stands still")
        with pytest.raises(FunctionError) as caught:
            copy.invoke({"table": "events", "limit": 1})
    assert (caught.value.type, "is being loaded by run" in str(caught.value)) == ("TableLocked", True)
