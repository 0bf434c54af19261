"""`make deploy`: the repository first, then the image, then all of it with the image's digest.

There is no engine and no registry here to push to: the docker and the aws of these tests are stand-ins. What docker
pushes lies in moto's registry, and aws asks moto; each says what it was asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from statemachine import zips
from tests.acceptance.checkout import ROOT, checkout
from tests.infra.deployment import Deployment, deployment, given, network
from tests.infra.terraform import installed, mirror

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

DIGEST = f"sha256:{'ab' * 32}"
OTHER = f"111122223333.dkr.ecr.us-east-1.amazonaws.com/earlier@sha256:{'cd' * 32}"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"

# A docker whose image was pushed to another repository before, which comes first in RepoDigests. Its variables say what
# it builds (BUILDS), what its containerd store says of that (DESCRIPTOR), and what arrives in the registry (PUSHES).
DOCKER = f"""#!{sys.executable}
import json, os, sys
import boto3

verb, *rest = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    print("docker", verb, *rest, file=calls)
if verb == "inspect":
    said = {{
        "{{{{.Architecture}}}}": os.environ["BUILDS"],
        "{{{{json .Descriptor}}}}": os.environ["DESCRIPTOR"],
        "{{{{index .RepoDigests 0}}}}": "{OTHER}",
    }}
    print(said[rest[1]])
if verb == "push" and os.environ["PUSHES"]:
    repository, _, tag = rest[0].partition(":")
    boto3.client("ecr", region_name=os.environ["AWS_REGION"]).put_image(
        repositoryName=repository.partition("/")[2],
        imageTag=tag,
        imageManifest=json.dumps({{"mediaType": os.environ["PUSHES"]}}),
        imageManifestMediaType=os.environ["PUSHES"],
        imageDigest="{DIGEST}",
    )
"""

AWS = f"""#!{sys.executable}
import os, sys
import boto3, jmespath
from botocore.exceptions import ClientError

service, verb, *rest = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    print("aws", service, verb, file=calls)
if verb == "get-login-password":
    sys.exit(print("password"))
given = dict(zip(rest[::2], rest[1::2], strict=True))
try:
    said = boto3.client(service, region_name=given["--region"]).describe_images(
        repositoryName=given["--repository-name"],
        imageIds=[{{"imageTag": given["--image-ids"].removeprefix("imageTag=")}}],
    )
except ClientError as error:
    sys.exit(str(error))
