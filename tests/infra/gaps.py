"""Fills gaps of moto that Terraform needs, in moto's private modules; therefore moto's version is pinned.

moto lacks Batch without a service role (AWS uses its service-linked role), a state machine's validation and versions,
Logs Insights' query definitions, and CodeBuild projects without a source. It also forgets some settings, which a second
plan would report as a change; and it remembers a secret's key, which Parameter Store does not. What an event source
mapping delivers, it swallows here, because it does not run the function. And requests over HTTP count as if they had
come over TLS, which moto has not.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.awslambda.models import LambdaBackend
from moto.batch.models import BatchBackend, JobQueue
from moto.batch.responses import BatchResponse
from moto.codebuild import responses as codebuild
from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.iam.models import iam_backends
from moto.logs.responses import LogsResponse
from moto.sqs.models import Queue, sqs_backends
from moto.ssm.models import SimpleSystemManagerBackend
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.responses import StepFunctionResponse

_SERVICE_ROLE = "AWSServiceRoleForbatch"  # as moto spells it
_ONE_AT_A_TIME = threading.Lock()
_CONFIGURATION = {
    "batch": {"use_docker": False},
    "lambda": {"use_docker": False},
    "iam": {"load_aws_managed_policies": True},
}


@contextmanager
def filled() -> Iterator[None]:
    """Fills the gaps for as long as the block lasts."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(default_user_config, _CONFIGURATION))
        stack.enter_context(patch.object(BatchBackend, "create_compute_environment", _with_service_role))
        for name in ("createjobqueue", "updatejobqueue"):
            stack.enter_context(patch.object(BatchResponse, name, _with_its_limits(getattr(BatchResponse, name))))
        stack.enter_context(patch.object(JobQueue, "describe", _described_with_its_limits))
        stack.enter_context(patch.object(SecurityGroupRule, "__init__", _make_rule_whole))
        stack.enter_context(patch.object(SecurityGroupRule, "description", property(_description)))
        stack.enter_context(patch.object(SimpleSystemManagerBackend, "put_parameter", _with_the_key_that_is_said))
        stack.enter_context(patch.object(Queue, "redrive_allow_policy", None, create=True))
        stack.enter_context(patch.object(Queue, "attributes", property(_as_it_was_given)))
        stack.enter_context(patch.object(Queue, "BASE_ATTRIBUTES", [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]))
        stack.enter_context(patch.object(IAMPolicyStatement, "is_action_permitted", _as_if_over_tls))
        stack.enter_context(patch.object(LambdaBackend, "create_event_source_mapping", _that_takes_nothing))
        stack.enter_context(patch.object(codebuild, "_validate_required_params_source", _no_source_is_a_source))
        stack.enter_context(patch.object(codebuild.CodeBuildResponse, "create_project", _with_its_limit))
        for name, function in {
            "validate_state_machine_definition": _validate,
            "list_state_machine_versions": lambda _self: ActionResult({"stateMachineVersions": []}),
        }.items():
            stack.enter_context(patch.object(StepFunctionResponse, name, function, create=True))
        for name, function in _query_definitions().items():
            stack.enter_context(patch.object(LogsResponse, name, function, create=True))
        yield


_create_compute_environment = BatchBackend.create_compute_environment


def _with_service_role(self: Any, **named: Any) -> Any:
    with _ONE_AT_A_TIME:
        named["service_role"] = named.get("service_role") or _service_role(self)
    return _create_compute_environment(self, **named)


def _service_role(self: Any) -> str:
    iam = iam_backends[self.account_id][self.partition]
    made = next((role for role in iam.get_roles() if role.name == _SERVICE_ROLE), None)
    arn: str = (made or iam.create_service_linked_role("batch.amazonaws.com", "", "")).arn
    return arn


_LIMITS = "jobStateTimeLimitActions"
_describe_queue = JobQueue.describe


def _with_its_limits(original: Callable[[Any], str]) -> Callable[[Any], str]:
    """Keeps a queue's settings for stuck jobs, which moto forgets."""

    def call(self: Any) -> str:
        answer = original(self)
        queue = self.batch_backend.get_job_queue(json.loads(answer)["jobQueueName"])
        queue.limits = self._get_param(_LIMITS) or getattr(queue, "limits", [])
        return answer

    return call


def _described_with_its_limits(self: Any) -> dict[str, Any]:
    return _describe_queue(self) | {_LIMITS: getattr(self, "limits", [])}


_make_rule = SecurityGroupRule.__init__


