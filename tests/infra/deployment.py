"""A deployment: the resources that Terraform made in moto, whose functions and containers run as deployed.

The functions run with the code, command and variables of Lambda's configuration, the containers with those of the job's
definition. The access key of each process is its role's name, so that the recorder knows the caller of an API.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, parse_qsl
from urllib.request import Request, urlopen

import boto3
from moto.awslambda_simple.models import lambda_simple_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from tests import cloud
from tests.harness import Databases
from tests.infra import gaps
from tests.infra.implied import implied, sync
from tests.infra.policies import Call, Statement
from tests.infra.terraform import INFRA, Terraform, written
from tests.jobs import Job, Jobs, Local
from tests.lambda_runtime import function
from tests.slack import Slack
from tests.stepfunctions import Functions, StepFunctions, interpreter

ACCOUNT = "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.{cloud.REGION}.amazonaws.com/nightly-etl@sha256:{'0123456789abcdef' * 4}"
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/[^/]+/([^/]+)/aws4_request")


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{cloud.REGION}:{ACCOUNT}:{rest}"


@dataclass(slots=True)
class Recorder:
    """Records all calls of AWS that roles of the deployment made."""

    calls: list[Call] = field(default_factory=list)
    sessions: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    """The sessions of assumed roles: the role's name and the session's tags, by access key."""

    def add(
        self, role: str, action: str, *resources: str, request: Mapping[str, Any] | None = None, **context: str
    ) -> None:
        """Notes a call; one that touches several resources needs to be allowed on each."""
        renamed = {key.replace("__", ":"): value for key, value in context.items()}
        self.calls += [Call(role, action, resource, renamed, request or {}) for resource in resources or ("*",)]

    def http(self, environ: Mapping[str, Any], body: bytes) -> None:
        """Records an HTTP request, which is signed with a role's name, or in a session of a role."""
        match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if match is None or not (match[1].startswith("role-") or match[1] in self.sessions):
            return
        role, tags = self.sessions.get(match[1], (match[1].removeprefix("role-"), {}))
        before = len(self.calls)
        self._record(role, match[2], environ, body)
        principal = {f"aws:PrincipalTag/{name}": value for name, value in tags.items()}
        self.calls[before:] = [replace(call, context={**call.context, **principal}) for call in self.calls[before:]]

    def assumed(self, body: bytes, answer: bytes) -> None:
        """Records the session that STS has made."""
        asked = _form(body)
        found = re.search(rb"<AccessKeyId>([^<]+)<", answer)
        if asked.get("Action") == "AssumeRole" and found:
            self.sessions[found[1].decode()] = asked["RoleArn"].rpartition("/")[2], _tags(asked)

    def _record(self, role: str, service: str, environ: Mapping[str, Any], body: bytes) -> None:
        if service == "sts":
            asked = _form(body)
            context = {f"aws:RequestTag/{name}": value for name, value in _tags(asked).items()}
            for action in (asked["Action"], *(["TagSession"] if context else [])):
                self.calls.append(Call(role, f"sts:{action}", asked.get("RoleArn", "*"), context))
            return
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        asked, method = json.loads(body or b"{}") if target else {}, environ["REQUEST_METHOD"]
        if service in READERS:
            for action, resource in READERS[service](target or method, asked, environ["PATH_INFO"], body):
                self.add(role, f"{service}:{action}", resource)
        elif (service, target) == ("ssm", "GetParametersByPath"):
            self.add(role, "ssm:GetParametersByPath", _arn("ssm", f"parameter{asked['Path']}"))
            if asked.get("WithDecryption"):
                self.add(role, "kms:Decrypt", f"{asked['Path']}/*")  # completed by Deployment.calls
        elif (service, target) == ("ssm", "GetParameter"):
            self.add(role, "ssm:GetParameter", _arn("ssm", f"parameter{asked['Name']}"))
        elif (service, target) in {("states", "StartExecution"), ("states", "ListExecutions")}:
            self.add(role, f"states:{target}", asked["stateMachineArn"])
        elif (service, target) == ("states", "DescribeExecution"):
            self.add(role, "states:DescribeExecution", asked["executionArn"])
        else:  # allowed by nothing, which is how a test hears of it
            self.add(role, f"{service}:{target or method + environ['PATH_INFO']}")


