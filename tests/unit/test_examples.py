"""The examples for Compose and Kubernetes are valid, and ask for no privilege; so does the sample configuration."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from etl.settings import config, file
from etl.settings.found import Origin, Value

EXAMPLES = Path(__file__).parents[2] / "examples"
KUBERNETES = ("1.31", "1.34", "1.37")
"""Releases of Kubernetes; 1.31 is the first with a stable podFailurePolicy."""


def example(name: str) -> Any:
    """An example, read from YAML."""
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def test_the_compose_file_is_what_the_compose_specification_says() -> None:
    """By the schema of the specification, which check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, EXAMPLES / "compose.yaml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_container_of_the_compose_file_has_no_privileges() -> None:
    """No root, no capability, no writable disk, no way to get more."""
    service = example("compose.yaml")["services"]["etl"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert not {"privileged", "cap_add", "volumes", "ports", "network_mode", "pid"} & service.keys()
    assert not [name for name, value in service["environment"].items() if value and name != "ETL_CONFIG"]


def kubernetes_says(manifest: dict[str, Any], release: str) -> str | None:
    """What is wrong with a manifest, by the strict schema of a release; None if nothing is."""
    try:
        kubernetes_validate.validate(manifest, release, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return None


@pytest.mark.parametrize("release", KUBERNETES)
def test_the_cron_job_is_what_kubernetes_says(release: str) -> None:
    """By the strict schemas of several releases: a field that they do not know is an error."""
    assert kubernetes_says(example("cronjob.yaml"), release) is None


@pytest.mark.parametrize("release", KUBERNETES)
def test_a_field_that_kubernetes_does_not_know_is_found(release: str) -> None:
    """The check above finds a slip within the pod."""
    job = example("cronjob.yaml")
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["automountToken"] = False
    assert "automountToken" in (kubernetes_says(job, release) or "")


def test_the_pod_fits_the_restricted_standard() -> None:
    """What the Pod Security Standard "restricted" demands, and a read-only root, and no token."""
    job = example("cronjob.yaml")["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} == {"configMap"}


def test_the_sample_configuration_can_be_read() -> None:
    """With passwords from the environment, as both examples give them; and the editor's schema agrees."""
    name = Value(str(EXAMPLES / "nightly-etl.toml"), "--config", Origin.COMMAND_LINE)
    needs = ("operational", "reporting", "tables")
    read = file.read(name, {}, needs, str)
    found = config.load(
        {"ETL_OPERATIONAL_PASSWORD": "a", "ETL_REPORTING_PASSWORD": "b"}, needs, lambda _: {}, file=read
    )
    assert (found.settings.source.password, found.settings.target.password) == ("a", "b")
    assert found.settings.verify == "checksum"
    first = (EXAMPLES / "nightly-etl.toml").read_text(encoding="utf-8").splitlines()[0]
    assert (EXAMPLES / first.removeprefix("#:schema ")).exists()
    assert tomllib.loads((EXAMPLES / "nightly-etl.toml").read_text(encoding="utf-8"))
