"""Bad input: one clear line that names the setting, the fault and the remedy; exit 2; nothing touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from servers.postgres import Server
from servers.relay import Relay
from tests import cloud
from tests.harness import CANARY, Database, Done, Etl
from tests.integration.bad_cases import (
    COMMANDS,
    OPTIONS,
    PARAMETERS,
    SETTINGS,
    SOURCE,
    STORE,
    TABLES,
    TARGET,
    URLS,
    Case,
)

CASES = [*TABLES, *SETTINGS, *URLS, *OPTIONS, *PARAMETERS, *COMMANDS]

NAME = "bad_input"

SHOP = """
    CREATE SCHEMA sales;
    CREATE TABLE orders (id int PRIMARY KEY, note text);
    CREATE TABLE customers (id int);
    CREATE TABLE sales.invoice (id int);
    INSERT INTO orders VALUES (1, 'today');
"""


@dataclass(frozen=True, slots=True)
class World:
    """Two databases that no case may touch, so that all cases share them; and a Parameter Store."""

    source: Database
    target: Database
    store: str

    def where(self, database: Database) -> str:
        """Host, port and name of a database, as they stand in a URL."""
        return f"127.0.0.1:{database.server.port}/{database.name}"

    @property
    def environment(self) -> dict[str, str]:
        """Good settings, with a password in each URL that must not be shown."""
        password = quote(CANARY, safe="")
        urls = {SOURCE: self.source, TARGET: self.target}
        return (
            {name: f"postgresql://postgres:{password}@{self.where(one)}" for name, one in urls.items()}
            | cloud.account(self.store)
            | {"TABLES": "orders"}
        )

    def state(self) -> list[list[tuple[object, ...]]]:
        """Everything in the target that a run could have changed."""
        return [
            self.target.rows("SELECT nspname FROM pg_namespace ORDER BY 1"),
            self.target.rows("SELECT oid, relname, relfilenode FROM pg_class ORDER BY 1"),
            self.target.rows("SELECT * FROM orders"),
        ]


@pytest.fixture(scope="module")
def world(operational_server: Server, reporting_server: Server, store: str) -> Iterator[World]:
    """A source with a shop, and a target with yesterday's orders and no ledger yet."""
    servers = (operational_server, reporting_server)
    for server in servers:
        server.psql(f"CREATE DATABASE {NAME} TEMPLATE template0")
    world = World(Database(operational_server, NAME), Database(reporting_server, NAME), store)
    world.source.execute(SHOP)
    world.target.execute("CREATE TABLE orders (id int, note text); INSERT INTO orders VALUES (1, 'yesterday')")
    yield world
    for server in servers:
        server.psql(f"DROP DATABASE {NAME} WITH (FORCE)")


def refused(world: World, lines: tuple[str, ...], *arguments: str, **variables: str | None) -> Done:
    """Runs ``etl`` with a change to good settings, and asserts the properties of every refusal."""
    before = world.state()
    environment = {name: text for name, text in (world.environment | variables).items() if text is not None}
    done = Etl(environment)(*arguments)
    said = done.stderr.splitlines()
    assert done.status == 2, done
    assert len(said) == len(lines) or said[0].startswith("Usage: "), done.stderr
    for line, expected in zip(said, lines, strict=False):
        pattern = ".*".join(re.escape(piece) for piece in expected.split("…"))
        assert re.fullmatch(rf"(etl: )?{pattern}", line), (line, expected)
    assert "Traceback" not in done.stdout + done.stderr
    for secret in ("s3cr3t", "c4n4ry"):
        assert secret not in done.stdout + done.stderr
    assert world.state() == before
    return done


