"""nightly-jobs against moto's DynamoDB and SQS over real HTTP: as a person uses it, and as a program does."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

from scheduler.cli import file
from scheduler.cli.diff import difference
from scheduler.cli.writing import write
from scheduler.ended import settle
from scheduler.job import Job, Status
from scheduler.machine import Ended
from scheduler.message import Message
from scheduler.registry import Registry
from scheduler.runner import handle
from scheduler.tick import tick
from tests.cloud import account, answering, refusal
from tests.mistakes.nightly_jobs import outcome
from tests.scheduling import TABLE, Services, services

NIGHT = datetime(2026, 11, 28, 2, tzinfo=UTC)
SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas" / "nightly-jobs"
TWO = """
[defaults]
zone = "Europe/Berlin"
source = "db1"
target = "reports"

[jobs.acme]
cron = "30 2 * * *"

[jobs.globex]
cron = "0 1 * * 1-5"
zone = "America/New_York"

[sources.db1]
at_once = 4
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Services]:
    """Moto, with a queue and a state machine that all tests of this file use."""
    with services() as found:
        yield found


@pytest.fixture
def here(cloud: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The same services with a table of the test's own; the current folder is empty."""
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    cloud.client("dynamodb").create_table(**{**TABLE, "TableName": name})
    monkeypatch.chdir(tmp_path)
    return replace(cloud, table=name)


def variables(here: Services) -> dict[str, str]:
    """What leads nightly-jobs to the services."""
    return account(here.endpoint) | {"NIGHTLY_JOBS_TABLE": here.table, "NIGHTLY_JOBS_QUEUE": "due"}


def done(here: Services, *arguments: str) -> tuple[int, str, str]:
    """Runs nightly-jobs in this process; returns exit status, standard output and standard error."""
    return outcome(variables(here), list(arguments))


def answer(here: Services, *arguments: str) -> Any:
    """What a command prints with --json, which fits its schema."""
    status, printed, said = done(here, *arguments, "--json")
    assert status == 0, said
    found = json.loads(printed)
    schema = json.loads((SCHEMAS / f"{arguments[0]}.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(found)
    return found


def put(here: Services, text: str, *options: str) -> Any:
    """Puts a file with this text."""
    Path("jobs.toml").write_text(text, encoding="utf-8")
    return answer(here, "put", "jobs.toml", "--yes", *options)


def test_a_person_puts_a_file_is_asked_and_works_with_the_jobs(here: Services) -> None:
    """At a terminal, in processes of their own: put, list, run-now, the runner, history, disable, put again, remove."""
    Path("jobs.toml").write_text(TWO, encoding="utf-8")
    status, shown = at_terminal(here, ["put", "jobs.toml"], b"n\n")
    assert (status, "new acme: 30 2 * * * Europe/Berlin" in shown) == (1, True), shown
    assert "Write this? [y/N]" in shown
    assert here.deployment.registry.jobs() == []

    status, shown = at_terminal(here, ["put", "jobs.toml"], b"y\n")
    assert (status, "written: 2 new jobs, 0 changed ones, 1 at_once" in shown) == (0, True), shown
    status, shown = at_terminal(here, ["list"])
    assert (status, "2 jobs, 2 of them enabled" in shown) == (0, True), shown

    status, shown = at_terminal(here, ["disable", "ac*"])
    assert (status, "acme is disabled; it was enabled" in shown) == (0, True), shown
    status, shown = at_terminal(here, ["run-now", "acme"])
    name = shown.split("asked for ")[1].split(";")[0]
    (message,) = received(here)
    assert (message.name, handle(here.deployment, message, datetime.now(UTC))) == (name, "started")
    status, shown = at_terminal(here, ["history", "acme"])
    assert (status, name in shown, "started" in shown) == (0, True, True), shown

    Path("jobs.toml").write_text(TWO.replace("30 2", "45 2").replace("[jobs.globex]", "[jobs.initech]"))
    status, shown = at_terminal(here, ["put", "jobs.toml", "--prune"], b"y\n")
    assert "  cron: 30 2 * * * -> 45 2 * * *" in shown
    assert "globex is removed" in shown
    assert "Write this, and remove 1 job? [y/N]" in shown
    assert status == 0, shown
    found = {one["id"]: one["status"] for one in answer(here, "list")}
    assert found == {"acme": "disabled", "initech": "enabled"}


def test_what_was_put_is_started_by_the_tick_and_its_end_is_shown(here: Services) -> None:
    """From the file to the history: tick, queue, runner and ended, as the Lambdas do it."""
    put(here, '[jobs.acme]\ncron = "* * * * *"\nsource = "a"\ntarget = "b"\n')
    deployment, known = here.deployment, here.deployment.registry.get("acme")
    assert known is not None
    assert known.next_run_at is not None
    due = known.next_run_at
    assert tick(deployment.registry, deployment.queue, due).sent == 2  # that of the next minute has a delay
    (message,) = received(here)
    assert (message.due, handle(deployment, message, due)) == (due, "started")
    assert settle(deployment, "acme", message.name, due, Ended("failed", due + timedelta(seconds=90), "no space left"))
    (listed,) = answer(here, "list")
    assert (listed["last_run"], listed["last_status"], listed["error"]) == (message.name, "failed", "no space left")
    assert listed["counters"]["failures_in_row"] == 1
    (run,) = answer(here, "history", "acme")
    assert (run["status"], run["late_seconds"], run["error"]) == ("failed", 0.0, "no space left")
    assert [pool["holders"] for pool in answer(here, "show", "acme")["pools"]] == [[], [], []]
    for command in ("list", "show acme", "history acme"):
        _, printed, _ = done(here, *command.split())
        assert "failed" in printed
    assert " 90 s " in printed
    here.client("sqs").purge_queue(QueueUrl=here.queue_url)


def test_without_a_terminal_nothing_is_written_unasked(here: Services) -> None:
    """Exit status 2, and the remedy; --dry-run asks nobody, nor does a file that changes nothing."""
    Path("jobs.toml").write_text(TWO, encoding="utf-8")
    status, printed, said = done(here, "put", "jobs.toml")
    assert (status, said) == (
        2,
        "nightly-jobs: nobody is there to be asked, for standard input is no terminal; give --yes\n",
    )
    assert "2 new, 0 changed, 0 unchanged" in printed
    assert done(here, "put", "jobs.toml", "--dry-run")[0] == 0
    assert here.deployment.registry.jobs() == []
    put(here, TWO)
    assert done(here, "put", "jobs.toml")[0] == 0


def test_what_is_put_is_in_the_registry_and_its_index(here: Services) -> None:
    """Enabled jobs are due; what the file says of the pools holds."""
    first = put(here, TWO)
    assert [(one["id"], len(one["next"])) for one in first["new"]] == [("acme", 5), ("globex", 5)]
    assert first["written"] == {"new": 2, "changed": 0, "removed": 0, "limits": 1, "failed": []}
    acme = here.deployment.registry.get("acme")
    assert acme is not None
    assert (acme.job.settings_path, acme.job.status) == ("/nightly-etl/jobs/acme", Status.ENABLED)
    assert acme.next_run_at == datetime.fromisoformat(first["new"][0]["next"][0])
    assert here.deployment.registry.contents()[1] == {"pool#source#db1": 4}
    again = put(here, TWO)
    assert (again["unchanged"], again["written"]) == (2, None)
    assert answer(here, "show", "acme")["pools"][1] == {"id": "pool#source#db1", "at_once": 4, "holders": []}


def test_show_tells_who_holds_a_place(here: Services) -> None:
    """And the counters; times are the job's own."""
    put(here, TWO)
    deployment, due = here.deployment, datetime.now(UTC).replace(microsecond=0)
    assert handle(deployment, Message("acme", due, None), due) == "started"
    shown = answer(here, "show", "acme")
    assert [pool["holders"][0]["run"] for pool in shown["pools"]] == [Message("acme", due, None).name] * 3
    assert shown["job"]["counters"]["started"] == 1
    assert answer(here, "run-now", "acme")["running"] == Message("acme", due, None).name
    _, printed, _ = done(here, "run-now", "acme")
    assert "has not ended yet, as far as the registry knows; if so, this one is skipped" in printed
    received(here)


def test_a_paused_job_is_named_and_stays_paused(here: Services) -> None:
    """Though the file says that it is enabled; enable lets it run again, and forgets its failures."""
    put(here, TWO)
    here.deployment.registry.pause("acme", 0, "acme-20261128T020000Z")
    text = TWO.replace("[jobs.acme]", "[jobs.acme]\nenabled = true")
    found = put(here, text)
    assert (found["paused"], found["changed"]) == (["acme"], [])
    _, printed, _ = done(here, "put", "jobs.toml", "--yes")
    assert "acme is paused, and stays so; nightly-jobs enable acme" in printed
    assert answer(here, "enable", "acme") == [{"id": "acme", "old": "paused", "new": "enabled", "error": None}]


def test_a_job_that_is_changed_meanwhile_is_named_and_left(here: Services, tmp_path: Path) -> None:
    """One is paused, one gets another source; the third is written."""
    put(here, TWO + '[jobs.initech]\ncron = "@daily"\n')
    registry, pools, now = here.deployment.registry, here.deployment.pools, datetime.now(UTC)
    path = tmp_path / "jobs.toml"
    path.write_text(path.read_text().replace('target = "reports"', 'target = "new"'))
    todo = difference(file.read(path, "/nightly-etl/jobs"), *registry.contents(), prune=False)
    registry.pause("acme", 0, "acme-20261128T020000Z")
    globex = registry.get("globex")
    assert globex is not None
    registry.put(replace(globex.job, source="db7"), now)
    written = write(registry, pools, todo, now, prune=False)
    assert (written.changed, sorted(line.split()[1] for line in written.failed)) == (1, ["acme", "globex"])
    left = {name: job_of(here, name) for name in ("acme", "globex", "initech")}
    assert (left["acme"].status, left["globex"].source, left["initech"].target) == (Status.PAUSED, "db7", "new")


def test_a_job_that_is_changed_before_it_is_pruned_is_named_and_left(here: Services, tmp_path: Path) -> None:
    """The answer to the question comes a minute later, when another person has changed the source of the job."""
    put(here, TWO + '[jobs.initech]\ncron = "@daily"\n[jobs.umbrella]\ncron = "@daily"\n')
    registry, pools, now = here.deployment.registry, here.deployment.pools, datetime.now(UTC)
    path = tmp_path / "jobs.toml"
    path.write_text(TWO)
    todo = difference(file.read(path, "/nightly-etl/jobs"), *registry.contents(), prune=True)
    registry.put(replace(job_of(here, "initech"), source="db7"), now)
    written = write(registry, pools, todo, now, prune=True)
    assert (written.removed, [line.split()[1] for line in written.failed]) == (1, ["initech"])
    assert job_of(here, "initech").source == "db7"
    assert registry.get("umbrella") is None


def test_an_error_of_aws_stops_the_writes_and_the_next_put_does_the_rest(here: Services) -> None:
    """One line says it, and not one for each of the jobs; what was written stays."""
    many = TWO + "".join(f'[jobs.t{number}]\ncron = "@daily"\n' for number in range(100))
    Path("jobs.toml").write_text(many, encoding="utf-8")
    registry, pools = here.deployment.registry, here.deployment.pools
    todo = difference(file.read(Path("jobs.toml"), "/nightly-etl/jobs"), *registry.contents(), prune=False)
    refuse = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "UpdateItem")
    with mock.patch.object(Registry, "put_over", side_effect=[*[None] * 10, *[refuse] * 200]):
        written = write(registry, pools, todo, datetime.now(UTC), prune=False)
    assert (written.new, len(written.failed)) == (10, 1)
    assert "access denied: no; have the action named here allowed" in written.failed[0]
    assert "then put the file again, for what follows is not written" in written.failed[0]
    assert put(here, many)["written"]["new"] == 102


def test_what_was_disabled_before_an_error_of_aws_is_told(here: Services) -> None:
    """A person who stops all jobs has to know which jobs still start. One line gives the reason."""
    put(here, TWO + '[jobs.initech]\ncron = "@daily"\n[jobs.umbrella]\ncron = "@daily"\n')
    refuse = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "UpdateItem")
    with mock.patch.object(Registry, "set_status", side_effect=[None, refuse, refuse, refuse]):
        status, printed, said = done(here, "disable", "*")
    assert (status, printed.count(" is disabled; it was enabled")) == (1, 1)
    first, second = said.splitlines()
    assert "stays enabled: AWS throttles the calls" in first
    assert (
        second == "nightly-jobs: 2 more jobs stay as they were: AWS has refused another; repeat it when that is mended"
    )


def test_what_was_removed_before_an_error_of_aws_is_told(here: Services) -> None:
    """Repeated as it was, the command would say that there is no such job, and remove none."""
    put(here, TWO)
    refuse = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "DeleteItem")
    with mock.patch.object(Registry, "remove", side_effect=[None, refuse]):
        status, printed, said = done(here, "remove", "globex", "acme", "--yes")
    assert (status, printed) == (1, "removed globex\n")
    assert said.splitlines()[1] == "nightly-jobs: not removed: acme; repeat it with this one"


