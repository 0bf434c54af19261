"""ETL_AFTER_PUBLISH: a command after the publish; its failure is told, and is not the publish's."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.harness import CANARY, TIMEOUT, Databases, Etl
from tests.situations import ledger, live, make_orders_and_items, until

SAID = "import json, os, sys; print('from the command', file={}); open({!r}, 'w').write(json.dumps(dict(os.environ)))"


@pytest.fixture
def tables(databases: Databases) -> Databases:
    """Two tables of one row each in the source, one of which is renamed on its way."""
    return make_orders_and_items(databases)


@pytest.fixture
def etl(etl: Etl) -> Etl:
    """``etl`` with both tables in TABLES."""
    return etl.having(TABLES="orders,items")


def python(code: str) -> str:
    """A command that executes Python."""
    return shlex.join([sys.executable, "-c", code])


def written(file: Path) -> psutil.Process:
    """The process whose id a command writes into a file."""
    until(file.exists, "the id of the process")
    return psutil.Process(int(file.read_text()))


def has_ended(process: psutil.Process) -> bool:
    """Whether a process does nothing any more; its parent may not have asked for its status yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("stream", ["sys.stdout", "sys.stderr"])
def test_the_command_has_the_run_and_its_tables(tables: Databases, etl: Etl, tmp_path: Path, stream: str) -> None:
    """In its environment, beside ours; its output goes to standard error, so that the log stays JSON."""
    file = tmp_path / "environment"
    options = tmp_path / "options.toml"
    options.write_text('[orders]\nrename = "sales.orders"\n')
    command = python(SAID.format(stream, str(file)))
    done = etl("run", ETL_AFTER_PUBLISH=command, ETL_OPTIONS_FILE=str(options), ETL_RUN_ID="tonight", MINE="x")
    assert (done.status, done.stderr) == (0, "from the command\n")
    assert all(line.startswith("{") for line in done.stdout.splitlines())
    environment = json.loads(file.read_text())
    assert environment["ETL_PUBLISHED_RUN"] == "tonight"
    assert json.loads(environment["ETL_PUBLISHED_TABLES"]) == ["public.items", "sales.orders"]
    assert environment["MINE"] == "x"
    events = [event["event"] for event in done.events]
    assert events[-3:] == ["run.finished", "after_publish.started", "after_publish.finished"]
    assert tables.reporting.value("SELECT count(*) FROM sales.orders") == 1


def test_the_command_sees_what_is_published(tables: Databases, etl: Etl) -> None:
    """It begins after the commit, when the run holds no lock any more: it may be a run itself, which is the last."""
    done = etl("run", "orders", ETL_AFTER_PUBLISH=f"{sys.executable} -m etl run items")
    assert done.status == 0, done.stderr
    assert [name for name, _ in live(tables.reporting)] == ["items", "orders"]
    assert tables.reporting.value("SELECT count(*) FROM etl.runs") == 2