def test_the_good_settings_are_good(world: World) -> None:
    """Each case changes only the setting in its name, so a failure is due to this setting."""
    done = Etl(world.environment)("check")
    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_told_and_nothing_is_touched(world: World, case: Case, tmp_path: Path) -> None:
    """Message, exit status 2, no traceback, no secret, and a target that is as it was."""
    variables, path = dict(case.environment), f"/bad/{re.sub(r'[^a-z]', '_', case.name)}"
    if case.options is not None:
        file = tmp_path / "options.toml"
        file.write_bytes(case.options if isinstance(case.options, bytes) else case.options.encode())
        variables["ETL_OPTIONS_FILE"] = str(file)
    if case.store is not None:
        variables["ETL_PARAMETER_PATH"] = path
        cloud.put(world.store, path, case.store)
    tokens = {"<source>": world.where(world.source), "<target>": world.where(world.target)}
    tokens |= {"<tmp>": str(tmp_path), STORE: path}
    values = {name: text and _filled(text, tokens) for name, text in variables.items()}
    lines = tuple(_filled(line, tokens) for line in case.lines)
    refused(world, lines, *case.arguments, **values)


def _filled(text: str, tokens: dict[str, str]) -> str:
    for token, value in tokens.items():
        text = text.replace(token, value)
    return text


def test_the_table_is_of_forty_cases_at_least() -> None:
    """There are at least forty cases, with different names."""
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


LOGINS = {
    "wrong password": ("postgres:s3cr3t@<secure>/postgres", 'password authentication failed for user "postgres"'),
    "unknown role": ("nobody:s3cr3t@<secure>/postgres", 'password authentication failed for user "nobody"'),
    "unknown database": (f"postgres:{quote(CANARY, safe='')}@<secure>/shoop", 'database "shoop" does not exist'),
    "no password": ("postgres@<secure>/postgres", "password"),
}


@pytest.mark.parametrize("side", ["operational", "reporting"])
@pytest.mark.parametrize("login", LOGINS)
def test_a_login_that_fails_is_bad_configuration(world: World, secure_server: Server, side: str, login: str) -> None:
    """On either side, the error has the server's own words and the URL without its password."""
    variable = {"operational": SOURCE, "reporting": TARGET}[side]
    text, fault = LOGINS[login]
    url = f"postgresql://{text.replace('<secure>', f'127.0.0.1:{secure_server.port}')}"
    shown = re.sub(":s3cr3t[^@]*", "", url)
    refused(world, (f"{side} database {shown}: …{fault}…; check {variable}",), "run", **{variable: url})


def test_an_unknown_role_without_passwords_is_bad_configuration(world: World) -> None:
    """A server with trust authentication still checks that the role exists."""
    for variable, database in ((SOURCE, world.source), (TARGET, world.target)):
        line = f'…role nobody that may log in (role "nobody" does not exist); check {variable}'
        refused(world, (line,), "run", **{variable: f"postgresql://nobody@{world.where(database)}"})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_source_and_target_may_not_be_one_database(world: World, host: str) -> None:
    """By the same URL or by another name of the host."""
    target = f"postgresql://postgres@{host}:{world.target.server.port}/{NAME}"
    source = f"postgresql://postgres@{world.where(world.target)}"
    line = f"{SOURCE} ({source}) and {TARGET} ({target}) lead to the same database; …"
    refused(world, (line,), "run", **{SOURCE: source, TARGET: target})
    refused(world, (line,), "check", **{SOURCE: source, TARGET: target})


def test_source_and_target_may_not_be_one_database_through_a_port_forward(world: World) -> None:
    """No name or address shows that they are the same; an advisory lock does."""
    with Relay(world.target.server.port).running() as relay:
        source = f"postgresql://postgres@127.0.0.1:{relay.port}/{NAME}"
        refused(world, ("…lead to the same database; …",), "run", **{SOURCE: source})


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"])
def test_what_parameter_store_refuses_for_good_is_bad_configuration(world: World, code: str) -> None:
    """The error comes at once, with the code and a remedy."""
    with cloud.answering(cloud.refusal(code, "User: arn:aws:sts::1:x is\nnot authorized.")) as answers:
        line = f"ETL_PARAMETER_PATH /prod: {code}: User: arn:aws:sts::1:x is not authorized; …"
        refused(world, (line,), "run", ETL_PARAMETER_PATH="/prod", AWS_ENDPOINT_URL=answers.url)
        assert answers.asked == 1
