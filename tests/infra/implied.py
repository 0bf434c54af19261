"""The actions that AWS authorizes in addition to a call itself, and that moto does not check.

They are tags on creation, roles that a call passes on, and the actions of a service with a role's permissions to start
a container, a build or a function. Each rule names the call from which it follows and its documentation. The tests
check the deployed policies for these actions as if the role had called them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.infra.policies import Call

Client = Callable[[str], Any]
"""A function that creates a client of a service, by the service's name."""

_TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/([^@:]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A call, the calls that AWS authorizes with it, and the documentation's address."""

    action: str
    documentation: str
    implied: Callable[[Call, Client], Iterable[Call]]


def implied(calls: Iterable[Call], client: Client) -> list[Call]:
    """The calls that AWS authorizes in addition to these, each once."""
    distinct = {(str(call), *sorted(call.request)): call for call in calls}.values()
    found = [
        one for call in distinct for rule in RULES if rule.action == call.action for one in rule.implied(call, client)
    ]
    return list({str(one): one for one in found}.values())


def sync(role: str, service: str, resource: str) -> list[Call]:
    """The calls that Step Functions makes with the state machine's role to run a job with .sync.

    A rule that it manages tells it of the end; it asks how the job is, and stops it when the execution is aborted.
    """
    one = SYNC[service]
    actions = ("events:PutRule", "events:PutTargets", "events:DescribeRule")
    rule = _arn_like(resource, "events", f"rule/{one.rule}")
    return [
        *(Call(role, action, rule) for action in actions),
        *(Call(role, action, resource) for action in one.actions),
    ]


@dataclass(frozen=True, slots=True)
class Sync:
    """Step Functions' policy for one service with .sync."""

    rule: str
    actions: tuple[str, ...]
    documentation: str


SYNC = {
    "batch": Sync(
        "StepFunctionsGetEventsForBatchJobsRule",
        ("batch:TerminateJob",),  # and DescribeJobs, which takes no resource
        "https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html",
    ),
    "ecs": Sync(
        "StepFunctionsGetEventsForECSTaskRule",
        ("ecs:StopTask", "ecs:DescribeTasks"),
        "https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html",
    ),
    "codebuild": Sync(
        "StepFunctionsGetEventForCodeBuildStartBuildRule",
        ("codebuild:StopBuild", "codebuild:BatchGetBuilds"),
        "https://docs.aws.amazon.com/step-functions/latest/dg/connect-codebuild.html",
    ),
}


# ---- ECS


def _tags_of_a_task(call: Call, client: Client) -> Iterator[Call]:
    del client
    asked = call.request
    if asked.get("tags") or asked.get("enableECSManagedTags") or asked.get("propagateTags", "NONE") != "NONE":
        cluster = call.context["ecs:cluster"].rpartition("/")[2]
        task = _arn_like(call.resource, "ecs", f"task/{cluster}/0123456789abcdef")
        yield Call(call.role, "ecs:TagResource", task, {"ecs:CreateAction": "RunTask"})


def _roles_of_a_task(call: Call, client: Client) -> Iterator[Call]:
    made = _task_definition(call, client)
    for key in ("taskRoleArn", "executionRoleArn"):
        yield Call(call.role, "iam:PassRole", made[key], _TO_TASKS)


def _start_of_a_task(call: Call, client: Client) -> Iterator[Call]:
    made = _task_definition(call, client)
    for container in made["containerDefinitions"]:
        yield from _start_of_a_container(made["executionRoleArn"], container, call.resource)


def _task_definition(call: Call, client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client("ecs").describe_task_definition(taskDefinition=call.resource)["taskDefinition"]
    return found


def _start_of_a_container(role: str, container: dict[str, Any], like: str) -> Iterator[Call]:
    """The agent pulls the image and reads secrets, the log driver writes, all as the execution role."""
    yield from _pull(_name(role), container["image"])
    for secret in container.get("secrets", []):
        action = "ssm:GetParameters" if ":ssm:" in secret["valueFrom"] else "secretsmanager:GetSecretValue"
        yield Call(_name(role), action, ":".join(secret["valueFrom"].split(":")[:7]))
    options = container.get("logConfiguration", {}).get("options", {})
    if "awslogs-group" in options:
        yield from _log(_name(role), options["awslogs-group"], like)


# ---- Batch


def _tags_of_a_job(call: Call, client: Client) -> Iterator[Call]:
    del client
    if call.request.get("tags"):
        yield Call(call.role, "batch:TagResource", _arn_like(call.resource, "batch", "job/0123456789abcdef"))


def _start_of_a_job(call: Call, client: Client) -> Iterator[Call]:
    if ":job-definition/" not in call.resource:
        return
    name = call.resource.partition(":job-definition/")[2].partition(":")[0]
    made = client("batch").describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    container = made[-1]["containerProperties"]
    yield from _start_of_a_container(container["executionRoleArn"], container, call.resource)


# ---- CodeBuild


def _start_of_a_build(call: Call, client: Client) -> Iterator[Call]:
    """CodeBuild pulls the image, writes the log and makes a network interface, all as the project's role."""
    (made,) = client("codebuild").batch_get_projects(names=[call.resource.rpartition("/")[2]])["projects"]
    role = _name(made["serviceRole"])
    if made["environment"].get("imagePullCredentialsType") == "SERVICE_ROLE":
        yield from _pull(role, made["environment"]["image"])
    yield from _log(role, made["logsConfig"]["cloudWatchLogs"]["groupName"], call.resource)


def _network_of_a_build(call: Call, client: Client) -> Iterator[Call]:
    (made,) = client("codebuild").batch_get_projects(names=[call.resource.rpartition("/")[2]])["projects"]
    role, network = _name(made["serviceRole"]), made["vpcConfig"]

    def arn(kind: str, name: str) -> str:
        return _arn_like(call.resource, "ec2", f"{kind}/{name}")

    interface = arn("network-interface", "eni-0123456789abcdef0")
    subnets = [arn("subnet", name) for name in network["subnets"]]
    groups = [arn("security-group", name) for name in network["securityGroupIds"]]
    for resource in (interface, *subnets, *groups):
        yield Call(role, "ec2:CreateNetworkInterface", resource)
    yield Call(role, "ec2:DeleteNetworkInterface", interface)
    for kind in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs"):
        yield Call(role, f"ec2:Describe{kind}")
    for subnet in subnets:
        context = {"ec2:Subnet": subnet, "ec2:AuthorizedService": "codebuild.amazonaws.com"}
        yield Call(role, "ec2:CreateNetworkInterfacePermission", interface, context)


# ---- Lambda


def _log_of_a_function(call: Call, client: Client) -> Iterator[Call]:
    made = _function(call, client)
    yield from _log(_name(made["Role"]), f"/aws/lambda/{made['FunctionName']}", call.resource)


def _traces_of_a_function(call: Call, client: Client) -> Iterator[Call]:
    made = _function(call, client)
    if made["TracingConfig"]["Mode"] == "Active":
        for action in ("PutTraceSegments", "PutTelemetryRecords"):
            yield Call(_name(made["Role"]), f"xray:{action}")


def _network_of_a_function(call: Call, client: Client) -> Iterator[Call]:
    """Lambda itself asks, so that the call has no lambda:SourceFunctionArn, which a function's own calls have."""
    made = _function(call, client)
    if not (made.get("VpcConfig") or {}).get("SubnetIds"):
        return
    role, interface = _name(made["Role"]), _arn_like(call.resource, "ec2", "network-interface/eni-0123456789abcdef0")
    for action in (
        "CreateNetworkInterface",
        "DeleteNetworkInterface",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
    ):
        yield Call(role, f"ec2:{action}", interface)
    for action in ("DescribeNetworkInterfaces", "DescribeSubnets"):
        yield Call(role, f"ec2:{action}")


def _failed_events_of_a_function(call: Call, client: Client) -> Iterator[Call]:
    made = _function(call, client)
    pages = client("lambda").list_function_event_invoke_configs(FunctionName=made["FunctionName"])
    for one in pages["FunctionEventInvokeConfigs"]:
        queue = one.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if queue:
            yield Call(_name(made["Role"]), "sqs:SendMessage", queue)


def _function(call: Call, client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client("lambda").get_function(FunctionName=call.resource)["Configuration"]
    return found


# ---- DynamoDB and SNS, with a key


def _key_of_a_table(call: Call, client: Client) -> Iterator[Call]:
    """What AWS's own library grants whoever reads and writes an encrypted table; DynamoDB itself says no less."""
    name = call.resource.partition(":table/")[2].partition("/")[0]
    key = client("dynamodb").describe_table(TableName=name)["Table"].get("SSEDescription", {}).get("KMSMasterKeyArn")
    via = {"kms:ViaService": f"dynamodb.{call.resource.split(':')[3]}.amazonaws.com"}
    for action in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"):
        yield from [Call(call.role, f"kms:{action}", key, via)] if key else []


def _key_of_a_topic(call: Call, client: Client) -> Iterator[Call]:
    said = client("sns").get_topic_attributes(TopicArn=call.resource)["Attributes"]
    via = {"kms:ViaService": f"sns.{call.resource.split(':')[3]}.amazonaws.com"}
    for action in ("Decrypt", "GenerateDataKey"):
        yield from [Call(call.role, f"kms:{action}", said["KmsMasterKeyId"], via)] if "KmsMasterKeyId" in said else []


# ---- S3, with a key


def _key_of_a_bucket(call: Call, client: Client) -> Iterator[Call]:
    """S3 names the bucket to KMS where it has a key of its own (a bucket key), and otherwise the object."""
    bucket = call.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    encryption = client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    (rule,) = encryption["Rules"]
    by_default = rule["ApplyServerSideEncryptionByDefault"]
    if by_default["SSEAlgorithm"] == "aws:kms":
        region = client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"]
        named = f"arn:aws:s3:::{bucket}" if rule["BucketKeyEnabled"] else call.resource
        context = {"kms:ViaService": f"s3.{region}.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": named}
        yield Call(call.role, "kms:GenerateDataKey", by_default["KMSMasterKeyID"], context)


# ---- Step Functions


def _log_of_a_machine(call: Call, client: Client) -> Iterator[Call]:
    made = client("stepfunctions").describe_state_machine(stateMachineArn=call.resource)
    if made["loggingConfiguration"]["level"] != "OFF":
        for action in (
            "CreateLogDelivery",
            "GetLogDelivery",
            "UpdateLogDelivery",
            "DeleteLogDelivery",
            "ListLogDeliveries",
            "PutResourcePolicy",
            "DescribeResourcePolicies",
            "DescribeLogGroups",
        ):
            yield Call(_name(made["roleArn"]), f"logs:{action}")


def _traces_of_a_machine(call: Call, client: Client) -> Iterator[Call]:
    made = client("stepfunctions").describe_state_machine(stateMachineArn=call.resource)
    if made["tracingConfiguration"]["enabled"]:
        for action in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"):
            yield Call(_name(made["roleArn"]), f"xray:{action}")


# ---- what several have


def _pull(role: str, image: str) -> Iterator[Call]:
    match = _IMAGE.match(image)
    if match is None:
        return
    account, region, name = match.groups()
    yield Call(role, "ecr:GetAuthorizationToken")
    for action in ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage"):
        yield Call(role, f"ecr:{action}", f"arn:aws:ecr:{region}:{account}:repository/{name}")


def _log(role: str, group: str, like: str) -> Iterator[Call]:
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Call(role, f"logs:{action}", _arn_like(like, "logs", f"log-group:{group}:log-stream:one"))


def _name(role: str) -> str:
    return role.rpartition("/")[2]


def _arn_like(arn: str, service: str, rest: str) -> str:
    """An ARN in the account and region of another ARN."""
    _, partition, _, region, account, *_ = arn.split(":")
    return f"arn:{partition}:{service}:{region}:{account}:{rest}"


_ECS = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide"
_DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide"
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg"
_CODEBUILD = "https://docs.aws.amazon.com/codebuild/latest/userguide"
_STATES = "https://docs.aws.amazon.com/step-functions/latest/dg"

RULES = (
    Rule("ecs:RunTask", f"{_ECS}/supported-iam-actions-tagging.html", _tags_of_a_task),
    Rule("ecs:RunTask", f"{_STATES}/connect-ecs.html", _roles_of_a_task),
    Rule("ecs:RunTask", f"{_ECS}/task_execution_IAM_role.html", _start_of_a_task),
    # A job's own tags. What a definition propagates, Batch's service-linked role puts on the task.
    Rule("batch:SubmitJob", "https://docs.aws.amazon.com/batch/latest/userguide/tag-resources.html", _tags_of_a_job),
    Rule(
        "batch:SubmitJob", "https://docs.aws.amazon.com/batch/latest/userguide/execution-IAM-role.html", _start_of_a_job
    ),
    Rule("codebuild:StartBuild", f"{_CODEBUILD}/setting-up-service-role.html", _start_of_a_build),
    Rule(
        "codebuild:StartBuild",
        f"{_CODEBUILD}/auth-and-access-control-iam-identity-based-access-control.html",
        _network_of_a_build,
    ),
    Rule("lambda:InvokeFunction", f"{_LAMBDA}/lambda-intro-execution-role.html", _log_of_a_function),
    Rule("lambda:InvokeFunction", f"{_LAMBDA}/services-xray.html", _traces_of_a_function),
    Rule("lambda:InvokeFunction", f"{_LAMBDA}/configuration-vpc.html", _network_of_a_function),
    Rule("lambda:InvokeFunction", f"{_LAMBDA}/invocation-async-retain-records.html", _failed_events_of_a_function),
    *(
        Rule(f"dynamodb:{action}", f"{_DYNAMODB}/encryption.usagenotes.html", _key_of_a_table)
        for action in ("DeleteItem", "GetItem", "Query", "Scan", "UpdateItem")
    ),
    Rule("sns:Publish", "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html", _key_of_a_topic),
    Rule("s3:PutObject", "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html", _key_of_a_bucket),
    Rule("states:StartExecution", f"{_STATES}/cw-logs.html", _log_of_a_machine),
    Rule("states:StartExecution", f"{_STATES}/concepts-xray-tracing.html", _traces_of_a_machine),
)
