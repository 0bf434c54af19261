"""A full pool asks Step Functions how its executions are, but not once for each due time that waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.pools import ASKED, SWEEPS, Pool, Pools
from tests.scheduling import Services, services

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SOURCE = Pool.of_source("db1")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Services]:
    """Moto, with a table."""
    with services() as found:
        yield found


def test_fifty_that_wait_ask_for_two_executions(cloud: Services) -> None:
    """In a minute; the next minute finds what has ended since, and gives its place to one that waits."""
    asked, ended = list[str](), set[str]()

    def is_running(name: str) -> bool:
        asked.append(name)
        return name not in ended

    pools = Pools(cloud.client("dynamodb"), cloud.table, 2, is_running)
    assert [pools.take(SOURCE, name, NOON) for name in ("a", "b")] == [True, True]
    assert not any(pools.take(SOURCE, f"waiting-{number}", NOON) for number in range(50))
    assert sorted(asked) == ["a", "b"]
    ended.add("a")
    assert not pools.take(SOURCE, "waiting-1", NOON + SWEEPS)
    assert pools.take(SOURCE, "waiting-1", NOON + SWEEPS + timedelta(seconds=1))
    assert len(asked) == 4


def test_a_jobs_own_pool_is_asked_each_time(cloud: Services) -> None:
    """Its one execution says whether the next due time is skipped."""
    ended = set[str]()
    pools = Pools(cloud.client("dynamodb"), cloud.table, 2, lambda name: name not in ended)
    own = Pool.of_job("acme")
    assert (pools.take(own, "one", NOON), pools.take(own, "two", NOON)) == (True, False)
    ended.add("one")
    assert pools.take(own, "two", NOON)


def test_a_large_pool_asks_for_some_and_frees_what_has_ended_before_it_fails(cloud: Services) -> None:
    """A thousand calls are more than a runner has time for, and than Step Functions answers."""
    asked = list[str]()

    def is_running(name: str) -> bool:
        asked.append(name)
        if len(asked) == ASKED:
            raise TimeoutError("the runner is ended")
        return len(asked) > 5

    pools, large = Pools(cloud.client("dynamodb"), cloud.table, 3 * ASKED, is_running), Pool.of_target("reports")
    pools.allow(large)
    cloud.client("dynamodb").update_item(
        TableName=cloud.table,
        Key={"id": {"S": large.id}, "item": {"S": "pool"}},
        UpdateExpression="SET holders = :all",
        ExpressionAttributeValues={":all": {"M": {f"run-{n}": {"S": NOON.isoformat()} for n in range(3 * ASKED)}}},
    )
    with pytest.raises(TimeoutError):
        pools.take(large, "waiting", NOON + SWEEPS)
    assert len(set(asked)) == ASKED
    assert len(pools.holders(large.id)) == 3 * ASKED - 5
    assert pools.take(large, "waiting", NOON + SWEEPS)
