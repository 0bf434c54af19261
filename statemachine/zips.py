"""Builds the zips of the notifier, the starter and the scheduler: ``python -m statemachine.zips [FOLDER]``.

The same sources and the same uv.lock make the same bytes. The packages come from this environment, which uv has
installed by their hashes. The zips have their files in alphabetical order, all with one date. Lambda's runtime already
has boto3.
"""

from __future__ import annotations

import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from statemachine.definition import FOLDER

ROOT = FOLDER.parent

LAMBDAS = {"notifier": FOLDER / "notifier", "starter": FOLDER / "starter", "scheduler": ROOT / "scheduler"}
"""The folder of each zip's own modules. Its dependency group in pyproject.toml has its name. The scheduler's zip is
that of three Lambdas; a folder within, such as its command line's, belongs to none."""

_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date in the zip format
_MODE = 0o100644 << 16


def build(name: str, folder: Path) -> Path:
    """Writes the zip of one Lambda into a folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, file in sorted(contents(name).items()):
            info = zipfile.ZipInfo(inside, _DATE)
            info.external_attr, info.create_system = _MODE, 3
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return path


def contents(name: str) -> dict[str, Path]:
    """The files of a Lambda's zip, by their names inside the zip."""
    own = {f"{name}/{file.name}": file for file in LAMBDAS[name].glob("*.py")}
    return own | {inside: file for package in packages(name) for inside, file in installed(package)}


def packages(name: str) -> list[str]:
    """The packages of a Lambda's dependency group with all their dependencies, according to uv.lock.

    Raises RuntimeError if another version than the locked one is installed.
    """
    return with_dependencies(need["name"] for need in _locked()["nightly-etl"]["dev-dependencies"][name])


def with_dependencies(wanted: Iterable[str]) -> list[str]:
    """Packages with all their dependencies, according to uv.lock; raises RuntimeError as ``packages`` does."""
    locked, waiting = _locked(), list(wanted)
    found: list[str] = []
    while waiting:
        package = locked[waiting.pop()]
        if package["name"] in found:
            continue
        found.append(package["name"])
        waiting += [need["name"] for need in package.get("dependencies", [])]
        installed = distribution(package["name"]).version
        if installed != package["version"]:
            raise RuntimeError(
                f"{package['name']} {installed} is installed, not {package['version']}; run `make setup`"
            )
    return sorted(found)


@cache
def _locked() -> dict[str, Any]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return {package["name"]: package for package in lock["package"]}


def installed(package: str) -> Iterator[tuple[str, Path]]:
    """A package's files, without its metadata, which names the installer, and without compiled bytecode."""
    for file in distribution(package).files or []:
        metadata = file.parts[0].endswith(".dist-info")
        if not metadata and "__pycache__" not in file.parts and ".." not in file.parts:
            yield file.as_posix(), Path(str(file.locate()))


def main(folder: Path) -> int:
    """Builds all zips and prints their paths; returns the exit status."""
    for name in LAMBDAS:
        path = build(name, folder)
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