def test_jobs_are_chosen_by_patterns_and_misspelt_ones_change_none(here: Services) -> None:
    """All problems are told at once."""
    put(here, TWO)
    status, _, said = done(here, "disable", "acme", "globx", "x*")
    assert status == 2
    assert said.splitlines() == [
        "nightly-jobs: there is no job globx; did you mean globex?",
        "nightly-jobs: no job matches x*; nightly-jobs list has all of them",
    ]
    assert {one["status"] for one in answer(here, "list")} == {"enabled"}
    assert [one["old"] for one in answer(here, "disable", "*")] == ["enabled", "enabled"]
    assert [one["id"] for one in answer(here, "list", "g*", "--status", "disabled")] == ["globex"]
    assert job_of(here, "acme").status is Status.DISABLED


def test_a_job_that_cannot_be_read_does_not_hide_the_others(here: Services) -> None:
    """It is listed as broken, put leaves it out and says so, and it can be removed."""
    put(here, TWO)
    here.client("dynamodb").update_item(
        TableName=here.table,
        Key={"id": {"S": "job#acme"}, "item": {"S": "job"}},
        UpdateExpression="SET overlap = :word",
        ExpressionAttributeValues={":word": {"S": "buffer"}},
    )
    assert [one["status"] for one in answer(here, "list")] == ["broken", "enabled"]
    status, printed, said = done(here, "put", "jobs.toml", "--yes")
    assert (status, "cannot be read" in printed, "job acme cannot be read" in said) == (1, True, True)
    assert done(here, "show", "acme")[2].startswith("nightly-jobs: job acme cannot be read: 'buffer' is not a valid")
    assert answer(here, "remove", "acme", "--yes") == {"removed": ["acme"]}
    assert put(here, TWO)["written"]["new"] == 1