def _make_rule_whole(self: Any, *arguments: Any, **named: Any) -> None:
    _make_rule(self, *arguments, **named)
    given = inspect.signature(_make_rule).bind(self, *arguments, **named).arguments
    self.prefix_list = given.get("prefix_list_id") or {}


def _description(rule: Any) -> Any:
    """A rule's description, wherever the request has it: moto looks for it in CIDRs only."""
    places = (rule.ip_range, rule.source_group, rule.prefix_list)
    return next((place["Description"] for place in places if place.get("Description")), None)


_put_parameter = SimpleSystemManagerBackend.put_parameter


def _with_the_key_that_is_said(self: Any, *arguments: Any, **named: Any) -> Any:
    """Encrypts with the account's default key if a request names no key, whatever key the version before had.

    https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, KeyId.
    """
    bound = inspect.signature(_put_parameter).bind(self, *arguments, **named)
    given = bound.arguments
    before = self._parameters[given["name"]]
    kind = given["parameter_type"] or (before[-1].parameter_type if before else None)
    if kind == "SecureString":
        given["keyid"] = given["keyid"] or "alias/aws/ssm"
    return _put_parameter(*bound.args, **bound.kwargs)


_attributes: Callable[[Any], dict[str, Any]] = vars(Queue)["attributes"].fget


def _as_it_was_given(self: Any) -> dict[str, Any]:
    """A queue's attributes: the redrive policy without the blanks that moto puts into it; nothing that was removed."""
    said = _attributes(self)
    if not said["RedriveAllowPolicy"]:
        del said["RedriveAllowPolicy"]
    policy = {"RedrivePolicy": json.dumps(self.redrive_policy, separators=(",", ":"))} if self.redrive_policy else {}
    return said | policy


_is_permitted = IAMPolicyStatement.is_action_permitted


def _as_if_over_tls(self: Any, *arguments: Any, **named: Any) -> PermissionResult:
    """What a statement says of an action; one about requests without TLS says nothing."""
    if self._statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
        return PermissionResult.NEUTRAL
    return _is_permitted(self, *arguments, **named)


_create_mapping = LambdaBackend.create_event_source_mapping


def _that_takes_nothing(self: Any, spec: dict[str, Any]) -> Any:
    """Makes an event source mapping, but leaves the queue's messages to the tests, which run the function."""
    made = _create_mapping(self, spec)
    for queue in sqs_backends[self.account_id][self.region_name].queues.values():
        queue.lambda_event_source_mappings.clear()
    return made


_validate_source = codebuild._validate_required_params_source


def _no_source_is_a_source(source: dict[str, Any]) -> None:
    if source.get("type") != "NO_SOURCE":
        _validate_source(source)


_create_project = codebuild.CodeBuildResponse.create_project


def _with_its_limit(self: Any) -> Any:
    made = _create_project(self)
    limit = self._get_param("concurrentBuildLimit")
    if limit is not None:
        self.codebuild_backend.codebuild_projects[self._get_param("name")].project_metadata["concurrentBuildLimit"] = (
            limit
        )
    return made


def _validate(self: Any) -> ActionResult:
    """Parses a definition, as AWS does before it accepts one."""
    try:
        AmazonStateLanguageParser.parse(self._get_param("definition"))
    except Exception as error:
        problem = {"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": repr(error)}
        return ActionResult({"result": "FAIL", "diagnostics": [problem]})
    return ActionResult({"result": "OK", "diagnostics": []})


def _query_definitions() -> dict[str, Any]:
    kept: dict[str, dict[str, Any]] = {}

    def put(self: Any) -> str:
        key = self._get_param("queryDefinitionId") or str(uuid.uuid4())
        kept[key] = {
            "queryDefinitionId": key,
            "name": self._get_param("name"),
            "queryString": self._get_param("queryString"),
            "logGroupNames": self._get_param("logGroupNames") or [],
            "lastModified": int(time.time() * 1000),
        }
        return json.dumps({"queryDefinitionId": key})

    def describe(self: Any) -> str:
        prefix = self._get_param("queryDefinitionNamePrefix") or ""
        return json.dumps({"queryDefinitions": [one for one in kept.values() if one["name"].startswith(prefix)]})

    def delete(self: Any) -> str:
        return json.dumps({"success": kept.pop(self._get_param("queryDefinitionId"), None) is not None})

    return {"put_query_definition": put, "describe_query_definitions": describe, "delete_query_definition": delete}
