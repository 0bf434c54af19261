"""The examples that are not run whole: without the nightly machine, behind endpoints, with the scheduler.

Applied in moto, planned again, destroyed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests import asl
from tests.infra.deployment import ACCOUNT, IMAGE, Deployment, deployment, given, network
from tests.infra.implied import implied
from tests.infra.policies import Call, allowed
from tests.infra.terraform import installed, workspace

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a deployment needs."""
    installed()
    return workspace(tmp_path_factory.mktemp("alone"))


@contextmanager
def _applied(source: Path, example: str, *wanted: str, **values: Any) -> Iterator[Deployment]:
    """Applies an example, plans again, and destroys it at the block's end; ``wanted`` are the network's values."""
    with deployment(source / "examples" / example) as made:
        terraform = made.terraform.init()
        there = network(made)
        there["security_group_ids"] = [there["databases"]["shop"]["security_group_id"]]
        there["route_table_ids"] = [made.client("ec2").describe_route_tables()["RouteTables"][0]["RouteTableId"]]
        given(made, **{"image": IMAGE, "tables": "orders"} | {name: there[name] for name in wanted} | values)
        terraform("apply", "-no-color", "-auto-approve", "-input=false")
        assert terraform.changes() == []
        yield made
        terraform("destroy", "-no-color", "-auto-approve", "-input=false")
        assert terraform("state", "list").stdout == ""


def test_a_scheduled_task_needs_no_state_machine(source: Path) -> None:
    """The schedule may run the task that it names, with its roles; what fails, or never starts, reaches the topic."""
    image = IMAGE.replace("/nightly-etl@", "/nightly-etl-minimal@")  # from the example's own repository
    with _applied(source, "minimal", "subnet_ids", "security_group_ids", image=image) as made:
        name, role = "nightly-etl-minimal", "nightly-etl-minimal-schedule"
        target = made.client("scheduler").get_schedule(Name=name)["Target"]
        asked = target["EcsParameters"]
        # What Scheduler makes of the target's parameters is RunTask's request.
        request = {"propagateTags": asked.get("PropagateTags", "NONE")}
        run = Call(role, "ecs:RunTask", asked["TaskDefinitionArn"], {"ecs:cluster": target["Arn"]}, request)
        calls = [run, Call(role, "sqs:SendMessage", target["DeadLetterConfig"]["Arn"])]
        roles = made.roles()
        refused = [str(call) for call in [*calls, *implied([run], made.client)] if not allowed(call, roles[call.role])]
        assert refused == []

        pattern = EventPattern.load(made.client("events").describe_rule(Name=f"{name}-task-failed")["EventPattern"])
        matched = {case: pattern.matches_event(event) for case, event in _events(target).items()}
        assert matched == {
            "done": False,
            "failed": True,
            "bad configuration": True,
            "never started": True,
            "Spot took it": True,
            "running": False,
            "another's task": False,
        }
        (told,) = made.client("events").list_targets_by_rule(Rule=f"{name}-task-failed")["Targets"]
        assert told["Arn"].endswith(f":{name}-failures")


def _events(target: dict[str, Any]) -> dict[str, Any]:
    """Events as ECS sends them, by name (Developer Guide, "Amazon ECS task state change events").

    EventBridge looks into lists of objects, moto does not: a list of containers stands as one with a list of values.
    """

    def event(exit_codes: list[int], stop_code: str, status: str = "STOPPED", family: str = "") -> dict[str, Any]:
        definition = target["EcsParameters"]["TaskDefinitionArn"].replace(
            "nightly-etl-minimal", family or "nightly-etl-minimal"
        )
        detail = {
            "clusterArn": target["Arn"],
            "taskArn": f"arn:aws:ecs:eu-central-1:{ACCOUNT}:task/nightly-etl-minimal/0123456789abcdef",
            "taskDefinitionArn": definition,
            "lastStatus": status,
            "stopCode": stop_code,
            "containers": {"exitCode": exit_codes, "name": ["etl"]} if exit_codes else {"name": ["etl"]},
        }
        return {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}

    ended = "EssentialContainerExited"
    return {
        "done": event([0], ended),
        "failed": event([1], ended),
        "bad configuration": event([2], ended),
        "never started": event([], "TaskFailedToStart"),
        "Spot took it": event([143], "SpotInterruption"),
        "running": event([], "", "RUNNING"),
        "another's task": event([1], ended, family="nightly-etl-minimal-two"),
    }


