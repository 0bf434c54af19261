"""Descriptions of ended jobs by Batch, ECS and CodeBuild, as Step Functions puts them in a Cause: names in PascalCase.

The shapes are JobDetail (https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html), Task
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html) and Build
(https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html). A test compares them with botocore's model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

_REGION = "arn:aws:{}:eu-central-1:123456789012:{}"
_TASK = "0f9de17a6465404e8b1b2356dc13c2f8"
_IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/nightly-etl:1.0.0"
_EXITED = "Essential container in task exited"
_TABLES = '["public.orders","public.\\"odd name\\""]'

Described = dict[str, Any]


def batch(
    job_id: str = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8",
    exit_status: int | None = None,
    status_reason: str = _EXITED,
    reason: str | None = None,
    tables: str = _TABLES,
) -> Described:
    """A JobDetail. Without an exit status and a reason of the container, the job never started and has no attempt."""
    started = exit_status is not None or reason is not None
    log = {"LogStreamName": f"etl/default/{_TASK}"} if exit_status is not None else {}
    ended = {
        **({"ExitCode": exit_status} if exit_status is not None else {}),
        **({"Reason": reason} if reason is not None else {}),
        **log,
        "TaskArn": _REGION.format("ecs", f"task/nightly-etl/{_TASK}"),
    }
    attempt = {
        "Container": {**ended, "NetworkInterfaces": []},
        "StartedAt": 1795312800000,
        "StatusReason": status_reason,
        "StoppedAt": 1795316400000,
    }
    return {
        "Attempts": [attempt] if started else [],
        "Container": {
            "Command": ["run"],
            "Environment": [{"Name": "TABLES", "Value": tables}, {"Name": "ETL_SNAPSHOT", "Value": "run"}],
            "Image": _IMAGE,
            "MountPoints": [],
            "ResourceRequirements": [{"Type": "VCPU", "Value": "2"}, {"Type": "MEMORY", "Value": "4096"}],
            **(ended if started else {}),
        },
        "CreatedAt": 1795312700000,
        "IsCancelled": False,
        "IsTerminated": False,
        "JobDefinition": _REGION.format("batch", "job-definition/nightly-etl:3"),
        "JobId": job_id,
        "JobName": "etl-2026-11-22-shard-1",
        "JobQueue": _REGION.format("batch", "job-queue/nightly-etl"),
        "RetryStrategy": {"Attempts": 1, "EvaluateOnExit": []},
        "StartedAt": 1795312800000,
        "Status": "SUCCEEDED" if exit_status == 0 else "FAILED",
        "StatusReason": status_reason,
        "StoppedAt": 1795316400000,
        "Tags": {},
        "Timeout": {"AttemptDurationSeconds": 21600},
    }


def ecs(
    job_id: str = _REGION.format("ecs", f"task/nightly-etl/{_TASK}"),
    exit_status: int | None = None,
    stopped_reason: str = _EXITED,
    stop_code: str = "EssentialContainerExited",
    reason: str | None = None,
    tables: str = _TABLES,
) -> Described:
    """A Task, with the second container that GuardDuty adds when it watches Fargate."""
    beside = {"ExitCode": 0, "LastStatus": "STOPPED", "Name": "aws-guardduty-agent-Xw4vd3"}
    container = {
        "ContainerArn": _REGION.format("ecs", f"container/nightly-etl/{_TASK}/b2b9c6c2"),
        **({"ExitCode": exit_status} if exit_status is not None else {}),
        "Image": _IMAGE,
        "LastStatus": "STOPPED",
        "Name": "etl",
        "NetworkInterfaces": [{"AttachmentId": "c0fe", "PrivateIpv4Address": "10.0.1.17"}],
        **({"Reason": reason} if reason is not None else {}),
    }
    override = {"Command": ["run"], "Environment": [{"Name": "TABLES", "Value": tables}], "Name": "etl"}
    return {
        "Attachments": [{"Details": [], "Id": "c0fe", "Status": "DELETED", "Type": "eni"}],
        "ClusterArn": _REGION.format("ecs", "cluster/nightly-etl"),
        "Containers": [beside, container],
        "Cpu": "2048",
        "CreatedAt": 1795312700000,
        "DesiredStatus": "STOPPED",
        "LastStatus": "STOPPED",
        "LaunchType": "FARGATE",
        "Memory": "4096",
        "Overrides": {"ContainerOverrides": [override], "InferenceAcceleratorOverrides": []},
        "PlatformVersion": "1.4.0",
        "StopCode": stop_code,
        "StoppedAt": 1795316400000,
        "StoppedReason": stopped_reason,
        "TaskArn": job_id,
        "TaskDefinitionArn": _REGION.format("ecs", "task-definition/nightly-etl:3"),
        "Version": 5,
    }


def codebuild(
    job_id: str = "nightly-etl:b1e6661e-e4f2-4156-9ab9-82a19EXAMPLE",
    exit_status: int | None = None,
    phase: str = "BUILD",
    status: str = "FAILED",
    status_code: str = "COMMAND_EXECUTION_ERROR",
    message: str | None = None,
    tables: str = _TABLES,
) -> Described:
    """A Build whose last phase failed."""
    command = "Error while executing command: .venv/bin/etl ${ETL_COMMAND:-run}. Reason: exit status"
    context = {"Message": message or f"{command} {exit_status}", "StatusCode": status_code}
    phases = [{"DurationInSeconds": 0, "PhaseStatus": "SUCCEEDED", "PhaseType": "SUBMITTED"}]
    if exit_status != 0:
        phases.append({"Contexts": [context], "DurationInSeconds": 9, "PhaseStatus": status, "PhaseType": phase})
    build = {
        "Arn": _REGION.format("codebuild", f"build/{job_id}"),
        "BuildComplete": True,
        "BuildNumber": 12,
        "BuildStatus": "SUCCEEDED" if exit_status == 0 else status,
        "CurrentPhase": "COMPLETED",
        "EndTime": 1795316400000,
        "Environment": {
            "ComputeType": "BUILD_GENERAL1_MEDIUM",
            "EnvironmentVariables": [{"Name": "TABLES", "Type": "PLAINTEXT", "Value": tables}],
            "Image": _IMAGE,
            "Type": "LINUX_CONTAINER",
        },
        "Id": job_id,
        "Logs": {"GroupName": "/nightly-etl/prod", "StreamName": job_id.rpartition(":")[2]},
        "Phases": [*phases, {"PhaseType": "COMPLETED", "StartTime": 1795316400000}],
        "ProjectName": "nightly-etl",
        "StartTime": 1795312800000,
    }
    return {"Build": build}


DESCRIBED: dict[str, Callable[..., Described]] = {"batch": batch, "codebuild": codebuild, "ecs": ecs}
"""The description of an ended job, by service. Each function takes ``job_id``, ``exit_status`` and ``tables``."""

_PULL = "CannotPullContainerError: pull image manifest has been retried 1 time(s)"
NEVER_BEGAN: dict[str, Callable[..., Described]] = {
    "batch": partial(batch, status_reason=_PULL),
    "codebuild": partial(
        codebuild, phase="PROVISIONING", status_code="BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", message=_PULL
    ),
    "ecs": partial(ecs, stop_code="TaskFailedToStart", stopped_reason=_PULL),
}
"""The description of a job whose container never ran, so without exit status; takes ``job_id`` and ``tables``."""

SHAPES: Sequence[tuple[str, str]] = (("batch", "JobDetail"), ("ecs", "Task"), ("codebuild", "Build"))
"""Each service, with the name of the shape in botocore's model that describes one of its jobs."""
