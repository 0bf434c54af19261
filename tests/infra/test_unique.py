"""What AWS refuses twice is found in a plan: each row of the table, and each part that one resource names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.unique import UNIQUE, duplicates


def _plan(*resources: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    made = [
        {"mode": "managed", "type": kind, "address": f"{module}{kind}.this", "values": values}
        for kind, module, values in resources
    ]
    return {"planned_values": {"root_module": {"resources": made[:1], "child_modules": [{"resources": made[1:]}]}}}


@pytest.mark.parametrize("kind", UNIQUE)
def test_two_of_a_kind_with_the_same_name_are_found(kind: str) -> None:
    """In whatever modules they are; and one that differs in one attribute is not."""
    same = dict.fromkeys(UNIQUE[kind], "10.0.0.0/24")
    assert len(duplicates(_plan((kind, "", same), (kind, "module.one.", same)))) == 1
    other = same | {UNIQUE[kind][-1]: "10.0.1.0/24"}
    assert duplicates(_plan((kind, "", same), (kind, "module.one.", other))) == []


def test_rules_of_a_group_that_is_still_to_be_made_are_found() -> None:
    """Two rules of one module that differ in nothing; not those of two modules, whose groups are two."""
    kind = "aws_vpc_security_group_egress_rule"
    rule = {"from_port": 5432, "to_port": 5432, "referenced_security_group_id": "sg-0a"}
    assert len(duplicates(_plan((kind, "module.one.", rule), (kind, "module.one.", rule)))) == 1
    assert duplicates(_plan((kind, "module.one.", rule), (kind, "module.two.", rule))) == []


def test_one_network_by_two_addresses_is_found() -> None:
    """EC2 keeps 10.0.0.7/24 as 10.0.0.0/24, and refuses the second."""
    kind = "aws_vpc_security_group_egress_rule"
    rules = [{"security_group_id": "sg-0a", "cidr_ipv4": cidr} for cidr in ("10.0.0.0/24", "10.0.0.7/24")]
    assert len(duplicates(_plan(*((kind, "", rule) for rule in rules)))) == 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("aws_iam_role_policy", {"policy": json.dumps({"Statement": [{"Sid": "A"}, {"Sid": "A"}]})}),
        ("aws_iam_role", {"assume_role_policy": json.dumps({"Statement": [{"Sid": "A"}, {"Sid": "A"}]})}),
        ("aws_batch_job_definition", {"container_properties": json.dumps({"environment": [{"name": "A"}] * 2})}),
        ("aws_ecs_task_definition", {"container_definitions": json.dumps([{"name": "etl"}] * 2)}),
        (
            "aws_ecs_task_definition",
            {"container_definitions": json.dumps([{"name": "a", "secrets": [{"name": "A"}] * 2}])},
        ),
        ("aws_codebuild_project", {"environment": [{"environment_variable": [{"name": "A"}] * 2}]}),
        ("aws_cloudwatch_metric_alarm", {"metric_query": [{"id": "a"}] * 2}),
    ],
)
def test_a_name_that_one_resource_has_twice_is_found(kind: str, values: dict[str, Any]) -> None:
    """Statements of a policy, containers, their variables and secrets, and an alarm's queries."""
    (line,) = duplicates(_plan((kind, "", values)))
    assert line.startswith(f"{kind}.this: ")
