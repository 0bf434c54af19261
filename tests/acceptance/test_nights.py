"""Nights of many containers as they are deployed: the real definition, real ``etl`` jobs and real Lambdas.

Some nights succeed, on each service that runs containers, while pgbench writes to the source. In others a component
fails, is killed, is blocked or is stopped. In all of them the reporting side shows one night, Slack gets exactly one
true message, and no session keeps a snapshot.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from servers.postgres import Server
from tests import cloud
from tests.acceptance.nights import Nights, deployed, instead, is_one_instant, make_tables, writing
from tests.harness import Database, Databases, Etl
from tests.jobs import Job, Local
from tests.lambda_runtime import FunctionError
from tests.situations import gate_closed, ledger, live, make_gated, reading, until, waiting
from tests.slack import LIMITED, OK_FALSE, Answer

pytestmark = pytest.mark.xdist_group("nights")  # one worker, so one deployment

ONE = [["small_01", "small_02", "small_03"]]
"""One shard of small tables, for tests in which the tables do not matter."""


@pytest.fixture(scope="module")
def both(operational_server: Server, reporting_server: Server) -> Databases:
    """Two databases: twenty tables, copied yesterday, and two more, in another schema, for failures."""
    sides = []
    for server in (operational_server, reporting_server):
        server.psql("CREATE DATABASE nights")
        sides.append(Database(server, "nights"))
    databases = Databases(*sides)
    make_tables(databases.operational.execute, databases.operational.url)
    databases.operational.execute("CREATE SCHEMA trouble")
    databases.operational.execute("CREATE VIEW trouble.bad AS SELECT 1 / (g - 3) AS id FROM generate_series(1, 5) g")
    make_gated(databases.operational, "trouble.gated")
    yesterday = Etl(databases.environment)("run", TABLES="public.*")
    assert (yesterday.status, yesterday.stderr) == (0, "")
    return databases


@pytest.fixture(scope="module")
def everything(both: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """The whole deployment."""
    with deployed(both.environment, Local.etl, both.environment, tmp_path_factory.mktemp("lambdas")) as one:
        yield one


@pytest.fixture
def nights(everything: Nights, both: Databases) -> Iterator[Nights]:
    """The deployment; after each night, nothing may remain of it but the published tables."""
    everything.slack.answers.clear()
    yield everything
    until(lambda: not everything.jobs.running(), "the end of every job", 40)
    assert both.staging_tables() == []
    assert transactions(both) == [], "somebody holds a snapshot"


def transactions(both: Databases) -> list[tuple[Any, ...]]:
    """The sessions of nightly-etl that are in a transaction in the source."""
    return both.operational.rows(
        "SELECT application_name, state, query FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'nightly-etl%' AND xact_start IS NOT NULL"
    )


BY_HAND = [
    ["pgbench_accounts", "small_01", "small_02"],
    ["pgbench_tellers", "small_0*", "!small_01", "!small_02"],
    ["pgbench_branches", "small_10", "small_11"],
    ["pgbench_history", "small_12", "small_13"],
    ["small_14", "small_15", "small_16"],
]


@pytest.mark.parametrize(
    ("compute", "given"),
    [("batch", {"shards": 5}), ("ecs", {"shards": BY_HAND}), ("codebuild", {"shards": 5, "max_concurrency": 2})],
)
def test_a_night_publishes_twenty_tables_of_one_instant(
    nights: Nights, both: Databases, compute: str, given: dict[str, object]
) -> None:
    """Five shards, planned or by hand, during writes: sums are equal, the ledger is complete, Slack has one message."""
    run_id = f"2026-11-22-{compute}"
    with writing(both.operational.url, both.operational):
        ended = nights.night(run_id, compute, **given)
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", None, None)
    jobs = nights.stopped(run_id)
    assert [(job.command, job.status) for job in jobs if not job.shard] == [("snapshot", 0)]
    assert sorted((job.shard, job.status) for job in jobs if job.shard) == [(str(n), 0) for n in range(5)]
    assert is_one_instant(both.reporting)
    assert both.reporting.value("SELECT count(*) FROM pgbench_history") > 0
    loads = (
        f"SELECT count(*), count(DISTINCT shard), count(DISTINCT snapshot_id) FROM etl.loads WHERE run_id = '{run_id}'"
    )
    assert both.reporting.rows(f"{loads} AND status = 'published'") == [(20, 5, 1)]
    assert ledger(both.reporting, run_id) == ("published", None)
    assert nights.told(run_id) == f"✅ nightly-etl {run_id} is published: 20 tables"
    assert "pgbench_accounts" in nights.slack.text_of(run_id)
    assert "All 20 tables as of " in nights.page(run_id)


def before(both: Databases) -> tuple[list[tuple[str, int]], list[tuple[Any, ...]]]:
    """Values that a failed night must not change: the live tables with their oids, and pgbench's sums."""
    assert is_one_instant(both.reporting)
    return live(both.reporting), both.reporting.rows("SELECT count(*) FROM pgbench_history")


