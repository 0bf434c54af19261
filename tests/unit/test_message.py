"""The notifier's message: what it says, what it leaves out, and Slack's limits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.notifier.deployment import Deployment
from statemachine.notifier.job import FailedJob, numbers
from statemachine.notifier.links import Console, jsurl, query
from statemachine.notifier.message import message
from statemachine.notifier.outcome import (
    FailedTable,
    Failure,
    Outcome,
    Owner,
    Published,
    Slow,
    from_event,
    from_machine,
)
from statemachine.notifier.paused import Paused, is_pause, message_of
from statemachine.notifier.text import MOST_LINES, MOST_TEXT, change, duration, size
from statemachine.starter.app import start_of

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:nightly-etl:2026-11-22"
CONSOLE = Console.of(EXECUTION, "/nightly-etl/prod")
DEPLOYMENT = Deployment(starter="nightly-etl-starter")

PUBLISHED = Outcome(
    run_id="2026-11-22",
    execution=EXECUTION,
    status="published",
    well=True,
    snapshot_at=datetime(2026, 11, 22, 1, 0, 2, tzinfo=UTC),
    started_at=datetime(2026, 11, 22, 1, 0, tzinfo=UTC),
    finished_at=datetime(2026, 11, 22, 1, 12, 4, tzinfo=UTC),
    seconds=724.2,
    tables=20,
    rows=12_345_678,
    bytes=1_234_567_890,
    slowest=(
        Slow("public.orders", 300.4, 200.0, 9_000_000),
        Slow("sales.invoice", 61, 60.5, 12),
        Slow("a.b", 2, None, 1),
    ),
)
COPY_FAILED = FailedJob("States.TaskFailed", exit=1, shards=(1,))
LOAD = Failure("Load", "NightlyEtl.ShardsFailed", "1 of 5 shards failed", (COPY_FAILED,), failed=1, of=5)
FAILED = replace(PUBLISHED, status="failed", well=False, failure=LOAD, slowest=())

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def texts(posted: dict[str, Any]) -> list[str]:
    """Every text of a message's blocks."""
    found = []
    for block in posted["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        found += [part["text"] for part in parts if part]
    return found


def everything(outcome: Outcome) -> str:
    """All text that a reader sees of a message."""
    return "\n".join(texts(message(outcome, CONSOLE, DEPLOYMENT)))


def test_success_says_how_much_how_long_and_as_of_when() -> None:
    """Run, snapshot, duration, rows and bytes, in readable form."""
    said = everything(PUBLISHED)
    assert said.startswith("✅ nightly-etl 2026-11-22 is published: 20 tables")
    for fact in (
        "*Duration*\n12 min 4 s",
        "*Rows*\n12,345,678",
        "*Data*\n1.2 GB",
        "*Snapshot*\n2026-11-22 01:00:02 UTC",
    ):
        assert fact in said


def test_slow_tables_are_told_beside_their_usual_time() -> None:
    """The message has the change against the median of the last runs, unless it is small or this is the first run."""
    said = everything(PUBLISHED)
    assert "• `public.orders` 5 min 0 s (+50 %), 9,000,000 rows" in said
    assert "• `sales.invoice` 1 min 1 s (as usual), 12 rows" in said
    assert "• `a.b` 2.0 s (no run before), 1 rows" in said


def test_failure_says_what_failed_and_that_nothing_is_published() -> None:
    """The state's error, and each failed table with only the first line of its error."""
    tables = (FailedTable("public.bad", "division by zero\nCONTEXT: row 3, secret"),)
    said = everything(replace(FAILED, failed=tables, failed_count=1))
    assert said.startswith("❌ nightly-etl 2026-11-22 failed: nothing is published")
    assert "*The copy failed.*\nShard 1 of 5: exit status 1" in said
    assert "• `public.bad` division by zero" in said
    assert "secret" not in said


def test_a_failed_transform_does_not_pass_for_an_unpublished_night() -> None:
    """The message says that the tables are published and that the transform failed."""
    event = {
        "outcome": "failure",
        "run_id": "tonight",
        "execution": EXECUTION,
        "report": {"run_id": "tonight", "status": "published", "tables": 2},
        "failure": {"state": "Transform", "error": "States.TaskFailed", "cause": "dbt"},
    }
    said = everything(from_machine(event))
    assert "is published, but the transform failed" in said
    assert "Readers see the tables of this run" in said
    assert "run the night again" not in said


def test_a_publish_whose_answer_was_lost_is_told_as_published() -> None:
    """The ledger counts more than the machine's view, and the message has both."""
    event = {
        "outcome": "success",
        "run_id": "tonight",
        "execution": EXECUTION,
        "report": {"run_id": "tonight", "status": "published", "tables": 2},
        "failure": {"state": "Publish", "error": "Lambda.Unknown", "cause": "no answer"},
    }
    said = everything(from_machine(event))
    assert said.startswith("✅ nightly-etl tonight is published: 2 tables")
    assert "the state machine saw this: Publish: Lambda.Unknown: no answer" in said


def test_an_execution_that_timed_out_claims_nothing_of_the_tables() -> None:
    """The notifier cannot read the ledger then, so it says where to look."""
    detail = {"name": "tonight", "executionArn": EXECUTION, "status": "TIMED_OUT", "startDate": 1_795_312_800_000}
    said = everything(from_event(detail))
    assert said.startswith("❌ nightly-etl tonight timed out")
    assert "`etl history` shows what readers see" in said
    assert "published" not in said.replace("run.published", "")


def test_mentions_links_and_markup_are_shown_not_obeyed() -> None:
    """A table's name or an error cannot mention people or add links, in the blocks or the fallback text."""
    bad = "<!channel> <@U123> <https://evil|click> *bold* `code` & _it_"
    job = FailedJob(bad, bad, code=bad, log=bad, id=bad, shards=(1,))
    failure = Failure(bad, bad, bad, (job, replace(job, log="")), failed=2)
    outcome = replace(FAILED, failure=failure, ledger_error=bad, failed=(FailedTable(bad, bad),), failed_count=1)
    posted = message(outcome, CONSOLE, DEPLOYMENT)
    said = json.dumps(posted)
    assert "<!channel>" not in said
    assert "<@U123>" not in said
    assert "<https://evil" not in said
    assert "&lt;!channel&gt;" in posted["text"]
    assert "• `&lt;!channel&gt; &lt;@U123&gt; &lt;https://evil|click&gt; *bold* ˋcodeˋ &amp; _it_`" in "\n".join(
        texts(posted)
    )
    assert all(part.get("verbatim") for block in posted["blocks"] for part in block.get("elements", []))


@pytest.mark.parametrize("well", [True, False])
def test_no_text_from_outside_is_marked_up(well: bool) -> None:
    """Slack has no escape for its marks: each such text is code, in which Slack reads none, or has other marks."""
    bad = "zq*zq zq_zq ~zq~ `zq` ```zq``` *zq* _zq_"
    job = FailedJob(bad, bad, code=bad, log=bad, id=bad, shards=(1,))
    outcome = replace(
        PUBLISHED if well else FAILED,
        failure=Failure(bad, bad, bad, (job, replace(job, log="")), failed=2),
        ledger_error=bad,
        failed=(FailedTable(bad, bad),),
        failed_count=1,
        last=Published(bad, None),
    )
    for changed in (outcome, replace(outcome, failure=Failure(bad, bad, bad)), replace(outcome, failure=None)):
        for text in texts(message(changed, CONSOLE, DEPLOYMENT)):
            literal = re.sub(r"```[^`]*```|`[^`\n]*`", "", text)
            own = re.sub(r"(?m)^\*[^*\n]*\*", "", literal)  # a title in bold
            assert not re.search(r"[*_~`]", re.sub(r"<http[^|]*\|", "", own)), text


def test_long_lists_are_cut_with_a_count() -> None:
    """Twenty lines at most, then the number of the others, including those that the report left out."""
    tables = tuple(FailedTable(f"public.t{number}", "boom") for number in range(100))
    said = everything(replace(FAILED, failed=tables, failed_count=1234))
    assert "*Failed tables* (1,234)" in said
    assert f"… and {1234 - MOST_LINES:,} more" in said
    assert f"`public.t{MOST_LINES}`" not in said


def test_the_longest_texts_keep_within_slacks_limits() -> None:
    """Sixty tables whose names and errors have only characters that take five characters when escaped."""
    names = ["&" * 500] * 60
    long = FailedJob(
        "&" * 900, "&" * 9000, 1, "&" * 900, "&" * 900, "&" * 900, shards=tuple(range(0, 999, 2)), count=999
    )
    outcome = replace(
        FAILED,
        run_id="&" * 80,
        failure=Failure("&" * 90, "&" * 900, "&" * 9000, (long, replace(long, holder=True, log="")), failed=99),
        ledger_error="&" * 9000,
        last=Published("&" * 80, None),
        failed=tuple(FailedTable(name, "&" * 9000) for name in names),
        failed_count=60,
        slowest=tuple(Slow(name, 1e6, 1e-6, 10**15) for name in names),
    )
    posted = message(outcome, CONSOLE, DEPLOYMENT)
    assert all(len(text) <= MOST_TEXT for text in texts(posted))
    assert all(len(each["text"]) <= 2000 for block in posted["blocks"] for each in block.get("fields", []))
    assert "… and 59 more" in everything(outcome)


@given(why=TEXTS, note=TEXTS, names=st.lists(TEXTS, max_size=60), error=TEXTS, exit_status=st.none() | st.integers())
def test_no_message_is_over_slacks_limits(
    why: str, note: str, names: list[str], error: str, exit_status: int | None
) -> None:
    """For any texts: 50 blocks, 3000 characters a text, 2000 a field, 150 a header, and no empty text."""
    outcome = replace(
        FAILED,
        failure=Failure("Load", error, why * 20, tuple(FailedJob(error, why, exit_status, log=name) for name in names)),
        ledger_error=note * 20,
        failed=tuple(FailedTable(name, error * 5) for name in names),
        failed_count=len(names),
        slowest=tuple(Slow(name, 1e6, 1e-6, 10**15) for name in names),
    )
    posted = message(outcome, CONSOLE, DEPLOYMENT)
    assert len(posted["blocks"]) <= 50
    assert all(1 <= len(text) <= MOST_TEXT for text in texts(posted))
    assert all(len(each["text"]) <= 2000 for block in posted["blocks"] for each in block.get("fields", []))
    assert len(posted["blocks"][0]["text"]["text"]) <= 150
    assert 1 <= len(posted["text"]) <= 40_000


def test_a_long_fallback_is_cut() -> None:
    """The plain text says how the run ended, and is no longer than a notification."""
    outcome = replace(FAILED, failed=(FailedTable("x" * 10_000, "boom"),), failed_count=1)
    posted = message(outcome, CONSOLE, DEPLOYMENT)
    assert posted["text"].startswith(
        "❌ nightly-etl 2026-11-22 failed: nothing is published. The copy failed. Failed: xxx"
    )
    assert len(posted["text"]) == MOST_TEXT


def test_rows_that_did_not_arrive_do_not_read_as_if_they_had() -> None:
    """If nothing was published, the message says so beside the copied rows; without copied rows it has no figures."""
    said = everything(FAILED)
    assert "*Rows copied, not published*\n12,345,678" in said
    assert "*Data copied, not published*\n1.2 GB" in said
    assert "*Rows*" not in said
    assert "rows" not in message(FAILED, CONSOLE, DEPLOYMENT)["text"]
    assert "copied, not published" not in everything(replace(FAILED, rows=0, bytes=0))


def test_the_cause_is_told_first_and_once() -> None:
    """The note has neither the machine's error again nor the ledger's copy of it, which Abort wrote."""
    cause = "the live tables were in use for 600 s"
    failure = Failure("Publish", "PublishBlocked", cause)
    outcome = replace(FAILED, failure=failure, ledger_error=f"Publish: PublishBlocked: {cause}")
    _, first, quote, *_ = texts(message(outcome, CONSOLE, DEPLOYMENT))
    assert (first, quote) == ("*Publish failed with PublishBlocked.*", f"```{cause}```")
    assert everything(outcome).count(cause) == 1


def test_what_the_ledger_knows_beside_is_told_and_a_consequence_is_not() -> None:
    """The holder's own error is the cause; the ledger's error after a lost host is only a consequence."""
    own = replace(COPY_FAILED, holder=True, shards=())
    outcome = replace(FAILED, failure=replace(LOAD, jobs=(own,)), ledger_error="the source ended the session")
    assert "```the source ended the session```" in everything(outcome)
    gone = replace(own, exit=None, reason="Host EC2 (instance i-0a) terminated.")
    assert "ended the session" not in everything(replace(outcome, failure=replace(LOAD, jobs=(gone,))))


def test_what_readers_see_is_told() -> None:
    """The live tables show the previous run, this run or none, or the ledger could not be read."""
    last = Published("2026-11-21", datetime(2026, 11, 21, 2, 0, 3, tzinfo=UTC))
    assert "Readers see what they saw before: run 2026-11-21, as of 2026-11-21 02:00:03 UTC." in everything(
        replace(FAILED, last=last)
    )
    assert "Readers see the tables of this run, as of 2026-11-22 01:00:02 UTC." in everything(
        replace(FAILED, status="published")
    )
    assert "No run has been published yet" in everything(FAILED)
    assert "The ledger could not be read" in everything(replace(FAILED, status="unknown"))
    assert "Readers see what they saw before: run 2026-11-21" in everything(replace(FAILED, status="late", last=last))
    nobody_asked = everything(replace(FAILED, status="late"))
    assert "`etl history` shows what readers see" in nobody_asked
    assert "could not be read" not in nobody_asked


@pytest.mark.parametrize(
    ("run_id", "rerun"),
    [("2026-11-22", 2), ("2026-11-22-2", 3), ("2026-11-22-19", 20), ("2026-11-22-fixed", None), ("by-hand", None)],
)
def test_a_run_is_started_again_under_the_next_number(run_id: str, rerun: int | None) -> None:
    """The command is ready to paste; a run whose name is not a date has no next number."""
    command = DEPLOYMENT.rerun(replace(FAILED, run_id=run_id))
    if rerun is None:
        assert command is None
        assert "start another execution under a new name" in everything(replace(FAILED, run_id=run_id))
    else:
        event = f'{{"run_date": "2026-11-22", "rerun": {rerun}}}'
        assert command == (
            "aws lambda invoke --function-name nightly-etl-starter --cli-binary-format raw-in-base64-out"
            f" --payload '{event}' /dev/stdout"
        )
        assert Deployment().rerun(replace(FAILED, run_id=run_id)) == event
        assert command in everything(replace(FAILED, run_id=run_id))


ACME = Owner("acme", "/nightly-etl/jobs/acme", "C0123")
OF_ACME: dict[str, Any] = {"run_id": "acme-20261128T020000Z", "owner": ACME}


def test_a_message_about_a_job_names_it() -> None:
    """In its headline, where the run's name does not begin with it, and among the facts."""
    for run_id, headline in {
        "acme-20261128T020000Z": "❌ nightly-etl acme-20261128T020000Z failed: nothing is published",
        "by-hand": "❌ nightly-etl by-hand of job acme failed: nothing is published",
        "acmeco-1": "❌ nightly-etl acmeco-1 of job acme failed: nothing is published",
    }.items():
        posted = message(replace(FAILED, run_id=run_id, owner=ACME), CONSOLE, DEPLOYMENT)
        assert posted["text"].startswith(headline)
        assert "*Job*\n`acme`" in texts(posted)
    assert "*Job*" not in everything(FAILED)


def test_a_job_is_run_again_by_its_name() -> None:
    """Not by the starter, which starts runs of dates; and its run is let pass with its own settings."""
    said = everything(replace(FAILED, **OF_ACME))
    assert "Then run the job again:\n```nightly-jobs run-now acme```" in said
    assert "nightly-etl-starter" not in said
    stopped = replace(FAILED, status="stopped", kept_until=datetime(2026, 11, 29, tzinfo=UTC), **OF_ACME)
    event = {"run_id": OF_ACME["run_id"], "settings_path": ACME.settings_path, "job": "acme"}
    assert json.dumps(event)[:-1] in replace(DEPLOYMENT, publisher="prod-publish").let_pass(stopped)
    assert Deployment().let_pass(stopped) == (
        "ETL_PARAMETER_PATH=/nightly-etl/jobs/acme ETL_JOB=acme etl publish acme-20261128T020000Z --anyway --reason ''"
    )


REFUSED = Failure("Begin", "NightlyEtl.BadInput", "job is given, and settings_path is not; give both, or neither")


def test_an_execution_without_a_good_input_says_so() -> None:
    """Nothing has begun, so what readers see is what they saw; no run of a date is offered in place of a job's."""
    refused = Outcome("acme-1", EXECUTION, "refused", well=False, failure=REFUSED)
    said = everything(refused)
    assert said.startswith("❌ nightly-etl acme-1 is refused: nothing has begun")
    assert REFUSED.cause in said
    assert "Readers see what they saw before." in said
    assert "start another execution under a new name" in said
    assert "nightly-jobs run-now acme" in everything(replace(refused, owner=Owner("acme")))


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ('{"job": "acme", "settings_path": "/nightly-etl/jobs/acme", "slack_channel": "C0123"}', ACME),
        ('{"job": "acme", "slack_channel": null}', Owner("acme")),
        ('{"job": ["acme"], "slack_channel": 7}', Owner()),
        ("[]", Owner()),
        ("{", Owner()),
        ("", Owner()),
    ],
)
def test_an_event_s_job_is_in_the_execution_s_input(text: str, owner: Owner) -> None:
    """A bad input says nothing of a job, and the message comes all the same."""
    detail = {"name": "acme-1", "executionArn": EXECUTION, "status": "ABORTED", "input": text}
    outcome = from_event(detail)
    assert outcome.owner == owner
    assert everything(outcome)