def test_what_nobody_can_read_is_told_of_the_one_job(here: Services) -> None:
    """By each command, in one line; the others are listed, and the broken one can be removed, as the line says."""
    put(here, TWO)
    handle(here.deployment, Message("acme", NIGHT, None), NIGHT)
    here.client("dynamodb").update_item(
        TableName=here.table,
        Key={"id": {"S": "job#acme"}, "item": {"S": "job"}},
        UpdateExpression="SET #zone = :zone",
        ExpressionAttributeNames={"#zone": "zone"},
        ExpressionAttributeValues={":zone": {"S": "Mars/Olympus"}},
    )
    assert [one["status"] for one in answer(here, "list")] == ["broken", "enabled"]
    for command in ("show", "run-now", "enable"):
        status, _, said = done(here, command, "acme")
        assert (status, said.count("\n"), "cannot be read" in said) == (1, 1, True), said
        assert "zone is 'Mars/Olympus', which is no time zone" in said
    assert answer(here, "history", "acme")[0]["due"] == "2026-11-28T02:00:00+00:00"
    assert answer(here, "remove", "acme", "--yes") == {"removed": ["acme"]}


def test_history_outlives_the_job(here: Services) -> None:
    """The newest run is first; a job that never was has none."""
    put(here, TWO)
    for due in (datetime(2026, 11, 28, 2, tzinfo=UTC), datetime(2026, 11, 29, 2, tzinfo=UTC)):
        handle(here.deployment, Message("acme", due, None), due)
    assert [run["status"] for run in answer(here, "history", "acme")] == ["skipped", "started"]
    answer(here, "remove", "acme", "--yes")
    assert answer(here, "history", "acme", "--most", "1")[0]["run"] == "acme-20261129T020000Z"
    assert done(here, "history", "nobody")[0] == 2
    assert (
        done(here, "remove", "acme", "--yes")[2]
        == "nightly-jobs: there is no job acme; nightly-jobs list has all of them\n"
    )


