"""The deployment that a Lambda works for, from its environment: the table, the queue, the state machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from .machine import Machine
from .pools import Pools
from .queue import Queue
from .registry import Registry
from .teller import Teller

_CONFIG = Config(
    connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}, max_pool_connections=64
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The services that the Lambdas use."""

    registry: Registry
    pools: Pools
    queue: Queue
    machine: Machine
    teller: Teller

    @classmethod
    def here(cls) -> Deployment:
        """This process's deployment; made once, because a warm Lambda keeps its connections."""
        return _made()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Deployment:
        """Reads JOBS_TABLE, QUEUE_URL, STATE_MACHINE_ARN, AT_ONCE (10) and NOTIFIER_FUNCTION (none)."""
        table = environment["JOBS_TABLE"]
        dynamodb = _client("dynamodb")
        machine = Machine(_client("stepfunctions"), environment["STATE_MACHINE_ARN"])
        return cls(
            Registry(dynamodb, table),
            Pools(dynamodb, table, int(environment.get("AT_ONCE", "10")), machine.is_running),
            Queue(_client("sqs"), environment["QUEUE_URL"]),
            machine,
            Teller(_client("sns"), _client("lambda"), environment.get("NOTIFIER_FUNCTION") or None),
        )


@cache
def _made() -> Deployment:
    return Deployment.of(os.environ)


def _client(service: str) -> Any:
    client: Any = boto3.client(service, config=_CONFIG)
    return client
