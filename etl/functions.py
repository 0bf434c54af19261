"""The Lambda handlers over the commands: `python -m awslambdaric etl.functions.plan`, from the same image.

They are as thin as the command line, and like it a place where the environment is read; settings are read anew for each
event, because the process goes on living. An error is one line without a secret; its class is Lambda's ``errorType``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from functools import wraps
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from etl import entry
from etl.commands.balance import MOST_SHARDS
from etl.model.errors import EXPECTED, ConfigurationError, EtlError, LoadFailed, one_line
from etl.model.selection import Selection
from etl.settings.settings import check_run_id

DATABASES = ("operational", "reporting")

MARGIN = 5.0
"""Seconds before a function's end at which it gives up by itself, so that it can say so."""

E = TypeVar("E", bound=BaseModel)
T = TypeVar("T")


class Context(Protocol):
    """What a handler asks of Lambda."""

    def get_remaining_time_in_millis(self) -> int:
        """Gives the milliseconds that are left of the function's timeout."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class RunEvent(_Event):
    """Names a run."""

    run_id: Annotated[str, BeforeValidator(check_run_id)]


class PlanEvent(RunEvent):
    """Asks for a number of shards, or names the tables of each."""

    shards: (
        Annotated[int, Field(ge=1, le=MOST_SHARDS)]
        | Annotated[list[str | list[str]], Field(min_length=1, max_length=MOST_SHARDS)]
    )


class AbortEvent(RunEvent):
    """Says why a run is given up."""

    error: str | None = None


class BatchEvent(_Event):
    """Asks for the next batch of a table."""

    table: str
    last_id: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000_000)]
    key: str | None = None


def _handler(model: type[E]) -> Callable[[Callable[[E, Context], T]], Callable[[Any, Context], T]]:
    """Makes a function of a checked event a Lambda handler, whose errors are one line."""

    def decorate(function: Callable[[E, Context], T]) -> Callable[[Any, Context], T]:
        @wraps(function)
        def handler(event: Any, context: Context) -> T:
            try:
                return function(_checked(model, event), context)
            except EtlError as error:
                raise _plain(type(error), error) from None
            except EXPECTED as error:
                raise _plain(EtlError, error) from None

        return handler

    return decorate


def _plain(kind: type[EtlError], error: BaseException) -> EtlError:
    return kind(entry.redact(one_line(error)))


def _checked(model: type[E], event: Any) -> E:
    try:
        return model.model_validate(event)
    except ValidationError as error:
        raise ConfigurationError(list(dict.fromkeys(_fault(fault) for fault in error.errors()))) from None


def _fault(fault: Any) -> str:
    # what stands behind the field's name are the branches of a union
    name = str(fault["loc"][0]) if fault["loc"] else "the event"
    return f"event: {name}: {fault['msg'].removeprefix('Value error, ')}"


@_handler(PlanEvent)
def plan(event: PlanEvent, _context: Context) -> dict[str, Any]:
    """Plans shards, or takes those written by hand, and saves the plan in the ledger, where the containers find it.

    The answer has how many tables there are, not their names: it travels through the state machine.
    """
    from etl.commands import planned as saved
    from etl.commands.plan import given
    from etl.commands.plan import plan as do_plan

    run_id = {"run_id": event.run_id}
    if isinstance(event.shards, int):
        settings = entry.settings(os.environ, [*DATABASES, "tables"], run_id)
        planned = asyncio.run(do_plan(settings, event.shards))
    else:
        settings = entry.settings(os.environ, DATABASES, run_id)
        planned = asyncio.run(given(settings, _selections(event.shards)))
    asyncio.run(saved.save(settings, planned.tables))
    return planned.in_brief()


def _selections(shards: Sequence[str | list[str]]) -> list[Selection]:
    """Reads shards that were written by hand: lists of names and patterns, or texts such as TABLES has."""
    read, problems = [], []
    for number, shard in enumerate(shards):
        try:
            read.append(Selection.parse(shard if isinstance(shard, str) else json.dumps(shard)))
        except ValueError as error:
            problems.append(f"event: shards: number {number} {error}")
    if problems:
        raise ConfigurationError(problems)
    return read


@_handler(RunEvent)
def publish(event: RunEvent, _context: Context) -> dict[str, Any]:
    """Publishes a run; asked again, it says again that it has."""
    from etl.commands.deferred import publish_run

    settings = entry.settings(os.environ, ["reporting", "run_id"], {"run_id": event.run_id})
    done = asyncio.run(publish_run(settings, once=True))
    return {
        "run_id": event.run_id,
        "tables": done.tables,
        "seconds": round(done.seconds, 3),
        "attempts": done.attempts,
        "blocked_ms": round(done.blocked_ms, 1),
    }


@_handler(AbortEvent)
def abort(event: AbortEvent, _context: Context) -> dict[str, Any]:
    """Ends a run as failed, whether the ledger knows of it or not; a published one stays so."""
    from etl.commands.abort import abort as do_abort

    settings = entry.settings(os.environ, ["reporting", "run_id"], {"run_id": event.run_id})
    aborted = asyncio.run(do_abort(settings, event.error or "aborted", marks_unknown=True))
    return {"run_id": event.run_id, "status": aborted.status, "dropped": len(aborted.dropped)}


@_handler(RunEvent)
def report(event: RunEvent, _context: Context) -> dict[str, Any]:
    """Tells what became of a run."""
    from etl.commands.report import report as do_report

    settings = entry.settings(os.environ, ["reporting", "run_id"], {"run_id": event.run_id})
    return asyncio.run(do_report(settings))


@_handler(BatchEvent)
def copy_batch(event: BatchEvent, context: Context) -> dict[str, Any]:
    """Copies a table's next batch, in the time that is left."""
    from etl.loads.batches import copy_batch as do_copy

    settings = entry.settings(os.environ, DATABASES)
    left = context.get_remaining_time_in_millis() / 1000 - MARGIN
    work = do_copy(settings, event.table, event.last_id, event.limit, event.key)
    return asdict(asyncio.run(_within(left, work, event)))


async def _within(seconds: float, work: Coroutine[Any, Any, T], event: BatchEvent) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise LoadFailed(
            f"{event.table}: {event.limit} rows after {event.last_id} take longer than the {seconds:.0f} s that the"
            " function had; lower the limit"
        ) from None