def _of_a_table(target: str, asked: Mapping[str, Any], path: str, body: bytes) -> Iterator[tuple[str, str]]:
    """A transaction is authorized as what it consists of (Developer Guide, "Using IAM with DynamoDB transactions")."""
    del path, body
    if target == "TransactWriteItems":
        for part in asked["TransactItems"]:
            for kind, one in part.items():
                yield f"{kind}Item", _arn("dynamodb", f"table/{one['TableName']}")
    else:
        index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
        yield target, _arn("dynamodb", f"table/{asked['TableName']}{index}")


def _of_a_queue(target: str, asked: Mapping[str, Any], path: str, body: bytes) -> Iterator[tuple[str, str]]:
    """A batch is authorized as its single calls are; a queue's URL ends with its name."""
    del path, body
    name = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
    yield target.removesuffix("Batch"), _arn("sqs", name)


def _of_a_topic(target: str, asked: Mapping[str, Any], path: str, body: bytes) -> Iterator[tuple[str, str]]:
    del target, asked, path
    form = dict(parse_qsl(body.decode()))
    yield form["Action"], form.get("TopicArn", "*")


def _of_a_function(target: str, asked: Mapping[str, Any], path: str, body: bytes) -> Iterator[tuple[str, str]]:
    del target, asked, body
    found = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", path)
    yield ("InvokeFunction", _arn("lambda", f"function:{found[1]}")) if found else (path, "*")


def _of_a_bucket(target: str, asked: Mapping[str, Any], path: str, body: bytes) -> Iterator[tuple[str, str]]:
    """A request's method says what it does with an object, and its path names it."""
    del asked, body
    yield f"{target.title()}Object", f"arn:aws:s3:::{path.removeprefix('/')}"


READERS = {
    "dynamodb": _of_a_table,
    "sqs": _of_a_queue,
    "sns": _of_a_topic,
    "lambda": _of_a_function,
    "s3": _of_a_bucket,
}
"""What a request asks of a service, as the actions and resources of IAM; a request without a target has its method."""


@dataclass(slots=True)
class _Jobs(Jobs):
    """The jobs that a state machine submits; records each call."""

    recorder: Recorder = field(default_factory=Recorder)
    role: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def submit(self, service: str, request: Mapping[str, Any]) -> Job:
        """Records the call by which Step Functions starts a job, and starts the job."""
        self.requests.append(dict(request))
        note = self.recorder.add
        if service == "batch":
            note(self.role, "batch:SubmitJob", request["jobDefinition"], request["jobQueue"], request=request)
            note(self.role, "batch:DescribeJobs")
            job = _arn("batch", "job/0123456789abcdef")
        elif service == "ecs":
            note(self.role, "ecs:RunTask", request["taskDefinition"], request=request, ecs__cluster=request["cluster"])
            job = _arn("ecs", f"task/{request['cluster'].rpartition('/')[2]}/0123456789abcdef")
        else:
            job = _arn("codebuild", f"project/{request['projectName']}")
            note(self.role, "codebuild:StartBuild", job, request=request)
        self.recorder.calls += sync(self.role, service, job)
        return Jobs.submit(self, service, request)


