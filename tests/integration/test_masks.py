"""Masks: the values of masked columns, and the guarantee that unmasked values never leave the source."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.model import mask
from servers.postgres import FAST, Server
from tests.harness import Database, Databases, Done, Etl
from tests.recorder import Recorder

KEY = "canary key of the masks, which nobody may see"

SECRETS = {
    "email": "'roberta@cleartext.example'::text",
    "name": "'Roberta Cleartext'::varchar(40)",
    "phone": "'+49 151 2223334445'::text",
    "pin": "'739152'::char(6)",
    "born": "'1977-03-14'::date",
    "seen": "'2003-07-09 11:13:17.190001+00'::timestamptz",
    "salary": "7305918264::bigint",
    "card": "4929173820114457::numeric",
    "note": "'a note that says cleartext'::text",
    "token": "'\\x0badc0ffee0ddf00d5'::bytea",
}
"""The columns, each with a value that must not leave the source once the column is masked."""

MASKS = """
[people.mask]
email = "fake-email"
name = "fake-name"
phone = "keep-last-4"
pin = "null"
born = "date-shift:400"
seen = "date-shift:30:id"
salary = "sql:salary / 1000000000 * 1000000000"
card = "hmac"
note = "constant:it's gone"
token = "hmac"
"""


def make_people(database: Database, extra: str = "") -> None:
    """Creates ``people``: one row of secrets, and one of NULLs."""
    columns = ", ".join(f"{value} AS {name}" for name, value in SECRETS.items())
    nulls = ", ".join("NULL" for _ in SECRETS)
    database.execute(
        f"CREATE TABLE people AS SELECT 1 AS id, 'plain to see'::text AS open, {columns};"
        f"ALTER TABLE people ADD PRIMARY KEY (id); INSERT INTO people SELECT 2, 'open too', {nulls}; {extra}"
    )


def forms(database: Database) -> dict[str, list[bytes]]:
    """Each secret's forms: as text, and as COPY and record_send() write it in binary, with its length."""
    found = {}
    for name, value in SECRETS.items():
        kind = database.value(f"SELECT pg_typeof({value})::regtype::oid")
        send = database.value(f"SELECT typsend::text FROM pg_type WHERE oid = {kind}")
        binary = bytes(database.value(f"SELECT {send}({value})"))
        text = str(database.value(f"SELECT ({value})::text"))
        found[name] = [text.encode(), text.removeprefix("\\x").encode(), len(binary).to_bytes(4, "big") + binary]
    return found


def everything(database: Database) -> bytes:
    """Everything that the target has of a run: rows, the planner's statistics, the ledger."""
    database.execute("ANALYZE people")
    queries = (
        "SELECT p::text FROM people p",
        "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'people'",
        "SELECT l::text FROM etl.loads l",
        "SELECT r::text FROM etl.runs r",
    )
    return repr([database.rows(query) for query in queries]).encode()


def leaks(database: Database, where: bytes) -> set[str]:
    """The secrets of which any form is in these bytes."""
    return {name for name, texts in forms(database).items() if any(text in where for text in texts)}


def options(folder: Path, text: str) -> dict[str, str]:
    file = folder / "options.toml"
    file.write_text(text)
    return {"ETL_OPTIONS_FILE": str(file), "TABLES": "people"}


@pytest.fixture
def relayed(databases: Databases) -> Iterator[tuple[Recorder, Etl]]:
    """``etl``, with a relay between it and the source."""
    with Recorder(databases.operational).running() as between:
        yield between, Etl(databases.environment | {"ETL_OPERATIONAL_URL": between.url})


def commands(etl: Etl, given: dict[str, str]) -> bytes:
    """Runs all commands that read the source; returns their output."""
    done: list[Done] = []
    for command in ("check", "run", "verify", "run"):
        done.append(etl(command, **given, ETL_VERIFY="checksum", ETL_LOG_LEVEL="debug", ETL_MASK_KEY=KEY))
        assert done[-1].status == 0, done[-1].stderr
    return "".join(f"{one.stdout}{one.stderr}" for one in done).encode()


TEXT_COPY = "ALTER TABLE people ADD kind tsquery"  # a type that only text format can carry


@pytest.mark.parametrize("extra", ["", TEXT_COPY], ids=["binary COPY", "text COPY"])
def test_what_is_masked_is_nowhere(
    databases: Databases, relayed: tuple[Recorder, Etl], tmp_path: Path, extra: str
) -> None:
    """It is not on the wire from the source, in the target, the logs or the ledger; unmasked values are there."""
    between, etl = relayed
    make_people(databases.operational, extra)
    printed = commands(etl, options(tmp_path, MASKS))
    target = everything(databases.reporting)
    assert b"plain to see" in between.sent
    assert b"plain to see" in target
    assert leaks(databases.operational, bytes(between.sent)) == set()
    assert leaks(databases.operational, target) == set()
    assert leaks(databases.operational, printed) == set()


