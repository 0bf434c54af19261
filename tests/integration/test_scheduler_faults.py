"""The scheduler while calls to AWS fail: no due time is lost, none is started twice, and no place in a pool leaks.

ETL_SCHEDULER_SEEDS=100 tries more seeds; ETL_SCHEDULER_SEED=7 replays one.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product, takewhile
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from scheduler.ended import look, settle
from scheduler.job import CatchUp, Job, Notify, Overlap, job_and_due
from scheduler.machine import Ended
from scheduler.message import Message
from scheduler.pools import Busy, Pool
from scheduler.records import Run
from scheduler.registry import WATCH, Registry
from scheduler.runner import handle
from scheduler.teller import Teller
from scheduler.tick import tick
from tests.chaos import Chance, Execution, Fault, Killed, World, at_call, by_seed
from tests.moto_server import keep_promises
from tests.scheduling import TABLE, job

START = datetime(2026, 11, 28, 1, 59, 50, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
STEP = timedelta(seconds=10)
NO_FAULT = Chance(lambda *_: None)


@cache
def client() -> Any:
    """A client for all tests: to make one takes longer than a minute of a night."""
    return boto3.client("dynamodb", region_name="eu-central-1")


def fresh() -> Any:
    keep_promises()
    client().create_table(**TABLE)
    return client()


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A table of moto's, in this process."""
    with mock_aws():
        yield fresh()


@dataclass
class Night:
    """Minutes of the world: ticks, the runner and the ends, each of which may fail or be killed."""

    world: World
    jobs: dict[str, Job]
    lost_ticks: set[int] = field(default_factory=set)
    double_ticks: set[int] = field(default_factory=set)
    lost_events: set[str] = field(default_factory=set)
    unsettled: list[Execution] = field(default_factory=list)
    is_ticking: bool = True

    def put(self) -> None:
        """Registers the jobs, before anything fails."""
        for each in self.jobs.values():
            Registry(self.world.dynamodb, "jobs").put(each, START)

    def passes(self, minutes: int, chance: Chance | None = None) -> None:
        """Lets minutes pass, with the world's faults or others."""
        self.deployment = self.world.deployment(chance)
        for _ in range(minutes * 6):
            self.world.now += STEP
            if self.is_ticking and self.world.now.second // 10 == 0:
                self._tick(int((self.world.now - START) / MINUTE))
            self._receive()
            self._settle()

    def _tick(self, minute: int) -> None:
        for _ in range((minute not in self.lost_ticks) + (minute in self.double_ticks)):
            with suppress(ClientError, Killed):
                tick(self.deployment.registry, self.deployment.queue, self.world.now)

    def _receive(self) -> None:
        for message in self.world.queue.receive():
            with suppress(ClientError, Killed, RuntimeError, Busy):
                handle(self.deployment, Message.read(message.body), self.world.now, is_first=message.received == 1)
                self.world.queue.messages.remove(message)

    def _settle(self) -> None:
        self.unsettled += [each for each in self.world.ended() if each.name not in self.lost_events]
        for execution in list(self.unsettled):
            found = job_and_due(execution.name)
            assert found is not None
            with suppress(ClientError, Killed):
                end = Ended(execution.status.lower(), execution.ends_at, None)
                settle(self.deployment, found[0], execution.name, found[1], end)
                self.unsettled.remove(execution)

    def calms_down(self) -> None:
        """Lets time pass without faults, with the dead letters driven back, until nothing is left to do."""
        self.world.queue.redrive()
        self.passes(2, NO_FAULT)
        self.is_ticking = False
        for _ in range(60):
            self.world.queue.redrive()  # also those that have died since the last fault
            self.passes(1, NO_FAULT)
            queue = self.world.queue
            if not (queue.messages or queue.dead or self.unsettled or self.world.machine.running()):
                return self._look()
        raise AssertionError("there is still something to do after an hour")

    def _look(self) -> None:
        """The ends whose events were lost are found later."""
        self.world.now += WATCH
        look(self.world.deployment(NO_FAULT), self.world.now)

    def check(self) -> Counter[str]:
        """Holds the record of starts against the schedules; returns what became of the due times."""
        registry, became = Registry(self.world.dynamodb, "jobs"), Counter[str]()
        assert not self.world.early
        assert not self.world.queue.messages
        for each in self.jobs.values():
            known = registry.get(each.id)
            assert known is not None
            assert known.next_run_at is not None
            runs = {run.due: run for run in registry.runs(each.id, 1000)}
            due = list(takewhile(known.next_run_at.__gt__, each.schedule.after(START)))
            for moment in due:
                became[self._became(each, moment, runs)] += 1
            started = [name for name in self.world.machine.executions if job_and_due(name)[0] == each.id]  # type: ignore[index]
            assert {job_and_due(name)[1] for name in started} <= set(due)  # type: ignore[index]
            counters = known.counters
            assert counters.started == len(started)
            assert counters.started + counters.skipped + counters.missed == len(due), each.id
            ended = [name for name in started if self.world.machine.executions[name].ended]
            assert counters.succeeded + counters.failed == len(ended)
        return became

    def _became(self, each: Job, moment: datetime, runs: dict[datetime, Any]) -> str:
        name = f"{each.id}-{moment:%Y%m%dT%H%M%SZ}"
        if name in self.world.machine.executions:
            assert runs[moment].is_noted
            return "started"
        if moment in runs:
            assert runs[moment].status in {"skipped", "missed"}, runs[moment]
            return str(runs[moment].status)
        return "coalesced"  # an outage's; the counters know it