def test_a_job_waits_for_another(source: Path) -> None:
    """Both submissions are as Batch's API has them, and the second names the first."""
    with _applied(source, "batch-dependencies", "subnet_ids", "security_group_ids") as made:
        (machine,) = made.client("stepfunctions").list_state_machines()["stateMachines"]
        said = made.client("stepfunctions").describe_state_machine(stateMachineArn=machine["stateMachineArn"])
        states = json.loads(said["definition"])["States"]
        requests = {
            name: asl.request("batch", asl.value(state["Arguments"], {"copy": "job-1"}))
            for name, state in states.items()
        }
        assert requests["Verify"]["dependsOn"] == [{"jobId": "job-1"}]
        assert requests["Verify"]["containerOverrides"]["command"] == ["verify"]
        calls = [
            Call("nightly-etl-chain", "batch:SubmitJob", resource, request=request)
            for request in requests.values()
            for resource in (request["jobQueue"], request["jobDefinition"])
        ]
        roles = made.roles()
        refused = [str(call) for call in [*calls, *implied(calls, made.client)] if not allowed(call, roles[call.role])]
        assert refused == []


def test_subnets_without_nat_have_what_the_job_needs(source: Path) -> None:
    """An endpoint each for settings, image and logs, for the whole VPC; the job's group lets it reach nothing else."""
    wanted = ("vpc_id", "subnet_ids", "databases", "route_table_ids")
    with _applied(source, "private-subnets", *wanted) as made:
        there = made.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        services = {one["ServiceName"].removeprefix("com.amazonaws.eu-central-1.") for one in there}
        assert services == {"ssm", "ecr.api", "ecr.dkr", "logs", "s3"}
        groups = made.client("ec2").describe_security_groups()["SecurityGroups"]
        (job,) = (one for one in groups if one["GroupName"].startswith("nightly-etl-job-"))
        assert not [one for rule in job["IpPermissionsEgress"] for one in rule["IpRanges"]]
        # Private DNS sends the whole VPC to the endpoints: https://docs.aws.amazon.com/vpc/latest/privatelink/
        (group,) = (one for one in groups if one["GroupName"].startswith("nightly-etl-endpoints-"))
        let_in = {one["CidrIp"] for rule in group["IpPermissions"] for one in rule["IpRanges"] if rule["ToPort"] == 443}
        (vpc,) = (one for one in made.client("ec2").describe_vpcs()["Vpcs"] if one["VpcId"] == group["VpcId"])
        assert let_in == {vpc["CidrBlock"]}
        # Batch's hosts need three more, and an endpoint that is there is not made again.
        variables = json.loads((made.terraform.folder / "test.auto.tfvars.json").read_text())
        given(made, **variables, compute="batch", platform="ec2", given_endpoints={"ssm": "sg-0a"})
        changes = made.terraform.changes()
        interface = "aws_vpc_endpoint.interface"
        assert {change.strip() for change in changes if interface in change} == {
            f'delete {interface}["ssm"]',
            *(f'create {interface}["{name}"]' for name in ("ecs", "ecs-agent", "ecs-telemetry")),
        }


def test_the_scheduler_starts_the_nightly_machine(source: Path) -> None:
    """The functions are told the machine, the notifier and the table; the nightly module's own schedule is off."""
    with _applied(source, "jobs", "vpc_id", "subnet_ids", "databases", force_destroy=True) as made:
        outputs, name = made.terraform.outputs(), "nightly-etl"
        told = {
            "DEPLOYMENT": name,
            "JOBS_TABLE": outputs["jobs_table"],
            "QUEUE_URL": outputs["jobs_queue_url"],
            "STATE_MACHINE_ARN": outputs["state_machine_arn"],
            "NOTIFIER_FUNCTION": f"{name}-notifier",
            "AT_ONCE": "10",
        }
        for function in ("tick", "runner", "ended"):
            deployed = made.client("lambda").get_function(FunctionName=f"{name}-jobs-{function}")["Configuration"]
            assert deployed["Environment"]["Variables"] == told
        assert outputs["jobs_path"] == f"/{name}/jobs"
        assert made.client("scheduler").list_schedules()["Schedules"] == []