PAUSED = {
    "outcome": "paused",
    "job": "acme",
    "failures": 5,
    "execution": EXECUTION,
    "error": "Plan: <!here> the source is down",
    "slack_channel": "C0123",
}


def test_a_paused_job_is_told_with_its_last_error_and_the_way_back() -> None:
    """How often it failed, what the last failure said, and the command that lets it run again."""
    assert is_pause(PAUSED)
    assert not is_pause({"outcome": "failure"})
    posted = message_of(Paused.read(PAUSED), DEPLOYMENT)
    assert posted["blocks"][0]["text"]["text"] == "⏸️ nightly-etl acme is paused after 5 failures in a row"
    said = "\n".join(texts(posted))
    assert "```Plan: &lt;!here&gt; the source is down```" in said
    assert "```nightly-jobs enable acme```" in said
    assert "(docs/operations.md, “A job is paused”)" in said
    assert "|The last execution>" in said
    assert "nightly-jobs enable acme" in posted["text"]
    short = message_of(Paused.read({"outcome": "paused", "job": "a b", "failures": 1, "execution": None}), DEPLOYMENT)
    assert "is paused after 1 failure" in short["text"]
    assert "nightly-jobs enable 'a b'" in short["text"]


@given(error=TEXTS, job=TEXTS, execution=TEXTS, failures=st.integers(1, 10**9))
def test_whatever_a_paused_job_says_slack_takes(error: str, job: str, execution: str, failures: int) -> None:
    """Within Slack's limits, and without mentions."""
    event = {"job": job, "failures": failures, "execution": execution, "error": error}
    posted = message_of(Paused.read(event), DEPLOYMENT)
    assert all(0 < len(text) <= MOST_TEXT for text in texts(posted))
    assert len(posted["blocks"][0]["text"]["text"]) <= 150
    assert not any("<!" in text or "<@" in text for text in texts(posted)[1:])