@dataclass(slots=True)
class Deployment:
    """An endpoint, and the resources that Terraform has made there."""

    aws: StepFunctions
    terraform: Terraform
    recorder: Recorder
    jobs: _Jobs
    functions: Functions
    stack: ExitStack
    slack_api: str | None = None
    """Slack's Web API, where a bot posts."""

    def client(self, service: str, role: str | None = None) -> Any:
        """A client of the endpoint; with a role's name, whose calls are recorded as its own."""
        key = f"role-{role}" if role else "test"
        return boto3.Session(key, "test", region_name=cloud.REGION).client(service, endpoint_url=self.aws.endpoint)

    def roles(self) -> dict[str, list[Statement]]:
        """The deployed roles, each with all statements of its policies."""
        iam, found = self.client("iam"), {}
        for page in iam.get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
                policies = [iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name) for name in names]
                found[role["RoleName"]] = [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]
        return {name: statements for name, statements in found.items() if statements}

    def trust(self, role: str) -> list[Statement]:
        """The statements of a role's trust policy."""
        found: list[Statement] = self.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"][
            "Statement"
        ]
        return found

    def calls(self) -> list[Call]:
        """The calls that roles made, with the calls that AWS authorizes in addition."""
        calls = []
        for call in self.recorder.calls:
            calls += self._decryptions(call) if call.action == "kms:Decrypt" else [call]
        return calls + implied(calls, self.client)

    def _decryptions(self, call: Call) -> list[Call]:
        """Adds the decryptions: Parameter Store decrypts each SecureString with the reader's role, and names it."""
        path = call.resource.removesuffix("/*")
        pages = self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
        kept = self.client("ssm").describe_parameters()["Parameters"]
        keys = {one["Name"]: one["KeyId"] for one in kept if one["Type"] == "SecureString"}
        names = [one["Name"] for page in pages for one in page["Parameters"] if one["Type"] == "SecureString"]
        via = {"kms:ViaService": f"ssm.{cloud.REGION}.amazonaws.com"}
        return [
            Call(
                call.role,
                "kms:Decrypt",
                self._key(keys[name]),
                {**call.context, **via, "kms:EncryptionContext:PARAMETER_ARN": _arn("ssm", f"parameter{name}")},
            )
            for name in names
        ]

    def _key(self, name: str) -> str:
        """The ARN of the key behind an alias: IAM policies name keys, and nothing here creates aws/ssm."""
        if name == "alias/aws/ssm":
            return _arn("kms", "key/of-parameter-store")
        arn: str = self.client("kms").describe_key(KeyId=name)["KeyMetadata"]["Arn"]
        return arn

    def set_secrets(self, names: list[str], databases: Databases, slack: Slack) -> None:
        """Sets the secrets by hand, as infra/README.md says."""
        values = {
            "operational/url": databases.operational.url,
            "reporting/url": databases.reporting.url,
            "webhook_url": slack.webhook,
        }
        for name in names:
            (value,) = (text for end, text in values.items() if name.endswith(f"/{end}"))
            self.client("ssm").put_parameter(**put_parameter(name, value))

    def run_functions(self, name: str) -> None:
        """Runs the functions whose names begin so from here on."""
        client = self.client("lambda")
        for page in client.get_paginator("list_functions").paginate():
            for made in page["Functions"]:
                if made["FunctionName"].startswith(f"{name}-"):
                    self.functions[made["FunctionArn"]] = self._function(made)

    def run_what_was_deployed(self, name: str) -> None:
        """Runs the functions and the containers of the deployment of this name from here on."""
        self.run_functions(name)
        self.jobs.role = f"{name}-machine"
        self.jobs.variables.clear()
        self.jobs.variables.update(self._job_variables(name) | self._as_role(f"{name}-job"))

    def _as_role(self, role: str) -> dict[str, str]:
        return cloud.account(self.aws.endpoint) | {"AWS_ACCESS_KEY_ID": f"role-{role}"}

    def _function(self, made: Mapping[str, Any]) -> Callable[[Any], Any]:
        """A deployed function, callable like the state machine's."""
        name, arn = made["FunctionName"], made["FunctionArn"]
        variables = made["Environment"]["Variables"] | self._as_role(made["Role"].rpartition("/")[2])
        if made["PackageType"] == "Image":
            config = made["ImageConfigResponse"]["ImageConfig"]
            assert config["EntryPoint"] == ["python", "-m", "awslambdaric"]
            (handler,) = config["Command"]
            context = function(handler, variables, seconds=made["Timeout"])
        else:
            folder = self.terraform.folder / name
            with zipfile.ZipFile(
                io.BytesIO(lambda_simple_backends[ACCOUNT][cloud.REGION].get_function(name).code_bytes)
            ) as archive:
                archive.extractall(folder)
            variables |= {"SLACK_API_URL": self.slack_api} if self.slack_api else {}
            context = function(made["Handler"], variables, folder=folder, seconds=made["Timeout"])
        running: list[Any] = []

        def call(event: Any) -> Any:
            if not running:
                running.append(self.stack.enter_context(context))
            if self.jobs.role and not name.endswith("-starter"):
                self.recorder.add(self.jobs.role, "lambda:InvokeFunction", arn)
            return running[0].invoke(event)

        return call

    def _job_variables(self, name: str) -> dict[str, str]:
        """The variables of the container's definition, for the service that has it."""
        for made in self.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]:
            if made["jobDefinitionName"] == name:
                return {one["name"]: one["value"] for one in made["containerProperties"]["environment"]}
        for arn in self.client("ecs").list_task_definitions(familyPrefix=name)["taskDefinitionArns"]:
            containers = self.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"][
                "containerDefinitions"
            ]
            return {one["name"]: one["value"] for one in containers[0]["environment"]}
        (project,) = self.client("codebuild").batch_get_projects(names=[name])["projects"]
        return {one["name"]: one["value"] for one in project["environment"]["environmentVariables"]}