def names_last(seed: int, jobs: dict[str, Job]) -> Any:
    """How long an execution runs and how it ends, by its name: most are short, and those of one job always fail."""

    def lasts(name: str) -> tuple[timedelta, str]:
        chosen, found = random.Random(f"{seed}/{name}"), job_and_due(name)
        assert found is not None
        assert found[0] in jobs
        seconds = chosen.choice([15, 40, 55, 90, 150])
        return timedelta(seconds=seconds), "FAILED" if found[0] == "hopeless" else "SUCCEEDED"

    return lasts


def shop() -> dict[str, Job]:
    """Jobs of each policy; some are due each minute, all on the same two servers."""
    made = [
        job("skips", "* * * * *", overlap=Overlap.SKIP, pause_after=0),
        job("allows", "* * * * *", overlap=Overlap.ALLOW, pause_after=0),
        job("quarters", "*/15 * * * *", pause_after=0),
        job("none", "*/2 * * * *", catch_up=CatchUp.NONE, pause_after=0, source="three"),
        job("nightly", "5 2 * * *", pause_after=0),
        job("hopeless", "* * * * *", pause_after=0, overlap=Overlap.ALLOW, target="four"),
    ]
    return {each.id: each for each in made}


def seeds() -> list[int]:
    """The seeds to try."""
    if one := os.environ.get("ETL_SCHEDULER_SEED"):
        return [int(one)]
    return list(range(int(os.environ.get("ETL_SCHEDULER_SEEDS", "3"))))


@pytest.mark.parametrize("seed", seeds())
def test_nothing_is_lost_and_nothing_twice_whatever_fails(dynamodb: Any, seed: int) -> None:
    """Each call may fail, be throttled, be answered twice or be the process's last; ticks are lost, doubled or late."""
    chosen = random.Random(seed)
    jobs = shop()
    world = World(dynamodb, by_seed(seed, chosen.choice([0.02, 0.05, 0.1])), names_last(seed, jobs), START, at_once=3)
    outage = chosen.randrange(3, 10)
    night = Night(
        world, jobs, {*chosen.sample(range(15), 3), *range(outage, outage + 5)}, {*chosen.sample(range(15), 5)}
    )
    night.put()
    night.lost_events = {f"skips-{START + n * MINUTE:%Y%m%dT%H%M}00Z" for n in chosen.sample(range(15), 6)}
    night.passes(15)
    night.calms_down()
    became = night.check()
    print(f"seed {seed}: {dict(became)}, {world.chance.calls:,} calls")
    assert became["started"] > 20
    for name in ("source#one", "source#three", "target#two", "target#four"):
        assert busy(night, Pool(f"pool#{name}")) <= 3


def busy(night: Night, pool: Pool) -> int:
    """The most executions of a pool that ran at once."""
    server, kind = pool.id.rpartition("#")[2], pool.id.split("#")[1]
    its = [
        each
        for each in night.world.machine.executions.values()
        if getattr(night.jobs[job_and_due(each.name)[0]], kind) == server  # type: ignore[index]
    ]
    return max((sum(a.started_at <= b.started_at < a.ends_at for a in its) for b in its), default=0)


def one_job(chance: Chance) -> Night:
    """Three due times of one job, of which the second finds the first still running."""
    jobs = {"acme": job("acme", "* * * * *")}
    night = Night(World(fresh(), chance, lambda _: (timedelta(seconds=75), "SUCCEEDED"), START, at_once=1), jobs)
    night.put()
    night.passes(3)
    return night


def every() -> int:
    """A fault at each call, of each kind, takes minutes; so the kinds take turns, unless many seeds are asked for."""
    return len(Fault) + 1 if len(seeds()) <= 3 else 1


def test_a_topic_that_is_gone_keeps_no_job_from_being_paused(dynamodb: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It is logged, and the end counts as told: it would otherwise fail again every ten minutes, for ninety days."""
    world = World(dynamodb, NO_FAULT, lambda _: (HOUR, "FAILED"), START)
    topic = "arn:aws:sns:eu-central-1:123456789012:gone"
    night = Night(world, {"acme": job("acme", pause_after=1, notify=Notify(topic))})
    night.put()
    name, due = "acme-20261128T020000Z", datetime(2026, 11, 28, 2, tzinfo=UTC)
    deployment = replace(
        world.deployment(NO_FAULT), teller=Teller(boto3.client("sns", region_name="eu-central-1"), None, None)
    )
    deployment.registry.note("acme", Run(name, "started", due, started_at=due, late_seconds=0.0), "started")
    assert settle(deployment, "acme", name, due, Ended("failed", due + HOUR, "no route"))
    known, run = deployment.registry.get("acme"), deployment.registry.run("acme", name)
    assert known is not None
    assert run is not None
    assert (known.job.status, known.paused_told, run.told) == ("paused", True, True)
    assert capsys.readouterr().out.count('"event": "topic.refused", "job": "acme"') == 2


def test_a_fault_at_any_call_loses_nothing() -> None:
    """Each call of three minutes, with a fault."""
    with mock_aws():
        calls = one_job(Chance(lambda *_: None)).world.chance.calls
    assert calls > 25
    for number, fault in list(product(range(1, calls + 1), Fault))[:: every()]:
        with mock_aws():
            night = one_job(at_call(number, fault))
            night.calms_down()
            became = night.check()
            running = {each.name for each in night.world.machine.running()}
            assert became["started"] >= 2, (number, fault)  # where StartExecution fails, the message comes again later
            assert busy(night, Pool("pool#source#one")) == 1, (number, fault)
            assert set(night.deployment.pools.holders("pool#job#acme")) <= running, (number, fault)
