"""Step Functions for the tests: moto's interpreter executes the real definition, over real HTTP.

For as long as the interpreter runs, this module replaces parts of moto's private modules that lack something; therefore
moto's version is pinned. Replaced are the ``.sync`` tasks of Batch, ECS and CodeBuild (moto's end at once, or do not
exist), which ``tests.jobs`` carries out; executions of other state machines; Lambdas, which moto looks up instead of
calling; JSONata, which needs Java in moto; and variables that contain quotes, which moto does not escape in
expressions. Waits before retries are shortened.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import jsonata
from moto.core.config import default_user_config
from moto.server import ThreadedMotoServer
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.intrinsic.jsonata import _DECLARATION_PARSE
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import LambdaFunctionErrorException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_factory import (
    state_task_service_for,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.asl.jsonata import validations
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from servers.port import free_port
from tests import asl, cloud
from tests.asl import APIS, parameter_names, request
from tests.jobs import Jobs
from tests.lambda_runtime import FunctionError

ACCOUNT = "123456789012"  # moto's account
ROLE = f"arn:aws:iam::{ACCOUNT}:role/nightly-etl"

Functions = dict[str, Callable[[Any], Any]]
"""The Lambdas by name. Each takes an event and returns an answer, or raises FunctionError or TimeoutError."""

HURRY = 0.002
"""The factor by which the waits before retries are shortened."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an execution."""

    name: str
    arn: str
    status: str
    error: str | None
    cause: str | None
    history: list[dict[str, Any]]
    input: str = "{}"

    @property
    def states(self) -> list[str]:
        """The states that the execution entered, in order."""
        entered = (event.get("stateEnteredEventDetails") for event in self.history)
        return [details["name"] for details in entered if details]

    @property
    def event(self) -> dict[str, Any]:
        """The EventBridge event for this end, because moto sends none."""
        detail: dict[str, Any] = {
            "executionArn": self.arn,
            "stateMachineArn": self.arn.rpartition(":")[0].replace(":execution:", ":stateMachine:"),
            "name": self.name,
            "status": self.status,
            "startDate": 1_795_312_800_000,
            "stopDate": 1_795_316_400_000,
            "input": self.input,
            "inputDetails": {"included": True},
            "output": None,
            "error": self.error,
            "cause": self.cause,
        }
        return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}


