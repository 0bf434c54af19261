"""`make deploy`: the repository first, then the image, then all of it with the image's digest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from statemachine import zips
from tests.acceptance.checkout import checkout
from tests.infra.deployment import deployment, given, network
from tests.infra.terraform import installed, mirror

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

DIGEST = f"sha256:{'ab' * 32}"

# There is no registry here to push to: this docker says what it was asked, and gives a digest.
DOCKER = f"""#!/bin/sh
echo "docker $1 $2" >>"$CALLS"
[ "$1" = inspect ] && echo "${{4%:*}}@{DIGEST}"
exit 0
"""
AWS = '#!/bin/sh\necho "aws $1 $2" >>"$CALLS"\n'


def test_deploy_pushes_what_it_applies(tmp_path: Path) -> None:
    """The task that is deployed runs the image that was pushed, by its digest; the repository was there before it."""
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
        variables = made.terraform.environment | {
            "EXAMPLE": "minimal",
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(tmp_path / "calls"),
            "HOME": str(tmp_path),
            **({"TF_CLI_ARGS_init": f"-plugin-dir={found}"} if (found := mirror()) else {}),
        }
        command = [str(folder / "infra" / "deploy"), "-auto-approve"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        calls = (tmp_path / "calls").read_text().splitlines()
        repository = f"{made.client('ecr').describe_repositories()['repositories'][0]['repositoryUri']}:"
        assert [call.split(repository)[0].strip() for call in calls] == [
            "docker build --build-arg",
            "aws ecr get-login-password",
            "docker login --username",
            "docker push",
            "docker inspect --format",
        ]
        (task,) = made.client("ecs").list_task_definitions()["taskDefinitionArns"]
        definition = made.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
        assert definition["containerDefinitions"][0]["image"] == f"{repository[:-1]}@{DIGEST}"


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
