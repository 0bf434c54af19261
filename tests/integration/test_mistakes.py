"""What etl says to mistakes that only the servers show: the whole transcript, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from servers.port import free_port
from servers.postgres import Server
from tests.harness import Databases, Etl
from tests.mistakes import WITH_SERVERS, answered

SHOP = """
    CREATE SCHEMA sales;
    CREATE SCHEMA audit;
    CREATE TABLE orders (id int PRIMARY KEY, note text, placed_on date);
    CREATE TABLE customers (id int PRIMARY KEY, email text);
    CREATE TABLE secrets (id int PRIMARY KEY);
    CREATE TABLE sales.invoice (id int PRIMARY KEY);
    CREATE TABLE audit.log (id int PRIMARY KEY);
    CREATE TABLE hidden (id int PRIMARY KEY);
    ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
    CREATE ROLE reader LOGIN;
    GRANT SELECT ON orders, hidden TO reader;
"""
REPORTS = "CREATE ROLE loader LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"


@pytest.mark.superuser("it makes roles that may do less")
def test_each_mistake_is_told_word_by_word(
    databases: Databases, secure_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the ports and the names of the databases are other ones each time."""
    monkeypatch.chdir(tmp_path)
    databases.operational.execute(SHOP)
    databases.reporting.execute(REPORTS)
    assert databases.operational.name == databases.reporting.name, "the transcript has one word for both"
    closed = free_port()
    words = {
        "<source>": f"127.0.0.1:{databases.operational.server.port}",
        "<target>": f"127.0.0.1:{databases.reporting.server.port}",
        "<secure>": f"127.0.0.1:{secure_server.port}",
        "<nothing>": f"127.0.0.1:{closed}",
        "<db>": databases.operational.name,
    }
    etl = Etl(databases.environment | {"ETL_LOG_LEVEL": "error", "TABLES": "orders"})

    def run(variables: Mapping[str, str | None], arguments: list[str]) -> tuple[int, str]:
        given = {name: _written(text or "", words) for name, text in variables.items()}
        done = etl(*arguments, **given)
        not_ready = "".join(f"{line}\n" for line in done.stdout.splitlines() if line.startswith("not ready"))
        return done.status, _read(not_ready + done.stderr, words)

    transcript = WITH_SERVERS.read_text(encoding="utf-8")
    said = answered(transcript, run, tmp_path)
    written = tmp_path / WITH_SERVERS.name
    written.write_text(said, encoding="utf-8")
    assert said == transcript, f"read {written}, and if it is right, it is the new transcript"


READING = {"run": (), "check": (), "plan": ("--shards", "2"), "verify": (), "snapshot": ()}
COMMANDS = READING | {"publish": (), "abort": (), "history": (), "report": ()}


@pytest.mark.parametrize("command", COMMANDS)
def test_all_commands_agree_that_bad_configuration_is_status_2(databases: Databases, command: str) -> None:
    """A wrong URL, a wrong setting, and a table that is not there, for the commands that read the source."""
    etl = Etl(databases.environment | {"TABLES": "orders", "ETL_RUN_ID": "tonight"})
    wrong = databases.reporting.server.url("nowhere")
    assert etl(command, *COMMANDS[command], ETL_REPORTING_URL=wrong).status == 2
    assert etl(command, *COMMANDS[command], ETL_JOBS="many").status == 2
    if command in READING:
        assert etl(command, *COMMANDS[command]).status == 2


def _written(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _read(text: str, words: Mapping[str, str]) -> str:
    for word, value in sorted(words.items(), key=lambda item: -len(item[1])):
        text = text.replace(value, word)
    return text
