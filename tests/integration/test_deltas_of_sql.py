"""Nights that copy only what has changed, of tables with SQL in their options: where, masks, order_by."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from etl.model.shape import TableOptions, shaped
from etl.sessions.postgres import connect_source
from etl.sessions.stage import Stage
from etl.sessions.url import DatabaseUrl
from etl.source import catalog, definitions
from tests.faults.breaker import Breaker, Moment
from tests.harness import Database, Databases, Etl
from tests.integration.test_deltas import Night, Sessions
from tests.integration.test_deltas_of_partitions import ORDERS, disturb
from tests.situations import ended, settled, until, waiting

KEY = "a key of 16 characters"

OPTIONS = """
[orders]
load = "auto"
where = "day < 350 AND note NOT LIKE 'away%'"
order_by = ["day", "lower(note)"]
mask = { id = "hmac", note = "sql:upper(note) || '!'" }
"""


class Masked(Night):
    """Runs whose options have ``OPTIONS`` or others with the same result, computed here in Python."""

    key = KEY

    def rows(self, database: Database) -> list[tuple[Any, ...]]:
        """All rows as they are to arrive."""
        rows = database.rows("SELECT id::text, day, note FROM orders")
        if database == self.both.operational:
            rows = [
                (
                    hmac.new(self.key.encode(), id_.encode(), hashlib.sha256).hexdigest(),
                    day,
                    note and f"{note.upper()}!",
                )
                for id_, day, note in rows
                if day < 350 and note is not None and not note.startswith("away")
            ]
        return sorted(rows)


@pytest.fixture
def night(databases: Databases, etl: Etl, tmp_path: Path) -> Masked:
    """A partitioned table with a masked key that was copied once."""
    databases.operational.execute(ORDERS)
    settled(databases.operational)
    file = tmp_path / "options.toml"
    file.write_text(OPTIONS)
    variables = {"TABLES": "orders", "ETL_OPTIONS_FILE": str(file), "ETL_MASK_KEY": KEY}
    one = Masked(databases, Etl(etl.environment | variables))
    one.passes("full")
    return one


NIGHTS = {
    "nothing": ("", "no row has changed"),
    "rows come into where, and leave it": (
        "UPDATE orders SET day = 349 WHERE id = 360; UPDATE orders SET day = 399 WHERE id = 1;"
        "UPDATE orders SET note = 'away' WHERE id = 2",
        "1 rows changed and 2 gone",
    ),
    "what where leaves out changes": ("UPDATE orders SET note = 'z' WHERE day > 350", "no row has changed"),
    "keys change, and rows go": (
        "UPDATE orders SET id = 9000 WHERE id = 3; DELETE FROM orders WHERE id BETWEEN 4 AND 6",
        "1 rows changed and 4 gone",
    ),
}


def test_where_masks_and_order_have_deltas(night: Masked) -> None:
    """Rows are counted with ``where``, keys are compared as they arrive; another mask key or condition: a full load."""
    night.tells(NIGHTS)
    night.key = "another key, as long"
    assert "the definition" in night.passes("full", ETL_MASK_KEY=night.key).event("table.loaded")["reason"]
    night.passes("unchanged", ETL_MASK_KEY=night.key)
    file = Path(night.etl.environment["ETL_OPTIONS_FILE"])
    file.write_text(OPTIONS.replace("day < 350", "day < 340 + 10"))
    assert "the definition" in night.passes("full", ETL_MASK_KEY=night.key).event("table.loaded")["reason"]


def test_a_function_that_is_replaced_between_two_nights_means_a_full_load(night: Masked) -> None:
    """The reader's word, ``pure``, is for the function that it has seen. Without that word, the load is always full."""
    source, file = night.both.operational, Path(night.etl.environment["ETL_OPTIONS_FILE"])
    source.execute("CREATE FUNCTION loud(n text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT upper(n) || '!'$$")
    with_function = OPTIONS.replace("upper(note) || '!'", "public.loud(note)")
    file.write_text(with_function)
    said = night.passes("full").event("table.loaded")["reason"]
    assert said == "the options' SQL calls public.loud(text), which is not PostgreSQL's own"
    assert said == night.passes("full").event("table.loaded")["reason"]
    file.write_text(f"{with_function}pure = true")
    night.passes("full")
    source.execute("UPDATE orders SET note = 'x' WHERE id = 1")
    night.passes("delta")
    source.execute(
        "CREATE OR REPLACE FUNCTION loud(n text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT upper(n || '!')$$"
    )
    assert "the definition" in night.passes("full").event("table.loaded")["reason"]


TYPES = """
CREATE TYPE state AS ENUM ('new', 'paid'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION mine(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
"""
TYPES = TYPES.replace(
    "CREATE OPERATOR",
    "CREATE FUNCTION same(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2'; CREATE OPERATOR",
)
TABLE = (
    'CREATE TABLE t (id int PRIMARY KEY, note text, at timestamptz, n numeric, state state, "{SUBLINK" text[], ok bool,'
    " p positive, j jsonb)"
)