def test_the_command_is_one_that_the_starter_takes() -> None:
    """Its payload starts the run that the message names."""
    event = Deployment().rerun(replace(FAILED, run_id="2026-11-22-2"))
    assert event is not None
    assert start_of(json.loads(event), datetime.now(UTC), ZoneInfo("UTC")).name == "2026-11-22-3"


def test_the_deployment_is_named_and_its_runbook_linked() -> None:
    """As in the notifier's environment; without a runbook's address the message has the section's name only."""
    said = {"DEPLOYMENT": "prod", "RUNBOOK_URL": "https://wiki.example.com/runbook"}
    posted = message(FAILED, CONSOLE, Deployment.of(said))
    assert posted["text"].startswith("❌ prod 2026-11-22 failed: nothing is published")
    assert "<https://wiki.example.com/runbook#a-copy-failed|Runbook: A copy failed>" in "\n".join(texts(posted))
    assert "(docs/operations.md, “A copy failed”)" in everything(FAILED)
    assert Deployment.of({"DEPLOYMENT": ""}) == Deployment()


def test_shards_are_named_by_ranges() -> None:
    """The message has the first ranges, and the number of other shards."""
    assert numbers([3, 0, 1, 2], 4) == "0–3"
    assert numbers([*range(32), 40], 41) == "0–31, 40 and 8 more"
    assert numbers(range(0, 40, 2), 20) == "0, 2, 4, 6, 8, 10 and 14 more"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (60, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    """With at most two units."""
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (99_600, "100 kB"),
        (1.5e12, "1.5 TB"),
        (999_600, "1.0 MB"),
    ],
)
def test_sizes_have_a_decimal_prefix(number: float, said: str) -> None:
    """The largest prefix with a number of at least 1."""
    assert size(int(number)) == said


