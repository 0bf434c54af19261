"""Settings from the Parameter Store: moto's over real HTTP, and a server that refuses as AWS does."""

from __future__ import annotations

import json
import socket
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote

import psycopg
import pytest
from psycopg import sql

from servers.postgres import Server
from tests import cloud
from tests.harness import CANARY, Database, Databases, Done, Etl

SHOP = "CREATE TABLE orders (id int, note text); INSERT INTO orders VALUES (1, 'a'); CREATE TABLE customers (id int)"

EVERY_CHARACTER = string.ascii_letters + string.digits + string.punctuation + " äß☃😀"
"""A password of every printable character, and some beyond ASCII."""


@pytest.fixture
def path(databases: Databases) -> str:
    """This test's own path in the store; its databases have a shop."""
    databases.operational.execute(SHOP)
    return f"/nightly-etl/{databases.operational.name}"


def started(store: str, path: str, *arguments: str, **variables: str) -> Done:
    """Runs ``etl`` as the container would: a path, credentials, and these variables."""
    return Etl(cloud.account(store) | {"ETL_PARAMETER_PATH": path})(*arguments, **variables)


def urls(databases: Databases) -> dict[str, str]:
    """The parameters that lead to the databases."""
    return {"operational/url": databases.operational.etl_url, "reporting/url": databases.reporting.etl_url}


def test_the_configuration_file_names_parameters(databases: Databases, store: str, path: str, tmp_path: Path) -> None:
    """A path with settings, which the file overrides, and one parameter of another path; a wrong name is told."""
    cloud.put(store, path, urls(databases) | {"tables": "*", "jobs": "1"})
    cloud.put(store, f"{path}-else", {"reporting": databases.reporting.etl_url})
    file = tmp_path / "etl.toml"
    text = f'parameter_path = "{path}"\ntables = ["orders"]\n'
    text += f'[reporting]\nurl = {{ parameter = "{path}-else/reporting" }}\n'
    file.write_text(text)
    etl = Etl(cloud.account(store) | {"ETL_CONFIG": str(file)})
    assert etl("run").status == 0
    assert databases.reporting.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1
    shown = {one["setting"]: (one["value"], one["source"]) for one in json.loads(etl("settings", "--json").stdout)}
    assert shown["ETL_PARAMETER_PATH"] == (path, f"{file}: parameter_path")
    assert shown["ETL_JOBS"] == ("1", f"{path}/jobs")
    assert shown["TABLES"] == ('["orders"]', f"{file}: tables")
    file.write_text(text.replace("-else/reporting", "-else/nothing"))
    done = etl("history")
    assert (done.status, done.stderr.startswith(f"etl: the parameter {path}-else/nothing: ParameterNotFound: ")) == (
        2,
        True,
    )


def test_all_settings_may_come_from_the_store(databases: Databases, store: str, path: str) -> None:
    """SecureStrings arrive decrypted, also the text of the options; the environment has only the path."""
    options = '[orders]\nexclude = ["note"]\n'
    stored = {"tables": "*", "jobs": "1", "verify": "checksum", "publish": "defer", "options": options}
    cloud.put(store, path, urls(databases) | stored)
    done = started(store, path, "run")
    assert (done.status, done.stderr) == (0, "")
    begun = done.event("run.started")
    assert (begun["tables"], begun["jobs"], begun["publish"]) == (2, 1, "defer")
    assert started(store, path, "publish", begun["run_id"]).status == 0
    assert databases.reporting.rows("SELECT * FROM orders") == [(1,)]


def test_the_environment_beats_the_store(databases: Databases, store: str, path: str) -> None:
    """For each setting separately; a setting that the environment lacks comes from the store."""
    cloud.put(store, path, {"tables": "nowhere", "jobs": "1", "publish": "defer"} | urls(databases))
    done = started(store, path, "run", TABLES="customers", ETL_PUBLISH="run")
    begun = done.event("run.started")
    assert (done.status, begun["tables"], begun["jobs"], begun["publish"]) == (0, 1, 1, "run")


