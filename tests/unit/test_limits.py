"""AWS's limits, which moto does not enforce: a night stays below them, however many tables it copies.

The definition's own expressions make the texts, for the greatest possible numbers of tables, shards and characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.commands import report
from etl.commands.accounts import SlowTable
from etl.commands.answer import plain
from etl.commands.plan import Plan, Shard
from etl.ledger.rows import LoadRow, RunRow
from etl.model import limits
from statemachine.definition import COMPUTE, inner_machines, nightly, tasks
from tests.asl import request, value
from tests.machine import NAMES

TABLES = 10_000
RUN_ID = "n" * 80
"""The longest possible name of an execution (Step Functions Developer Guide, "Service quotas")."""

OVERRIDES = {"batch": 8192, "ecs": 8192}
"""The maximum number of characters of a container's overrides as JSON.

ECS: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html ("A total of 8192 characters are allowed
for overrides"). Batch starts the job by ECS, and fails it with "Container Overrides length must be at most 8192".
"""

REQUEST = {"batch": 30 * 1024, "ecs": 64 * 1024, "codebuild": 64 * 1024}
"""The maximum size of a whole request in bytes.

Batch says "Job size must be less than 30 KiB" (SubmitJob). The other services document no limit that is smaller than
these.
"""

STATE = 256 * 1024
"""Bytes of the input or output of a state, of a variable, and of a task's result
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

EVENTS = 25_000
"""Events in the history of an execution (the same page)."""

JOB_NAME = 128
"""Characters of a job's name (https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html)."""

MACHINES = {kind: json.loads(nightly(kind, NAMES)) for kind in COMPUTE}


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state of a state machine by its name, including those in branches and Maps."""
    for name, state in machine["States"].items():
        yield name, state
        for inner in inner_machines(state):
            yield from states(inner)


def a_plan() -> Plan:
    """The largest possible plan: the names of its tables are as long as PostgreSQL allows."""
    names = [f"{'s' * 63}.{number:063}" for number in range(TABLES)]
    shards = [
        Shard(number, tuple(names[number :: limits.MOST_SHARDS]), 123456.789, 123456.789)
        for number in range(limits.MOST_SHARDS)
    ]
    return Plan(RUN_ID, tuple(shards))


def job(kind: str, state: str, passed_on: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a Pass state assigns for the job of the next state."""
    values = {"run_id": RUN_ID, "plan": plain(a_plan().in_brief()), "states": {"input": passed_on}}
    assigned: dict[str, Any] = value(dict(states(MACHINES[kind]))[state]["Assign"], values)
    return assigned


def asked(kind: str, state: str, task: str) -> dict[str, Any]:
    """A task's request in the form of the service's API."""
    variables = job(kind, state, plain(a_plan().in_brief())["shards"][-1])
    return request(kind, value(tasks(MACHINES[kind]["States"])[task]["Arguments"], variables))


@pytest.mark.parametrize(("state", "task"), [("SnapshotJob", "Snapshot"), ("ShardJob", "Shard")])
@pytest.mark.parametrize("kind", COMPUTE)
def test_what_a_container_is_told_does_not_grow_with_the_tables(kind: str, state: str, task: str) -> None:
    """The request has a run's id and a shard's number, a tenth of the services' limits, and no table names."""
    sent = asked(kind, state, task)
    overrides = sent.get("containerOverrides") or sent.get("overrides") or sent["environmentVariablesOverride"]
    assert len(json.dumps(overrides)) < OVERRIDES.get(kind, 8192) / 10
    assert len(json.dumps(sent).encode()) < REQUEST[kind] / 10
    assert len(sent.get("jobName", "")) <= JOB_NAME
    assert "s" * 63 not in json.dumps(sent)


def test_what_plan_answers_does_not_grow_with_the_tables() -> None:
    """The answer stays in a variable until the night ends, and each shard's part of it is an item's input."""
    brief = plain(a_plan().in_brief())
    assert brief["tables"] == TABLES
    assert len(json.dumps(brief).encode()) < STATE / 5


@pytest.mark.parametrize("letter", ["x", "é", "🙈", '"'])
def test_what_report_tells_leaves_room_for_the_rest(letter: str) -> None:
    """Tested with the most failed tables; Lambda writes each letter of their names and errors as 1 to 12 characters."""
    name = letter * (63 // len(letter.encode()))
    tables = [f"{name}.{number}{name}" for number in range(TABLES)]
    row = LoadRow(run_id=RUN_ID, table_name="", status="failed", schema_name="", relation_name="", error=letter * 5000)
    loads = [replace(row, table_name=table) for table in tables]
    run = RunRow(run_id=RUN_ID, status="failed", started_at=datetime.now(UTC), error=letter * 4000)
    slowest = [SlowTable(f"{name}.{name}", 1.5, 1.5, 10**9)] * limits.REPORTED_SLOWEST
    whole = report._report(RUN_ID, run, loads, slowest, None)
    told = plain(replace(whole, page_error=letter * limits.REPORTED_ERROR_CHARACTERS).brief)
    assert len(json.dumps(told)) < STATE / 2
    assert (len(told["failed"]) > 10, told["failed_count"]) == (True, TABLES)


@pytest.mark.parametrize("kind", COMPUTE)
def test_the_history_has_room_for_every_shard_and_every_try(kind: str) -> None:
    """Tested with the most shards, each of which fails after every retry that its state allows."""
    inside = [state for state in states(MACHINES[kind]) if state[0] == "Shards"]
    ((_, shards),) = inside
    each = 2 + sum(events(state) for _, state in states(shards["ItemProcessor"]))
    outside = sum(events(state) for _, state in states(MACHINES[kind]))
    assert outside + limits.MOST_SHARDS * each < EVENTS


def events(state: Mapping[str, Any]) -> int:
    """The events of a state that is entered once (API reference, HistoryEvent).

    Each attempt of a task has up to four.
    """
    tries = 1 + sum(retrier["MaxAttempts"] for retrier in state.get("Retry", []))
    return 2 + (4 * tries if state["Type"] == "Task" else 0)