def test_a_change_is_told_only_when_it_is_one() -> None:
    """A change of up to five per cent is normal variation."""
    assert [change(1.04, 1), change(1.06, 1), change(0.5, 1), change(30, 1), change(1, 0)] == [
        "as usual",
        "+6 %",
        "-50 %",
        "+2,900 %",
        "no run before",
    ]


def test_links_lead_to_the_execution_and_to_the_runs_lines() -> None:
    """The whole ARN of the execution; the query, its log group and its time range in the console's encoding."""
    *_, context = texts(message(PUBLISHED, CONSOLE, DEPLOYMENT))
    execution, logs = context.split(" · ")
    assert execution == (
        "<https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1"
        f"#/v2/executions/details/{EXECUTION}|Execution>"
    )
    url = logs.removeprefix("<").removesuffix("|Logs Insights>")
    page, detail = url.split("#logsV2:logs-insights$3FqueryDetail$3D")
    assert page == "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
    assert _read(detail) == {
        "end": "2026-11-22T01:17:04.000Z",
        "start": "2026-11-22T00:55:00.000Z",
        "timeType": "ABSOLUTE",
        "tz": "UTC",
        "editorString": query("2026-11-22"),
        "source": ["/nightly-etl/prod"],
    }


def test_a_link_is_in_the_console_of_its_partition() -> None:
    """China and GovCloud have other consoles."""
    console = Console.of(EXECUTION.replace("arn:aws:", "arn:aws-cn:").replace("eu-central-1", "cn-north-1"), "")
    assert console.execution_link().startswith("https://cn-north-1.console.amazonaws.cn/states/home?")
    page = console.object_link(PAGE)
    assert page is not None
    assert page.startswith("https://cn-north-1.console.amazonaws.cn/s3/object/prod-reports-20261101?region=cn-north-1&")