@pytest.mark.parametrize("extra", ["", TEXT_COPY], ids=["binary COPY", "text COPY"])
def test_what_is_not_masked_is_found_by_the_same_search(
    databases: Databases, relayed: tuple[Recorder, Etl], tmp_path: Path, extra: str
) -> None:
    """It finds every column on the wire and in the target, so the search in the test above works."""
    between, etl = relayed
    make_people(databases.operational, extra)
    commands(etl, options(tmp_path, ""))
    assert leaks(databases.operational, bytes(between.sent)) == set(SECRETS)
    assert leaks(databases.operational, everything(databases.reporting)) >= set(SECRETS) - {"token", "seen"}


@pytest.fixture(scope="module")
def logging_server() -> Iterator[Server]:
    """A server that logs every statement, its parameters and durations, and connections."""
    everything_said = {"log_statement": "all", "log_min_duration_statement": "0", "log_connections": "on"}
    more = {"log_parameter_max_length_on_error": "-1", "log_min_messages": "debug1", "log_duration": "on"}
    server = Server.start(settings=FAST | everything_said | more)
    yield server
    server.remove()


def test_the_key_is_in_no_log(databases: Databases, logging_server: Server, etl: Etl, tmp_path: Path) -> None:
    """It is not in the source's log of every statement and parameter, not in etl's log, and not in the ledger."""
    make_people(Database(logging_server, "postgres"))
    given = options(tmp_path, MASKS)
    source = Etl(databases.environment | {"ETL_OPERATIONAL_URL": logging_server.url()})
    printed = commands(source, given)
    wrong = source("run", **given | {"TABLES": "people,nobody"}, ETL_MASK_KEY=KEY)
    assert wrong.status == 2
    log = logging_server.log.read_bytes()
    assert b"current_setting('etl.mask_ipad')" in log
    assert b"COPY (/* etl: copy out */ SELECT" in log
    told = [log, printed, wrong.stderr.encode(), everything(databases.reporting)]
    for secret in (KEY, *mask.session(KEY).values()):
        assert not [one for one in told if secret.encode() in one.lower() or secret.encode() in one]


@pytest.mark.parametrize("key", [KEY, "k" * 16, "k" * 64, "k" * 65, "schlüssel" * 20], ids=len)
def test_the_hmac_is_that_of_everybody_else(databases: Databases, etl: Etl, tmp_path: Path, key: str) -> None:
    """The mask equals Python's HMAC over the value's text in UTF-8, for keys shorter and longer than a block."""
    values = ["", "a", "grün ☃ 😀", "it's \\ \" \n", "x" * 100_000, "b@c.example"]
    databases.operational.execute("CREATE TABLE people (id int, email text, n numeric)")
    with databases.operational.connect() as session:
        session.cursor().executemany("INSERT INTO people VALUES (%s, %s, 1.50)", list(enumerate(values)))
        session.execute("INSERT INTO people VALUES (99, NULL, NULL)")
    given = options(tmp_path, '[people]\nmask = { email = "hmac", n = "hmac" }')
    assert etl("run", **given, ETL_MASK_KEY=key).stderr == ""

    def theirs(text: str) -> str:
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()

    expected = [(index, theirs(value), theirs("1.50")) for index, value in enumerate(values)]
    assert databases.reporting.rows("SELECT * FROM people ORDER BY id") == [*expected, (99, None, None)]


