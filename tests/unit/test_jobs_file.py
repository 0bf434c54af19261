"""The file of all jobs: what it means, and what nightly-jobs says to mistakes in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.model import limits
from scheduler.cli import file, keys, paths
from scheduler.cli.diff import Change, difference
from scheduler.cli.moments import foreseen, local, soon, words
from scheduler.cli.problem import Problem
from scheduler.cron import Schedule
from scheduler.job import CatchUp, Job, Notify, Overlap, Status, When
from scheduler.records import BrokenJob, Counters, Registered
from tests.mistakes import JOBS, answered, count
from tests.mistakes.nightly_jobs import run

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ALL = """
[defaults]
zone = "Europe/Berlin"
source = "db1"
target = "reports"
window = "2 hours"
notify = { topic = "arn:aws:sns:eu-central-1:123456789012:nights", when = "always" }

[jobs.acme]
cron = "30 2 * * *"

[jobs.globex]
cron = "0  1 * *  1-5"
zone = "America/New_York"
settings_path = "/nightly-etl/jobs/the-globex"
source = "db2"
enabled = false
overlap = "allow"
catch_up = "none"
window = "90 minutes"
pause_after = 0
notify = { slack_channel = "C0123ABCD", topic = "" }
shards = [["orders"], ["customers", "items"]]
max_concurrency = 0

[sources.db1]
at_once = 4

[targets.reports]
at_once = 8
"""


def read(text: str, folder: Path) -> file.JobsFile:
    """What a file with this text means."""
    path = folder / "jobs.toml"
    path.write_text(text, encoding="utf-8")
    return file.read(path, "/nightly-etl/jobs")


def registered(job: Job) -> Registered:
    """A job as the registry has it before its first run."""
    return Registered(job, Counters(), None, None, None, None, False)


def test_each_mistake_is_told_word_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m tests.mistakes`` writes the answers anew, to be read from top to bottom."""
    monkeypatch.chdir(tmp_path)
    transcript = JOBS.read_text(encoding="utf-8")
    assert answered(transcript, run, tmp_path) == transcript
    assert count(transcript) >= 40


def test_the_file_allows_as_many_shards_as_a_run() -> None:
    """The scheduler never imports etl, so it has a number of its own."""
    assert keys.MOST_SHARDS == limits.MOST_SHARDS


def test_each_answer_has_all_parts() -> None:
    """Where and why, and after a semicolon the remedy; no word of Python's."""
    for line in JOBS.read_text(encoding="utf-8").splitlines():
        if line.startswith("nightly-jobs: "):
            assert re.search(
                r"; .*\b(write|did you mean|the (keys|sections) are|give|save|keep|take|set|check)\b", line
            )
            assert not re.search(r"Errno|Traceback|None\b|<class|\\n", line), line


def test_a_file_means_jobs_and_numbers(tmp_path: Path) -> None:
    """[defaults] stands for what a job does not say; the keys of notify are put over those of [defaults]."""
    found = read(ALL, tmp_path)
    topic = "arn:aws:sns:eu-central-1:123456789012:nights"
    assert found.jobs["acme"].job == Job(
        "acme",
        Schedule("30 2 * * *", "Europe/Berlin"),
        "/nightly-etl/jobs/acme",
        "db1",
        "reports",
        window=timedelta(hours=2),
        notify=Notify(topic, None, When.ALWAYS),
    )
    assert found.jobs["acme"].enabled is None
    assert found.jobs["globex"].job == Job(
        "globex",
        Schedule("0 1 * * 1-5", "America/New_York"),
        "/nightly-etl/jobs/the-globex",
        "db2",
        "reports",
        overlap=Overlap.ALLOW,
        catch_up=CatchUp.NONE,
        window=timedelta(minutes=90),
        pause_after=0,
        notify=Notify(None, "C0123ABCD", When.ALWAYS),
        overrides={"shards": [["orders"], ["customers", "items"]], "max_concurrency": 0},
    )
    assert found.jobs["globex"].enabled is False
    assert found.limits == {"pool#source#db1": 4, "pool#target#reports": 8}