PAGE = "s3://prod-reports-20261101/nights/2026-11-22.html"


@pytest.mark.parametrize(
    "outcome", [PUBLISHED, FAILED, replace(FAILED, status="stopped"), replace(FAILED, status="late")]
)
def test_a_link_leads_to_the_night_s_page(outcome: Outcome) -> None:
    """Into the console, where the reader's own sign-in opens it; however the night has ended."""
    *_, context = texts(message(replace(outcome, page=PAGE), CONSOLE, DEPLOYMENT))
    assert context.split(" · ")[-1] == (
        "<https://eu-central-1.console.aws.amazon.com/s3/object/prod-reports-20261101?region=eu-central-1"
        "&amp;bucketType=general&amp;prefix=nights/2026-11-22.html|The night on one page>"
    )


def test_a_page_s_name_is_encoded_in_its_link() -> None:
    """A run's name may have characters that mean something else in a URL; what is no object's address is no link."""
    link = CONSOLE.object_link("s3://pages/jobs/acme/a+b=c@d:e%6C.html")
    assert link is not None
    assert link.endswith("&prefix=jobs/acme/a%2Bb%3Dc%40d%3Ae%256C.html")
    assert [CONSOLE.object_link(text) for text in ("", "s3://", "s3://pages", "s3://pages/", "https://evil/x")] == [
        None
    ] * 5