def test_each_mask_gives_what_it_says(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Values, types, and NULLs, which stay NULL except under a constant."""
    make_people(databases.operational, "ALTER TABLE people ALTER phone TYPE varchar(30)")
    assert etl("run", **options(tmp_path, MASKS), ETL_MASK_KEY=KEY).stderr == ""
    target = databases.reporting
    query = "SELECT phone, pin, salary, note FROM people ORDER BY id"
    assert target.rows(query) == [
        ("*" * 14 + "4445", None, 7000000000, "it's gone"),
        (None, None, None, "it's gone"),
    ]
    types = dict(
        target.rows(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'people'::regclass AND attnum > 0"
        )
    )
    assert {types[name] for name in ("email", "name", "phone", "card", "token")} == {"text"}
    assert [types[name] for name in ("pin", "born", "salary")] == ["character(6)", "date", "bigint"]
    assert target.value("SELECT email ~ '^[a-z]+\\.[a-z]+\\.[0-9a-f]{16}@example\\.com$' FROM people WHERE id = 1")
    assert target.value("SELECT name ~ '^[A-Z][a-z]+ [A-Z][a-z]+$' FROM people WHERE id = 1")
    assert target.rows("SELECT email, name, born, seen, card, token FROM people WHERE id = 2") == [(None,) * 6]


def test_a_short_value_keeps_none_of_its_characters(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Four characters of five would be nearly the whole value."""
    databases.operational.execute("CREATE TABLE people AS SELECT repeat('7', n) AS pin FROM generate_series(0, 9) n")
    assert etl("run", **options(tmp_path, '[people]\nmask = { pin = "keep-last-4" }')).stderr == ""
    found = {value for (value,) in databases.reporting.rows("SELECT pin FROM people")}
    assert found == {"*" * n for n in range(8)} | {"****7777", "*****7777"}


DATES = "SELECT id, born - date '2000-01-01', extract(epoch FROM seen - '2000-01-01 00:00Z')::bigint FROM people"


def shifts(databases: Databases) -> dict[int, tuple[int, int]]:
    """The number of days by which each row's two dates were shifted."""
    before = {number: (born, seen) for number, born, seen in databases.operational.rows(DATES)}
    after = {number: (born, seen) for number, born, seen in databases.reporting.rows(DATES)}
    assert all((after[number][1] - seen) % 86400 == 0 for number, (_, seen) in before.items())
    return {
        number: (after[number][0] - born, (after[number][1] - seen) // 86400) for number, (born, seen) in before.items()
    }


def test_dates_are_shifted_by_some_days_and_never_by_none(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """By the row's own value or along another column; the same every night, and different with another key."""
    databases.operational.execute(
        "CREATE TABLE people AS SELECT id, id / 10 AS customer, date '2000-01-01' + id % 50 AS born,"
        " timestamptz '2001-01-01 10:00Z' + id * interval '1 day 1 second' AS seen FROM generate_series(1, 500) id"
    )
    given = options(tmp_path, '[people]\nmask = { born = "date-shift:3", seen = "date-shift:20:customer" }')
    assert etl("run", **given, ETL_MASK_KEY=KEY).stderr == ""
    first = shifts(databases)
    assert {days for days, _ in first.values()} == {-3, -2, -1, 1, 2, 3}
    assert {days for _, days in first.values()} <= {*range(-20, 0), *range(1, 21)}
    assert len({days for _, days in first.values()}) > 10
    assert len({(number % 50, born) for number, (born, _) in first.items()}) == 50
    assert len({(number // 10, seen) for number, (_, seen) in first.items()}) == 51
    assert etl("run", **given, ETL_MASK_KEY=KEY).stderr == ""
    assert shifts(databases) == first
    assert etl("run", **given, ETL_MASK_KEY="another key of the masks").stderr == ""
    assert shifts(databases) != first


def test_fake_emails_stay_unique_and_the_same(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """A unique constraint on them holds, and the next night and another table have the same addresses."""
    databases.operational.execute(
        "CREATE TABLE people AS SELECT id, format('u%s@corp.example', id) AS email, 'name ' || id AS name"
        " FROM generate_series(1, 3000) id; ALTER TABLE people ADD UNIQUE (email), ADD UNIQUE (name);"
        "CREATE TABLE others AS TABLE people"
    )
    given = options(tmp_path, '[defaults]\nmask = { email = "fake-email", name = "fake-name" }')
    given |= {"TABLES": "people,others", "ETL_MASK_KEY": KEY}
    assert etl("run", **given).stderr == ""
    target = databases.reporting
    first = target.rows("SELECT id, email, name FROM people ORDER BY id")
    assert len({email for _, email, _ in first}) == 3000
    assert 900 < len({name for _, _, name in first}) <= 1024
    assert target.rows("SELECT conname FROM pg_constraint WHERE conrelid = 'people'::regclass AND contype = 'u'") == [
        ("people_email_key",)
    ]
    assert etl("run", **given).stderr == ""
    for table in ("people", "others"):
        assert target.rows(f"SELECT id, email, name FROM {table} ORDER BY id") == first


def test_a_mask_that_is_new_takes_effect_on_the_next_night(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """Also if the column had a check, NOT NULL and a unique index; the change is logged."""
    make_people(databases.operational)
    databases.operational.execute(
        "DELETE FROM people WHERE id = 2; ALTER TABLE people ALTER email SET NOT NULL, ALTER pin SET NOT NULL,"
        " ADD UNIQUE (pin), ADD CHECK (email LIKE 'rob%'), ADD CHECK (salary > 7000000001)"
    )
    assert etl("run", TABLES="people").stderr == ""
    assert databases.reporting.value("SELECT email FROM people") == "roberta@cleartext.example"
    done = etl("run", **options(tmp_path, MASKS), ETL_MASK_KEY=KEY, ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert leaks(databases.operational, everything(databases.reporting)) == set()
    assert "retyped name (character varying(40) to text)" in done.event("table.drifted")["changes"]
    kinds = databases.reporting.rows(
        "SELECT contype FROM pg_constraint WHERE conrelid = 'people'::regclass AND contype <> 'n'"
    )
    assert kinds == [("p",)]


def test_verify_compares_what_is_masked(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """One character of a pseudonym is a difference; so is another key."""
    make_people(databases.operational)
    given = options(tmp_path, MASKS)
    assert etl("run", **given, ETL_MASK_KEY=KEY).stderr == ""
    assert etl("verify", **given, ETL_MASK_KEY=KEY).status == 0
    assert etl("verify", **given, ETL_MASK_KEY="another key of the masks").status == 1
    databases.reporting.execute("UPDATE people SET card = overlay(card PLACING 'x' FROM 64) WHERE id = 1")
    assert etl("verify", **given, ETL_MASK_KEY=KEY).status == 1