def test_a_command_that_fails_does_not_take_the_publish_back(tables: Databases, etl: Etl) -> None:
    """Exit status 1, with a message that says both; the ledger has a published run."""
    done = etl("run", ETL_AFTER_PUBLISH=python("import sys; sys.exit('no model')"), ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (
        1,
        "no model\netl: run tonight is published, but the command after it, "
        f"{sys.executable!r} of ETL_AFTER_PUBLISH, ended with exit status 1; its output says why\n",
    )
    assert ledger(tables.reporting) == ("published", None)
    assert len(live(tables.reporting)) == 2


@pytest.mark.usefixtures("tables")
def test_json_is_printed_although_the_command_fails(etl: Etl) -> None:
    """The document says what was published; the exit status says that something failed."""
    done = etl("run", "--json", ETL_AFTER_PUBLISH=python("print('noise'); raise SystemExit(3)"))
    assert (done.status, json.loads(done.stdout)["status"]) == (1, "published")


def test_a_program_that_is_not_there_stops_the_run_at_its_start(tables: Databases, etl: Etl) -> None:
    """Not after hours of copying."""
    done = etl("run", ETL_AFTER_PUBLISH="dbtt build")
    assert (done.status, done.stderr) == (
        2,
        "etl: ETL_AFTER_PUBLISH names the program 'dbtt', which is not on the PATH or may not be executed; install it"
        " beside etl, or write its whole path\n",
    )
    assert live(tables.reporting) == []


def test_it_follows_a_deferred_publish_and_no_shard(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """A run that only stages has published nothing."""
    file = tmp_path / "environment"
    deferred = {"ETL_RUN_ID": "tonight", "ETL_AFTER_PUBLISH": python(SAID.format("sys.stderr", str(file)))}
    assert etl("run", ETL_PUBLISH="defer", **deferred).status == 0
    assert not file.exists()
    assert etl("publish", **deferred).status == 0
    assert json.loads(json.loads(file.read_text())["ETL_PUBLISHED_TABLES"]) == ["public.items", "public.orders"]
    assert len(live(tables.reporting)) == 2


def test_it_does_not_follow_a_run_that_failed(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """Nor one that was refused."""
    file = tmp_path / "environment"
    tables.operational.execute("ALTER TABLE items ADD email text")
    options = tmp_path / "options.toml"
    options.write_text('[items]\non_new_column = "fail"\ncolumns = ["id"]\n')
    command = python(SAID.format("sys.stderr", str(file)))
    assert etl("run", ETL_AFTER_PUBLISH=command, ETL_OPTIONS_FILE=str(options)).status == 1
    assert not file.exists()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_all_that_the_command_started(
    tables: Databases, etl: Etl, tmp_path: Path, signum: signal.Signals
) -> None:
    """Also the child of a shell; the exit status is the signal's, and the message says that the run is published."""
    file = tmp_path / "pid"
    command = shlex.join(["sh", "-c", f"sleep 600 & echo $! > {file}.new; mv {file}.new {file}; wait"])
    with etl.started("run", ETL_AFTER_PUBLISH=command, ETL_RUN_ID="tonight") as process:
        sleeper = written(file)
        process.send_signal(signum)
        _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signum
    assert "run tonight is published, but the command after it, 'sh' of ETL_AFTER_PUBLISH, was stopped" in stderr
    assert stderr.endswith(f"etl: stopped by {signum.name}\n")
    assert has_ended(sleeper)
    assert ledger(tables.reporting) == ("published", None)


def test_a_signal_ends_also_who_does_not_listen_to_it(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """A process that ignores SIGTERM, and outlives the one that started it: it gets SIGKILL."""
    file = tmp_path / "pid"
    deaf = f"trap '' TERM; echo $$ > {file}.new; mv {file}.new {file}; sleep 600"
    command = shlex.join(["sh", "-c", f"sh -c {shlex.quote(deaf)} & wait"])
    with etl.started("run", ETL_AFTER_PUBLISH=command, ETL_RUN_ID="tonight") as process:
        deaf_one = written(file)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGTERM
    assert has_ended(deaf_one)
    assert ledger(tables.reporting) == ("published", None)


def test_a_command_that_a_signal_without_a_name_ended_is_told(tables: Databases, etl: Etl) -> None:
    """Of the real-time signals only the first and the last have names."""
    done = etl("run", ETL_AFTER_PUBLISH=python("import os; os.kill(os.getpid(), 40)"))
    assert (done.status, "ended by signal 40; its output says why" in done.stderr) == (1, True)
    assert len(live(tables.reporting)) == 2


def test_secrets_of_files_are_not_in_its_environment(tables: Databases, etl: Etl, tmp_path: Path) -> None:
    """It has our environment, and what that lacks it does not get from us."""
    (tmp_path / "secret").write_text(CANARY)
    config = tmp_path / "etl.toml"
    config.write_text('[reporting]\npassword = { file = "secret" }\n')
    file = tmp_path / "environment"
    done = etl("run", "--config", str(config), ETL_AFTER_PUBLISH=python(SAID.format("sys.stderr", str(file))))
    assert done.status == 0, done.stderr
    assert CANARY not in file.read_text()
    assert len(live(tables.reporting)) == 2


@pytest.mark.usefixtures("tables")
def test_an_etl_after_the_publish_warns_of_nothing(etl: Etl) -> None:
    """The variables that it is given are no misspelt settings."""
    done = etl("run", ETL_AFTER_PUBLISH=f"{sys.executable} -m etl settings --json", ETL_LOG_LEVEL="warning")
    assert (done.status, "setting.unknown" in done.stderr) == (0, False)
