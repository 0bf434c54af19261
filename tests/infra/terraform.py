"""Terraform as its users run it: the program, a provider that is on disk, a copy of the module to write into."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from statemachine import zips
from tests.acceptance.checkout import ROOT
from tests.harness import Done
from tests.infra.unique import duplicates

INFRA = ROOT / "infra"
SECONDS = 900
_PROVIDER = "registry.terraform.io/hashicorp/aws"

# Where Terraform itself looks for providers without being told ("Implied Local Mirror Directories"), and the variable
# that names another place.
_MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)

_ATTACHED = "TF_REATTACH_PROVIDERS"
_GARBAGE = {"GOGC": "400"}
"""Terraform and its provider, which are programs in Go, collect garbage when memory is five times what is in use, not
twice: a third less CPU."""


def mirror() -> Path | None:
    """The folder that holds the provider; None if only the registry may have it."""
    named = [os.environ[name] for name in ("TF_PLUGIN_DIR", "TF_PLUGIN_CACHE_DIR") if os.environ.get(name)]
    folders = [Path(folder).expanduser() for folder in (*named, *_MIRRORS)]
    return next((folder for folder in folders if (folder / _PROVIDER).is_dir()), None)


@dataclass(frozen=True, slots=True)
class Terraform:
    """Terraform in one folder, with its variables of the environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, seconds: float = SECONDS) -> Done:
        """Runs a command to its end."""
        done = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *arguments],
            env=_environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Done:
        """Runs a command that must succeed."""
        done = self.run(*arguments)
        assert done.status == 0, f"terraform {' '.join(arguments)}:\n{done.stderr or done.stdout}"
        return done

    def init(self) -> Terraform:
        """Makes the folder ready; skips the test where there is no provider."""
        found = mirror()
        done = self.run("init", "-no-color", *([f"-plugin-dir={found}"] if found else []))
        if done.status != 0 and "Failed to query available provider packages" in done.stderr:
            pytest.skip(
                f"no provider {_PROVIDER}; runs where TF_PLUGIN_DIR names a folder that has it, or the registry answers"
            )
        assert done.status == 0, done.stderr
        return self

    @contextmanager
    def attached(self) -> Iterator[Terraform]:
        """The same, with one process of the provider for all its commands, until the block ends.

        A command starts the provider once for each thing that it does, and each start makes a thousand schemas: that
        took most of the CPU. It is the provider that ``init`` has chosen for the folder, in the mode of
        https://developer.hashicorp.com/terraform/plugin/debugging#debugger-based-debugging. It takes its settings from
        this environment, and not from a later command's, so it is for what does not talk to AWS.
        """
        (program,) = self.folder.glob(f".terraform/providers/{_PROVIDER}/*/*/terraform-provider-aws*")
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([program, "-debug"], env=_environment() | self.environment, text=True, **how) as process:
            try:
                assert process.stdout is not None
                said = (re.search(f"{_ATTACHED}='(.*)'", line) for line in process.stdout)
                found = next(match[1] for match in said if match)
                yield replace(self, environment=self.environment | {_ATTACHED: found})
            finally:
                process.send_signal(signal.SIGINT)  # at which it removes its socket
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()

    def beside(self, other: Terraform) -> Terraform:
        """The same, with the process of the provider that is attached to another folder's Terraform."""
        return replace(self, environment=self.environment | {_ATTACHED: other.environment[_ATTACHED]})

    def outputs(self) -> dict[str, Any]:
        """The outputs by name."""
        said = json.loads(self("output", "-json").stdout)
        return {name: one["value"] for name, one in said.items()}

    def changes(self, *arguments: str) -> list[str]:
        """Plans, and names what would change; nothing of it may be there twice where AWS takes it once."""
        done = self.run("plan", "-no-color", "-input=false", "-detailed-exitcode", "-out=plan", *arguments)
        assert done.status in {0, 2}, done.stdout + done.stderr
        said = json.loads(self("show", "-json", "plan").stdout)
        assert not (twice := duplicates(said)), "\n".join(twice)
        found = [_change(one) for one in said.get("resource_changes", [])]
        return [change for change in found if change]


def _change(one: Mapping[str, Any]) -> str:
    """The actions that a plan has for a resource, and the attributes that they change; empty without any."""
    what, change = "/".join(one["change"]["actions"]), one["change"]
    if what in {"no-op", "read"}:
        return ""
    before, after = change["before"] or {}, change["after"] or {}
    differing = sorted(name for name in before if what == "update" and before[name] != after.get(name))
    return " ".join([what, one["address"], *(f"{name}: {before[name]} -> {after.get(name)};" for name in differing)])


def installed() -> None:
    """Skips the test where there is no Terraform."""
    if shutil.which("terraform") is None:
        pytest.skip("no terraform on PATH; runs where Terraform 1.11 or later is installed")


def workspace(folder: Path) -> Path:
    """Copies what a deployment needs into a folder: the module and the zips. Gives the module's."""
    leave = shutil.ignore_patterns(".terraform", "*.tfstate*", "__pycache__", ".terraform.lock.hcl")
    shutil.copytree(INFRA, folder / "infra", ignore=leave)
    for name in zips.LAMBDAS:
        zips.build(name, folder / "dist")
    return folder / "infra"


def written(folder: Path, name: str, values: Mapping[str, object]) -> None:
    """Writes values for variables, or a file of configuration, as JSON."""
    (folder / name).write_text(json.dumps(values))


def _environment() -> dict[str, str]:
    mine = ("TF_", "AWS_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    given = os.environ.get("TF_CLI_CONFIG_FILE", "")
    settings = given if Path(given).is_file() else os.devnull  # one that is not there is warned of each time
    return inherited | {"TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": settings, "CHECKPOINT_DISABLE": "1", **_GARBAGE}
