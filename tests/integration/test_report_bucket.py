"""The function ``report`` and the bucket of pages: moto's S3 over real HTTP, and servers that refuse or are silent."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from tests import cloud
from tests.harness import Databases, Etl
from tests.lambda_runtime import function
from tests.situations import make_orders_and_items

BUCKET = "nightly-etl-reports"
BOUND = 20
"""Seconds within which the function answers, whatever S3 does (docs/state-machine.md)."""


@pytest.fixture
def night(databases: Databases, etl: Etl) -> str:
    """A published run of two tables; its id."""
    make_orders_and_items(databases)
    assert etl("run", TABLES="orders,items", ETL_RUN_ID="saturday").status == 0
    return "saturday"


@pytest.fixture
def s3(store: str) -> Iterator[Any]:
    """A client of moto's S3, with an empty bucket."""
    client = cloud.client("s3", store)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    yield client
    for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=one["Key"])
    client.delete_bucket(Bucket=BUCKET)


def environment(databases: Databases, store: str, **more: str) -> dict[str, str]:
    """The function's environment: the two databases, moto's AWS, and the bucket."""
    return cloud.account(store) | databases.environment | {"ETL_REPORT_BUCKET": BUCKET} | more


def answer_of(environment: Mapping[str, str], run_id: str) -> dict[str, Any]:
    """The function's answer about a run."""
    with function("etl.functions.report", environment) as report:
        answer: dict[str, Any] = report.invoke({"run_id": run_id})
        return answer


def keys(s3: Any) -> list[str]:
    """The keys in the bucket."""
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_night_s_page_lies_in_the_bucket(databases: Databases, store: str, s3: Any, night: str) -> None:
    """Under the run's name and as the latest, the same bytes, as HTML that no cache keeps; the answer says where."""
    with function("etl.functions.report", environment(databases, store)) as report:
        answer = report.invoke({"run_id": night})
        (line,) = (json.loads(line) for line in report.log.splitlines() if '"page.written"' in line)
    assert (answer["page"], answer["page_error"]) == (f"s3://{BUCKET}/nights/saturday.html", None)
    assert (answer["status"], line["page"], line["run_id"]) == ("published", answer["page"], night)
    assert keys(s3) == ["nights/latest.html", "nights/saturday.html"]
    pages = [s3.get_object(Bucket=BUCKET, Key=key) for key in keys(s3)]
    assert {(one["ContentType"], one["CacheControl"]) for one in pages} == {("text/html; charset=utf-8", "no-cache")}
    first, second = (one["Body"].read().decode() for one in pages)
    assert first == second
    assert "<!doctype html>" in first.lower()
    assert "public.orders" in first


def test_an_older_run_does_not_become_the_latest(
    databases: Databases, store: str, s3: Any, night: str, etl: Etl
) -> None:
    """It was reported late, or by hand: its own page is written, and that of the newest run stays the latest."""
    assert etl("run", TABLES="orders,items", ETL_RUN_ID="sunday").status == 0
    with function("etl.functions.report", environment(databases, store)) as report:
        for run_id in ("sunday", night):
            assert report.invoke({"run_id": run_id})["page"] == f"s3://{BUCKET}/nights/{run_id}.html"
    assert keys(s3) == ["nights/latest.html", "nights/saturday.html", "nights/sunday.html"]
    latest, saturday, sunday = (s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(s3))
    assert latest == sunday != saturday


def test_a_run_of_a_few_tables_is_no_night(databases: Databases, store: str, s3: Any, night: str, etl: Etl) -> None:
    """Somebody has copied one table of three by hand meanwhile: the night's page is the latest all the same."""
    databases.operational.execute("CREATE TABLE days AS SELECT 1 AS id; CREATE TABLE hours AS SELECT 1 AS id")
    assert etl("run", TABLES="*", ETL_RUN_ID="sunday").status == 0
    assert etl("run", TABLES="orders", ETL_RUN_ID="by-hand").status == 0
    assert answer_of(environment(databases, store), "sunday")["page"] == f"s3://{BUCKET}/nights/sunday.html"
    assert keys(s3) == ["nights/latest.html", "nights/sunday.html"]
    assert night