@pytest.mark.parametrize("outcome", [PUBLISHED, FAILED])
def test_a_page_that_could_not_be_written_is_told_in_one_line(outcome: Outcome) -> None:
    """With the reason and the runbook, and as text: the night is as the rest of the message says."""
    said = "ETL_REPORT_BUCKET pages: AccessDenied: <!here> *no*\n" + "x" * 9000
    deployment = replace(DEPLOYMENT, runbook="https://wiki.example.com/runbook")
    posted = message(replace(outcome, page_error=said), CONSOLE, deployment)
    *rest, line, links = texts(posted)
    assert line.startswith(
        "The night's page could not be written: `ETL_REPORT_BUCKET pages: AccessDenied: &lt;!here&gt;"
    )
    assert line.endswith("#the-page-of-a-night-is-missing|Runbook: The page of a night is missing>")
    assert "\n" not in line
    assert len(line) < 1000
    assert "The night on one page" not in links
    assert rest == texts(message(outcome, CONSOLE, deployment))[:-1]
    assert posted["text"] == message(outcome, CONSOLE, deployment)["text"]


def test_the_report_says_where_the_page_is() -> None:
    """Or why it is not there; without a bucket for pages, and from an older function, neither."""
    event = {"outcome": "success", "run_id": "tonight", "execution": EXECUTION, "failure": None}
    for report, page, error in (
        ({"status": "published", "page": PAGE, "page_error": None}, PAGE, ""),
        ({"status": "published", "page": None, "page_error": "no"}, "", "no"),
        ({"status": "published", "page": None, "page_error": None}, "", ""),
        ({"status": "published"}, "", ""),
    ):
        outcome = from_machine({**event, "report": report})
        assert (outcome.page, outcome.page_error) == (page, error)