print(*jmespath.search(given["--query"], said), sep="\\t")
"""

ENGINE = {"BUILDS": "amd64", "DESCRIPTOR": "null", "PUSHES": MANIFEST}


@dataclass(frozen=True, slots=True)
class Deploying:
    """infra/deploy in a checkout, with its stand-ins and a minimal example that is to be deployed in moto."""

    folder: Path
    programs: Path
    made: Deployment

    def run(self, *arguments: str, engine: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Deploys, with an engine that does this."""
        variables = self.made.terraform.environment | {
            "EXAMPLE": "minimal",
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "CALLS": str(self.programs / "calls"),
            "HOME": str(self.programs),
            **({"TF_CLI_ARGS_init": f"-plugin-dir={found}"} if (found := mirror()) else {}),
            **engine,
        }
        command = [str(self.folder / "infra" / "deploy"), "-auto-approve", *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        """What docker and aws were asked, in order."""
        return (self.programs / "calls").read_text().splitlines()

    @property
    def repository(self) -> str:
        """The repository that was made."""
        return str(self.made.client("ecr").describe_repositories()["repositories"][0]["repositoryUri"])

    @property
    def tasks(self) -> list[dict[str, object]]:
        """The task definitions that were made."""
        ecs = self.made.client("ecs")
        arns = ecs.list_task_definitions()["taskDefinitionArns"]
        return [ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"] for arn in arns]


@pytest.fixture
def deploying(tmp_path: Path) -> Iterator[Deploying]:
    """A checkout of which nothing was deployed yet."""
    installed()
    folder = checkout(tmp_path / "clone")
    for name in zips.LAMBDAS:
        zips.build(name, folder / "dist")
    for name, script in {"docker": DOCKER, "aws": AWS}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    with deployment(folder / "infra" / "examples" / "minimal") as made:
        there = network(made)
        groups = [there["databases"]["shop"]["security_group_id"]]
        given(made, subnet_ids=there["subnet_ids"], security_group_ids=groups, tables="orders")
        yield Deploying(folder, tmp_path, made)


def test_deploy_pushes_what_it_applies(deploying: Deploying) -> None:
    """The repository comes first; the task runs what this repository has under the tag, not another one's digest."""
    done = deploying.run(engine=ENGINE)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    (task,) = deploying.tasks
    assert task["containerDefinitions"][0]["image"] == f"{deploying.repository}@{DIGEST}"  # type: ignore[index]
    tagged = done.stdout.partition(f"{deploying.repository}:")[2].split()[0]
    calls = [" ".join(call.split()[:3]) for call in deploying.calls if "buildx" not in call]
    assert calls[:3] == ["docker build --platform", "docker inspect --format", "docker inspect --format"]
    assert sorted(calls[3:5]) == ["aws ecr get-login-password", "docker login --username"]  # the two ends of a pipe
    assert calls[5:] == [f"docker push {deploying.repository}:{tagged}", "aws ecr describe-images"]
    (build,) = (call for call in deploying.calls if call.startswith("docker build "))
    assert "--platform linux/amd64 --provenance=false --sbom=false " in build


def test_graviton_is_one_word(deploying: Deploying) -> None:
    """With architecture = arm64 the image is built for arm64, and the task asks for it."""
    done = deploying.run("-var", "architecture=arm64", engine=ENGINE | {"BUILDS": "arm64"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert any(call.startswith("docker build --platform linux/arm64 ") for call in deploying.calls)
    (task,) = deploying.tasks
    assert task["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}


REFUSED = {
    "an ARM laptop's image": (
        {"BUILDS": "arm64"},
        r"check-image: \S+ is built for arm64, but the module's architecture is x86_64, which is amd64: build with",
    ),
    "an index": (
        {"DESCRIPTOR": f'{{"mediaType": "{INDEX}", "digest": "{DIGEST}"}}'},
        r"check-image: \S+ is an index of manifests, which Lambda refuses: build it for one platform with --prov",
    ),
    "an index in the registry": (
        {"PUSHES": INDEX},
        r"deploy: \S+ is an index of manifests \(application/vnd.oci.image.index.v1\+json\), which Lambda refuses; no",
    ),
    "none in the registry": (
        {"PUSHES": ""},
        r"deploy: the repository \S+/nightly-etl-minimal does not have \S+, though it was pushed; nothing is applied",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_deploy_refuses_what_could_not_start(case: str, deploying: Deploying) -> None:
    """In one line that says why; before the push where the engine knows it, and always before all of it is applied."""
    engine, says = REFUSED[case]
    done = deploying.run(engine=ENGINE | engine)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith(("deploy: ", "check-image: "))]
    assert len(lines) == 1, done.stderr
    assert re.match(says, lines[0]), lines
    assert any(call.startswith("docker push") for call in deploying.calls) is ("PUSHES" in engine)
    assert deploying.tasks == []


def test_deploy_says_what_is_missing(tmp_path: Path) -> None:
    """An example that there is not, and zips that nobody made: one line, exit 2, nothing done."""
    folder = checkout(tmp_path)
    for example, says in {
        "none": "deploy: no example none; there are: ",
        "minimal": "deploy: dist/ has no zips",
    }.items():
        variables = {"PATH": os.environ["PATH"], "EXAMPLE": example}
        done = subprocess.run([folder / "infra" / "deploy"], env=variables, capture_output=True, text=True, check=False)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, line.startswith(says)) == (2, True), done.stderr


def test_an_architecture_that_there_is_not_is_refused() -> None:
    """check-image says which there are."""
    command = [str(ROOT / "infra" / "check-image"), "image", "riscv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "check-image: architecture riscv is not known; give x86_64 or arm64\n",
    )