def test_hundreds_of_jobs_are_put_side_by_side(here: Services) -> None:
    """Each with its own due time; they are many more than the threads that put them."""
    jobs = "".join(f'[jobs.tenant-{number}]\ncron = "{number % 60} {number % 24} * * *"\n' for number in range(250))
    found = put(here, '[defaults]\nzone = "Europe/Berlin"\nsource = "a"\ntarget = "b"\n' + jobs)
    assert found["written"]["new"] == 250
    assert len(answer(here, "list")) == 250


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AccessDeniedException", "access denied: it may not; have the action"),
        ("ResourceNotFoundException", "there is no such table (table x); give --name or --table"),
        ("ExpiredTokenException", "the credentials have expired: it may not; set AWS_PROFILE"),
    ],
)
def test_a_refusal_of_aws_is_one_line_with_the_remedy(code: str, told: str) -> None:
    """Exit status 2: nothing was done."""
    with answering(refusal(code, "it may not")) as server:
        status, _, said = outcome(account(server.url) | {"NIGHTLY_JOBS_TABLE": "x"}, ["list"])
    assert (status, len(said.splitlines())) == (2, 1)
    assert said.startswith(f"nightly-jobs: {told}")


@pytest.mark.parametrize("package", ["click", "boto3", "cronsim"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    """The wheel has nightly-jobs, and its packages are an extra."""
    code = f"import sys; sys.modules[{package!r}] = None; from scheduler.cli.main import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (
        2,
        f"nightly-jobs: {package} is not installed; pip install 'nightly-etl[scheduler]'\n",
    )


def job_of(here: Services, name: str) -> Job:
    """A job as the registry has it."""
    known = here.deployment.registry.get(name)
    assert known is not None
    return known.job


def received(here: Services) -> list[Message]:
    """Takes all messages from the queue."""
    client, found = here.client("sqs"), []
    while batch := client.receive_message(QueueUrl=here.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for one in batch:
            found.append(Message.read(one["Body"]))
            client.delete_message(QueueUrl=here.queue_url, ReceiptHandle=one["ReceiptHandle"])
    return found


def at_terminal(here: Services, arguments: list[str], typed: bytes = b"") -> tuple[int, str]:
    """Runs nightly-jobs with a terminal, at which this is typed; returns exit status and all that it shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from scheduler.cli.main import main; main()", *arguments]
    environment = os.environ | variables(here) | {"COLUMNS": "200", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        os.write(ours, typed)
        shown = read_all(lambda: os.read(ours, 65536))
        status = process.wait(timeout=60)
    os.close(ours)
    return status, shown.replace("\r\n", "\n")


def read_all(read: Callable[[], bytes]) -> str:
    """All that a terminal shows until its program ends."""
    shown = b""
    with suppress(OSError):  # the terminal is gone
        while more := read():
            shown += more
    return shown.decode()