def test_without_a_log_group_there_is_no_link_to_one() -> None:
    """The message has no link that leads nowhere."""
    *_, context = texts(message(PUBLISHED, Console.of(EXECUTION, ""), DEPLOYMENT))
    assert "Logs Insights" not in context


@given(st.dictionaries(TEXTS.filter(bool), st.one_of(TEXTS, st.integers(), st.lists(TEXTS, min_size=1)), min_size=1))
def test_what_the_console_reads_is_what_was_meant(detail: dict[str, Any]) -> None:
    """Any text survives the encoding, also text that looks encoded."""
    assert _read(jsurl(detail)) == detail


def test_half_a_character_is_kept_for_the_console() -> None:
    """JSON can have half of a surrogate pair, if a program cut the error in its middle."""
    assert jsurl({"a": "\ud83d"}) == "~(a~'**d83d)"


def test_a_log_stream_is_linked_as_the_console_has_it() -> None:
    """The name is encoded twice, with $ instead of %; half a surrogate pair causes no error."""
    assert CONSOLE.stream_link("etl/default/0f9d").endswith(
        "#logsV2:log-groups/log-group/$252Fnightly-etl$252Fprod/log-events/etl$252Fdefault$252F0f9d"
    )
    assert CONSOLE.stream_link("\ud83d").endswith("/$253F")


def _read(text: str) -> Any:
    """Parses JSURL (github.com/Sage/jsurl), the console's format: ``~'`` a string, ``~(`` an object or a list."""
    value, rest = _read_value(text)
    assert rest == ""
    return value


def _read_value(text: str) -> tuple[Any, str]:
    if text.startswith("~'"):
        return _read_text(text[2:])
    if text.startswith("~(~"):
        items, rest = [], text[2:]
        while rest.startswith("~"):
            item, rest = _read_value(rest)
            items.append(item)
        return items, rest.removeprefix(")")
    if text.startswith("~("):
        members, rest = {}, text[2:]
        while not rest.startswith(")"):
            name, rest = _read_text(rest.removeprefix("~"))
            members[name], rest = _read_value(rest)
        return members, rest[1:]
    end = min(position for position in (text.find(end, 1) for end in ("~", ")")) if position > 0)
    return int(text[1:end]), text[end:]


def _read_text(text: str) -> tuple[str, str]:
    read = ""
    while text and text[0] not in "~)":
        length = 6 if text.startswith("**") else 3 if text.startswith("*") else 1
        part, text = text[:length], text[length:]
        read += chr(int(part.lstrip("*"), 16)) if length > 1 else part.replace("!", "$")
    return read.encode("utf-16-be", "surrogatepass").decode("utf-16-be"), text
