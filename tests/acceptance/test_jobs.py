"""Many jobs through one deployment: each tenant's own source and settings, one reporting database, a schema for each.

The nights of all tenants run at once. One tenant's source is down, and the others do not notice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from servers.port import free_port
from servers.postgres import Server
from tests import cloud
from tests.acceptance.nights import JOBS_PATH, Nights, deployed_for_jobs
from tests.harness import Database
from tests.jobs import Local
from tests.situations import until
from tests.stepfunctions import Ended

pytestmark = pytest.mark.xdist_group("jobs")  # one worker, so one deployment

TENANTS = {"acme": 100, "globex": 7, "initech": 40}
"""The tenants, each with its number of orders; the second one has fewer than the first one, and is no loss of rows."""

DOWN = "initech"

MASKED = '[orders.mask]\nemail = "hmac"\n'
"""What acme masks, and the others do not."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """The deployment, each tenant's source, and the one reporting database."""

    nights: Nights
    sources: dict[str, Database]
    reporting: Database

    def input(self, job: str) -> dict[str, Any]:
        """The input of a job's execution."""
        return {"job": job, "settings_path": f"{JOBS_PATH}/{job}", "slack_channel": f"C0{job}", "shards": 2}

    def night(self, day: str) -> dict[str, Ended]:
        """Starts all jobs' executions at once, and waits for their ends."""
        started = {job: self.nights.start(f"{job}-{day}", **self.input(job)) for job in TENANTS}
        return {job: self.nights.aws.ended(execution) for job, execution in started.items()}

    def copied(self, job: str) -> list[tuple[Any, ...]]:
        """What readers see of a tenant: its orders and its items."""
        return self.reporting.rows(
            f"SELECT count(*), min(tenant), max(tenant), (SELECT count(*) FROM {job}.items) FROM {job}.orders"
        )

    def messages(self) -> list[tuple[str, str]]:
        """The messages since the last call: channel, and the headline."""
        posts = [(post["channel"], post["blocks"][0]["text"]["text"]) for post in self.nights.slack.posts]
        self.nights.slack.posts.clear()
        return sorted(posts)


@pytest.fixture(scope="module")
def tenants(
    operational_server: Server, reporting_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenants]:
    """Three tenants whose tables have the same names."""
    reporting_server.psql("CREATE DATABASE tenants")
    reporting, sources = Database(reporting_server, "tenants"), {}
    with deployed_for_jobs(Local.etl, tmp_path_factory.mktemp("lambdas")) as nights:
        for job, orders in TENANTS.items():
            operational_server.psql(f"CREATE DATABASE {job}")
            sources[job] = Database(operational_server, job)
            sources[job].execute(
                "CREATE TABLE orders (id int PRIMARY KEY, tenant text, email text DEFAULT 'a@example.com');"
                "CREATE TABLE items (id int PRIMARY KEY);"
                f"INSERT INTO orders SELECT g, '{job}' FROM generate_series(1, {orders}) g;"
                "INSERT INTO items SELECT g FROM generate_series(1, 10) g"
            )
            reporting.execute(f"CREATE SCHEMA {job}")
            settings = {
                "operational/url": sources[job].etl_url,
                "reporting/url": reporting.etl_url,
                "tables": "public.*",
                "options": f'["public.*"]\nrename = "{job}.*"\n{MASKED if job == "acme" else ""}',
                "mask_key": "sixteen-characters",
            }
            cloud.put(nights.aws.endpoint, f"{JOBS_PATH}/{job}", settings)
        yield Tenants(nights, sources, reporting)
        until(lambda: not nights.jobs.running(), "the end of every job", 40)


