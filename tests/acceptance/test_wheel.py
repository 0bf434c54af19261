"""The wheel as its users install it: by pip, in an environment with only Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from testcontainers.core.image import DockerImage

from tests.acceptance.checkout import ROOT, checkout, project_version
from tests.acceptance.containers import Image, Sides
from tests.harness import Databases, environment_of

pytestmark = pytest.mark.xdist_group("image")  # the image is one of those compared here

UV = shutil.which("uv") or ROOT / ".uv" / "bin" / "uv"
BASE = "python:3.13-slim"
DOCKERFILE = f"FROM {BASE}\nCOPY *.whl /\nRUN pip install --no-cache-dir --root-user-action ignore /*.whl\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a clone."""
    folder = checkout(tmp_path_factory.mktemp("clone"))
    subprocess.run([UV, "build", "--quiet", "--out-dir", folder / "dist"], cwd=folder, check=True, timeout=300)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def slim(engine: docker.DockerClient, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """A bare Python image with the wheel installed."""
    assert engine is not None
    folder = tmp_path_factory.mktemp("slim")
    shutil.copy(wheel, folder)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    with DockerImage(folder, {"timeout": 600}, "nightly-etl:wheel", rm=True) as built:
        model = built.get_wrapped_image()
        assert model.id is not None
        yield Image(model.id, model, project_version(), planted="")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``etl`` of a fresh environment outside the checkout, with the wheel's dependencies and without the lock."""
    folder = tmp_path_factory.mktemp("installed")
    for command in (f"venv --python {sys.executable} {folder}", f"pip install --python {folder} {wheel}"):
        subprocess.run([UV, *command.split(), "--quiet"], cwd=folder.parent, check=True, timeout=300)
    return folder / "bin" / "etl"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Its modules, its SQL, py.typed and the man pages; no tests, no demo, no infrastructure."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    folders = {name.split("/")[0] for name in names}
    data = f"nightly_etl-{project_version()}.data"
    assert folders == {"etl", "scheduler", f"nightly_etl-{project_version()}.dist-info", data}
    pages = {f"{data}/data/share/man/man1/{file.name}" for file in (ROOT / "docs" / "man").iterdir()}
    assert {name for name in names if name.startswith(data)} == pages
    assert "etl/py.typed" in names
    packages = [ROOT / "etl", ROOT / "scheduler"]
    files = [file for package in packages for kind in ("*.py", "*.sql") for file in package.rglob(kind)]
    assert {str(file.relative_to(ROOT)) for file in files} <= names


def test_nightly_jobs_needs_the_wheels_extra(installed: Path, wheel: Path, tmp_path: Path) -> None:
    """Without it the command names it; with it the command works."""
    program = installed.with_name("nightly-jobs")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    told = "nightly-jobs: cronsim is not installed; pip install 'nightly-etl[scheduler]'\n"
    assert (done.returncode, done.stderr) == (2, told)
    command = f"pip install --quiet --python {installed.parent.parent} {wheel}[scheduler]"
    subprocess.run([UV, *command.split()], cwd=tmp_path, check=True, timeout=300)
    assert _output(program, tmp_path, "--version") == f"nightly-jobs, version {project_version()}\n"


def test_the_wheel_works_in_a_bare_python_image(slim: Image) -> None:
    """``pip install`` is sufficient."""
    version, usage = slim.run("etl", "--version"), slim.run("etl", "--help")
    assert (version.status, version.stdout) == (0, f"nightly-etl, version {project_version()}\n"), version.stderr
    assert (usage.status, usage.stdout.startswith("Usage: etl ")) == (0, True), usage.stderr


def test_the_wheel_copies_a_table_from_a_bare_python_image(slim: Image, sides: Sides) -> None:
    """With the drivers that pip has installed, and the SQL in the wheel."""
    sides.operational.rows("CREATE TABLE orders AS SELECT 1 AS id")
    done = slim.run("etl", "run", network=sides.network, TABLES="orders", **sides.environment)
    assert (done.status, done.stderr) == (0, "")
    assert sides.reporting.rows("SELECT id FROM orders") == [(1,)]


def test_the_wheel_works_in_a_fresh_environment(installed: Path, databases: Databases, tmp_path: Path) -> None:
    """Outside of any checkout it prints its version, copies a table, and writes the page of that night."""
    databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id")
    assert _output(installed, tmp_path, "--version") == f"nightly-etl, version {project_version()}\n"
    _output(installed, tmp_path, "run", TABLES="orders", **databases.environment)
    assert databases.reporting.rows("SELECT id FROM orders") == [(1,)]
    assert "public.orders" in _output(installed, tmp_path, "report", "--output", "-", **databases.environment)


def test_wheel_image_and_command_name_one_version(wheel: Path, image: Image) -> None:
    """The wheel's name, the image's label, and ``etl --version`` in the image: pyproject.toml's."""
    label = image.config["Labels"]["org.opencontainers.image.version"]
    command = image.run("--version").stdout.split()[-1]
    assert {wheel.name.split("-")[1], label, command} == {project_version()}


def test_an_image_cannot_be_labelled_with_another_version(image: Image, tmp_path: Path) -> None:
    """The build refuses another version than pyproject.toml's, also an empty one, and names the remedy."""
    assert image is not None  # its layers are there, so that these builds take seconds
    for wrong in ("9.9.9", ""):
        build = DockerImage(checkout(tmp_path), None, "nightly-etl:wrong", buildargs={"VERSION": wrong}, rm=True)
        with pytest.raises(docker.errors.BuildError) as caught:
            build.build()
        lines = "".join(str(line.get("stream", "")) for line in caught.value.build_log)
        assert f"VERSION is '{wrong}', pyproject.toml says {project_version()}; build with 'make image'" in lines


def _output(program: Path, folder: Path, *arguments: str, **variables: str) -> str:
    """Runs an installed ``etl`` in a folder, without this environment on its path."""
    environment = {name: value for name, value in environment_of(variables).items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
