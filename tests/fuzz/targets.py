"""The targets of fuzzing. Each takes any text, and raises only if the code has a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import Any, cast
from zoneinfo import ZoneInfo

from etl import functions
from etl.logs import log
from etl.model.errors import ConfigurationError, one_line
from etl.model.redaction import Redactor
from etl.settings import config
from etl.settings import file as config_file
from etl.settings.found import NO_FILE, FromFile, Value
from statemachine.notifier.deployment import Deployment
from statemachine.notifier.links import Console
from statemachine.notifier.message import message
from statemachine.notifier.outcome import FailedTable, Failure, Outcome, Slow, from_event, from_machine
from statemachine.starter.app import BadInput, start_of

SECRET = "c4n4ry-s3cr3t"  # must not be shown
NEEDS = ("operational", "reporting", "tables", "run_id")
_RIGHT = {
    "TABLES": "orders",
    "ETL_RUN_ID": "tonight",
    "ETL_OPERATIONAL_URL": f"postgresql://etl:{SECRET}@one/shop",
    "ETL_REPORTING_URL": f"postgresql://etl:{SECRET}@two/shop",
}
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:nightly-etl:2026-11-22"


def tables(text: str) -> None:
    """The list of tables."""
    _settings({"TABLES": text})


def url(text: str) -> None:
    """A URL with a known password, so that a message that shows it is detected."""
    for form in (text, f"postgresql://etl:{SECRET}@{text}", f"postgresql://etl@db/shop?password={SECRET}&{text}"):
        _settings({"ETL_OPERATIONAL_URL": form})


def options(text: str) -> None:
    """The text of the options in the Parameter Store."""
    _settings({}, {"options": text})


def file(text: str) -> None:
    """The configuration file; what its references name is not there."""
    with NamedTemporaryFile(suffix=".toml") as written:
        written.write(text.encode("utf-8", "surrogateescape"))
        written.flush()
        name = Value(written.name, "--config")
        try:
            read = config_file.read(name, {}, NEEDS, lambda _: text)
        except ConfigurationError as error:
            _clear(error)
        else:
            _settings({}, read=read)
            _settings({"TABLES": "", "ETL_OPERATIONAL_URL": "", "ETL_REPORTING_URL": ""}, read=read)


def parameters(text: str) -> None:
    """All settings, as lines ``NAME=value``: names in capitals are variables, the others parameters."""
    lines = [line.partition("=") for line in text.split("\n")]
    variables = {name: value for name, _, value in lines if name.isupper() and name != "ETL_OPTIONS_FILE"}
    _settings(variables, {name: value for name, _, value in lines if not name.isupper()})


def event(text: str) -> None:
    """The input of the runner's functions from Lambda."""
    for command in functions.FUNCTIONS.values():
        try:
            functions.checked(command, _json(text))
        except ConfigurationError as error:
            _clear(error)


def start(text: str) -> None:
    """The input of the starter, from the schedule or a user."""
    given = _json(text)
    try:
        begun = start_of(given, datetime(2026, 11, 22, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    except BadInput as error:
        _clear(error)
    else:
        assert re.fullmatch(r"[\w.-]{1,80}", begun.name, re.ASCII), begun.name  # what Step Functions takes


def slack(text: str) -> None:
    """Errors and names in the notifier's message: no mention, no link but ours, no markup."""
    outcome = Outcome(
        run_id="2026-11-22",
        execution=EXECUTION,
        status="failed",
        well=False,
        failure=Failure(text, text, text),
        ledger_error=text,
        failed=(FailedTable(text, text),),
        failed_count=1,
        slowest=(Slow(text, 1.0, 2.0, 3),),
    )
    _slack_shows(outcome)
    machine = {"outcome": "failure", "run_id": text, "execution": EXECUTION}
    job = {"error": text, "reason": text, "code": text, "log": text, "id": text, "shards": [1]}
    failure = {"state": text, "error": text, "cause": text, "jobs": [job, {**job, "log": ""}]}
    _slack_shows(from_machine(machine | {"failure": failure, "report": {"error": text}}))
    _slack_shows(from_event({"name": text, "executionArn": EXECUTION, "status": "FAILED", "error": text}))


def line(text: str) -> None:
    """A server's message on standard error: one line without escape sequences."""
    shown = log.printable(one_line(RuntimeError(text)))
    assert not _ACTS.search(shown), repr(shown)
    assert SECRET not in Redactor([SECRET])(text + SECRET + text)


TARGETS: Mapping[str, Callable[[str], None]] = {
    each.__name__: each for each in (tables, url, options, file, parameters, event, start, slack, line)
}

SEEDS: Mapping[str, tuple[str, ...]] = {
    "tables": ('orders,sales.*,!audit."x, y"', '["orders", "\\u0061"]', "# none\norders\n*.*"),
    "url": ("[::1]:5432,two:5433/shop?sslmode=verify-full&options=-c%20a%3Db", "host=db dbname=shop", "db/a%ffb"),
    "options": ('[defaults]\nsplit = 4\n[orders]\nkey="id"\n[orders.mask]\nemail="hash"', '["a.*"]\nwhere="id > 1"'),
    "file": (
        'tables = ["a"]\njobs = 4\n[operational]\nurl = "postgresql://a@b/c"\npassword = { environment = "X" }',
        '[options.orders]\nwhere = "id > 1"\n[reporting]\nurl = { parameter = "/x" }',
    ),
    "parameters": ("ETL_JOBS=4\njobs=5\noperational/host=db\nETL_OPERATIONAL_PASSWORD=x", "ETL_MASK_KEY=abc"),
    "event": (
        '{"run_id": "a", "shards": [["orders"], "b"], "error": null}',
        '{"table": "a", "limit": 5, "last_id": 1}',
    ),
    "start": ('{"run_date": "2026-11-22", "rerun": 2, "shards": [["a"]]}', '{"detail-type": "Scheduled Event"}'),
    "slack": ("<!channel> `rm` <https://x|y> *bold*", "a\n\n```\nb"),
    "line": ("\x1b]0;x\x07", "\u202eabc\ud800"),
}


def _settings(variables: Mapping[str, str], stored: Mapping[str, str] | None = None, read: FromFile = NO_FILE) -> None:
    environment = _RIGHT | dict(variables) | ({"ETL_PARAMETER_PATH": "/shop"} if stored is not None else {})
    try:
        found = config.load(environment, NEEDS, lambda _: stored or {}, file=read)
        settings, warnings = found.settings, found.warnings
    except ConfigurationError as error:
        _clear(error)
    else:
        shown = [repr(settings), *map(str, (settings.source, settings.target)), *warnings]
        assert not [each for each in shown if SECRET in each], shown


def _clear(error: Exception) -> None:
    said = str(error)
    assert said, "an error says what is wrong"
    assert SECRET not in said, said
    assert not _ACTS.search(log.printable(said.replace("\n", " "))), repr(said)


def _json(text: str) -> Any:
    """Parses JSON as Lambda does before it calls; text that is not JSON never reaches a function."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return {"run_id": text, "table": text, "run_date": text, "shards": [[text]]}


def _slack_shows(outcome: Outcome) -> None:
    posted = message(outcome, Console.of(EXECUTION, "/nightly-etl"), Deployment(starter="nightly-etl-starter"))
    for block in posted["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        for part in cast("list[dict[str, str]]", [each for each in parts if each]):
            assert 1 <= len(part["text"]) <= 3000
            if part["type"] == "mrkdwn":
                links = re.sub(r"<https://[a-z0-9.-]+amazon\.com/[^<>|]*\|[^<>|]*>", "", part["text"])
                assert "<" not in links, part