def test_parameters_of_many_pages_are_all_read(databases: Databases, store: str, path: str) -> None:
    """AWS returns ten a page; the needed one may be on the last page."""
    others = {f"a/{number:02}": "x" for number in range(25)}
    cloud.put(store, path, others | {"tables": "orders"} | urls(databases))
    assert started(store, path, "run").status == 0


def test_parameters_under_a_longer_path_are_not_ours(databases: Databases, store: str, path: str) -> None:
    """/prod is not /production, and /prod/ is /prod."""
    cloud.put(store, path, urls(databases) | {"tables": "orders"})
    cloud.put(store, f"{path}uction", {"tables": "nowhere"})
    assert started(store, f"{path}/", "run").status == 0


@contextmanager
def role(server: Server, password: str) -> Iterator[str]:
    """Makes a superuser with this password on the server that asks for it, for as long as the block lasts."""
    name = sql.Identifier("night's loader")
    where = {"host": "127.0.0.1", "port": server.port, "user": "postgres", "password": CANARY, "autocommit": True}
    with psycopg.connect(**where) as session:  # type: ignore[arg-type]
        session.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        session.execute("CREATE DATABASE one")
        session.execute("CREATE DATABASE two")
        try:
            yield "night's loader"
        finally:
            session.execute("DROP DATABASE one WITH (FORCE)")
            session.execute("DROP DATABASE two WITH (FORCE)")
            session.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.parametrize("form", ["parts", "url"])
def test_a_password_of_every_character_opens_both_databases(secure_server: Server, store: str, form: str) -> None:
    """A part is taken literally; a URL needs percent-encoding. No output and no ledger row shows the password."""
    path = f"/nightly-etl/{form}"
    with role(secure_server, EVERY_CHARACTER) as user:
        for side, dbname in (("operational", "one"), ("reporting", "two")):
            host, port = "127.0.0.1", str(secure_server.port)
            parts = {"host": host, "port": port, "dbname": dbname, "user": user, "password": EVERY_CHARACTER}
            login = f"{quote(user)}:{quote(EVERY_CHARACTER, safe='')}"
            url = {"url": f"postgresql://{login}@{host}:{port}/{dbname}"}
            stored = parts if form == "parts" else url
            cloud.put(store, path, {f"{side}/{name}": text for name, text in stored.items()})
        login = f"{quote(user)}:{quote(EVERY_CHARACTER, safe='')}"
        with psycopg.connect(f"postgresql://{login}@127.0.0.1:{secure_server.port}/one") as session:
            session.execute("CREATE TABLE orders AS SELECT 1 AS id")
        for command in ("check", "run", "verify", "history"):
            done = started(store, path, command, TABLES="orders")
            assert (done.status, done.stderr) == (0, ""), command
            assert EVERY_CHARACTER not in done.stdout
            assert quote(EVERY_CHARACTER, safe="") not in done.stdout


def test_a_password_is_shown_nowhere(databases: Databases, store: str, path: str) -> None:
    """Not on either stream, and not in the ledger, even if the source's own error quotes it."""
    secret = "c4n4ry%+/ß"
    quoting = "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE '{}' ; END $$"
    shown = f"{secret} {quote(secret, safe='')}".replace("%", "%%")
    databases.operational.execute(f"{quoting.format(shown)}; CREATE VIEW broken AS SELECT f()")
    cloud.put(store, path, urls(databases) | {"operational/password": secret, "reporting/password": secret})
    for command in (["run"], ["--debug", "run"], ["verify"], ["history", "--json"]):
        done = started(store, path, *command, TABLES="orders,broken")
        assert "c4n4ry" not in done.stdout + done.stderr, command
    assert "***" in databases.reporting.value("SELECT error FROM etl.loads WHERE table_name = 'public.broken' LIMIT 1")
    ledger = databases.reporting.value("SELECT jsonb_agg(x)::text FROM (SELECT * FROM etl.loads) x")
    ledger += databases.reporting.value("SELECT jsonb_agg(x)::text FROM (SELECT * FROM etl.runs) x")
    assert "c4n4ry" not in ledger


