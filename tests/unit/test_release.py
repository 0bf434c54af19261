"""The needs of a release: the version, the changelog, and the files that GitHub reads."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.programs import default_bin
from tests.acceptance.checkout import ROOT, project_version

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def workflow(name: str) -> dict[str, Any]:
    """Reads a workflow."""
    read: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    return read


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make at the root of the repository."""
    command = ["make", "--silent", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_tag_of_this_version_gives_its_notes() -> None:
    """The notes are the changelog's section of this version, without the others."""
    done = make("notes", f"TAG=v{project_version()}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "\n## " not in done.stdout
    assert done.stdout in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_tag_of_another_version_is_refused() -> None:
    """The error is one line with both versions."""
    done = make("notes", "TAG=v9.9.9")
    assert done.returncode != 0
    assert done.stderr.startswith(f"notes: the tag is v9.9.9, but pyproject.toml says {project_version()}\n")


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    """So every release says what it contains."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", project_version()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_targets_that_the_makefile_has(path: Path) -> None:
    """A renamed target would fail only at night or at the release."""
    steps = [step for job in workflow(path.stem)["jobs"].values() for step in job["steps"]]
    commands = "\n".join(step.get("run", "") for step in steps)
    words = [word for line in re.findall(r"\bmake ([^|>#\n]*)", commands) for word in line.split()]
    called = {word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)}
    called |= {name for job in workflow(path.stem)["jobs"].values() for name in _matrix(job).get("target", [])}
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert called - known == set()
    assert called or ".ci/run" in commands


def test_the_night_tries_each_release_of_postgresql_that_the_readme_promises() -> None:
    """From the oldest to the newest, without a gap."""
    promised = re.search(r"PostgreSQL (\d+) to (\d+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert promised is not None
    oldest, newest = map(int, promised.groups())
    tried = _matrix(workflow("nightly")["jobs"]["versions"])["postgresql"]
    assert tried == [str(release) for release in range(oldest, newest + 1)]


def test_the_wheel_names_the_pythons_that_are_tested() -> None:
    """Its classifiers are the matrix of ci.yml, and begin with the required version."""
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert named == _matrix(workflow("ci")["jobs"]["test"])["python"]
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_repository_has_one_owner() -> None:
    """A new owner changes the name everywhere; no file may keep the old name."""
    owners = set(re.findall(r"github\.com/([^/\s]+)/nightly-etl", "\n".join(PROJECT["urls"].values())))
    owners |= set(re.findall(r"@([^/\s]+)", (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8")))
    assert len(owners) == 1
    assert all("/nightly-etl" in url for url in PROJECT["urls"].values())


def test_pre_commit_runs_make_check() -> None:
    """The hook calls `make check` itself on every commit, so the two cannot differ."""
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = (hook for repository in configured["repos"] for hook in repository["hooks"])
    assert (hook["entry"], hook["always_run"], hook["pass_filenames"]) == ("make check", True, False)


def test_a_folder_without_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the matrix silently used the wheel's server instead, it would test the wrong release."""
    monkeypatch.setenv("ETL_TEST_POSTGRES", str(tmp_path))
    with pytest.raises(RuntimeError, match=re.escape(f"ETL_TEST_POSTGRES: no initdb in {tmp_path}; name a folder")):
        default_bin()
    (tmp_path / "initdb").touch()
    assert default_bin() == tmp_path


def _matrix(job: dict[str, Any]) -> dict[str, Any]:
    matrix: dict[str, Any] = job.get("strategy", {}).get("matrix", {})
    return matrix
