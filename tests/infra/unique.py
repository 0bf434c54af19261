"""What AWS refuses twice and moto takes twice: rules, names and identifiers, looked for in a plan.

A plan knows everything that will be there, made or kept. What it does not know yet counts as the same within one
module: there, two rules of a group that is still to be made are rules of one group.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

_RULE = (
    "security_group_id",
    "ip_protocol",
    "from_port",
    "to_port",
    "cidr_ipv4",
    "cidr_ipv6",
    "prefix_list_id",
    "referenced_security_group_id",
)

UNIQUE: Mapping[str, tuple[str, ...]] = {
    # InvalidPermission.Duplicate: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    "aws_vpc_security_group_egress_rule": _RULE,
    "aws_vpc_security_group_ingress_rule": _RULE,
    # One endpoint with private DNS a service:
    # https://docs.aws.amazon.com/vpc/latest/privatelink/create-interface-endpoint.html
    "aws_vpc_endpoint": ("vpc_id", "service_name"),
    # ResourceConflictException: https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    "aws_lambda_permission": ("function_name", "statement_id"),
    # Whatever has a name of its own in an account and a region.
    "aws_batch_job_definition": ("name",),
    "aws_batch_job_queue": ("name",),
    "aws_cloudwatch_dashboard": ("dashboard_name",),
    "aws_cloudwatch_event_rule": ("name",),
    "aws_cloudwatch_log_group": ("name",),
    "aws_cloudwatch_metric_alarm": ("alarm_name",),
    "aws_codebuild_project": ("name",),
    "aws_dynamodb_table": ("name",),
    "aws_ecr_repository": ("name",),
    "aws_ecs_cluster": ("name",),
    "aws_ecs_task_definition": ("family",),
    "aws_iam_instance_profile": ("name",),
    "aws_iam_policy": ("name",),
    "aws_iam_role": ("name",),
    "aws_kms_alias": ("name",),
    "aws_lambda_event_source_mapping": ("event_source_arn", "function_name"),
    "aws_lambda_function": ("function_name",),
    "aws_s3_bucket": ("bucket",),
    "aws_scheduler_schedule": ("name",),
    "aws_sfn_state_machine": ("name",),
    "aws_sns_topic": ("name",),
    "aws_sqs_queue": ("name",),
    "aws_ssm_parameter": ("name",),
}


def duplicates(plan: Mapping[str, Any]) -> list[str]:
    """The duplicates in a plan (terraform show -json), one line each; an empty list if AWS would accept all of it."""
    resources = list(_resources(plan["planned_values"]["root_module"]))
    among = [identity for one in resources if (identity := _identity(one))]
    within = [f"{one['address']}: {name}" for one in resources for name in _repeated(_names(one.get("values", {})))]
    return sorted([" ".join(identity) for identity in _repeated(among)] + within)


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _identity(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """The properties of a resource that must be unique, as texts; empty for a kind that may exist twice."""
    attributes = UNIQUE.get(resource["type"], ())
    module = resource["address"].rpartition(f"{resource['type']}.")[0]
    values = resource.get("values", {})
    return tuple(
        f"{resource['type']}.{name}={_canonical(name, values[name]) if name in values else f'unknown in {module}'}"
        for name in attributes
    )


def _canonical(name: str, value: Any) -> Any:
    """A value as AWS stores it: for a CIDR the network, whichever address in it was written."""
    return str(ip_network(value, strict=False)) if name.startswith("cidr_") and value else value


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    """The names of the parts of one resource."""
    for attribute, read in _PARTS.items():
        if values.get(attribute):
            yield from (f"{attribute} {name}" for name in read(values[attribute]))


def _sids(policy: str) -> Iterator[str]:
    # "Sid must be unique": https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
    yield from (str(one["Sid"]) for one in json.loads(policy).get("Statement", []) if "Sid" in one)


def _variables(containers: str) -> Iterator[str]:
    # ECS, when a definition is registered: "The secret name must be unique and not shared with any new or existing
    # environment variables set on the container".
    said = json.loads(containers)
    for container in said if isinstance(said, list) else [said]:
        for part in ("environment", "secrets"):
            yield from (f"{container.get('name', '')} {one['name']}" for one in container.get(part) or [])
    if isinstance(said, list):
        yield from (f"container {container['name']}" for container in said)


_PARTS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "policy": _sids,
    "assume_role_policy": _sids,
    "container_definitions": _variables,
    "container_properties": _variables,
    "environment": lambda blocks: (
        str(one["name"]) for block in blocks for one in block.get("environment_variable") or []
    ),
    "metric_query": lambda blocks: (str(block["id"]) for block in blocks),
}


def _repeated(names: Iterable[Any]) -> list[Any]:
    return [name for name, times in Counter(names).items() if times > 1]