JUDGED: dict[str, str | None] = {
    "id > 3 AND note LIKE 'a%' AND n = 1.5 AND ok AND NOT ok IS TRUE": None,
    "at >= '2020-01-01' AND at < timestamptz '2021-01-01 00:00+02'": None,
    "state = 'paid' AND state IN ('new', 'paid') AND j ->> 'a' = 'b'": None,
    "id IN (1, 2, 3) AND id BETWEEN 1 AND 5 AND note IS DISTINCT FROM 'x' -- and no more": None,
    "\"{SUBLINK\"[1] = 'x' AND coalesce(note, id::text, n::text) COLLATE \"C\" > 'a'": None,
    "CASE id WHEN 1 THEN greatest(id, 2) = nullif(id, 3) ELSE note ~ '^a' END": None,
    "lower(note) = upper(substr(note, 1, 3)) AND length(note) % 2 = 0": None,
    "id = 1) AND (ok": None,
    "at > now() - interval '90 days'": "calls now(), which is not immutable",
    "at::date = '2020-01-01'": "calls date(timestamp with time zone), which is not immutable",
    "at::text > '2020'": "calls timestamptz_out(timestamp with time zone), which is not immutable",
    "note::timestamptz > '2020-01-01'": "calls timestamptz_in(cstring,oid,integer), which is not immutable",
    "random() < 0.5": "calls random(), which is not immutable",
    "state::text = 'paid'": "calls enum_out(anyenum), which is not immutable",
    "public.mine(id) = 1": "calls public.mine(integer), which is not PostgreSQL's own",
    "id OPERATOR(public.===) 3": "calls public.same(integer,integer), which is not PostgreSQL's own",
    "p > 3": "has values of type public.positive",
    "at < current_date": "has the time or the role",
    "note = current_user": "has the time or the role",
    "id IN (SELECT oid::int FROM pg_catalog.pg_class)": "has a subquery",
    "ctid < '(9,0)'": "has a system column, or the row as a whole",
    "t IS NOT NULL": "has a system column, or the row as a whole",
    "true) LIMIT (5": "has more than a condition, values and an order",
    "true) OFFSET (5": "has more than a condition, values and an order",
    "true) GROUP BY (id": "has more than a condition, values and an order",
    "true) UNION ALL SELECT NULL WHERE (true": "has more than a condition, values and an order",
}
ORDERED: dict[str, str | None] = {
    "id": None,
    'note COLLATE "C" DESC': None,
    "now()": None,
    "id LIMIT 5": "has more than a condition, values and an order",
    "generate_series(1, 2)": "has more than a condition, values and an order",
    "id FETCH FIRST ROW WITH TIES": "has more than a condition, values and an order",
}


def test_what_the_options_sql_calls_is_followed(databases: Databases) -> None:
    """Columns, constants, and PostgreSQL's own immutable functions, operators and casts; nothing else but an order."""
    databases.operational.execute(TYPES + TABLE)
    found = asyncio.run(judged(databases.operational))
    assert found == JUDGED | ORDERED


async def judged(database: Database) -> dict[str, str | None]:
    """The obstacle of a table with each ``where`` and each ``order_by``."""
    source = await connect_source(DatabaseUrl.parse(database.url, {}), "test")
    found: dict[str, str | None] = {}
    (relation,) = [one for one in await catalog.relations(source) if one.name == "t"]
    (table,) = await catalog.tables(source, [relation])
    cases = {text: TableOptions(where=text) for text in JUDGED} | {
        text: TableOptions(order_by=[text]) for text in ORDERED
    }
    for text, options in cases.items():
        (defined,) = await definitions.add(source, [shaped(table, options)])
        found[text] = defined.obstacle and defined.obstacle.removeprefix("the options' SQL ")
    await source.close()
    return found


def test_a_constant_that_the_parser_computes_is_a_part_of_the_definition(databases: Databases) -> None:
    """``'now'`` and ``'today'`` are constants, but not the same ones every night."""
    databases.operational.execute(TYPES + TABLE)

    async def digests() -> list[str | None]:
        source = await connect_source(DatabaseUrl.parse(databases.operational.url, {}), "test")
        (table,) = await catalog.tables(source, [one for one in await catalog.relations(source) if one.name == "t"])
        options = [TableOptions(where=text) for text in ("at < 'now'", "at < 'now'", "at < '2020-01-01'") for _ in "ab"]
        found = [(await definitions.add(source, [shaped(table, one)]))[0].definition for one in options]
        await source.close()
        return found

    first, second, *_, last, same = asyncio.run(digests())
    assert first != second
    assert last == same


def test_a_session_that_waits_to_alter_the_table_does_not_hold_the_run_up(night: Masked) -> None:
    """It waits for the snapshot's holder, and the definition is asked again while the holder waits for the load."""
    source = night.both.operational
    with Breaker(source).running() as breaker:
        etl = replace(night.etl, environment=night.etl.environment | {"ETL_OPERATIONAL_URL": breaker.url})
        breaker.arm(Moment("before the count", "operational", Stage.COUNT))
        with etl.started("run") as run:
            assert breaker.reached.wait(60)
            alter = Thread(target=source.execute, args=["BEGIN; LOCK TABLE orders; COMMIT"])
            alter.start()
            until(lambda: waiting(source, "LOCK TABLE orders;"), "the other session to wait")
            breaker.release()
            done = ended(run)
            alter.join()
    assert (done.status, done.stderr) == (0, "")
    assert "the definition" in done.event("table.loaded")["reason"]


def test_random_nights_leave_both_sides_equal(night: Masked) -> None:
    """Leaves that come and go, moved rows and open transactions, with a condition and a masked key."""
    random = Random(77)

    def day(number: int, sessions: Sessions) -> None:
        for _ in range(random.randint(1, 4)):
            disturb(random, night.both.operational, sessions, number)
        if number % 4 == 1:
            night.both.operational.execute("UPDATE orders SET note = 'away' || note WHERE id % 70 = 3")

    said = night.lives_through(12, day)
    assert [one for one in said if one["load"] == "full" and "rows have changed" not in one["reason"]] == []
    assert [one["load"] for one in said].count("delta") > 6
