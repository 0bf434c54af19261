"""What an attacker of the scheduler has found, each as a short story that must not come true again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from moto import mock_aws

from scheduler.deployment import Deployment
from scheduler.ended import handler, look, settle
from scheduler.job import CatchUp, Notify, Overlap, Status, run_name
from scheduler.machine import Ended
from scheduler.message import Message
from scheduler.pools import TAKING, Busy, Pool
from scheduler.queue import Queue
from scheduler.records import BrokenJob, Registered, Run
from scheduler.registry import WATCH, ChangedMeanwhile
from scheduler.runner import handle
from scheduler.teller import Teller
from scheduler.tick import tick
from tests.chaos import Chance, Fault, World, error
from tests.moto_server import keep_promises
from tests.scheduling import TABLE, job

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def world() -> Iterator[World]:
    """A world without faults, at noon."""
    with mock_aws():
        keep_promises()
        client = boto3.client("dynamodb", region_name="eu-central-1")
        client.create_table(**TABLE)
        yield World(client, Chance(lambda *_: None), lambda _: (10 * MINUTE, "FAILED"), NOON)


def hit(calls: int, *names: str) -> Chance:
    """The first calls of these names meet a transaction."""
    seen = list[str]()

    def choose(_: int, name: str, *__: Any) -> Fault | None:
        seen.extend([name] if name in names else [])
        return Fault.CONFLICTS if name in names and len(seen) <= calls else None

    return Chance(choose)


def known(world: World, name: str = "acme") -> Registered:
    """A job as it is."""
    found = world.deployment().registry.get(name)
    assert found is not None
    return found


def spoilt(world: World, name: str, **attributes: Any) -> None:
    """Writes attributes that no scheduler would."""
    world.dynamodb.update_item(
        TableName="jobs",
        Key={"id": {"S": f"job#{name}"}, "item": {"S": "job"}},
        UpdateExpression="SET " + ", ".join(f"#{each} = :{each}" for each in attributes),
        ExpressionAttributeNames={f"#{each}": each for each in attributes},
        ExpressionAttributeValues={f":{each}": value for each, value in attributes.items()},
    )


def test_a_write_that_meets_a_transaction_is_tried_again(world: World) -> None:
    """The tick moves a job on in the second in which the runner notes its last run, each minute."""
    quiet = world.deployment()
    quiet.registry.put(job(), NOON)
    faulty = world.deployment(hit(3, "update_item"))
    assert tick(faulty.registry, faulty.queue, NOON).moved == 1
    world.now = NOON + MINUTE
    faulty = world.deployment(hit(3, "transact_write_items"))
    assert handle(faulty, Message("acme", NOON + MINUTE, "* * * * * UTC"), world.now) == "started"
    assert known(world).counters.started == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"missed": {"S": "many"}},
        {"window_seconds": {"N": "99999999999"}},
        {"window_seconds": {"N": "99999999999999999999"}},
        {"window_seconds": {"S": "long"}},
        {"cron": {"N": "5"}},
        {"cron": {"S": "0," * 200_000 + "0 0 * * *"}},
        {"zone": {"L": []}},
        {"next_run_at": {"N": "-99999999999999"}},
    ],
)
def test_a_job_that_cannot_be_moved_on_does_not_stop_the_others(world: World, attributes: dict[str, Any]) -> None:
    """All are in one shard, the broken one first."""
    deployment = world.deployment()
    shard = job().due_shard
    alike = [name for name in (f"job-{number}" for number in range(80)) if job(name).due_shard == shard]
    for name in ["acme", *alike]:
        deployment.registry.put(job(name), NOON)
    spoilt(world, "acme", **attributes)
    done = tick(deployment.registry, deployment.queue, NOON)
    assert done.broken == 1
    assert done.moved == len(alike) > 2


def test_a_message_before_its_second_waits_for_it(world: World) -> None:
    """Whose clock soever is ahead."""
    deployment = world.deployment()
    deployment.registry.put(job(), NOON)
    message = Message("acme", NOON + 40 * MINUTE, "* * * * * UTC")
    assert handle(deployment, message, NOON) == "early"
    assert not world.machine.executions
    (again,) = world.queue.messages
    assert (Message.read(again.body), again.visible_at) == (message, NOON + 15 * MINUTE)
    assert handle(deployment, message, message.due - timedelta(microseconds=1)) == "early"
    assert handle(deployment, message, message.due) == "started"


@dataclass
class SlowQueue:
    """SQS on a bad day: each request takes a second, and the second one is refused."""

    delays: list[int]

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """SendMessageBatch."""
        del QueueUrl
        time.sleep(1.05)
        self.delays += [Entries[0]["DelaySeconds"]]
        if len(self.delays) == 2:
            raise error("InvalidMessageContents")
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


def test_the_time_that_sending_takes_is_no_lateness_and_a_refused_request_is_no_other_jobs(world: World) -> None:
    """Of thousands, the last are sent seconds after the tick has begun."""
    registry, slow = world.deployment().registry, SlowQueue([])
    shard = job().due_shard
    alike = [name for name in (f"job-{number}" for number in range(600)) if job(name).due_shard == shard][:25]
    for name in alike:
        registry.put(job(name), NOON)
    done = tick(registry, Queue(slow, "due"), NOON)
    assert slow.delays == [60, 59, 58]
    assert (done.sent, done.moved, done.lost) == (15, 15, 10)


def test_an_execution_of_a_persons_is_no_jobs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may look like one, also in digits of another script."""
    deployment = world.deployment()
    deployment.registry.put(job(), NOON)
    monkeypatch.setattr(Deployment, "here", lambda: deployment)
    for name, content in [
        ("acme-20261128T130000Z", "{}"),
        ("acme-20261128T130000Z", '["job"]'),
        ("acme-20261128T130000Z", '{"job": "a"}'),
        ("acme-٢٠٢٦١١٢٨T130000Z", '{"job": "acme"}'),
    ]:
        detail = {"name": name, "status": "FAILED", "input": content, "stopDate": 1}
        assert handler({"detail": detail}, None) == {"settled": False}
    assert known(world).counters.failed == 0
    detail = {"name": "acme-20261128T130000Z", "status": "FAILED", "input": '{"job": "acme"}', "stopDate": 1}
    assert handler({"detail": detail}, None) == {"settled": True}


