"""The deployment's table and queue, through AWS's signed APIs; and what is said if AWS refuses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from scheduler.pools import Pools
from scheduler.queue import Queue
from scheduler.registry import Registry

from .problem import Failure, Problem

_CONFIG = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=64
)

_SIGN_IN = "set AWS_PROFILE, sign in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REGION = "set AWS_REGION, such as eu-central-1, or a region for the profile"
_NAMED = "give --name or --table, or set NIGHTLY_JOBS_NAME or NIGHTLY_JOBS_TABLE, and check the region"
_QUEUED = "give --queue, or set NIGHTLY_JOBS_QUEUE, and check the region"

_CODES = {
    "ResourceNotFoundException": (Problem, "there is no such table", _NAMED),
    "AWS.SimpleQueueService.NonExistentQueue": (Problem, "there is no such queue", _QUEUED),
    "QueueDoesNotExist": (Problem, "there is no such queue", _QUEUED),
    "AccessDeniedException": (Problem, "access denied", "have the action named here allowed, or take another role"),
    "AccessDenied": (Problem, "access denied", "have the action named here allowed, or take another role"),
    "ExpiredTokenException": (Problem, "the credentials have expired", _SIGN_IN),
    "ExpiredToken": (Problem, "the credentials have expired", _SIGN_IN),
    "UnrecognizedClientException": (Problem, "AWS does not know the credentials", _SIGN_IN),
    "InvalidClientTokenId": (Problem, "AWS does not know the credentials", _SIGN_IN),
    "InvalidSignatureException": (Problem, "AWS refuses the signature", "check the secret key and the clock"),
    "ThrottlingException": (Failure, "AWS throttles the calls", "repeat it in a minute"),
    "ProvisionedThroughputExceededException": (Failure, "AWS throttles the calls", "repeat it in a minute"),
}


@dataclass(frozen=True)
class Access:
    """The deployment: its name, and its table and queue if they have other names than those that follow from it."""

    name: str
    table_name: str | None = None
    queue_name: str | None = None

    @property
    def table(self) -> str:
        """The name of the jobs' table."""
        return self.table_name or f"{self.name}-jobs"

    @property
    def root(self) -> str:
        """The path beneath which the jobs' settings are, unless the file says another."""
        return f"/{self.name}/jobs"

    @cached_property
    def registry(self) -> Registry:
        """The jobs."""
        return Registry(self._dynamodb, self.table)

    @cached_property
    def pools(self) -> Pools:
        """The pools, to look at and to set their numbers; not to take a place."""
        return Pools(self._dynamodb, self.table, 0, lambda _: None)

    def queue(self) -> Queue:
        """The queue, by its URL or its name."""
        client, named = _client("sqs"), self.queue_name or f"{self.name}-due"
        is_url = named.startswith(("https://", "http://"))
        return Queue(client, named if is_url else client.get_queue_url(QueueName=named)["QueueUrl"])

    @cached_property
    def _dynamodb(self) -> Any:
        return _client("dynamodb")


def _client(service: str) -> Any:
    """A client of a service; AWS's other tools read AWS_REGION, which boto3 does not."""
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    try:
        client: Any = session.client(service, config=_CONFIG)
    except ValueError as error:  # of an endpoint that is no URL
        raise Problem(f"AWS cannot be called: {_line(error)}; check AWS_ENDPOINT_URL and AWS_REGION") from None
    return client


def explained(error: Exception, table: str | None = None) -> Problem:
    """What an error of AWS means, in one line with the remedy."""
    where = f" (table {table})" if table else ""
    if isinstance(error, exceptions.ClientError):
        return _refused(error, where)
    if isinstance(error, exceptions.NoRegionError):
        return Problem(f"no region of AWS is set; {_REGION}")
    if isinstance(error, exceptions.NoCredentialsError):
        return Problem(f"no credentials of AWS are set; {_SIGN_IN}")
    credentials = ("Credential", "Token", "SSO", "Profile")
    if any(word in type(error).__name__ for word in credentials):
        return Problem(f"the credentials of AWS cannot be used: {_line(error)}; {_SIGN_IN}")
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return Failure(f"AWS does not answer{where}: {_line(error)}; check the region and the network, and repeat it")
    return Failure(f"AWS cannot be called{where}: {_line(error)}; check the profile and the region")


def _refused(error: exceptions.ClientError, where: str) -> Problem:
    code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    kind, what, remedy = _CODES.get(
        code, (Failure, f"AWS refuses {error.operation_name}", "correct that, and repeat it")
    )
    told = f": {' '.join(said.split()).rstrip('.')}" if said and "there is no" not in what else ""
    return kind(f"{what}{where if 'table' in what else ''}{told}; {remedy}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
