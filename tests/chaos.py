"""A world for the scheduler in which every call to AWS may fail, be answered twice, or be the process's last.

DynamoDB is moto's, in this process, with its conditions and transactions. The queue and Step Functions are made here,
because they need the world's clock: with AWS's delays, redeliveries and idempotent names. Chance hangs on the seed, the
call and its key, and not on the order of threads; so a seed can be replayed.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from scheduler.deployment import Deployment
from scheduler.machine import Machine
from scheduler.pools import Pools
from scheduler.queue import Queue
from scheduler.registry import Registry
from scheduler.teller import Teller

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:nightly"
VISIBILITY = timedelta(minutes=3)  # as infra/modules/scheduler has it
MOST_RECEIVED = 5


class Killed(BaseException):
    """The process was ended in the middle of a call."""


class Fault(StrEnum):
    """What may happen to a call."""

    FAILS = "fails"
    THROTTLED = "throttled"
    CONFLICTS = "meets a transaction"
    ANSWER_LOST = "its answer is lost"
    TWICE = "is made twice"
    KILLED_BEFORE = "is never made: the process is killed"
    KILLED_AFTER = "is the process's last"


def error(code: str, status: int = 400) -> ClientError:
    """An error of AWS."""
    said = {"Error": {"Code": code, "Message": "by chance"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "Call")  # type: ignore[arg-type]


def conflict(name: str) -> ClientError:
    """What DynamoDB says to a write of an item that a transaction is at work on."""
    if name == "update_item":
        return error("TransactionConflictException")
    said = error("TransactionCanceledException")
    said.response["CancellationReasons"] = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    return said


@dataclass
class Chance:
    """Which fault a call has, if any: of its number, its name and its key."""

    choose: Callable[[int, str, str, int], Fault | None]
    calls: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, name: str, key: str) -> Fault | None:
        """The fault of this call."""
        with self.lock:
            self.calls += 1
            self.seen[name, key] += 1
            return self.choose(self.calls, name, key, self.seen[name, key])


def by_seed(seed: int, likely: float) -> Chance:
    """Faults of all kinds, each call with the same likelihood."""

    def choose(_: int, name: str, key: str, number: int) -> Fault | None:
        chosen = random.Random(f"{seed}/{name}/{key}/{number}")
        return chosen.choice(list(Fault)) if chosen.random() < likely else None

    return Chance(choose)


def at_call(number: int, fault: Fault) -> Chance:
    """One fault, at one call."""
    return Chance(lambda now, *_: fault if now == number else None)


@dataclass(frozen=True)
class Faulty:
    """A client whose calls have faults."""

    client: Any
    chance: Chance

    def __getattr__(self, name: str) -> Any:
        made = getattr(self.client, name)
        if name == "get_paginator":
            return lambda operation: _Pages(made(operation), operation, self)
        return lambda **given: self.call(name, made, given)

    def call(self, name: str, made: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        """Makes a call, or does not."""
        fault = self.chance.of(name, _key(given))
        if fault is Fault.KILLED_BEFORE:
            raise Killed(name)
        if fault is Fault.FAILS:
            raise error("InternalServerError", 500)
        if fault is Fault.THROTTLED:
            raise error("ThrottlingException")
        if fault is Fault.CONFLICTS and name in {"update_item", "transact_write_items"}:
            raise conflict(name)
        answer = made(**given)
        if fault is Fault.TWICE:
            answer = made(**given)
        if fault is Fault.ANSWER_LOST:
            raise error("RequestTimeout", 500)
        if fault is Fault.KILLED_AFTER:
            raise Killed(name)
        return answer


@dataclass(frozen=True)
class _Pages:
    pages: Any
    operation: str
    faulty: Faulty

    def paginate(self, **given: Any) -> Iterator[Any]:
        """Each page is a call."""
        for page in self.pages.paginate(**given):
            yield self.faulty.call(self.operation, lambda page=page, **_: page, given)


def _key(given: Mapping[str, Any]) -> str:
    told = {name: given[name] for name in ("Key", "name", "executionArn", "ExpressionAttributeValues") if name in given}
    if "TransactItems" in given:
        told = {"keys": [each["Update"]["Key"] for each in given["TransactItems"]]}
    if "Entries" in given:
        told = {"bodies": sorted(each["MessageBody"] for each in given["Entries"])}
    return json.dumps(told, sort_keys=True, default=str)


@dataclass
class Waiting:
    """A message of the queue."""

    body: str
    visible_at: datetime
    received: int = 0


@dataclass
class SimulatedQueue:
    """SQS on the world's clock: delays, redeliveries, a dead-letter queue, batches that are accepted in part."""

    world: World
    messages: list[Waiting] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """SendMessageBatch; a fault of one message is no fault of the request."""
        del QueueUrl
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        for entry in Entries:
            if self.world.chance.of("entry", entry["MessageBody"]) is Fault.FAILS:
                answer["Failed"].append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
                continue
            visible = self.world.now + timedelta(seconds=entry["DelaySeconds"])
            with self.lock:
                self.messages.append(Waiting(entry["MessageBody"], visible))
            answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def receive(self) -> list[Waiting]:
        """The visible messages; those that were received too often are dead."""
        visible = [each for each in self.messages if each.visible_at <= self.world.now]
        for message in visible:
            message.received += 1
            message.visible_at = self.world.now + VISIBILITY
            if message.received > MOST_RECEIVED:
                self.messages.remove(message)
                self.dead.append(message.body)
        return [each for each in visible if each.received <= MOST_RECEIVED]

    def redrive(self) -> None:
        """Moves the dead messages back, as the runbook says."""
        self.messages += [Waiting(body, self.world.now) for body in self.dead]
        self.dead.clear()


