"""The page of a night, written into the bucket of the deployment's pages.

Besides ``etl.settings.aws`` this is the only module that uses boto3. It is imported only in the function ``report``,
and there only if ETL_REPORT_BUCKET is set.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from etl.commands.night import FullReport
from etl.commands.report import report as read
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import ConfigurationError, ConnectionFailed, EtlError, LoadFailed, one_line
from etl.report.page.page import render
from etl.settings.aws import CONFIG, UNREACHABLE, is_passing, said
from etl.settings.settings import Settings

# The message to Slack waits for this. S3's name has several addresses (eight at most), and where a subnet has no way to
# them, each is tried for the whole connect_timeout: 8 × 1 s, twice.
_CONFIG = CONFIG.merge(Config(connect_timeout=1, retries={"mode": "standard", "total_max_attempts": 2}))

_HEADERS = {"ContentType": "text/html; charset=utf-8", "CacheControl": "no-cache"}

_REMEDIES = {
    "AccessDenied": "let the function's role s3:PutObject on it and, if a KMS key encrypts the bucket,"
    " kms:GenerateDataKey on that key",
    "NoSuchBucket": "check the bucket's name, the account and the region",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidAccessKeyId": "the credentials are not valid; check them and AWS_REGION",
    "SignatureDoesNotMatch": "the credentials are wrong; check the secret key",
    "KMS.DisabledException": "enable the key that encrypts the bucket",
    "KMS.NotFoundException": "the key that encrypts the bucket is gone; give the bucket another one",
    "KMS.KMSInvalidStateException": "the key that encrypts the bucket is about to be deleted; keep it, or give the"
    " bucket another one",
}

_REMEDIES |= dict.fromkeys(
    ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    "the bucket is in another region; take one in the function's own",
)

_LATEST = "latest"

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """A page in the bucket."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The page's address, as the AWS command line takes it."""
        return f"s3://{self.bucket}/{self.key}"


async def with_page(settings: Settings, report: FullReport, seconds: float) -> FullReport:
    """Writes a run's page; returns the report with the page's address, or with the reason why there is none.

    Whatever the reason is, it raises no error: Slack must hear of the night. So the nights before are read here, and
    all of it together may take ``seconds``, at most ``PAGE_SECONDS``.
    """
    try:
        page = await _written(settings, report.run_id, min(seconds, limits.PAGE_SECONDS))
    except Exception as error:
        kind = "" if isinstance(error, EtlError) else f"internal error: {type(error).__name__}: "
        said = settings.redact.cut(f"{kind}{one_line(error)}", limits.REPORTED_ERROR_CHARACTERS)
        _log.error("page.not_written", error=said)
        return replace(report, page_error=said)
    _log.info("page.written", page=page.uri)
    return replace(report, page=page.uri)


async def _written(settings: Settings, run_id: str, seconds: float) -> Page:
    until = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(until):
            full = await read(settings, run_id)
    except TimeoutError:
        raise LoadFailed(
            f"the ledger took longer than {seconds:g} s to tell of the nights before run {run_id}; look at what the"
            " reporting server is busy with, or delete runs of long ago from the ledger"
        ) from None
    given_up = threading.Event()
    try:
        async with asyncio.timeout_at(until):
            return await _aside(lambda: put(settings, full, render(full), given_up))
    except TimeoutError:
        raise LoadFailed(
            f"the page of run {run_id} took longer than {seconds:g} s, because S3 is slow, or the run has very many"
            " tables; give the function more memory, which is more of a processor, too"
        ) from None
    finally:
        given_up.set()


_T = TypeVar("_T")


async def _aside(work: Callable[[], _T]) -> _T:
    """Does work in a thread for which nobody has to wait: at the loop's end, asyncio waits for its own threads."""
    done: Future[_T] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="page", daemon=True).start()
    return await asyncio.wrap_future(done)


def put(settings: Settings, report: FullReport, html: str, given_up: threading.Event) -> Page:
    """Writes the page of a run, and again as ``latest.html`` if it is the newest night of its job.

    Once it is ``given_up`` it sends nothing more: a Lambda's thread stands still between events, and may go on in a
    later night. Raises ConfigurationError if S3 refuses the page, ConnectionFailed if S3 does not answer.
    """
    assert settings.report_bucket is not None, "the caller looks whether there is a bucket"
    job = report.night.job if report.night else None
    page, latest = (Page(settings.report_bucket, key) for key in keys(report.run_id, job))
    body = html.encode("utf-8", "replace")

    def send_in_time(**_: object) -> None:
        if given_up.is_set():
            raise TimeoutError(page.uri)  # nobody hears it any more

    try:
        client: Any = boto3.Session().client("s3", config=_CONFIG)
        client.meta.events.register("before-send.s3.PutObject", send_in_time)
        for one in (page, latest) if report.is_newest else (page,):
            client.put_object(Bucket=one.bucket, Key=one.key, Body=body, **_HEADERS)
    except (aws.ClientError, aws.BotoCoreError, ValueError, OSError) as error:
        raise _explained(page, error) from error
    return page


def keys(run_id: str, job: str | None) -> tuple[str, str]:
    """The keys of a run's page, and of the page of the newest run of its job.

    A run may be called ``latest``, and has its name percent-encoded then. Its other names are keys as they are.
    """
    folder = "nights" if job is None else f"jobs/{job}"
    name = f"%{ord(run_id[0]):02X}{run_id[1:]}" if run_id == _LATEST else run_id
    return f"{folder}/{name}.html", f"{folder}/{_LATEST}.html"


def _explained(page: Page, error: Exception) -> EtlError:
    if isinstance(error, aws.ClientError):
        return _refused(page, error)
    if isinstance(error, UNREACHABLE):
        return ConnectionFailed(
            f"S3 cannot be reached for the page {page.uri}: {one_line(error)}; in a VPC without NAT, S3 needs a gateway"
            " endpoint in the subnets' route tables, and its prefix list in the function's security group"
        )
    # All other errors come from a wrong environment: no credentials, no region, an endpoint that is not valid.
    return ConfigurationError(f"the page {page.uri} is not written: {one_line(error)}; check the AWS_… variables")


def _refused(page: Page, error: aws.ClientError) -> EtlError:
    code, message = said(error)
    if is_passing(error):
        return ConnectionFailed(f"S3 refused the page {page.uri} again and again: {code}: {message}; try again later")
    remedy = _REMEDIES.get(code, "check the bucket, its policy and the function's role")
    return ConfigurationError(f"ETL_REPORT_BUCKET {page.bucket}: {page.key}: {code}: {message}; {remedy}")