def test_throttling_is_waited_out(databases: Databases, path: str) -> None:
    """After two refusals the values arrive, and the run succeeds."""
    throttled = cloud.refusal("ThrottlingException", "Rate exceeded")
    values = urls(databases) | {"tables": "orders"}
    with cloud.answering(throttled, throttled, cloud.found(path, values)) as answers:
        done = started(answers.url, path, "run")
    assert (done.status, done.stderr, answers.asked) == (0, "", 3)


ROLE = "arn:aws:iam::123456789012:role/nightly-etl-job-settings"
AS_ROLE = {"ETL_PARAMETER_ROLE": ROLE, "ETL_JOB": "acme", "ETL_RUN_ID": "acme-20261128T020000Z"}


def test_a_role_is_assumed_once_and_reads_all_parameters(databases: Databases, path: str, tmp_path: Path) -> None:
    """Its session is of the path and the run, and as short as one may be; the process's own role reads nothing."""
    file = tmp_path / "etl.toml"
    file.write_text(f'tables = {{ parameter = "{path}/names" }}')
    named: cloud.Answer = 200, {"Parameter": {"Name": f"{path}/names", "Type": "String", "Value": "orders"}}
    with cloud.answering(cloud.assumed("ASIAACME"), named, cloud.found(path, urls(databases))) as answers:
        done = started(answers.url, path, "run", ETL_CONFIG=str(file), **AS_ROLE)
    assert (done.status, done.stderr) == (0, "")
    (own, asked), *reads = answers.seen
    assert "Credential=test/" in own
    assert ["Credential=ASIAACME/" in by for by, _ in reads] == [True, True]
    form = {name: values[0] for name, values in parse_qs(asked).items()}
    assert {
        "RoleArn": ROLE,
        "DurationSeconds": "900",
        "RoleSessionName": "acme-20261128T020000Z",
    }.items() <= form.items()
    assert (form["Tags.member.1.Key"], form["Tags.member.1.Value"]) == ("settings_path", path)
    assert {line["job"] for line in done.events} == {"acme"}


def test_without_parameters_no_role_is_assumed(databases: Databases) -> None:
    """The path of the settings is still wanted: a role without one could not be limited to anything."""
    variables = {f"ETL_{name.replace('/', '_').upper()}": url for name, url in urls(databases).items()}
    done = Etl(variables | {"ETL_PARAMETER_ROLE": ROLE})("history")
    assert done.status == 2
    assert done.stderr.startswith("etl: ETL_PARAMETER_ROLE is set, and ETL_PARAMETER_PATH")


_NOT_AUTHORIZED = "User: arn:aws:sts::1:assumed-role/job/1 is not authorized to perform: sts:TagSession on resource: x"


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        (
            [cloud.sts_refusal("AccessDenied", _NOT_AUTHORIZED)],
            2,
            f"ETL_PARAMETER_ROLE {ROLE}, for settings_path /prod: AccessDenied: {_NOT_AUTHORIZED}; check that there"
            " is such a role; let this process's own role sts:AssumeRole and sts:TagSession on it, and let the role's"
            " trust policy name that role, for this path",
        ),
        (
            [cloud.sts_refusal("Throttling", "Rate exceeded", 400)],
            1,
            f"STS refused {ROLE} again and again: Throttling: Rate exceeded; try again later",
        ),
        (
            [cloud.assumed("ASIAACME"), cloud.refusal("AccessDeniedException", "User is not authorized")],
            2,
            "ETL_PARAMETER_PATH /prod: AccessDeniedException: User is not authorized; "
            f"{ROLE} may read what is under ETL_PARAMETER_PATH alone; check the path, and allow",
        ),
    ],
    ids=["not allowed", "throttled", "another path"],
)
def test_a_role_that_cannot_be_used_is_one_line(answers: list[cloud.Answer], status: int, said: str) -> None:
    """With what is missing: rights of the process's role, the role's trust, or the path."""
    with cloud.answering(*answers) as served:
        done = started(served.url, "/prod", "run", TABLES="orders", **AS_ROLE)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"etl: {said}")
    assert (done.status, done.stdout) == (status, "")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (cloud.refusal("ThrottlingException", "Rate exceeded"), "ThrottlingException: Rate exceeded"),
        (cloud.refusal("InternalServerError", "Oops.", 500), "InternalServerError: Oops"),
    ],
    ids=["throttled", "broken"],
)
def test_throttling_without_end_is_one_line(refusal: tuple[int, dict[str, object]], said: str) -> None:
    """After four attempts exit 1, because a later run may succeed."""
    with cloud.answering(refusal) as answers:
        done = started(answers.url, "/prod", "run", TABLES="orders")
    line = f"etl: Parameter Store refused /prod again and again: {said}; try again later\n"
    assert (done.status, done.stderr, done.stdout, answers.asked) == (1, line, "", 4)