def test_the_example_of_the_page_means_two_jobs(tmp_path: Path) -> None:
    """docs/scheduler-commands.md; the paths follow from the ids."""
    page = (Path(__file__).parents[2] / "docs" / "scheduler-commands.md").read_text(encoding="utf-8")
    found = read(page.split("```toml\n")[1].split("```")[0], tmp_path)
    assert {name: one.job.settings_path for name, one in found.jobs.items()} == {
        "acme": "/nightly-etl/jobs/acme",
        "globex": "/nightly-etl/jobs/globex",
    }
    assert found.limits == {"pool#source#db2.example.com": 2, "pool#target#reports.example.com": 8}


def test_a_file_that_was_put_changes_nothing(tmp_path: Path) -> None:
    """Put twice, the second time has nothing to write."""
    found = read(ALL, tmp_path)
    first = difference(found, [], {}, prune=False)
    assert [one.job.status for one in first.new] == [Status.ENABLED, Status.DISABLED]
    again = difference(found, [registered(one.job) for one in first.new], found.limits, prune=True)
    assert (again.unchanged, again.has_work(prune=True)) == (2, False)


@pytest.mark.parametrize(
    ("said", "was", "becomes"),
    [
        ("", Status.ENABLED, Status.ENABLED),
        ("", Status.DISABLED, Status.DISABLED),
        ("", Status.PAUSED, Status.PAUSED),
        ("enabled = true", Status.ENABLED, Status.ENABLED),
        ("enabled = true", Status.DISABLED, Status.ENABLED),
        ("enabled = true", Status.PAUSED, Status.PAUSED),
        ("enabled = false", Status.ENABLED, Status.DISABLED),
        ("enabled = false", Status.PAUSED, Status.DISABLED),
    ],
)
def test_a_known_job_keeps_the_status_that_people_gave_it(
    said: str, was: Status, becomes: Status, tmp_path: Path
) -> None:
    """Only what the file says of ``enabled`` changes it, and a paused job is enabled by hand alone."""
    text = f'[jobs.acme]\ncron = "@daily"\nsource = "a"\ntarget = "b"\n{said}\n'
    known = Job("acme", Schedule("@daily"), "/nightly-etl/jobs/acme", "a", "b", was)
    todo = difference(read(text, tmp_path), [registered(known)], {}, prune=False)
    assert [one.job.status for one in todo.changed] == ([becomes] if becomes is not was else [])
    assert todo.paused == (("acme",) if becomes is Status.PAUSED else ())


def test_each_changed_attribute_is_told_old_and_new(tmp_path: Path) -> None:
    """In the file's own words; only a new schedule or status is rescheduled."""
    old = Job("acme", Schedule("@daily"), "/nightly-etl/jobs/acme", "a", "b", overrides={"shards": 2})
    text = '[jobs.acme]\ncron = "@daily"\nsource = "c"\ntarget = "b"\nwindow = "1 day"\n'
    (changed,) = difference(read(text, tmp_path), [registered(old)], {}, prune=False).changed
    assert changed.changes == (
        Change("source", "a", "c"),
        Change("window", "6 hours", "1 day"),
        Change("shards", "2", None),
    )
    assert not changed.is_rescheduled


def test_what_the_file_lacks_is_told_and_stays(tmp_path: Path) -> None:
    """Jobs, readable or not, and pools' numbers; only --prune gives them work to do."""
    text = '[jobs.acme]\ncron = "@daily"\nsource = "a"\ntarget = "b"\n'
    acme = Job("acme", Schedule("@daily"), "/nightly-etl/jobs/acme", "a", "b")
    others: list[Registered | BrokenJob] = [
        registered(acme),
        BrokenJob("odd", "no cron"),
        registered(Job("old", Schedule("@daily"), "/x/o", "a", "b")),
    ]
    todo = difference(read(text, tmp_path), others, {"pool#source#gone": 3}, prune=False)
    assert todo.absent == ("odd", "old")
    assert todo.unlisted == (Change("pool#source#gone", "3", None),)
    assert (todo.has_work(prune=False), todo.has_work(prune=True)) == (False, True)