def test_a_slip_while_the_night_runs_takes_no_place(
    databases: Databases, store: str, s3: Any, night: str, etl: Etl
) -> None:
    """A run by hand that fails at once knows no table, and nobody writes its page: the night's is the latest."""
    assert etl("run", TABLES="orders,misspelt", ETL_RUN_ID="by-hand").status == 2
    databases.reporting.execute(f"UPDATE etl.runs SET finished_at = now() WHERE run_id = '{night}'")
    assert answer_of(environment(databases, store), night)["page"] == f"s3://{BUCKET}/nights/saturday.html"
    assert keys(s3) == ["nights/latest.html", "nights/saturday.html"]


def test_a_night_that_fails_at_once_stays_the_latest(
    databases: Databases, store: str, s3: Any, night: str, etl: Etl
) -> None:
    """Also if an older night is reported again."""
    assert etl("run", TABLES="orders,misspelt", ETL_RUN_ID="sunday").status == 2
    with function("etl.functions.report", environment(databases, store)) as report:
        for run_id in ("sunday", night):
            assert report.invoke({"run_id": run_id})["page"] == f"s3://{BUCKET}/nights/{run_id}.html"
    latest, _, sunday = (s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys(s3))
    assert latest == sunday


def test_each_job_has_its_own_latest(databases: Databases, store: str, s3: Any, night: str, etl: Etl) -> None:
    """In its own folder, also where jobs share a ledger: a newer run of another job does not count."""
    databases.operational.execute("CREATE TABLE days AS SELECT 1 AS id")
    assert etl("run", TABLES="days", ETL_RUN_ID="acme-1", ETL_JOB="acme").status == 0
    assert answer_of(environment(databases, store), night)["page"] == f"s3://{BUCKET}/nights/saturday.html"
    of_job = environment(databases, store, ETL_JOB="acme")
    assert answer_of(of_job, "acme-1")["page"] == f"s3://{BUCKET}/jobs/acme/acme-1.html"
    assert keys(s3) == [
        "jobs/acme/acme-1.html",
        "jobs/acme/latest.html",
        "nights/latest.html",
        "nights/saturday.html",
    ]


def test_a_failed_run_has_its_page_and_an_unknown_one_none(
    databases: Databases, store: str, s3: Any, night: str, etl: Etl
) -> None:
    """What never got as far as the ledger has nothing to show, which is no error of the page."""
    databases.operational.execute("CREATE VIEW bad AS SELECT 1 / (g - 1) AS id FROM generate_series(1, 2) g")
    assert etl("run", TABLES="orders,bad", ETL_RUN_ID="sunday").status == 1
    with function("etl.functions.report", environment(databases, store)) as report:
        answer = report.invoke({"run_id": "sunday"})
        assert (answer["status"], answer["page"]) == ("failed", f"s3://{BUCKET}/nights/sunday.html")
        never = report.invoke({"run_id": "never"})
    assert (never["status"], never["page"], never["page_error"]) == ("failed", None, None)
    assert keys(s3) == ["nights/latest.html", "nights/sunday.html"]


def test_without_a_bucket_there_is_no_page(databases: Databases, store: str, night: str) -> None:
    """The answer says neither where it is nor why it is not there."""
    variables = environment(databases, store)
    del variables["ETL_REPORT_BUCKET"]
    answer = answer_of(variables, night)
    assert (answer["page"], answer["page_error"]) == (None, None)


NOT_ALLOWED = "User: arn:aws:sts::1:assumed-role/report/r is not authorized to perform: kms:GenerateDataKey"


def told(databases: Databases, store: str, night: str, **more: str) -> str:
    """Why the page could not be written, after a check that the report is as good as ever, in time, and in the log."""
    with function("etl.functions.report", environment(databases, store, **more)) as report:
        began = time.monotonic()
        answer = report.invoke({"run_id": night})
        seconds = time.monotonic() - began
        (line,) = (json.loads(line) for line in report.log.splitlines() if '"page.not_written"' in line)
    assert (answer["status"], answer["tables"], answer["page"]) == ("published", 2, None)
    assert seconds < BOUND
    error: str = answer["page_error"]
    assert "\n" not in error
    assert (line["level"], line["error"], line["run_id"]) == ("error", error, night)
    return error


