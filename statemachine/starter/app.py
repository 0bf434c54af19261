"""The Lambda that starts one execution a day, named after the run's date, and can report a day's executions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.exceptions import ClientError

from .night import night_of, runs_of

_PASSED_ON = ("shards", "max_concurrency")
_KNOWN = {"run_date", "rerun", *_PASSED_ON}
_RERUN = re.compile(r"[A-Za-z0-9_-]{1,40}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class BadInput(Exception):
    """The input, from the schedule or from a user, is invalid."""


@dataclass(frozen=True, slots=True)
class Start:
    """An execution to start: its input, and its name, which must be unique within ninety days."""

    name: str
    input: dict[str, Any] = field(default_factory=dict)


def handler(event: Mapping[str, Any] | None, context: object) -> dict[str, Any]:
    """Starts the execution of a run date; returns its name, and whether it was started now or existed already.

    Takes any of ``run_date`` (by default today, in the time zone TIMEZONE), ``rerun`` (a suffix for another run of one
    day), ``shards`` and ``max_concurrency``; or the event of an EventBridge schedule. Raises BadInput.

    With ``look``, the time for which a night was scheduled, it starts nothing. It returns whether that night is
    published, and if not, the reason (``statemachine.starter.night``).
    """
    del context
    machine, zone = os.environ["STATE_MACHINE_ARN"], ZoneInfo(os.environ.get("TIMEZONE", "UTC"))
    if isinstance(event, Mapping) and "look" in event:
        scheduled = _moment("look", event["look"])
        runs = runs_of(boto3.client("stepfunctions"), machine)
        return asdict(night_of(_date(None, scheduled, zone), scheduled, runs))
    start = start_of(event or {}, datetime.now(UTC), zone)
    return {"name": start.name, "started": _start(machine, start)}


def start_of(event: object, now: datetime, zone: ZoneInfo) -> Start:
    """The execution that an event asks for. Raises BadInput, whose text names the field in one line."""
    if not isinstance(event, Mapping):
        raise BadInput('the event: give an object: {"run_date": "2026-11-22"}, or {}')
    scheduled = event.get("detail-type") == "Scheduled Event"
    given = {} if scheduled else dict(event)
    moment = _moment("time", event.get("time")) if scheduled else now
    if unknown := sorted(set(given) - _KNOWN):
        raise BadInput(f"{unknown[0]}: not known; give any of {', '.join(sorted(_KNOWN))}")
    run_date = _date(given.get("run_date"), moment, zone)
    rerun = given.get("rerun")
    if rerun is not None and not (isinstance(rerun, str | int) and _RERUN.fullmatch(str(rerun))):
        raise BadInput("rerun: give a number or a short word, which is put after the date: 2, fixed")
    _check_shards(given.get("shards"))
    _check_concurrency(given.get("max_concurrency"))
    name = run_date if rerun is None else f"{run_date}-{rerun}"
    passed_on = {key: given[key] for key in _PASSED_ON if given.get(key) is not None}
    return Start(name, {"run_date": run_date, **passed_on})


def _moment(name: str, text: object) -> datetime:
    if isinstance(text, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise BadInput(f"{name}: {text!r} is no moment; EventBridge gives one as 2026-11-22T01:00:00Z")


def _date(text: object, moment: datetime, zone: ZoneInfo) -> str:
    if text is None:
        return moment.astimezone(zone).date().isoformat()
    if isinstance(text, str) and _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    raise BadInput(f"run_date: {text!r} is no date; give one as 2026-11-22, or leave it out for today")


def _check_shards(shards: object) -> None:
    by_hand = isinstance(shards, list) and bool(shards) and all(_is_shard(shard) for shard in shards)
    if shards is not None and not by_hand and not _is_number(shards, 1):
        raise BadInput('shards: give a number from 1 on, or lists of tables: [["orders"], ["customers", "items"]]')


def _is_shard(shard: object) -> bool:
    tables = shard if isinstance(shard, list) else [shard]
    return bool(tables) and all(isinstance(table, str) and table for table in tables)


def _check_concurrency(number: object) -> None:
    if number is not None and not _is_number(number, 0):
        raise BadInput("max_concurrency: give a number from 0 (no limit) on")


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _start(machine: str, start: Start) -> bool:
    """Starts the execution; returns False if one of that name exists already, which is no error."""
    client = boto3.client("stepfunctions")
    try:
        client.start_execution(stateMachineArn=machine, name=start.name, input=json.dumps(start.input))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        return False
    return True