def put_parameter(name: str, value: str) -> dict[str, Any]:
    """PutParameter's arguments, from the command that infra/README.md gives for this secret."""
    text = (INFRA / "README.md").read_text().replace("\\\n", " ")
    deployment, _, end = name.removeprefix("/").partition("/")
    told = [shlex.split(line) for line in re.findall(r"^ +\$ +aws ssm (put-parameter .*)", text, re.MULTILINE)]
    (words,) = (words for words in told if words[words.index("--name") + 1].endswith(f"/{end}"))
    key = words[words.index("--key-id") + 1] if "--key-id" in words else None
    return {
        "Name": name,
        "Value": value,
        "Type": words[words.index("--type") + 1],
        "Overwrite": "--overwrite" in words,
        **({"KeyId": key.replace("nightly-etl", deployment.removesuffix("-slack"))} if key else {}),
    }


@contextmanager
def deployment(folder: Path) -> Iterator[Deployment]:
    """Serves AWS for as long as the block lasts, for Terraform in this folder."""
    recorder, functions = Recorder(), Functions()
    jobs = _Jobs(Local.etl, recorder=recorder)
    with ExitStack() as stack:
        stack.enter_context(gaps.filled())
        stack.enter_context(patch.object(DomainDispatcherApplication, "__call__", _recorded(recorder)))
        aws = stack.enter_context(interpreter(functions, jobs))
        # moto keeps what it has per process, and another deployment may have been here.
        urlopen(Request(f"{aws.endpoint}/moto-api/reset", method="POST")).close()
        terraform = Terraform(folder, cloud.account(aws.endpoint) | {"AWS_MAX_ATTEMPTS": "3"})
        yield Deployment(aws, terraform, recorder, jobs, functions, stack)


def network(made: Deployment) -> dict[str, Any]:
    """A VPC, two subnets and a database's security group, as inputs of the module."""
    ec2 = made.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:2]]
    group = ec2.create_security_group(GroupName="shop", Description="The shop's database", VpcId=vpc)["GroupId"]
    return {"vpc_id": vpc, "subnet_ids": subnets, "databases": {"shop": {"security_group_id": group}}}


def given(made: Deployment, **values: object) -> None:
    """Writes the variables of the deployment."""
    written(made.terraform.folder, "test.auto.tfvars.json", values)


def _form(body: bytes) -> dict[str, str]:
    """A request of AWS's query protocol."""
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def _tags(asked: Mapping[str, str]) -> dict[str, str]:
    """The session tags of a request."""
    keys = {name.removesuffix(".Key"): key for name, key in asked.items() if name.endswith(".Key")}
    return {key: asked[f"{name}.Value"] for name, key in keys.items()}


_answer = DomainDispatcherApplication.__call__


def _recorded(recorder: Recorder) -> Any:
    def call(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        recorder.http(environ, body)
        answer = _answer(self, environ, start_response)
        if b"Action=AssumeRole" not in body:
            return answer
        whole = b"".join(answer)
        recorder.assumed(body, whole)
        return [whole]

    return call