def test_two_deliveries_of_one_due_time_do_not_share_a_place(world: World) -> None:
    """One of them may find the next pool full, and give back what the other goes on with."""
    pools, pool = world.deployment().pools, Pool("pool#source#one", 1)
    assert pools.take(pool, "acme-1", NOON)
    assert pools.take(pool, "acme-1", NOON)  # the SDK's second try
    with pytest.raises(Busy):
        pools.take(pool, "acme-1", NOON + SECOND)
    assert pools.take(pool, "acme-1", NOON + TAKING + SECOND)  # the first one is dead
    assert pools.holders(pool.id) == {"acme-1": NOON + TAKING + SECOND}


def test_a_place_that_is_taken_over_is_not_swept_as_one_of_the_dead(world: World) -> None:
    """The queue delivers a message again after three minutes; just then another due time may sweep."""
    pools, pool = world.deployment().pools, Pool("pool#source#one", 1)
    assert pools.take(pool, "acme-1", NOON)
    again = NOON + 3 * MINUTE
    assert pools.take(pool, "acme-1", again)  # and starts it in a moment
    assert not pools.take(pool, "other-1", again + SECOND)


def test_a_duplicate_is_not_skipped_because_of_itself(world: World) -> None:
    """It comes again instead, and finds what the other has done."""
    deployment = world.deployment()
    deployment.registry.put(job(), NOON)
    message = Message("acme", NOON + MINUTE, "* * * * * UTC")
    assert deployment.pools.take(Pool.of_job("acme"), message.name, message.due)
    with pytest.raises(Busy):
        handle(deployment, message, message.due + SECOND)
    assert deployment.registry.run("acme", message.name) is None


def test_somebody_who_enables_too_late_forgets_nothing(world: World) -> None:
    """Two people enable a job that both have seen disabled."""
    registry = world.deployment().registry
    registry.put(job(status=Status.DISABLED), NOON)
    seen = known(world).job
    registry.set_status(seen, Status.ENABLED, NOON)
    with pytest.raises(ChangedMeanwhile):
        registry.set_status(seen, Status.ENABLED, NOON + MINUTE + SECOND)
    assert known(world).next_run_at == NOON + MINUTE


def test_a_job_that_was_enabled_meanwhile_is_not_paused_for_its_past(world: World) -> None:
    """Enabling forgets the failures."""
    registry = world.deployment().registry
    registry.put(job(), NOON)
    assert not registry.pause("acme", 5, "acme-20261128T120100Z")
    assert known(world).job.status is Status.ENABLED


def failed_once(world: World, code: str) -> tuple[World, str]:
    """A job of which one failure is too many, whose topic answers with an error; and the run that has failed."""
    topic = "arn:aws:sns:eu-central-1:123456789012:acme"
    deployment = world.deployment()
    deployment.registry.put(job(pause_after=1, notify=Notify(topic)), NOON)
    message = Message("acme", NOON + MINUTE, "* * * * * UTC")
    world.now = message.due
    handle(deployment, message, world.now)
    world.now += 10 * MINUTE
    world.ended()
    world.refusal = code
    return world, message.name


