"""Checks the AWS calls of a state machine's definition against AWS's own model of its services, from botocore.

moto and asl-validator accept wrong parameters. AWS drops a misspelt parameter, or the task fails at night.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import botocore.session
import jsonata
from botocore.model import ListShape, Shape, StructureShape
from botocore.validate import ParamValidator
from jsonata.utils import Utils

APIS = {"batch": "SubmitJob", "codebuild": "StartBuild", "ecs": "RunTask"}
"""The operation that starts a container, for each service."""

_CALLS = {
    "lambda:invoke": ("lambda", "Invoke"),
    "states:startExecution.sync:2": ("stepfunctions", "StartExecution"),
    **{f"{service}:{api[0].lower()}{api[1:]}.sync": (service, api) for service, api in APIS.items()},
}
"""The resources that a definition may name, with the operation behind each."""

# Step Functions takes fewer parameters of these operations than the services do (Developer Guide, "Integrating
# optimized services"). It refuses to create a state machine that uses a parameter missing from that list.
_TAKEN = {
    "batch": "ArrayProperties ContainerOverrides DependsOn JobDefinition JobName JobQueue Parameters RetryStrategy"
    " Timeout Tags",
    "ecs": "CapacityProviderStrategy Cluster EnableExecuteCommand Group LaunchType NetworkConfiguration Overrides"
    " PlacementConstraints PlacementStrategy PlatformVersion PropagateTags TaskDefinition",
}

_RESOURCE = re.compile(r"arn:aws:states:::(.+)")
_EXPRESSION = re.compile(r"^\{%(.*)%\}$", re.DOTALL)

Values = Mapping[str, Any]


def problems(definition: Mapping[str, Any], values: Values) -> list[str]:
    """The problems of a definition's tasks, one line each; an empty list if there are none.

    ``values`` are the variables, as ``{"run_id": …, "states": …}``, with which the tasks' expressions are evaluated.
    """
    found: list[str] = []
    for name, task in _tasks(definition):
        found += [f"{name}: {problem}" for problem in _task_problems(task, values)]
    return found


def request(service: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a task's arguments to the form of the service's API. Raises ValueError that lists all mistakes."""
    wrong, asked = _request(_input(service, APIS[service]), arguments)
    if wrong:
        raise ValueError("; ".join(wrong))
    return asked


def parameter_names(service: str) -> set[str]:
    """The parameters of a service's operation, spelt as Step Functions writes them."""
    return {_pascal(name) for name in _input(service, APIS[service]).members}


def value(text: Any, values: Values) -> Any:
    """Evaluates the expressions in a value of a definition. Raises jsonata.JException."""
    if isinstance(text, Mapping):
        return {name: value(each, values) for name, each in text.items()}
    if isinstance(text, list):
        return [value(each, values) for each in text]
    match = _EXPRESSION.match(text) if isinstance(text, str) else None
    if match is None:
        return text
    return evaluated(match[1], values)


def evaluated(expression: str, values: Values | None = None) -> Any:
    """Evaluates a JSONata expression with these variables; returns None for nothing. Raises jsonata.JException.

    ``$parse`` behaves as in Step Functions: text that is not JSON is an error, which stops the state machine.
    """
    return _prepared(expression).evaluate(None, {name: _nulls(each) for name, each in (values or {}).items()})


@lru_cache(maxsize=100)
def _prepared(expression: str) -> jsonata.Jsonata:
    prepared = jsonata.Jsonata(expression)
    prepared.register_lambda("parse", _parsed)
    return prepared


def _nulls(given: Any) -> Any:
    """Replaces None in a value by JSONata's null, because the jsonata library takes None for "nothing"."""
    if isinstance(given, Mapping):
        return {name: _nulls(each) for name, each in given.items()}
    if isinstance(given, list):
        return list(map(_nulls, given))
    return Utils.NULL_VALUE if given is None else given


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise jsonata.JException(f"$parse: {error}", 0) from error


def _tasks(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from _tasks(inner)


def _task_problems(task: Mapping[str, Any], values: Values) -> list[str]:
    resource = _RESOURCE.fullmatch(task["Resource"])
    if resource is None or resource[1] not in _CALLS:
        return [f"{task['Resource']} is not one of {', '.join(sorted(_CALLS))}"]
    service, api = _CALLS[resource[1]]
    try:
        arguments = value(task["Arguments"], values)
    except jsonata.JException as error:
        return [f"an expression of its Arguments fails: {error}"]
    wrong, asked = _request(_input(service, api), arguments)
    taken = _TAKEN.get(service)
    wrong += [f"Step Functions takes no {name}" for name in arguments if taken and name not in taken.split()]
    if service == "ecs" and not asked.get("overrides", {}).get("containerOverrides"):
        wrong.append("no container is told its tables")
    return [*wrong, *_missing(task)]


def _missing(task: Mapping[str, Any]) -> list[str]:
    """The required fields that a task lacks."""
    wrong = [f"no {field}" for field in ("TimeoutSeconds", "Retry", "Catch") if field not in task]
    for retrier in task.get("Retry", []):
        names = ("BackoffRate", "MaxDelaySeconds", "MaxAttempts", "IntervalSeconds")
        wrong += [f"a retry without {name}" for name in names if name not in retrier]
        wrong += ["a retry without full jitter"] if retrier.get("JitterStrategy") != "FULL" else []
    return wrong


def _request(shape: StructureShape, arguments: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    wrong: list[str] = []
    asked = _as_api(arguments, shape, shape.name, wrong)
    report = ParamValidator().validate(asked, shape)
    if report.has_errors():
        wrong += report.generate_report().splitlines()
    return wrong, asked


def _as_api(given: Any, shape: Shape, where: str, wrong: list[str]) -> Any:
    """Renames arguments to the API's names, which begin with a small letter where those of Step Functions do not."""
    kind = shape.type_name
    if isinstance(shape, StructureShape) and isinstance(given, Mapping):
        members: Mapping[str, Shape] = shape.members
        names = {_pascal(member): member for member in members}
        known: dict[str, Any] = {str(names.get(name, name)): each for name, each in given.items()}
        wrong += [f"{where} has no {name}" for name in known if name not in members]
        return {
            name: _as_api(each, members[name], f"{where}.{name}", wrong)
            for name, each in known.items()
            if name in members
        }
    if isinstance(shape, ListShape) and isinstance(given, list):
        return [_as_api(each, shape.member, where, wrong) for each in given]
    if kind == "blob" or (kind == "string" and isinstance(given, Mapping)):
        return json.dumps(given)  # the Payload of a Lambda and the Input of an execution
    if kind == "integer" and isinstance(given, float) and given.is_integer():
        return int(given)
    return given


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


@cache
def _input(service: str, api: str) -> StructureShape:
    shape = botocore.session.get_session().get_service_model(service).operation_model(api).input_shape
    assert shape is not None
    return shape