def test_a_path_clashes_with_a_job_that_the_file_lacks(tmp_path: Path) -> None:
    """It stays in the registry, and its runs would read this job's passwords; with --prune it is gone."""
    text = '[jobs.acme]\ncron = "@daily"\nsource = "a"\ntarget = "b"\nsettings_path = "/nightly-etl/jobs/old/acme"\n'
    old = registered(Job("old", Schedule("@daily"), "/nightly-etl/jobs/old", "a", "b"))
    with pytest.raises(Problem, match=r"\[jobs.acme\] settings_path is within '/nightly-etl/jobs/old', job old's"):
        difference(read(text, tmp_path), [old], {}, prune=False)
    assert difference(read(text, tmp_path), [old], {}, prune=True).absent == ("old",)


def test_a_path_beside_another_is_none_within_it() -> None:
    """The names of parts count, not their letters."""
    assert list(paths.clashes({"a": "/r/acme", "b": "/r/acme-2", "c": "/r/acm"})) == []
    assert [job for job, _ in paths.clashes({"a": "/r/acme/x/y", "b": "/r/acme"})] == ["a"]


def test_five_due_times_show_a_change_of_the_clock() -> None:
    """By the offset from UTC: the time that Berlin's clock leaves out on 29 March 2026 is due right after the gap."""
    job = Job("acme", Schedule.of("30 2 * * *", "Europe/Berlin"), "/r/acme", "a", "b")
    due = foreseen(job, datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert [local(moment, job.schedule.timezone) for moment in due][:3] == [
        "Sat 2026-03-28 02:30 +01:00",
        "Sun 2026-03-29 03:00 +02:00",
        "Mon 2026-03-30 02:30 +02:00",
    ]


@pytest.mark.parametrize(
    ("away", "told"),
    [
        (timedelta(seconds=20), "in less than a minute"),
        (timedelta(minutes=5), "in 5 min"),
        (timedelta(hours=3, minutes=7), "in 3 h 7 min"),
        (timedelta(days=2, hours=4), "in 2 d 4 h"),
        (timedelta(minutes=-5), "5 min ago"),
    ],
)
def test_how_soon_a_moment_is(away: timedelta, told: str) -> None:
    """In the two largest units."""
    assert soon(NOON + away, NOON) == told


@pytest.mark.parametrize("text", ["6 hours", "90 minutes", "1 day", "3 minutes"])
def test_a_window_is_shown_as_it_is_written(text: str, tmp_path: Path) -> None:
    """So that a file and what is told of it look alike."""
    jobs = read(f'[jobs.a]\ncron = "@daily"\nsource = "a"\ntarget = "b"\nwindow = "{text}"\n', tmp_path).jobs
    assert words(jobs["a"].job.window) == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f'cron = "0,{"0," * 300}0 2 * * *"', "cron has 611 characters; write at most 512"),
        ("shards = [" + "'a'," * 501 + "]", "shards has 501 lists; write at most 500, each of more tables"),
        ("zone = " + "[" * 5000, "jobs.toml has arrays within arrays, too many to be read; write it as docs/"),
        ("shards = [[" + "'orders'," * 10_001 + "]]", "shards has 100,012 characters; write at most 100,000"),
    ],
)
def test_what_a_message_or_an_input_cannot_carry_is_refused(line: str, told: str, tmp_path: Path) -> None:
    """Ten messages are one request, which would be refused with the other nine; an input has 256 KB."""
    cron = "" if line.startswith("cron") else 'cron = "@daily"\n'
    with pytest.raises(Problem, match=told):
        read(f'[jobs.a]\n{cron}source = "a"\ntarget = "b"\n{line}\n', tmp_path)
