"""The Lambda handlers over the commands: `python -m awslambdaric etl.functions.plan`, from the same image.

They are as thin as the command line, and like it a place where the environment is read; settings are read anew for each
event, because the process goes on living. An error is one line without a secret; its class is Lambda's ``errorType``.
"""

from __future__ import annotations

import asyncio
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
from etl.settings.settings import check_run_id

FUNCTIONS = {one.name.replace("-", "_"): one for one in COMMANDS if one.answer is not None}
"""The commands that have a Lambda, by the handler's name."""


class Context(Protocol):
    """What a handler asks of Lambda."""

    def get_remaining_time_in_millis(self) -> int:
        """Gives the milliseconds that are left of the function's timeout."""


Handler = Callable[[Any, Context], Any]


def __getattr__(name: str) -> Handler:
    """Makes the handler of a name, such as ``plan``."""
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _handler(FUNCTIONS[name])


def _handler(command: Command[Any, Any]) -> Handler:
    """Makes a Lambda handler of a command; its errors are one line."""

    def handler(event: Any, context: Context) -> Any:
        try:
            return _answered(command, event, context)
        except EtlError as error:
            raise _plain(type(error), error) from None
        except EXPECTED as error:
            raise _plain(EtlError, error) from None

    return handler


def _answered(command: Command[Any, Any], event: Any, context: Context) -> Any:
    assert command.answer is not None
    asked = checked(command, event)
    found = entry.found(os.environ, command.needed(asked), asked.settings)
    call = Call(found, asked, is_function=True, seconds_left=lambda: _seconds_left(context))
    return command.answer.of(asyncio.run(command.work(call)))


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000 - limits.FUNCTION_MARGIN_SECONDS


def _plain(kind: type[EtlError], error: BaseException) -> EtlError:
    return kind(entry.redact(one_line(error)))


class Event(Input):
    """An event; which fields it has, a subclass of each command says."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"additionalProperties": False})


@cache
def event_of(command: Command[Any, Any]) -> type[Event]:
    """The model of a command's event: the fields of its input that an event may have; the run's id is needed."""
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


def checked(command: Command[Any, Any], event: Any) -> Input:
    """What a command is asked by an event; raises ConfigurationError, with a line for each field that is wrong."""
    model = event_of(command)
    problems = list(_strange(event, list(model.model_fields))) if isinstance(event, Mapping) else []
    try:
        read = model.model_validate(event)
    except ValidationError as error:
        raise ConfigurationError(list(dict.fromkeys([*problems, *map(_fault, error.errors())]))) from None
    if problems:
        raise ConfigurationError(problems)
    asked: Input = command.input.model_validate(read.model_dump())
    return asked


def _strange(event: Mapping[str, Any], fields: list[str]) -> Iterator[str]:
    """Says which fields of an event are none."""
    for name in event:
        if name not in fields:
            near = get_close_matches(name, fields, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"write {', '.join(fields)}"
            yield f"event: {name}: is no field of this function's event; {remedy}"


def _fault(fault: Any) -> str:
    # what stands behind the field's name are the branches of a union
    name = str(fault["loc"][0]) if fault["loc"] else "the event"
    return f"event: {name}: {fault['msg'].removeprefix('Value error, ')}"
