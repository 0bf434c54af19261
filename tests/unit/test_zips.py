"""The Lambdas' zips: reproducible, complete, and without superfluous files."""

from __future__ import annotations

import ast
import sys
import zipfile
from pathlib import Path

import pytest

from statemachine import zips


@pytest.mark.parametrize("name", zips.LAMBDAS)
def test_the_same_sources_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    """At any time and on any machine."""
    first, second = (zips.build(name, tmp_path / folder).read_bytes() for folder in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("name", zips.LAMBDAS)
def test_everything_that_is_imported_is_there_and_etl_is_not(tmp_path: Path, name: str) -> None:
    """Own modules and locked packages are there; boto3 comes with Lambda, and the rest with Python."""
    with zipfile.ZipFile(zips.build(name, tmp_path)) as archive:
        names = archive.namelist()
        own = [ast.parse(archive.read(each)) for each in names if each.startswith(f"{name}/")]
    imported = {
        module.split(".")[0]
        for tree in own
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        )
    }  # fmt: skip
    inside = {each.split("/")[0] for each in names}
    assert imported - set(sys.stdlib_module_names) - {"boto3", "botocore"} <= inside
    assert "etl" not in inside | imported
    assert not [each for each in names if "__pycache__" in each or each.endswith((".so", ".pyc"))]


def test_the_scheduler_s_zip_has_three_handlers_and_no_command_line(tmp_path: Path) -> None:
    """nightly-jobs is a person's tool, with an extra of its own."""
    with zipfile.ZipFile(zips.build("scheduler", tmp_path)) as archive:
        names = {each for each in archive.namelist() if each.startswith("scheduler/")}
    assert {f"scheduler/{each}.py" for each in ("__init__", "tick", "runner", "ended")} <= names
    assert {each for each in names if each.count("/") > 1} == set()


def test_another_version_than_the_locks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zip has the versions whose hashes are in uv.lock."""
    monkeypatch.setattr(zips, "distribution", lambda _: type("Installed", (), {"version": "0"}))
    with pytest.raises(RuntimeError, match="run `make setup`"):
        zips.packages("notifier")
