"""Pools: how many executions use one source or target at once, counted so that no crash leaks a place.

A pool holds the names of its executions, not a number. Step Functions knows whether an execution is running; so a pool
that is full asks it, and frees what runs no more. A place whose execution was never started is freed when its taker, a
Lambda of at most a minute, cannot be alive any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from . import table
from .job import Job, Overlap

TAKING = timedelta(minutes=2)
"""After this time, who took a place has started its execution, or never will: more than the runner's timeout. It is
less than the time after which the queue delivers a message again, so that the next delivery may take over the place."""

SWEEPS = timedelta(minutes=1)
"""So often a full pool asks how its executions are, however many due times wait for it: DescribeExecution has 15 calls
a second, 10 in most regions (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

MOST_AT_ONCE = 1000
"""A pool is one item of DynamoDB, which has 400 KB, and an execution in it takes up to 150 bytes."""

ASKED = 60
"""For so many executions a sweep asks at most, of up to a thousand: a runner has half a minute for all it does, and
DescribeExecution after its first few hundred calls has those 10 a second."""

_HAS_PLACE = (
    "attribute_exists(holders) AND (holders.#name = :now OR holders.#name < :old"
    " OR (attribute_not_exists(holders.#name) AND ((attribute_exists(at_once) AND size(holders) < at_once)"
    " OR (attribute_not_exists(at_once) AND size(holders) < :most))))"
)

_write, _read = TypeSerializer().serialize, TypeDeserializer().deserialize


class Busy(Exception):
    """Another delivery of the same due time is at work with its places."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A source, a target or a job, and how many executions may use it at once; None is the deployment's number."""

    id: str
    at_once: int | None = None

    @classmethod
    def of_source(cls, name: str) -> Pool:
        """The pool of a source's server."""
        return cls(f"pool#source#{name}")

    @classmethod
    def of_target(cls, name: str) -> Pool:
        """The pool of a target's server."""
        return cls(f"pool#target#{name}")

    @classmethod
    def of_job(cls, name: str, overlap: Overlap = Overlap.SKIP) -> Pool:
        """The pool of a job's own executions, of which there is one at once if they must not overlap."""
        return cls(f"pool#job#{name}", 1 if overlap is Overlap.SKIP else MOST_AT_ONCE)


def pools_of(job: Job) -> list[Pool]:
    """The pools in which an execution of a job needs a place.

    Its own is among them also where they may overlap: somebody may change that while one is running.
    """
    return [Pool.of_job(job.id, job.overlap), Pool.of_source(job.source), Pool.of_target(job.target)]


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools in the jobs' table. ``is_running`` tells of an execution's name; None if there is no such execution."""

    client: Any
    table: str
    at_once: int
    is_running: Callable[[str], bool | None]

    def take(self, pool: Pool, name: str, now: datetime) -> bool:
        """Takes a place for an execution, or takes over the one that it has; returns False if the pool is full.

        Raises Busy if the execution has taken it within TAKING, at another moment: who else is at work for it may yet
        start it, or give the place back.
        """
        full = self._full(pool, name, now)
        if full is None:
            return True
        return self._may_sweep(pool, full, now) and self._swept(pool, full, now) and self._full(pool, name, now) is None

    def release(self, pool: str, name: str) -> None:
        """Gives a place back; none is no error."""
        self._changed(
            Key=_key(pool),
            UpdateExpression="REMOVE holders.#name",
            ConditionExpression="attribute_exists(holders.#name)",
            ExpressionAttributeNames={"#name": name},
        )

    def allow(self, pool: Pool) -> None:
        """Sets how many may use a pool at once; None is the deployment's number again."""
        self._made(pool.id)
        change = "REMOVE at_once" if pool.at_once is None else "SET at_once = :most"
        values = {} if pool.at_once is None else {"ExpressionAttributeValues": {":most": _write(pool.at_once)}}
        self.client.update_item(TableName=self.table, Key=_key(pool.id), UpdateExpression=change, **values)

    def limit(self, pool: str) -> int | None:
        """How many may use a pool at once; None if that is the deployment's number."""
        most = self._item(pool).get("at_once")
        return None if most is None else int(most)

    def holders(self, pool: str) -> dict[str, datetime]:
        """The executions that hold a place, each with the time at which it was taken."""
        return {name: datetime.fromisoformat(taken) for name, taken in self._item(pool).get("holders", {}).items()}

    def _full(self, pool: Pool, name: str, now: datetime) -> dict[str, Any] | None:
        """None if a place was taken; otherwise the pool, as it is."""
        update = {
            "Key": _key(pool.id),
            "UpdateExpression": "SET holders.#name = :now",
            "ConditionExpression": _HAS_PLACE,
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": {
                ":now": _write(now.isoformat()),
                ":old": _write((now - TAKING).isoformat()),
                ":most": _write(pool.at_once or self.at_once),
            },
        }
        found = table.refused(self.client, TableName=self.table, **update)
        if found is not None and "holders" not in found:
            self._made(pool.id)
            found = table.refused(self.client, TableName=self.table, **update)
        if found is None:
            return None
        full = {key: _read(value) for key, value in found.items()}
        if name in full["holders"]:
            raise Busy(f"another delivery of {name} is at work; this one comes again")
        return full

    def _may_sweep(self, pool: Pool, full: Mapping[str, Any], now: datetime) -> bool:
        """Whether nobody has swept the pool within SWEEPS; a job's own pool has one execution, and is always swept."""
        if pool.at_once is not None:
            return True
        before = int((now - SWEEPS).timestamp())
        if full.get("swept_at", before - 1) >= before:
            return False
        return self._changed(
            Key=_key(pool.id),
            UpdateExpression="SET swept_at = :now",
            ConditionExpression="attribute_not_exists(swept_at) OR swept_at < :before",
            ExpressionAttributeValues={":now": _write(int(now.timestamp())), ":before": _write(before)},
        )

    def _swept(self, pool: Pool, full: Mapping[str, Any], now: datetime) -> bool:
        """Frees the places of executions that run no more; returns whether there was any.

        Of many it asks for some by chance, and frees each at once, because the runner may be ended in the midst of it.
        """
        holders: Mapping[str, str] = full["holders"]
        gone = 0
        for name in random.sample(sorted(holders), min(len(holders), ASKED)):
            if self._is_gone(name, holders[name], now):
                self._changed(
                    Key=_key(pool.id),
                    UpdateExpression="REMOVE holders.#name",
                    ConditionExpression="holders.#name = :taken",
                    ExpressionAttributeNames={"#name": name},
                    ExpressionAttributeValues={":taken": _write(holders[name])},
                )
                gone += 1
        return gone > 0

    def _is_gone(self, name: str, taken: str, now: datetime) -> bool:
        running = self.is_running(name)
        return now - datetime.fromisoformat(taken) > TAKING if running is None else not running

    def _item(self, pool: str) -> dict[str, Any]:
        answer: Mapping[str, Any] = self.client.get_item(TableName=self.table, Key=_key(pool), ConsistentRead=True)
        return {name: _read(value) for name, value in answer.get("Item", {}).items()}

    def _made(self, pool: str) -> bool:
        """Makes a pool that nobody has used yet; returns False if there is one."""
        return self._changed(
            Key=_key(pool),
            UpdateExpression="SET holders = :none",
            ConditionExpression="attribute_not_exists(holders)",
            ExpressionAttributeValues={":none": _write({})},
        )

    def _changed(self, **update: Any) -> bool:
        return table.changed(self.client, TableName=self.table, **update)


def _key(pool: str) -> dict[str, Any]:
    return {"id": _write(pool), "item": _write("pool")}