def test_a_shard_that_fails_fails_the_night_and_not_its_sibling(nights: Nights, both: Databases) -> None:
    """It is tried twice, the other one once and to its end; nothing is published; the message has table and error."""
    was = before(both)
    ended = nights.night("bad-shard", shards=[["small_01"], ["trouble.bad"]])
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert [job.status for job in nights.jobs.shard("bad-shard", "0")] == [0]
    assert [job.status for job in nights.jobs.shard("bad-shard", "1")] == [1, 1]
    assert before(both) == was
    assert ledger(both.reporting, "bad-shard")[0] == "failed"
    assert nights.told("bad-shard") == "❌ nightly-etl bad-shard failed: nothing is published"
    said = nights.slack.text_of("bad-shard")
    assert "`trouble.bad` division by zero" in said
    assert "*The copy failed.*\\nShard 1 of 2: exit status 1" in said
    assert "copied, not published" in said
    assert said.count("division by zero") == 2, "once in the blocks, and once in the notification"
    assert "trouble.bad failed, of 2 tables" in nights.page("bad-shard")
    nights.tell(ended)
    assert len(nights.slack.of_run("bad-shard")) == 1, "it was told already"


def in_its_middle(nights: Nights, both: Databases, run_id: str, shard: str) -> Job:
    """Waits until a shard's COPY stands still at the gate; returns the shard's job."""
    until(lambda: waiting(both.operational, "gated"), f"a COPY of {run_id} at the gate", 60)
    return nights.jobs.shard(run_id, shard)[-1]


GATED = [["small_01"], ["trouble.gated"]]


def test_a_shard_that_is_killed_is_tried_again_from_the_same_snapshot(nights: Nights, both: Databases) -> None:
    """A host may fail like this: the second attempt joins the snapshot, which is still held, and the night succeeds."""
    with gate_closed(both.operational):
        execution = nights.start("killed-shard", shards=GATED)
        in_its_middle(nights, both, "killed-shard", "1").process.kill()
        until(lambda: len(nights.jobs.shard("killed-shard", "1")) == 2, "the second try", 60)
    assert nights.aws.ended(execution).status == "SUCCEEDED"
    assert [job.status for job in nights.jobs.shard("killed-shard", "1")] == [128 + signal.SIGKILL, 0]
    assert both.reporting.value("SELECT count(DISTINCT snapshot_id) FROM etl.loads WHERE run_id = 'killed-shard'") == 1
    assert both.reporting.value("SELECT count(*) FROM trouble.gated") == 40_000
    assert nights.told("killed-shard") == "✅ nightly-etl killed-shard is published: 2 tables"


def test_a_holder_that_is_killed_fails_the_night(nights: Nights, both: Databases) -> None:
    """No second snapshot, no shard left running, nothing published."""
    was = before(both)
    with gate_closed(both.operational):
        execution = nights.start("killed-holder", shards=GATED)
        in_its_middle(nights, both, "killed-holder", "1")
        nights.jobs.holder("killed-holder").process.kill()
        ended = nights.aws.ended(execution)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    nights.stopped("killed-holder")
    assert before(both) == was
    assert nights.told("killed-holder") == "❌ nightly-etl killed-holder failed: nothing is published"
    said = nights.slack.text_of("killed-holder")
    assert "The container that holds the snapshot: exit status 137" in said
    assert "shards failed" not in said, "what the shards say is a consequence"
    assert "Readers see what they saw before: run killed-shard, as of " in said


