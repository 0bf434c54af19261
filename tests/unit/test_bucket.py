"""The page of a night in its bucket: its key, which the notifier's link has."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.commands.night import FullReport
from etl.model import limits
from etl.model.errors import ConnectionFailed, EtlError
from etl.report import bucket
from etl.report.bucket import Page, keys, with_page
from etl.sessions.url import DatabaseUrl
from etl.settings.settings import Settings
from statemachine.notifier.links import Console
from tests import cloud
from tests.unit.test_page import night, table

CONSOLE = Console.of("arn:aws:states:eu-central-1:123456789012:execution:nightly-etl:tonight", "")
RUN_IDS = st.from_regex(re.compile(r"[A-Za-z0-9._:+=@-]{1,100}"), fullmatch=True)


@pytest.mark.parametrize(
    ("run_id", "job", "expected"),
    [
        ("2026-11-22", None, "nights/2026-11-22.html"),
        ("acme-20261128T020000Z", "acme", "jobs/acme/acme-20261128T020000Z.html"),
        ("1+1=2@home", None, "nights/1+1=2@home.html"),
        ("..", None, "nights/...html"),
        ("latest", None, "nights/%6Catest.html"),
        ("latest", "acme", "jobs/acme/%6Catest.html"),
    ],
)
def test_a_page_s_key_is_the_run_s_name(run_id: str, job: str | None, expected: str) -> None:
    """Of a job in the job's folder. A run that is called ``latest`` does not take the place of the newest."""
    folder = expected.rpartition("/")[0]
    assert keys(run_id, job) == (expected, f"{folder}/latest.html")


@given(RUN_IDS, RUN_IDS)
def test_no_two_runs_have_one_key(one: str, other: str) -> None:
    """Nor has a run that of ``latest.html``, and S3 takes each: 1,024 bytes, and no part that is . or .."""
    (key, latest), (second, _) = keys(one, None), keys(other, None)
    assert (key == second) is (one == other)
    assert key != latest
    assert len(key.encode()) <= 1024
    assert not {".", ".."} & {*key.split("/")}


@given(RUN_IDS)
def test_the_message_links_to_the_page(run_id: str) -> None:
    """Whatever the run is called: the notifier reads the address back."""
    key, _ = keys(run_id, None)
    link = CONSOLE.object_link(Page("pages", key).uri)
    assert link is not None
    assert parse_qs(urlsplit(link).query) == {"region": ["eu-central-1"], "bucketType": ["general"], "prefix": [key]}


SETTINGS = Settings(report_bucket="pages", reporting=DatabaseUrl.parse("postgresql://etl:sw0rdfish@db/shop"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionFailed("S3 cannot be reached"), "S3 cannot be reached"),
        (KeyError("sw0rdfish"), "internal error: KeyError: '***'"),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "no\nsuch"), "internal error: UnicodeEncodeError: "),
        (MemoryError(), "internal error: MemoryError"),
        (RecursionError("too deep " * 999), "internal error: RecursionError: too deep too deep"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("step", ["read", "render", "put"])
async def test_whatever_goes_wrong_the_report_is_answered(
    step: str, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason in one line, short enough for a state, and without secrets; all else is as it was read."""

    def fails(*_: object) -> str:
        raise error

    report = night([table()])

    async def reads(*_: object) -> FullReport:
        return report

    monkeypatch.setattr(bucket, "read", reads)
    monkeypatch.setattr(bucket, step, fails)
    answered = await with_page(SETTINGS, report, 9.0)
    assert answered.page_error is not None
    assert answered.page_error.startswith(said)
    assert "sw0rdfish" not in answered.page_error
    assert "\n" not in answered.page_error
    assert len(answered.page_error) <= 500
    assert replace(answered, page_error=None) == report


async def test_a_ledger_that_takes_too_long_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is answered without its page, and says what to look at."""

    async def reads(*_: object) -> FullReport:
        await asyncio.Event().wait()  # which nobody sets
        raise AssertionError

    monkeypatch.setattr(bucket, "read", reads)
    monkeypatch.setattr(limits, "PAGE_SECONDS", 0.01)
    answered = await with_page(SETTINGS, night([table()]), 9.0)
    assert answered.page_error is not None
    assert "took longer than 0.01 s" in answered.page_error


async def test_a_slow_s3_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the rendering of very many tables; the function's own end counts, if it is sooner."""
    slept = threading.Event()

    async def reads(*_: object) -> FullReport:
        return night([table()])

    def puts(*asked: object) -> Page:
        given_up = asked[-1]
        assert isinstance(given_up, threading.Event)
        assert given_up.wait(10)
        slept.set()
        return Page("pages", "late")

    monkeypatch.setattr(bucket, "read", reads)
    monkeypatch.setattr(bucket, "put", puts)
    answered = await with_page(SETTINGS, night([table()]), 0.05)
    assert answered.page is None
    assert answered.page_error is not None
    assert "took longer than 0.05 s, because S3 is slow" in answered.page_error
    assert slept.wait(10)


async def test_a_page_that_was_given_up_is_not_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the Lambda may continue during a later night. Then the page of the later night is the latest."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    given_up = threading.Event()
    given_up.set()
    with cloud.answering((200, "")) as s3:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
        with pytest.raises(EtlError, match=r"nights/"):
            bucket.put(SETTINGS, night([table()]), "<html>", given_up)
        assert s3.asked == 0
        given_up.clear()
        bucket.put(SETTINGS, night([table()]), "<html>", given_up)
        assert s3.asked == 1