def test_each_tenant_s_night_is_its_own(tenants: Tenants) -> None:
    """Night after night, all at once: first all are well, then one source is down, then it is back."""
    first = tenants.night("20261128T020000Z")
    assert {job: (ended.status, ended.cause) for job, ended in first.items()} == dict.fromkeys(
        TENANTS, ("SUCCEEDED", None)
    )
    assert {job: tenants.copied(job) for job in TENANTS} == {
        job: [(orders, job, job, 10)] for job, orders in TENANTS.items()
    }
    assert tenants.messages() == [
        (f"C0{job}", f"✅ nightly-etl {job}-20261128T020000Z is published: 2 tables") for job in TENANTS
    ]

    for job, source in tenants.sources.items():
        source.execute(f"INSERT INTO orders SELECT g, '{job}' FROM generate_series(1001, 1005) g")
    _lead(tenants, DOWN, f"postgresql://postgres@127.0.0.1:{free_port()}/{DOWN}")
    second = tenants.night("20261129T020000Z")
    assert {job: ended.status for job, ended in second.items()} == {
        job: "FAILED" if job == DOWN else "SUCCEEDED" for job in TENANTS
    }
    assert {job: tenants.copied(job) for job in TENANTS} == {
        job: [(orders if job == DOWN else orders + 5, job, job, 10)] for job, orders in TENANTS.items()
    }
    said = tenants.nights.slack.text_of(f"{DOWN}-20261129T020000Z")
    told = dict(tenants.messages())
    assert told.pop(f"C0{DOWN}") == f"❌ nightly-etl {DOWN}-20261129T020000Z failed: nothing is published"
    assert f"Readers see what they saw before: run {DOWN}-20261128T020000Z, as of " in said
    assert told == {
        f"C0{job}": f"✅ nightly-etl {job}-20261129T020000Z is published: 2 tables" for job in TENANTS if job != DOWN
    }

    _lead(tenants, DOWN, tenants.sources[DOWN].etl_url)
    third = tenants.night("20261130T020000Z")
    assert {ended.status for ended in third.values()} == {"SUCCEEDED"}
    assert tenants.copied(DOWN) == [(TENANTS[DOWN] + 5, DOWN, DOWN, 10)]
    _each_line_is_of_one_job(tenants)
    _each_page_is_of_one_job(tenants)
    masked = "SELECT email LIKE '%@example.com' FROM {}.orders LIMIT 1"
    assert {job: tenants.reporting.value(masked.format(job)) for job in TENANTS} == {
        job: job != "acme" for job in TENANTS
    }
    assert tenants.reporting.rows("SELECT job, count(*) FROM etl.runs GROUP BY job ORDER BY job") == [
        (job, 3) for job in TENANTS
    ]


def _each_page_is_of_one_job(tenants: Tenants) -> None:
    """Each night is in its job's folder, and a job's latest is its own last night, with its own tables."""
    s3, bucket = cloud.client("s3", tenants.nights.aws.endpoint), tenants.nights.bucket
    days = ("20261128T020000Z", "20261129T020000Z", "20261130T020000Z")
    pages = {
        one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]
    }
    names = {
        job: [f"jobs/{job}/{name}.html" for name in (*(f"{job}-{day}" for day in days), "latest")] for job in TENANTS
    }
    assert [*pages] == [name for job in TENANTS for name in names[job]]
    for job in TENANTS:
        *_, last, latest = (pages[name] for name in names[job])
        assert last == latest
        assert f"{job}-{days[-1]}".encode() in latest
        assert not [other for other in TENANTS if other != job and f"{other}-".encode() in latest]


def _lead(tenants: Tenants, job: str, url: str) -> None:
    cloud.put(tenants.nights.aws.endpoint, f"{JOBS_PATH}/{job}", {"operational/url": url})


def _each_line_is_of_one_job(tenants: Tenants) -> None:
    """The containers' and the warm functions' logs have the job that the run is of, on each line of it."""
    texts = [running.log for running in tenants.nights.running.values()]
    texts += [job.process.done().stdout for job in tenants.nights.jobs.submitted]
    lines = [json.loads(line) for text in texts for line in text.splitlines() if line.startswith('{"timestamp"')]
    assert {(line["run_id"].partition("-")[0], line["job"]) for line in lines} == {(job, job) for job in TENANTS}


def test_an_execution_of_nobody_is_refused(tenants: Tenants) -> None:
    """No job and no path: nothing begins, and the deployment's own channel hears of it."""
    tenants.messages()
    ended = tenants.nights.night("by-hand")
    assert (ended.status, ended.states[-2:]) == ("FAILED", ["NotifyFailure", "Failed"])
    assert tenants.messages() == [("C0all", "❌ nightly-etl by-hand is refused: nothing has begun")]


def test_a_stopped_execution_is_told_to_its_own_job(tenants: Tenants) -> None:
    """By its event, in whose input the channel is."""
    tenants.messages()
    ended = tenants.nights.night("acme-20261201T020000Z", **tenants.input("acme"))
    tenants.messages()
    event = ended.event
    event["detail"] |= {"status": "ABORTED", "error": None, "cause": None}
    tenants.nights.functions["notifier"](event)
    assert tenants.messages() == [("C0acme", "❌ nightly-etl acme-20261201T020000Z was aborted")]