def test_a_publish_that_readers_block_gives_up(nights: Nights, both: Databases) -> None:
    """At the deadline nothing is published, the staging tables are dropped, and the message has the reason."""
    was = before(both)
    both.operational.execute("UPDATE small_03 SET note = 'new' WHERE id = 3")  # nobody waits for an unchanged table
    with reading(both.reporting, "small_03"):
        ended = nights.night("blocked", shards=ONE)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert ended.states.count("Publish") == 1
    assert before(both) == was
    assert nights.told("blocked") == "❌ nightly-etl blocked failed: nothing is published"
    assert "small_03" in nights.slack.text_of("blocked")


def test_a_night_that_has_lost_its_rows_waits_for_a_person(nights: Nights, both: Databases) -> None:
    """The machine's Abort leaves what was staged; the message has table, counts and the command, which publishes it."""
    was = before(both)
    both.operational.execute("CREATE TABLE trouble.away AS TABLE small_02; TRUNCATE small_02")
    ended = nights.night("too-few", shards=ONE)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert (ended.states.count("Publish"), ended.states.count("Abort")) == (1, 1)
    assert before(both) == was
    assert ledger(both.reporting, "too-few")[0] == "stopped"
    assert nights.told("too-few") == "✋ nightly-etl too-few is stopped: nothing is published"
    said = nights.slack.text_of("too-few")
    assert "public.small_02 has 0 rows now, 50 when it was last published, by run " in said
    assert "etl publish too-few --anyway --reason ''" in said
    assert "Stopped before the publish at " in nights.page("too-few")
    assert "small_01" not in said
    with pytest.raises(FunctionError, match="--anyway and --reason TEXT go together"):
        nights.functions["publish"]({"run_id": "too-few", "anyway": True, "reason": ""})
    published = nights.functions["publish"]({"run_id": "too-few", "anyway": True, "reason": "moved away"})
    assert published["tables"] == 3
    assert both.reporting.value("SELECT count(*) FROM small_02") == 0
    both.operational.execute("INSERT INTO small_02 TABLE trouble.away; DROP TABLE trouble.away")
    assert nights.night("full-again", shards=ONE).status == "SUCCEEDED"


