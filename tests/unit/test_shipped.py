"""The Terraform module's copies of the definitions are complete and equal to the originals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from statemachine import shipped
from statemachine.definition import FOLDER


def test_the_module_ships_what_the_folder_holds() -> None:
    """It fails if `make definitions` was not run after the last change."""
    assert shipped.stale(shipped.TARGET) == []


def test_all_that_terraform_reads_is_shipped() -> None:
    """Every file that infra/ names under its definitions is among the copies."""
    text = "\n".join(file.read_text() for file in shipped.TARGET.parent.glob("*.tf"))
    read = set(re.findall(r"\$\{local\.definitions\}/([\w./-]*)", text))
    files, folders = {name for name in read if "." in name}, {name.strip("/") for name in read if "." not in name}
    assert len(files) >= 5
    assert files - set(shipped.originals()) == set()
    assert folders == {name.partition("/")[0] for name in shipped.originals() if "/" in name}


def test_a_copy_that_differs_is_found_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing copy, a changed copy, and a copy whose original is gone."""
    shipped.ship(tmp_path)
    (tmp_path / "nightly.asl.json").unlink()
    (tmp_path / "compute" / "ecs.json").write_text("{}")
    (tmp_path / "queries" / "gone.logs").write_text("fields @message")
    wrong = ["compute/ecs.json", "nightly.asl.json", "queries/gone.logs"]
    assert shipped.stale(tmp_path) == wrong
    assert shipped.ship(tmp_path) == wrong
    assert shipped.stale(tmp_path) == []
    assert (tmp_path / "nightly.asl.json").read_bytes() == (FOLDER / "nightly.asl.json").read_bytes()
    assert shipped.main(check=True) == 0
    assert capsys.readouterr().out == ""


def test_the_check_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It prints a line for each copy, and ends with status 1."""
    shipped.ship(tmp_path)
    (tmp_path / "batches.asl.json").write_text("{}")
    monkeypatch.setattr(shipped, "TARGET", tmp_path)
    assert shipped.main(check=True) == 1
    said = capsys.readouterr().out
    assert said == "infra/definitions/batches.asl.json is not what statemachine/ has; run `make definitions`\n"
