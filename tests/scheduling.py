"""The scheduler's services for the tests: moto's DynamoDB, SQS, SNS and Step Functions in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

from scheduler.cron import Schedule
from scheduler.deployment import Deployment
from scheduler.job import Job
from scheduler.machine import Machine
from scheduler.pools import Pools
from scheduler.queue import Queue
from scheduler.registry import INDEX, Registry
from scheduler.teller import Teller
from servers.port import free_port
from tests.cloud import REGION
from tests.situations import until

TABLE: dict[str, Any] = {
    "TableName": "jobs",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "item", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "item", "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "next_run_at", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "next_run_at", "KeyType": "RANGE"},
            ],
            "Projection": {
                "ProjectionType": "INCLUDE",
                "NonKeyAttributes": ["cron", "zone", "catch_up", "window_seconds"],
            },
        }
    ],
}
"""The table, as infra/modules/scheduler makes it."""

MACHINE = {"StartAt": "Night", "States": {"Night": {"Type": "Pass", "End": True}}}


@dataclass(frozen=True)
class Services:
    """The services of one deployment of the scheduler, at an endpoint."""

    endpoint: str
    queue_url: str
    machine_arn: str
    table: str = "jobs"

    def client(self, service: str) -> Any:
        """A client of the endpoint, which threads may share."""
        config = Config(max_pool_connections=64, retries={"mode": "standard", "total_max_attempts": 4})
        session = boto3.Session("test", "test", region_name=REGION)
        made: Any = session.client(service, endpoint_url=self.endpoint, config=config)
        return made

    @cached_property
    def deployment(self) -> Deployment:
        """What the Lambdas use."""
        return self.deployment_of({name: self.client(name) for name in ("dynamodb", "sqs", "sns", "stepfunctions")})

    def deployment_of(self, clients: Mapping[str, Any], at_once: int = 10) -> Deployment:
        """What the Lambdas use, with these clients."""
        machine = Machine(clients["stepfunctions"], self.machine_arn)
        return Deployment(
            Registry(clients["dynamodb"], self.table),
            Pools(clients["dynamodb"], self.table, at_once, machine.is_running),
            Queue(clients["sqs"], self.queue_url),
            machine,
            Teller(clients["sns"], None, None),
        )

    def started(self) -> list[str]:
        """The names of all executions."""
        pages = self.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=self.machine_arn)
        return [each["name"] for page in pages for each in page["executions"]]


@contextmanager
def services() -> Iterator[Services]:
    """Starts moto in a process of its own, and makes a table, a queue and a state machine in it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            endpoint = f"http://127.0.0.1:{port}"
            until(lambda: _answers(endpoint), "moto answers")
            session = boto3.Session("test", "test", region_name=REGION)
            session.client("dynamodb", endpoint_url=endpoint).create_table(**TABLE)
            url = session.client("sqs", endpoint_url=endpoint).create_queue(
                QueueName="due", Attributes={"VisibilityTimeout": "180"}
            )["QueueUrl"]
            role = "arn:aws:iam::123456789012:role/nightly"
            made = session.client("stepfunctions", endpoint_url=endpoint).create_state_machine(
                name="nightly", definition=json.dumps(MACHINE), roleArn=role
            )
            yield Services(endpoint, url, made["stateMachineArn"])
        finally:
            process.kill()


def job(name: str = "acme", cron: str = "* * * * *", zone: str = "UTC", **given: Any) -> Job:
    """A job with this schedule."""
    settings = {"settings_path": f"/nightly-etl/jobs/{name}", "source": "one", "target": "two"}
    return Job(name, Schedule.of(cron, zone), **{**settings, "window": timedelta(hours=6), **given})


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=1).close()
    except OSError:
        return False
    return True
