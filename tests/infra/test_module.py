"""The module as Terraform sees it: formatted, valid, every validation refuses, each kind of compute plans."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import hcl2
import pytest

from tests.acceptance.checkout import ROOT
from tests.infra.deployment import IMAGE, deployment, given, network
from tests.infra.terraform import INFRA, Terraform, installed, workspace

pytestmark = pytest.mark.xdist_group("terraform")

MODULES = [INFRA, *sorted((INFRA / "modules").iterdir())]
EXAMPLES = sorted((INFRA / "examples").iterdir())
FOLDERS = [*MODULES, *EXAMPLES]


def _named(folder: Path) -> str:
    return str(folder.relative_to(ROOT))


def _variables(folder: Path) -> dict[str, dict[str, Any]]:
    """A folder's variables by name."""
    loaded = hcl2.loads((folder / "variables.tf").read_text())
    return {name.strip('"'): body for one in loaded["variable"] for name, body in one.items()}


def test_all_is_formatted() -> None:
    """terraform fmt finds nothing to do."""
    installed()
    done = Terraform(INFRA).run("fmt", "-check", "-recursive")
    assert (done.status, done.stdout) == (0, "")


def test_the_module_and_its_examples_are_valid(module: Terraform) -> None:
    """terraform validate, with the provider's schema; of complete, its plan shows it below."""
    module("validate", "-no-color")
    for example in EXAMPLES:
        if example.name == "complete":
            continue
        Terraform(module.folder / "examples" / example.name).init().beside(module)("validate", "-no-color")


def test_every_bad_value_is_refused_and_each_compute_kind_plans(module: Terraform) -> None:
    """terraform test, with the provider mocked."""
    said = module("test", "-no-color").stdout
    assert re.search(r"Success! \d+ passed, 0 failed", said), said


@pytest.mark.parametrize("folder", MODULES, ids=_named)
def test_every_validation_has_a_bad_value(folder: Path) -> None:
    """terraform test tries as many bad values of a variable as the variable has validations, or more."""
    validations = {name: len(body.get("validation", [])) for name, body in _variables(folder).items()}
    file = "variables" if folder == INFRA else "modules"
    runs = (INFRA / "tests" / f"{file}.tftest.hcl").read_text().split("\nrun ")[1:]
    own = [run for run in runs if folder == INFRA or f'source = "./modules/{folder.name}"' in run]
    tried = Counter(name for run in own for name in re.findall(r"^    var\.(\w+),$", run, re.MULTILINE))
    assert {name: tried[name] for name, least in validations.items() if tried[name] < least} == {}


@pytest.mark.parametrize("folder", FOLDERS, ids=_named)
def test_the_registry_s_conventions_hold(folder: Path) -> None:
    """main.tf, variables.tf, outputs.tf, versions.tf; each variable with type and description, each output with one."""
    for name in ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"):
        assert (folder / name).is_file(), name
    assert [
        name for name, body in _variables(folder).items() if not (body.get("type") and body.get("description"))
    ] == []
    outputs = hcl2.loads((folder / "outputs.tf").read_text())["output"]
    assert [name for one in outputs for name, body in one.items() if not body.get("description")] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=_named)
def test_make_deploy_has_what_it_asks_an_example_for(example: Path) -> None:
    """infra/deploy gives the image as a variable, makes a module called image first, and reads repository_url."""
    assert "default" not in _variables(example)["image"]
    outputs = hcl2.loads((example / "outputs.tf").read_text())["output"]
    assert "repository_url" in {name.strip('"') for one in outputs for name in one}
    modules = {name.strip('"') for one in hcl2.loads((example / "main.tf").read_text())["module"] for name in one}
    assert modules & {"image", "nightly_etl"}


def test_the_generated_tables_are_not_stale() -> None:
    """python infra/reference.py writes what stands in the READMEs."""
    done = subprocess.run(
        [sys.executable, INFRA / "reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_time_zones_are_not_stale() -> None:
    """python infra/zones.py writes what tzdata says, of the version that uv.lock names."""
    done = subprocess.run([sys.executable, INFRA / "zones.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(INFRA.rglob("*.tf")), ids=_named)
def test_each_statement_says_why_it_is_there(file: Path) -> None:
    """A comment stands before each statement of a policy, and it has an identifier."""
    lines = file.read_text().splitlines()
    unexplained = [
        number + 1
        for number, line in enumerate(lines)
        if re.fullmatch(r"\s+Effect\s+= .*", line) and not _explained(lines, number)
    ]
    assert unexplained == []


def test_each_suppression_says_why() -> None:
    """checkov's checks are left out where the resource is, each with its reason, and nowhere else."""
    skips = [
        line.strip() for file in INFRA.rglob("*.tf") for line in file.read_text().splitlines() if "checkov:" in line
    ]
    assert len(skips) >= 10
    assert [line for line in skips if not re.fullmatch(r"# checkov:skip=CKV2?_AWS_\d+: .{20,}", line)] == []
    assert "skip-check" not in (INFRA / ".checkov.yaml").read_text()


def _explained(lines: list[str], number: int) -> bool:
    """Tells whether the object around a line begins with a Sid, and stands behind a comment."""
    begin = next(back for back in range(number, 0, -1) if lines[back].strip() == "{")
    return lines[begin + 1].strip().startswith("Sid ") and lines[begin - 1].strip().startswith("#")


def test_an_example_plans_against_aws_as_moto_has_it(module: Terraform) -> None:
    """Over real HTTP, with what the example asks of its user; two databases may be behind one group, at two ports."""
    with deployment(module.folder / "examples" / "complete") as made:
        made.terraform.init()
        there = network(made)
        (shop,) = there["databases"].values()
        there["databases"] = {"operational": shop, "reporting": shop | {"port": 5433}}
        given(made, **there, image=IMAGE, tables="orders")
        changes = made.terraform.changes()
    assert all(change.startswith("create ") for change in changes)
    kinds = Counter(change.rpartition(".module.")[2].split(".")[-2] for change in changes)
    assert kinds["aws_sfn_state_machine"] == 3
    assert kinds["aws_batch_compute_environment"] == 2
    assert kinds["aws_lambda_function"] == 7


def test_the_module_needs_nothing_beside_itself(tmp_path: Path) -> None:
    """As an archive or a registry gives it: infra/ alone in a folder, the zips of the release elsewhere."""
    installed()
    archive = workspace(tmp_path / "clone").rename(tmp_path / "module")
    with deployment(archive) as made:
        made.terraform.init()
        zips = {f"{name}_zip": str(tmp_path / "clone" / "dist" / f"{name}.zip") for name in ("notifier", "starter")}
        given(made, **network(made), image=IMAGE, **zips)
        changes = made.terraform.changes()
    assert sum(".aws_sfn_state_machine." in f".{change.partition(' ')[2]}" for change in changes) == 3
    assert sum("aws_cloudwatch_query_definition" in change for change in changes) == 6