def test_an_end_that_could_not_be_told_is_told_later(world: World) -> None:
    """The event is tried three times within minutes; the look comes after half an hour. The job is paused at once."""
    world, name = failed_once(world, "InternalError")
    end = Ended("failed", world.now, "boom")
    with pytest.raises(Exception, match="InternalError"):
        settle(world.deployment(), "acme", name, NOON + MINUTE, end)
    assert known(world).job.status is Status.PAUSED
    with pytest.raises(Exception, match="InternalError"):
        look(world.deployment(), world.now + WATCH)
    world.refusal = None
    assert look(world.deployment(), world.now + WATCH + SECOND) == 0  # one that failed is not asked again at once
    assert look(world.deployment(), world.now + 2 * WATCH) == 1
    assert sorted(world.told) == ["nightly-etl: acme failed", "nightly-etl: acme is paused"]
    assert look(world.deployment(), world.now + 9 * WATCH) == 0
    assert known(world).counters.failed == 1


def test_a_pause_whose_answer_is_lost_is_told(world: World) -> None:
    """The SDK asks again, and DynamoDB says that the condition does not hold: the job is paused already."""
    world, name = failed_once(world, "")
    twice = Chance(lambda _, call, key, *__: Fault.TWICE if call == "update_item" and '":paused"' in key else None)
    assert settle(world.deployment(twice), "acme", name, NOON + MINUTE, Ended("failed", world.now, "boom"))
    assert known(world).job.status is Status.PAUSED
    assert sorted(world.told) == ["nightly-etl: acme failed", "nightly-etl: acme is paused"]


def test_two_ends_at_once_tell_of_one_pause(world: World) -> None:
    """One of them has paused the job, and tells it."""
    world, name = failed_once(world, "")
    registry = world.deployment().registry
    registry.end("acme", Run(name, "failed", NOON + MINUTE))
    assert registry.pause("acme", 1, name)
    assert not registry.pause("acme", 1, "acme-20261128T120200Z")
    assert registry.pause("acme", 1, name)


def test_a_pause_after_one_that_was_told_late_is_told(world: World) -> None:
    """Somebody enables the job before it is noted that its pause was told."""
    world, _ = failed_once(world, "")
    registry = world.deployment().registry
    registry.has_told("acme")
    registry.end("acme", Run("acme-20261128T120200Z", "failed", NOON + 2 * MINUTE))
    assert registry.pause("acme", 1, "acme-20261128T120200Z")
    assert not known(world).paused_told