def test_a_bucket_that_is_not_there_is_named(databases: Databases, store: str, night: str) -> None:
    """The report is answered all the same."""
    assert told(databases, store, night, ETL_REPORT_BUCKET="nobodys") == (
        "ETL_REPORT_BUCKET nobodys: nights/saturday.html: NoSuchBucket: The specified bucket does not exist; check the"
        " bucket's name, the account and the region"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            cloud.s3_refusal("AccessDenied", NOT_ALLOWED, 403),
            f"ETL_REPORT_BUCKET {BUCKET}: nights/saturday.html: AccessDenied: {NOT_ALLOWED}; let the function's role"
            " s3:PutObject on it and, if a KMS key encrypts the bucket, kms:GenerateDataKey on that key",
        ),
        (
            cloud.s3_refusal("KMS.DisabledException", "The key is disabled.", 400),
            f"ETL_REPORT_BUCKET {BUCKET}: nights/saturday.html: KMS.DisabledException: The key is disabled; enable the"
            " key that encrypts the bucket",
        ),
        (
            cloud.s3_refusal("IllegalLocationConstraintException", "The us-west-2 location is incompatible.", 400),
            f"ETL_REPORT_BUCKET {BUCKET}: nights/saturday.html: IllegalLocationConstraintException: The us-west-2"
            " location is incompatible; the bucket is in another region; take one in the function's own",
        ),
        (
            cloud.s3_refusal("SlowDown", "Please reduce your request rate.", 503),
            f"S3 refused the page s3://{BUCKET}/nights/saturday.html again and again: SlowDown: Please reduce your"
            " request rate; try again later",
        ),
    ],
    ids=["not allowed", "disabled key", "another region", "slow down"],
)
def test_what_s3_says_is_one_line_with_the_remedy(
    databases: Databases, store: str, night: str, answer: cloud.Answer, said: str
) -> None:
    """The bucket, S3's words, and what to do."""
    with cloud.answering(answer) as refusing:
        assert told(databases, store, night, AWS_ENDPOINT_URL_S3=refusing.url) == said


def test_an_s3_that_is_silent_holds_nobody_up(databases: Databases, store: str, night: str) -> None:
    """It takes connections and says nothing, or nothing listens; the error says what a VPC without NAT needs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        error = told(databases, store, night, AWS_ENDPOINT_URL_S3=endpoint)
    closed = told(databases, store, night, AWS_ENDPOINT_URL_S3=endpoint)
    for one in (error, closed):
        assert one.startswith(f"S3 cannot be reached for the page s3://{BUCKET}/nights/saturday.html: ")
        assert one.endswith(
            "; in a VPC without NAT, S3 needs a gateway endpoint in the subnets' route tables, and its prefix list in"
            " the function's security group"
        )
    assert "Read timeout" in error


def drip(connection: socket.socket) -> None:
    """Answers a request with a byte a second, so that no single read takes long."""
    with suppress(OSError):
        request = b""
        while not request.endswith(b"</html>") and b"</html>\n" not in request:
            request += connection.recv(1 << 20)
            if request.endswith(b"\r\n\r\n"):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 90:
            connection.sendall(bytes([byte]))
            time.sleep(1)


def test_an_s3_that_answers_byte_by_byte_costs_no_message(databases: Databases, store: str, night: str) -> None:
    """The function answers before its own end, whatever the time that it has."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        threading.Thread(target=lambda: drip(slow.accept()[0]), daemon=True).start()
        endpoint = f"http://127.0.0.1:{slow.getsockname()[1]}"
        variables = environment(databases, store, AWS_ENDPOINT_URL_S3=endpoint)
        with function("etl.functions.report", variables, seconds=15) as report:
            answer = report.invoke({"run_id": night})
    assert (answer["status"], answer["tables"], answer["page"]) == ("published", 2, None)
    assert "because S3 is slow" in answer["page_error"]