@dataclass(frozen=True, slots=True)
class StepFunctions:
    """A Step Functions endpoint that really runs its executions."""

    endpoint: str

    @property
    def client(self) -> Any:
        """A client of the endpoint."""
        session = boto3.Session("test", "test", region_name=cloud.REGION)
        return session.client("stepfunctions", endpoint_url=self.endpoint)

    def machine(self, name: str, definition: str) -> str:
        """Creates a state machine; returns its ARN."""
        arn: str = self.client.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
        return arn

    def start(self, machine: str, name: str, **given: object) -> str:
        """Starts an execution; returns its ARN."""
        started = self.client.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))
        arn: str = started["executionArn"]
        return arn

    def run(self, machine: str, name: str, **given: object) -> Ended:
        """Starts an execution and waits for its end."""
        return self.ended(self.start(machine, name, **given))

    def ended(self, execution: str, seconds: float = 90) -> Ended:
        """Waits for an execution's end."""
        client = self.client
        deadline = time.monotonic() + seconds
        while (said := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{execution} goes on: {self._ended(said).states}"
            time.sleep(0.1)
        return self._ended(said)

    def _ended(self, said: Mapping[str, Any]) -> Ended:
        # Not over HTTP: an event of a stopped branch may contain objects that moto cannot serialize.
        backend = stepfunctions_parser_backends[ACCOUNT][cloud.REGION]
        history = [dict(event) for event in backend.get_execution_history(said["executionArn"])["events"]]
        fields = (said.get("error"), said.get("cause"))
        return Ended(said["name"], said["executionArn"], said["status"], *fields, history, said["input"])


@contextmanager
def interpreter(functions: Functions, jobs: Jobs) -> Iterator[StepFunctions]:
    """Serves AWS on a port of 127.0.0.1 for as long as the block lasts, with these functions and jobs."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    with ExitStack() as stack:
        for replacement in _replacements(functions, jobs):
            stack.enter_context(replacement)
        port = server._port
        stack.enter_context(patch.dict(os.environ, {"MOTO_PORT": str(port)}))
        server.start()
        stack.callback(server.stop)
        yield StepFunctions(f"http://127.0.0.1:{port}")


def _replacements(functions: Functions, jobs: Jobs) -> list[Any]:
    def task_of(service_name: str) -> Any:
        if service_name in APIS:
            return _JobTask(jobs)
        if service_name == "states":
            return _ExecutionTask()
        return _LambdaTask(functions) if service_name == "lambda" else state_task_service_for(service_name)

    hurried = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * HURRY))
    return [
        patch.dict(default_user_config, {"stepfunctions": {"execute_state_machine": True}}),
        patch.object(state_task_factory, "state_task_service_for", task_of),
        patch.object(retrier_decl, "time", hurried),
        patch.object(Environment, "set_error", _unless_stopped(Environment.set_error)),
        *(patch.object(each, "eval_jsonata_expression", evaluated) for each in (string_expression, validations)),
        patch.object(moto_jsonata, "eval_jsonata_expression", evaluated),
        *(patch.object(each, "encode_jsonata_variable_declarations", _declared) for each in (states, variable_store)),
    ]


def _unless_stopped(set_error: Callable[[Environment, Any], None]) -> Callable[[Environment, Any], None]:
    """Keeps the status of a stopped execution when its branches fail later; moto would set it to failed."""

    def guarded(env: Environment, error: Any) -> None:
        if not isinstance(env.program_state(), ProgramStopped):
            set_error(env, error)

    return guarded


def evaluated(expression: str) -> Any:
    """Evaluates a JSONata expression, None for nothing; its ``$parse`` is strict, unlike moto's."""
    try:
        return asl.evaluated(expression.replace(_DECLARATION_PARSE, ""))
    except jsonata.JException as error:
        raise moto_jsonata.JSONataException("States.QueryEvaluationError", str(error)) from error


def _declared(bindings: Mapping[str, Any]) -> str:
    return "".join(f"{name}:={json.dumps(value, default=str)};" for name, value in bindings.items())


class _LambdaTask(StateTaskServiceLambda):
    """A task that calls a Lambda."""

    def __init__(self, functions: Functions) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._functions = functions

    def __deepcopy__(self, memo: object) -> _LambdaTask:
        return self

    def _eval_service_task(self, env: Any, normalised_parameters: Any, **_: Any) -> None:  # type: ignore[override]
        event = json.loads(normalised_parameters["Payload"])
        try:
            answer = self._functions[normalised_parameters["FunctionName"]](event)
        except FunctionError as error:
            raise LambdaFunctionErrorException("Unhandled", json.dumps(error.answer)) from error
        except TimeoutError as error:
            said = {"errorType": "Sandbox.Timedout", "errorMessage": str(error)}
            raise LambdaFunctionErrorException("Unhandled", json.dumps(said)) from error
        env.stack.append({"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200})


class _JobTask(StateTaskServiceCallback):
    """A task that starts a job of Batch, ECS or CodeBuild and waits for it. If the state is stopped, so is the job."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__({ResourceCondition(ResourceCondition.Sync)})
        self._jobs = jobs

    def __deepcopy__(self, memo: object) -> _JobTask:
        return self

    def _get_supported_parameters(self) -> set[str]:
        return parameter_names(self.resource.service_name)

    def _eval_service_task(self, env: Any, normalised_parameters: Any, **_: Any) -> None:  # type: ignore[override]
        if not env.is_running():  # another branch has failed meanwhile, and moto's stack holds no arguments
            env.stack.append({})
            return
        service = self.resource.service_name
        job = self._jobs.submit(service, request(service, normalised_parameters))
        env.stack.append(job.submitted)

    def _eval_integration_pattern(self, env: Any, **_: Any) -> None:  # type: ignore[override]
        submitted = env.stack.pop()
        if not submitted:
            return
        job = self._jobs.of(submitted)
        while not job.has_ended():
            if not env.is_running():  # another branch has failed, or the execution was stopped
                job.stop()
                return
            time.sleep(0.05)
        if job.status:
            raise FailureEventException(_failure(self, env, job.described))
        env.stack.append(job.described)


class _ExecutionTask(StateTaskServiceCallback):
    """A task that executes another state machine. moto's own sends parameters under names unknown to the API."""

    def __init__(self) -> None:
        super().__init__({ResourceCondition(ResourceCondition.Sync2)})

    def _get_supported_parameters(self) -> set[str]:
        return {"StateMachineArn", "Name", "Input"}

    def _eval_service_task(self, env: Any, normalised_parameters: Any, **_: Any) -> None:  # type: ignore[override]
        given = normalised_parameters
        started = StepFunctions(f"http://127.0.0.1:{os.environ['MOTO_PORT']}").start(
            given["StateMachineArn"], given["Name"], **given["Input"]
        )
        env.stack.append({"ExecutionArn": started})

    def _eval_integration_pattern(self, env: Any, **_: Any) -> None:  # type: ignore[override]
        execution = env.stack.pop()["ExecutionArn"]
        ended = StepFunctions(f"http://127.0.0.1:{os.environ['MOTO_PORT']}").ended(execution)
        if ended.status != "SUCCEEDED":
            raise FailureEventException(_failure(self, env, {"Error": ended.error, "Cause": ended.cause}))
        env.stack.append({"ExecutionArn": execution, "Status": ended.status})


def _failure(task: Any, env: Any, described: Mapping[str, Any]) -> FailureEvent:
    """The error of a failed ``.sync`` task of any service: States.TaskFailed, with the service's description."""
    name = StatesErrorNameType.StatesTaskFailed
    details = TaskFailedEventDetails(
        resource=task._get_sfn_resource(),
        resourceType=task._get_sfn_resource_type(),
        error=name.to_name(),
        cause=json.dumps(described),
    )
    return FailureEvent(
        env=env,
        error_name=StatesErrorName(typ=name),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),  # type: ignore[typeddict-item]
    )