@dataclass
class Execution:
    """An execution of the nightly state machine."""

    name: str
    input: str
    started_at: datetime
    ends_at: datetime
    status: str
    ended: bool = False


@dataclass
class SimulatedMachine:
    """Step Functions on the world's clock: a name is taken for ever; to start it again while it runs is no error."""

    world: World
    executions: dict[str, Execution] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: N803, A002
        """StartExecution."""
        del stateMachineArn
        with self.lock:
            known = self.executions.get(name)
            if known is not None and (known.ended or known.input != input):
                raise error("ExecutionAlreadyExists")
            if known is None:
                self.executions[name] = self.world.execution(name, input)
        return {"executionArn": name}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """DescribeExecution."""
        known = self.executions.get(executionArn.rpartition(":")[2])
        if known is None:
            raise error("ExecutionDoesNotExist")
        if not known.ended:
            return {"status": "RUNNING"}
        return {"status": known.status, "stopDate": known.ends_at}

    def running(self) -> list[Execution]:
        """The executions that are running."""
        return [each for each in self.executions.values() if not each.ended]


@dataclass
class World:
    """The clock, the services and their faults. ``lasts``: how long an execution of a name runs, and how it ends."""

    dynamodb: Any
    chance: Chance
    lasts: Callable[[str], tuple[timedelta, str]]
    now: datetime
    at_once: int = 10
    early: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    refusal: str | None = None

    def __post_init__(self) -> None:
        self.queue = SimulatedQueue(self)
        self.machine = SimulatedMachine(self)
        self.crowd: list[tuple[datetime, int]] = []

    def execution(self, name: str, content: str) -> Execution:
        """An execution that begins now."""
        seconds, status = self.lasts(name)
        due = datetime.strptime(name.rpartition("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self.now < due:
            self.early.append(name)
        self.crowd.append((self.now, len(self.machine.running()) + 1))
        return Execution(name, content, self.now, self.now + seconds, status)

    def deployment(self, chance: Chance | None = None) -> Deployment:
        """What the Lambdas use, with faults."""
        chance = chance or self.chance
        dynamodb, sqs, machine = (Faulty(each, chance) for each in (self.dynamodb, self.queue, self.machine))
        of_names = Machine(machine, MACHINE)
        return Deployment(
            Registry(dynamodb, "jobs"),
            Pools(dynamodb, "jobs", self.at_once, of_names.is_running),
            Queue(sqs, "due"),
            of_names,
            Teller(self, None, None),
        )

    def publish(self, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803
        """SNS."""
        del TopicArn, Message
        if self.refusal:
            raise error(self.refusal)
        self.told.append(Subject)

    def ended(self) -> list[Execution]:
        """Ends the executions whose time has come; returns them."""
        over = [each for each in self.machine.running() if each.ends_at <= self.now]
        for execution in over:
            execution.ended = True
        return over