def test_an_endpoint_that_refuses_connections_is_one_line() -> None:
    """Exit 1 within half a minute."""
    with socket.socket() as taken:  # bound but not listening: nobody else can, and nobody answers
        taken.bind(("127.0.0.1", 0))
        _unreachable(f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_an_endpoint_that_does_not_answer_is_one_line() -> None:
    """Exit 1 within half a minute: a security group that drops packets looks like this."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}")


def _unreachable(endpoint: str) -> None:
    began = time.monotonic()
    done = started(endpoint, "/prod", "run", TABLES="orders")
    assert time.monotonic() - began < 35
    (line,) = done.stderr.splitlines()
    assert line.startswith("etl: Parameter Store cannot be reached for /prod: ")
    assert endpoint in line
    assert (done.status, done.stdout) == (1, "")


def test_a_slip_in_a_parameter_s_name_is_refused(databases: Databases, store: str, path: str) -> None:
    """The error has the path of the parameter; parameters with other names are ignored."""
    cloud.put(store, path, urls(databases) | {"tables": "orders", "slack/webhook": "x"})
    assert started(store, path, "run").status == 0
    cloud.put(store, path, {"option": "[orders]"})
    done = started(store, path, "run")
    said = f"etl: {path}/option is no setting; did you mean {path}/options?\n"
    assert (done.status, done.stderr, done.stdout) == (2, said, "")


def test_a_variable_that_is_no_setting_is_warned_of(databases: Databases, etl: Etl) -> None:
    """The log has its name; the run succeeds."""
    databases.operational.execute("CREATE TABLE orders (id int)")
    done = etl("run", TABLES="orders", ETL_COMMAND="run", ETL_SLACK="x")
    said = "ETL_SLACK is no setting, and does nothing; take it out, or mend its name"
    assert (done.status, done.event("setting.unknown")["error"]) == (0, said)


def test_the_store_s_url_is_not_mixed_with_the_environment_s(databases: Databases, store: str, path: str) -> None:
    """The environment's URL wins over the store's parts too, which only fill in what the URL lacks."""
    wrong = {"operational/host": "nowhere.invalid", "operational/port": "1", "operational/dbname": "nothing"}
    cloud.put(store, path, urls(databases) | wrong | {"tables": "orders"})
    assert started(store, path, "run", ETL_OPERATIONAL_URL=databases.operational.etl_url).status == 0


def test_a_database_given_by_parts_needs_no_url(databases: Databases, store: str, path: str) -> None:
    """host, port, dbname and user are enough if the server asks for no password."""

    def parts(side: str, database: Database) -> dict[str, str]:
        values = {
            "host": "127.0.0.1",
            "port": str(database.server.port),
            "dbname": database.name,
            "user": database.role,
        }
        return {f"{side}/{name}": text for name, text in values.items()}

    cloud.put(store, path, parts("operational", databases.operational) | parts("reporting", databases.reporting))
    assert started(store, path, "run", TABLES="orders").status == 0
