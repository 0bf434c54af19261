"""The Lambda handlers of the commands: `python -m awslambdaric etl.functions.plan`, from the same image.

Like ``cli``, this module reads the environment. Each event reads the settings again, because the process lives on
between events, which may be of several jobs: one with ``settings_path`` has its settings from there, and nothing of an
earlier event counts. An error is one line without secrets; its class is Lambda's ``errorType``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, create_model

from etl import entry
from etl.catalogue import COMMANDS
from etl.commands.command import Call, Command
from etl.commands.inputs import Input, given
from etl.model import limits
from etl.model.errors import EXPECTED, ConfigurationError, EtlError, one_line
from etl.settings import values
from etl.settings.found import JOB, PARAMETER_PATH
from etl.settings.settings import check_run_id

FUNCTIONS = {one.name.replace("-", "_"): one for one in COMMANDS if one.answer is not None}
"""The commands that have a Lambda, by the handler's name."""


class Context(Protocol):
    """The part of Lambda's context object that a handler uses."""

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds until the function's timeout."""


Handler = Callable[[Any, Context], Any]


def __getattr__(name: str) -> Handler:
    """Makes the handler of a command, for instance ``plan``."""
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _handler(name, FUNCTIONS[name])


def _handler(name: str, command: Command[Any, Any]) -> Handler:
    """The Lambda handler of this name; its errors are one line each."""

    def handler(event: Any, context: Context) -> Any:
        try:
            return _answered(command, event, context)
        except EtlError as error:
            raise _plain(type(error), error) from None
        except EXPECTED as error:
            raise _plain(EtlError, error) from None

    handler.__name__ = handler.__qualname__ = name
    return handler


def _answered(command: Command[Any, Any], event: Any, context: Context) -> Any:
    assert command.answer is not None
    entry.forget()
    read = checked(command, event)
    asked = read.asked(command)
    found = entry.found(read.environment(os.environ), command.needed(asked), asked.settings)
    call = Call(found, asked, is_function=True, seconds_left=lambda: _seconds_left(context))
    return command.answer.of(asyncio.run(command.work(call)))


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000 - limits.FUNCTION_MARGIN_SECONDS


def _plain(kind: type[EtlError], error: BaseException) -> EtlError:
    return kind(entry.redact(one_line(error)))


class Event(Input):
    """A Lambda's event; each command has a subclass with its fields."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})

    settings_path: Annotated[
        Annotated[str, BeforeValidator(values.path)] | None,
        Field(description="The path of the settings, in place of ETL_PARAMETER_PATH, for this event alone."),
    ] = None
    job: Annotated[
        Annotated[str, BeforeValidator(values.job)] | None,
        Field(description="The job whose settings they are, in place of ETL_JOB; it goes with settings_path."),
    ] = None

    def asked(self, command: Command[Any, Any]) -> Input:
        """The command's own input."""
        own = self.model_dump(exclude=set(Event.model_fields))
        made: Input = command.input.model_validate(own)
        return made

    def environment(self, process: Mapping[str, str]) -> Mapping[str, str]:
        """The environment in which the event's settings are read."""
        if self.settings_path is None or self.job is None:
            return process
        return {**process, PARAMETER_PATH: self.settings_path, JOB: self.job}


@cache
def event_of(command: Command[Any, Any]) -> type[Event]:
    """The model of a command's event: the fields of its input that an event may have. The run's id is required."""
    fields: dict[str, Any] = {}
    for name, field in command.input.model_fields.items():
        how = given(field)
        if how.names_run:
            fields[name] = (Annotated[str, BeforeValidator(check_run_id)], Field(description="The run."))
        elif how.in_event:
            about = Field(description=how.as_event or field.description)
            fields[name] = (
                Annotated[field.annotation, *field.metadata, about],
                ... if field.is_required() else field.default,
            )
    name = "".join(part.title() for part in command.name.split("-"))
    return create_model(f"{name}Event", __base__=Event, __doc__=command.input.__doc__, **fields)


def checked(command: Command[Any, Any], event: Any) -> Event:
    """A command's event; raises ConfigurationError, with a line for each wrong field."""
    model = event_of(command)
    given = _of_execution(event)
    problems = list(_strange(given, _own_first(model))) if isinstance(given, Mapping) else []
    try:
        read = model.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(list(dict.fromkeys([*problems, *map(_fault, error.errors())]))) from None
    if (read.settings_path is None) != (read.job is None):
        problems.append("event: settings_path and job go together; give both, or neither")
    if problems:
        raise ConfigurationError(problems)
    return read


def _of_execution(event: Any) -> Any:
    """An event; if it is about an execution's end, with what that execution's input has of a job.

    EventBridge leaves out an input of more than 248 KB, and says so: what the execution was about is not known then.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    match event:
        case {"event": {"detail": {"input": str(text)}}}:
            try:
                given = json.loads(text)
            except (ValueError, RecursionError):
                raise ConfigurationError("event: event: the execution's input is not JSON") from None
            of_job = {
                name: given[name] for name in ("settings_path", "job") if isinstance(given, dict) and name in given
            }
            return {**event, **of_job}
        case {"event": {"detail": {"inputDetails": {"included": False}}}}:
            raise ConfigurationError(
                "event: event: EventBridge has left out the execution's input, so its job is not known; call this"
                " function with run_id, settings_path and job"
            )
    return event


def _own_first(model: type[Event]) -> list[str]:
    return sorted(model.model_fields, key=lambda name: name in Event.model_fields)


def _strange(event: Mapping[str, Any], fields: list[str]) -> Iterator[str]:
    """An error line for each field that the event's model does not have."""
    for name in event:
        if name not in fields:
            near = get_close_matches(name, fields, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"write {', '.join(fields)}"
            yield f"event: {name}: is no field of this function's event; {remedy}"


def _fault(fault: Any) -> str:
    # only the first part of pydantic's location is a field's name; the others are branches of a union
    name = str(fault["loc"][0]) if fault["loc"] else "the event"
    return f"event: {name}: {fault['msg'].removeprefix('Value error, ')}"
