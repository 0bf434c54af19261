"""Writes the table of costs into docs/scheduler.md: ``python -m docs.scheduler_costs [--check]``.

What a run costs is counted from the code: each read, write and message of tick, runner and ended. Free tiers are not
taken off.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generated import bring_up_to_date
from scheduler.job import SHARDS

PAGE = Path(__file__).parent / "scheduler.md"
BEGIN, END = "<!-- costs: make reference -->\n", "<!-- end of the costs -->"

DATE = "2026-11-28"
"""When the prices were looked up, in stored copies of these pages and of pages that quote them; no live page could be
reached."""

MILLION, KILO, GIGA = 1e6, 1e3, 1e9


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs in us-east-1, in dollars; and the page that says so."""

    dollars: float
    unit: str
    source: str


PRICES = {
    "write": Price(0.625 / MILLION, "a write unit of DynamoDB on demand (1 KB)", "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "read": Price(0.125 / MILLION, "a read unit of DynamoDB on demand (4 KB)", "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "stored": Price(0.25 + 0.20, "a GB a month in DynamoDB, with point-in-time recovery", "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    "call": Price(0.20 / MILLION, "a call of a Lambda", "https://aws.amazon.com/lambda/pricing/"),
    "gb_second": Price(0.0000166667, "a GB-second of a Lambda on x86_64", "https://aws.amazon.com/lambda/pricing/"),
    "request": Price(0.40 / MILLION, "a request of SQS", "https://aws.amazon.com/sqs/pricing/"),
    "event": Price(1.00 / MILLION, "an event of EventBridge; AWS's own events are free", "https://aws.amazon.com/eventbridge/pricing/"),
    "logged": Price(0.50, "a GB of logs", "https://aws.amazon.com/cloudwatch/pricing/"),
    "metric": Price(0.30, "a metric a month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "alarm": Price(0.10, "an alarm a month", "https://aws.amazon.com/cloudwatch/pricing/"),
    "transition": Price(0.025 / KILO, "a transition of a standard state machine", "https://aws.amazon.com/step-functions/pricing/"),
}  # fmt: skip

MINUTES = 365.25 / 12 * 24 * 60
RUNS = 365.25 / 12
"""Of a job in a month: one each night."""

WRITES = {
    "move the job on, in the table and out of and into the index": 3,
    "take a place in three pools": 3,
    "note the start, of run and job in one transaction, and put the run into the index": 5,
    "give three places back": 3,
    "write the end, of run and job in one transaction": 4,
    "note that the end was told, and take the run out of the index": 2,
}
READS = {
    "the runner reads the job and the run": 2,
    "ended reads the job and the run, before and after it has written": 4,
}
REQUESTS = {"send": 1, "receive": 1, "delete": 1}
CALLS = {"runner": 1, "ended": 1}

POLLS = 5 * 3
"""Empty receives a minute of an idle queue: Lambda has five pollers, each of which waits up to 20 seconds."""
GB_SECONDS = {"tick": 0.5 * 1, "runner": 0.5 * 0.5, "ended": 0.3 * 0.5}
"""The seconds are assumed, and not measured at AWS; the memory is the module's."""
LOGGED_RUN, LOGGED_TICK = 1800, 900  # bytes, with Lambda's own lines
STORED_JOB, STORED_RUN = 1600, 600  # bytes, with the index, and for ninety days
METRICS, ALARMS = 8, 7
TRANSITIONS, SHARD_TRANSITIONS = 15, 2
"""Of the nightly state machine in a night without errors, for a run and for a shard, by docs/state-machine.md."""


@dataclass(frozen=True, slots=True)
class Month:
    """What so many jobs cost in a month, in dollars."""

    jobs: int
    runs: float
    dynamodb: float
    functions: float
    sqs: float
    eventbridge: float
    cloudwatch: float
    machine: float

    @property
    def scheduler(self) -> float:
        """All but the state machine."""
        return self.dynamodb + self.functions + self.sqs + self.eventbridge + self.cloudwatch


def month(jobs: int) -> Month:
    """The costs of jobs that run once a night, each with one shard."""
    runs, cost = jobs * RUNS, {name: price.dollars for name, price in PRICES.items()}
    reads = runs * sum(READS.values()) + MINUTES * SHARDS / 2  # an eventually consistent query is half a unit
    stored = (jobs * STORED_JOB + runs * 3 * STORED_RUN) / GIGA
    seconds = MINUTES * GB_SECONDS["tick"] + runs * (GB_SECONDS["runner"] + GB_SECONDS["ended"])
    return Month(
        jobs=jobs,
        runs=runs,
        dynamodb=runs * sum(WRITES.values()) * cost["write"] + reads * cost["read"] + stored * cost["stored"],
        functions=(MINUTES + runs * sum(CALLS.values())) * cost["call"] + seconds * cost["gb_second"],
        sqs=(runs * sum(REQUESTS.values()) + MINUTES * POLLS) * cost["request"],
        eventbridge=MINUTES * cost["event"],
        cloudwatch=(runs * LOGGED_RUN + MINUTES * LOGGED_TICK) / GIGA * cost["logged"]
        + METRICS * cost["metric"]
        + ALARMS * cost["alarm"],
        machine=runs * (TRANSITIONS + SHARD_TRANSITIONS) * cost["transition"],
    )


def table() -> Iterator[str]:
    """The lines between the marks."""
    yield from ("| jobs | runs | DynamoDB | Lambda | SQS | EventBridge | CloudWatch | **scheduler** | state machine |",)
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for jobs in (100, 10_000, 100_000):
        one = month(jobs)
        parts = (one.dynamodb, one.functions, one.sqs, one.eventbridge, one.cloudwatch)
        shown = " | ".join(f"{part:,.2f}" for part in parts)
        yield f"| {jobs:,} | {one.runs:,.0f} | {shown} | **{one.scheduler:,.2f}** | {one.machine:,.2f} |"
    yield from ("", "A run writes and reads:", "")
    yield from (f"- {units} write unit{'s' if units > 1 else ''}: {what}" for what, units in WRITES.items())
    yield from (f"- {units} read units: {what}" for what, units in READS.items())
    yield from ("", f"| price in us-east-1, looked up on {DATE} | dollars |", "|---|--:|")
    for price in PRICES.values():
        yield f"| [{price.unit}]({price.source}) | {price.dollars:.10f}".rstrip("0").rstrip(".") + " |"


def main(check: bool) -> int:
    """Writes the table, or with ``check`` says whether it is out of date; returns the exit status."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return bring_up_to_date({PAGE: f"{before}{BEGIN}{chr(10).join(table())}\n{END}{after}"}, check=check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