def test_a_page_that_cannot_be_written_costs_no_message(nights: Nights, both: Databases) -> None:
    """The bucket is gone: the run is published, and the message says so and why it has no link to a page."""
    s3 = cloud.client("s3", nights.aws.endpoint)
    for one in s3.list_objects_v2(Bucket=nights.bucket).get("Contents", []):
        s3.delete_object(Bucket=nights.bucket, Key=one["Key"])
    s3.delete_bucket(Bucket=nights.bucket)
    try:
        ended = nights.night("no-bucket", shards=ONE)
    finally:
        s3.create_bucket(Bucket=nights.bucket, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    assert ended.status == "SUCCEEDED"
    assert ledger(both.reporting, "no-bucket") == ("published", None)
    assert nights.told("no-bucket") == "✅ nightly-etl no-bucket is published: 3 tables"
    said = nights.slack.text_of("no-bucket")
    assert (
        f"The night's page could not be written: `ETL_REPORT_BUCKET {nights.bucket}: nights/no-bucket.html: NoSuch"
        in said
    )
    assert "The night on one page" not in said


def test_a_slack_that_stumbles_costs_no_message(nights: Nights, both: Databases) -> None:
    """Slack answers 500 for longer than the Lambda retries, then 429, then 200 without "ok": one message arrives."""
    nights.slack.answers.extend([*[Answer(500, "down")] * 5, LIMITED, OK_FALSE])
    ended = nights.night("slack-stumbles", shards=ONE)
    assert nights.slack.answers == [], "Slack was asked for all of them"
    assert ended.status == "SUCCEEDED"
    assert ledger(both.reporting, "slack-stumbles") == ("published", None)
    assert nights.told("slack-stumbles") == "✅ nightly-etl slack-stumbles is published: 3 tables"


def test_a_slack_that_never_answers_takes_nothing_back(nights: Nights, both: Databases) -> None:
    """The run stays published; the execution ends FAILED, for the alarms; Slack gets its event later."""
    nights.slack.answers.extend([OK_FALSE] * 9)
    ended = nights.night("slack-gone", shards=ONE)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.NotTold")
    assert ledger(both.reporting, "slack-gone") == ("published", None)
    assert nights.slack.of_run("slack-gone") == []
    nights.tell(ended)
    assert nights.told("slack-gone") == "❌ nightly-etl slack-gone failed"
    assert "Run slack-gone is published" in nights.slack.text_of("slack-gone")


@pytest.mark.parametrize("shards", [[["trouble.no_such_table"]], 1])
def test_a_plan_of_nothing_fails_before_anything_begins(nights: Nights, both: Databases, shards: object) -> None:
    """No table matches, or Plan returns none: no job, one message, and the ledger's status is failed."""
    run_id = f"nothing-{shards if isinstance(shards, int) else 'by-hand'}"
    was = before(both)
    empty = {"run_id": run_id, "shards": [], "all_tables": ""}
    answer = (lambda _: empty) if isinstance(shards, int) else nights.functions["plan"]
    with instead(nights.functions, "plan", answer):
        ended = nights.night(run_id, shards=shards)
    assert (ended.status, ended.error) == ("FAILED", "NightlyEtl.Failed")
    assert nights.jobs.of_run(run_id) == []
    assert before(both) == was
    assert nights.told(run_id) == f"❌ nightly-etl {run_id} failed: nothing is published"


def test_an_execution_that_is_stopped_leaves_nobody_behind(nights: Nights, both: Databases) -> None:
    """StopExecution in the middle of a COPY: the jobs stop, Slack gets the event, nothing is published."""
    was = before(both)
    with gate_closed(both.operational):
        execution = nights.start("by-hand", shards=GATED)
        in_its_middle(nights, both, "by-hand", "1")
        nights.aws.client.stop_execution(executionArn=execution)
        ended = nights.aws.ended(execution)
        assert ended.status == "ABORTED"
        jobs = nights.stopped("by-hand")
        assert nights.slack.of_run("by-hand") == [], "an execution that is stopped cannot say so itself"
        nights.tell(ended)
    assert {job.status for job in jobs if job.shard == "1"} <= {1, 143}
    assert before(both) == was
    assert ledger(both.reporting, "by-hand")[0] in {"failed", "interrupted"}
    assert nights.told("by-hand") == "❌ nightly-etl by-hand was aborted"


def test_a_publish_whose_answer_is_lost_is_told_as_it_is(nights: Nights, both: Databases) -> None:
    """The publish committed, but every answer was lost: Slack gets the message that the night is published."""
    publish = nights.functions["publish"]
    answers: list[Any] = []

    def lost(event: Any) -> Any:
        answers.append(publish(event))
        raise FunctionError({"errorType": "Lambda.Unknown", "errorMessage": "the answer was lost"})

    with instead(nights.functions, "publish", lost):
        ended = nights.night("lost-answer", shards=ONE)
    assert ended.status == "SUCCEEDED"
    assert [answer["tables"] for answer in answers] == [3] * 7, "asked again, it says again that it has published"
    assert ledger(both.reporting, "lost-answer") == ("published", None)
    assert nights.told("lost-answer") == "✅ nightly-etl lost-answer is published: 3 tables"


def test_a_big_table_is_carried_over_in_batches(nights: Nights, both: Databases) -> None:
    """One Lambda call for each batch, in id order; a later execution continues from the last id and copies new rows."""
    both.operational.execute(
        "CREATE SCHEMA big; CREATE TABLE big.events (id bigint PRIMARY KEY, what text);"
        "INSERT INTO big.events SELECT g * 3, 'event ' || g FROM generate_series(1, 1000) g"
    )
    both.reporting.execute("CREATE SCHEMA big")
    first = nights.aws.run(nights.machines["batches"], "first", table="big.events", limit=300)
    assert (first.status, first.states.count("CopyBatch")) == ("SUCCEEDED", 4)
    both.operational.execute("INSERT INTO big.events VALUES (3001, 'later'), (3002, 'later')")
    second = nights.aws.run(nights.machines["batches"], "second", table="big.events", limit=300, last_id=2700)
    assert (second.status, second.states.count("CopyBatch")) == ("SUCCEEDED", 1)
    everything = "SELECT count(*), sum(id), md5(string_agg(what, ',' ORDER BY id)) FROM big.events"
    assert both.reporting.rows(everything) == both.operational.rows(everything)