def test_a_topic_that_refuses_for_good_is_logged_and_left(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the end would be told for ninety days."""
    world, name = failed_once(world, "NotFound")
    assert settle(world.deployment(), "acme", name, NOON + MINUTE, Ended("failed", world.now, "boom"))
    assert capsys.readouterr().out.count('"topic.refused"') == 2
    assert look(world.deployment(), world.now + 9 * WATCH) == 0


def test_a_notifier_that_is_gone_has_no_topic_told_again_and_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise each look would tell the topic of the pause once more, for ninety days."""
    world, name = failed_once(world, "")
    gone = Mock(**{"invoke.side_effect": error("ResourceNotFoundException")})
    deployment = replace(world.deployment(), teller=Teller(world, gone, "nightly-notifer"))
    assert settle(deployment, "acme", name, NOON + MINUTE, Ended("failed", world.now, "boom"))
    assert capsys.readouterr().out.count('"event": "notifier.refused", "job": "acme"') == 1
    assert look(deployment, world.now + 9 * WATCH) == 0
    assert sorted(world.told) == ["nightly-etl: acme failed", "nightly-etl: acme is paused"]


def test_a_due_time_that_was_sent_before_an_outage_is_not_missed(world: World) -> None:
    """The tick is killed after the queue has the due time; the next one comes ten minutes later."""
    deployment = world.deployment()
    deployment.registry.put(job(cron="1 12 * * *"), NOON)
    tick(unmoved(deployment.registry), deployment.queue, NOON)
    world.now = NOON + MINUTE
    receive(world)
    world.now = NOON + 24 * 60 * MINUTE - MINUTE  # the window is over, too
    tick(deployment.registry, deployment.queue, world.now)
    receive(world)
    counters = known(world).counters
    assert (counters.started, counters.missed) == (1, 0)


def test_a_due_time_that_nobody_has_sent_is_missed_once(world: World) -> None:
    """The runner counts it, by its name."""
    deployment = world.deployment()
    deployment.registry.put(job(cron="1 12 * * *"), NOON)
    world.now = NOON + 20 * 60 * MINUTE
    tick(unmoved(deployment.registry), deployment.queue, world.now)
    tick(deployment.registry, deployment.queue, world.now)
    receive(world)
    counters = known(world).counters
    assert (counters.started, counters.missed) == (0, 1)
    (run,) = deployment.registry.runs("acme", 9)
    assert run.status == "missed"


def unmoved(registry: Any) -> Any:
    """A registry whose tick is killed before it moves a job on."""

    class Unmoved:
        due = staticmethod(registry.due)
        move = staticmethod(lambda *_: False)

    return Unmoved()


def receive(world: World) -> None:
    """The runner handles what the queue has."""
    for message in world.queue.receive():
        handle(world.deployment(), Message.read(message.body), world.now)
        world.queue.messages.remove(message)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_of_what_the_queue_has_kept_without_a_runner_the_last_is_started(world: World, catch_up: CatchUp) -> None:
    """And those of the last minutes, as if nothing had happened; the others count as missed."""
    world.deployment().registry.put(job("acme", "* * * * *", overlap=Overlap.ALLOW, catch_up=catch_up), NOON)
    for _ in range(12):
        world.now += MINUTE
        tick(world.deployment().registry, world.deployment().queue, world.now)
    receive(world)
    counters = known(world).counters
    assert (counters.started, counters.missed) == (4, 8)


def test_a_due_time_whose_first_delivery_failed_is_not_late(world: World) -> None:
    """It comes again after three minutes, when a later one is due, and is started all the same."""
    world.deployment().registry.put(job("acme", "* * * * *", overlap=Overlap.ALLOW), NOON)
    message = Message("acme", NOON + MINUTE, str(job("acme", "* * * * *").schedule))
    assert handle(world.deployment(), message, NOON + 5 * MINUTE, is_first=False) == "started"


def test_a_start_that_is_throttled_waits_and_holds_no_place(world: World) -> None:
    """Thousands due in one second are more than Step Functions starts at once."""
    throttled = Chance(lambda _, name, *__: Fault.THROTTLED if name == "start_execution" else None)
    world.deployment().registry.put(job("acme"), NOON)
    message = Message("acme", NOON + MINUTE, str(job("acme").schedule))
    world.now = NOON + MINUTE
    assert handle(world.deployment(throttled), message, world.now) == "put_back"
    assert world.deployment().pools.holders("pool#source#one") == {}
    world.now += MINUTE
    (again,) = world.queue.receive()
    assert handle(world.deployment(), Message.read(again.body), world.now) == "started"
    assert [run.waits for run in world.deployment().registry.runs("acme", 1)] == [1]


@pytest.mark.parametrize("is_event_lost", [False, True])
def test_the_run_of_a_removed_job_has_its_end_in_the_history(world: World, is_event_lost: bool) -> None:
    """Otherwise it would be started for ninety days; its people are told by nobody but the state machine."""
    world, name = failed_once(world, "")
    registry = world.deployment().registry
    registry.remove("acme")
    if is_event_lost:
        assert look(world.deployment(), world.now + WATCH) == 1
    else:
        assert settle(world.deployment(), "acme", name, NOON + MINUTE, Ended("failed", world.now, "boom"))
    (run,) = registry.runs("acme", 9)
    assert (run.status, run.ended_at) == ("failed", world.now)
    assert not list(registry.overdue(world.now + 99 * WATCH))
    assert (registry.get("acme"), world.told) == (None, [])
    assert not settle(world.deployment(), "acme", name, NOON + MINUTE, Ended("failed", world.now, "boom"))


def test_an_end_of_nobodys_leaves_no_trace(world: World) -> None:
    """An execution that a person has started may be called like a job's that never was."""
    assert not settle(world.deployment(), "ghost", "ghost-20261128T120100Z", NOON + MINUTE, Ended("failed", NOON, None))
    assert world.deployment().registry.runs("ghost", 9) == []


def test_a_history_of_more_than_a_page_is_whole(world: World) -> None:
    """DynamoDB answers with a megabyte at most: a thousand runs with long errors are more."""
    registry = world.deployment().registry
    registry.put(job(), NOON)
    moments = [NOON + number * MINUTE for number in range(10)]
    for due in moments:
        registry.end("acme", Run(run_name("acme", due), "failed", due, error="€" * 40_000))
    assert [run.due for run in registry.runs("acme", 1000)] == [
        NOON + number * MINUTE for number in reversed(range(10))
    ]
    assert len(registry.runs("acme", 2)) == 2


def test_what_this_version_cannot_start_is_broken_whatever_is_wrong_with_it(world: World) -> None:
    """And no error of Python's: nightly-jobs says what it is, and removes it."""
    registry = world.deployment().registry
    for number, (name, value, why) in enumerate(
        [
            ("zone", {"S": "Mars/Olympus"}, "zone is 'Mars/Olympus', which is no time zone"),
            ("zone", {"L": []}, "its zone is [], which is no text"),
            ("cron", {"S": "61 * * * *"}, "cron is '61 * * * *': bad minute"),
            ("cron", {"N": "5"}, "its cron is Decimal('5'), which is no text"),
            ("source", {"N": "1"}, "its source is Decimal('1'), which is no text"),
            ("last_error", {"N": "1"}, "its last_error is Decimal('1'), which is no text"),
            ("overrides", {"S": "[1]"}, "its overrides are [1], which are no fields"),
            ("window_seconds", {"N": "99999999999999999999"}, "Python int too large"),
            ("next_run_at", {"N": "99999999999999999"}, "Value too large"),
        ]
    ):
        registry.put(job(f"job-{number}"), NOON)
        spoilt(world, f"job-{number}", **{name: value})
        found = registry.look_up(f"job-{number}")
        assert isinstance(found, BrokenJob)
        assert why in found.why
    assert all(isinstance(each, BrokenJob) for each in registry.jobs())


def test_a_write_whose_answer_is_lost_is_nobody_elses(world: World) -> None:
    """The SDK asks again, and DynamoDB says that the condition does not hold; nightly-jobs says no word of it."""
    quiet, twice = world.deployment(), Chance(lambda _, name, *__: Fault.TWICE if name == "update_item" else None)
    registry = world.deployment(twice).registry
    registry.put(job(), NOON)
    registry.set_status(known(world).job, Status.DISABLED, NOON)
    assert known(world).next_run_at is None
    registry.set_status(known(world).job, Status.ENABLED, NOON)
    registry.put(job(cron="5 * * * *"), NOON)
    assert known(world).next_run_at == NOON + 5 * MINUTE
    with pytest.raises(ChangedMeanwhile):
        quiet.registry.put_over(None, job(cron="6 * * * *"), NOON)


def test_a_job_that_must_not_overlap_any_more_waits_for_what_was_started_before(world: World) -> None:
    """Otherwise the file's change from allow to skip holds only after the next start."""
    deployment, schedule = world.deployment(), str(job().schedule)
    deployment.registry.put(job(overlap=Overlap.ALLOW), NOON)
    for number in (1, 2):
        assert (
            handle(deployment, Message("acme", NOON + number * MINUTE, schedule), NOON + number * MINUTE) == "started"
        )
    deployment.registry.put(job(overlap=Overlap.SKIP), NOON)
    assert handle(deployment, Message("acme", NOON + 3 * MINUTE, schedule), NOON + 3 * MINUTE) == "skipped"
    for due in (NOON + MINUTE, NOON + 2 * MINUTE):
        settle(deployment, "acme", run_name("acme", due), due, Ended("succeeded", NOON + 4 * MINUTE, None))
    assert handle(deployment, Message("acme", NOON + 5 * MINUTE, schedule), NOON + 5 * MINUTE) == "started"


@pytest.mark.parametrize(("lost", "since", "row"), [("failed", "succeeded", 0), ("succeeded", "failed", 1)])
def test_an_end_that_is_found_later_is_not_the_last(world: World, lost: str, since: str, row: int) -> None:
    """Its event was lost; meanwhile a later run has ended, whose result the job's row of failures goes by."""
    deployment, schedule = world.deployment(), str(job().schedule)
    deployment.registry.put(job(overlap=Overlap.ALLOW), NOON)
    first, second = NOON + MINUTE, NOON + 2 * MINUTE
    for due in (first, second):
        handle(deployment, Message("acme", due, schedule), due)
    settle(deployment, "acme", run_name("acme", second), second, Ended(since, NOON + 9 * MINUTE, None))
    settle(deployment, "acme", run_name("acme", first), first, Ended(lost, NOON + 8 * MINUTE, "boom"))
    found = known(world)
    assert (found.last_status, found.last_error, found.counters.failures_in_row) == (since, None, row)
    assert (found.counters.succeeded, found.counters.failed) == (1, 1)
    assert [run.status for run in deployment.registry.runs("acme", 9)] == [since, lost]
