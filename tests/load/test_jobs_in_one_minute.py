"""Thousands of jobs of tens of thousands that are due in one minute: on moto over HTTP, with a real clock.

moto answers some hundred requests a second, where DynamoDB answers as many as are paid for. So what is printed tells
the scheduler's own part apart: its calls, and its processor time.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from scheduler.deployment import Deployment
from scheduler.job import SHARDS, Job
from scheduler.message import Message
from scheduler.pools import Busy
from scheduler.registry import Registry
from scheduler.runner import handle
from scheduler.tick import tick
from tests.chaos import Chance, Faulty
from tests.scheduling import Services, job, services

JOBS = int(os.environ.get("ETL_TEST_JOBS", "20000"))
DUE = int(os.environ.get("ETL_TEST_DUE", "2000"))
POLLERS = 8
MINUTE = timedelta(minutes=1)


@pytest.fixture
def aws() -> Iterator[Services]:
    """The services, in a process of their own."""
    with services() as made:
        yield made


def fill(aws: Services, jobs: list[Job], now: datetime) -> None:
    """Writes jobs as ``Registry.put`` does, in batches of what one job's item is."""
    client = aws.client("dynamodb")
    Registry(client, aws.table).put(job("pattern", "0 0 1 1 *"), now)
    pattern = client.get_item(TableName=aws.table, Key={"id": {"S": "job#pattern"}, "item": {"S": "job"}})["Item"]
    client.delete_item(TableName=aws.table, Key={"id": {"S": "job#pattern"}, "item": {"S": "job"}})

    def item(each: Job) -> dict[str, Any]:
        found = each.schedule.next(now)
        assert found is not None
        own = {"id": f"job#{each.id}", "cron": each.schedule.cron, "due_shard": each.due_shard}
        own |= {"source": each.source, "target": each.target}
        texts = {name: {"S": text} for name, text in own.items()}
        return {**pattern, **texts, "next_run_at": {"N": str(int(found.timestamp()))}}

    with ThreadPoolExecutor(4) as threads:
        puts = [{"PutRequest": {"Item": item(each)}} for each in jobs]
        requests = [puts[start : start + 25] for start in range(0, len(puts), 25)]
        list(threads.map(lambda some: client.batch_write_item(RequestItems={aws.table: some}), requests))


def shop(number: int, due: int, moment: datetime) -> list[Job]:
    """So many jobs, of which some are due at this moment and the others at another hour; ten to a source."""
    chosen = random.Random(21)
    soon, later = f"{moment.minute} {moment.hour} * * *", (moment.hour + 12) % 24
    crons = [soon] * due + [f"{chosen.randrange(60)} {later} * * *" for _ in range(number - due)]
    chosen.shuffle(crons)
    return [job(f"job{n}", cron, source=f"s{n // 10}", target=f"t{n // 10}") for n, cron in enumerate(crons)]


@contextmanager
def pollers(aws: Services, deployment: Deployment) -> Iterator[Counter[str]]:
    """Does what Lambda does for the runner: receives up to ten messages, handles them, deletes what was handled."""
    over, became = threading.Event(), Counter[str]()

    def poll() -> None:
        client = aws.client("sqs")
        while not over.is_set():
            got = client.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for record in got.get("Messages", []):
                try:
                    became[handle(deployment, Message.read(record["Body"]), datetime.now(UTC))] += 1
                except (ClientError, BotoCoreError, Busy) as error:  # it comes again, as from Lambda
                    became[type(error).__name__] += 1
                else:
                    client.delete_message(QueueUrl=aws.queue_url, ReceiptHandle=record["ReceiptHandle"])

    with ThreadPoolExecutor(POLLERS) as threads:
        tasks = [threads.submit(poll) for _ in range(POLLERS)]
        try:
            yield became
        finally:
            over.set()
    for task in tasks:
        task.result()


def test_each_of_thousands_due_in_one_minute_is_started_once(aws: Services, capsys: pytest.CaptureFixture[str]) -> None:
    """None before it is due; the lateness is printed."""
    now = datetime.now(UTC)
    moment = now.replace(second=0, microsecond=0) + (3 + JOBS // 10_000) * MINUTE
    jobs = shop(JOBS, DUE, moment)
    fill(aws, jobs, now)
    deployment, ticked = aws.deployment, []
    cpu = time.process_time()
    with pollers(aws, deployment) as became:
        while datetime.now(UTC) < moment + 10 * MINUTE and became["started"] < DUE:
            time.sleep(61 - datetime.now(UTC).second if datetime.now(UTC).second > 1 else 0.5)
            began = time.perf_counter()
            done = tick(deployment.registry, deployment.queue, datetime.now(UTC))
            ticked.append((done.sent, round(time.perf_counter() - began, 1)))
    started = Counter(name.rpartition("-")[0] for name in aws.started())
    expected = {each.id for each in jobs if each.schedule.next(moment - MINUTE) == moment}
    assert started == dict.fromkeys(expected, 1)
    runs = [deployment.registry.runs(each, 1)[0] for each in expected]
    late = sorted(run.late_seconds or 0.0 for run in runs)
    assert late[0] >= 0
    with capsys.disabled():
        print(f"\n{JOBS:,} jobs, {DUE:,} due at {moment:%H:%M}; ticks (sent, seconds): {ticked}")
        print(f"late by {median(late):.1f} s (median), {late[-1]:.1f} s (last), with {POLLERS} pollers and moto")
        print(f"what the runner did: {dict(became)}")
        print(f"processor time of ticks and runner together: {(time.process_time() - cpu) / DUE * 1000:.1f} ms a start")


@pytest.mark.parametrize("number", [1_000, 10_000, 100_000])
def test_a_tick_does_as_much_as_is_due_however_many_jobs_there_are(
    aws: Services, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A query for each partition of the index, and for each due job a message and a write."""
    now = datetime.now(UTC)
    moment = now.replace(second=0, microsecond=0) + MINUTE
    fill(aws, shop(number, 200, moment), now - MINUTE)
    counted = Chance(lambda *_: None)
    clients = {name: Faulty(aws.client(name), counted) for name in ("dynamodb", "sqs", "sns", "stepfunctions")}
    deployment = aws.deployment_of(clients)
    began, cpu = time.perf_counter(), time.process_time()
    done = tick(deployment.registry, deployment.queue, now)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    assert (done.sent, done.moved) == (200, 200)
    calls = Counter(name for (name, _), times in counted.seen.items() for _ in range(times))
    assert calls["query"] == SHARDS
    assert calls["update_item"] == 200
    assert calls["send_message_batch"] <= SHARDS + 200 // 10
    with capsys.disabled():
        print(f"\n{number:,} jobs, 200 due: {sum(calls.values())} calls, {used:.2f} s of processor, {seconds:.1f} s")
