"""buildspec.yml: its commands, run in a fresh clone in the order in which CodeBuild runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.checkout import ROOT, checkout
from tests.harness import Databases, environment_of

PHASES = ("install", "pre_build", "build", "post_build")


@pytest.fixture
def spec() -> dict[str, Any]:
    """The build specification."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "buildspec.yml").read_text(encoding="utf-8"))
    return loaded


def test_codebuild_installs_from_the_lock_and_runs(spec: dict[str, Any], databases: Databases, tmp_path: Path) -> None:
    """Only the variables that the state machine overrides are set; the tables arrive."""
    databases.operational.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2)")
    subprocess.run([sys.executable, "-m", "venv", checkout(tmp_path) / "python"], check=True)
    done = _build(spec, tmp_path, databases.environment | {"TABLES": "orders"})
    assert done.returncode == 0, done.stderr
    assert databases.reporting.rows("SELECT id FROM orders ORDER BY id") == [(1,), (2,)]
    assert not list(tmp_path.glob(".venv/lib/python*/site-packages/pytest")), "the development group was installed"

    told = _build(spec, tmp_path, databases.environment | {"ETL_COMMAND": "history"})
    assert (told.returncode, "published" in told.stdout) == (0, True), "the snapshot's holder is a build, too"

    failed = _build(spec, tmp_path, databases.environment | {"TABLES": "missing"})
    assert failed.returncode == 2, "a run's exit status must be the build's"
    assert "missing" in failed.stderr


def test_codebuild_uses_what_the_image_uses(spec: dict[str, Any]) -> None:
    """The same Python and the same uv in both, so that both run the same packages."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert spec["version"] == 0.2
    assert set(re.findall(r"^FROM python:([\d.]+)-slim", dockerfile, re.MULTILINE)) == {
        str(spec["phases"]["install"]["runtime-versions"]["python"])
    }
    pinned = re.findall(r"uv==[\d.]+", dockerfile)
    assert pinned == re.findall(r"uv==[\d.]+", "\n".join(spec["phases"]["install"]["commands"]))


def _build(spec: dict[str, Any], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the phases' commands in one shell, as CodeBuild does from version 0.2 on, up to the first that fails."""
    assert set(spec["phases"]) <= set(PHASES)
    commands = [one for phase in PHASES for one in spec["phases"].get(phase, {}).get("commands", [])]
    environment = environment_of(spec.get("env", {}).get("variables", {}) | variables)
    environment = {name: value for name, value in environment.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    environment["PATH"] = f"{folder / 'python' / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
