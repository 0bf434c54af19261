"""Installs the peers from PyPI and Debian, each into a folder of its own outside the project's lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import etl

ROOT = Path(__file__).parent.parent


class Unavailable(Exception):  # noqa: N818 -- named by what happened, as in etl.errors
    """A peer cannot be installed here; the message has the reason and a remedy."""


@dataclass(frozen=True, slots=True)
class Tool:
    """An installed tool: the folder of its programs, its version, and the variables that it needs."""

    bin: Path
    version: str
    variables: tuple[tuple[str, str], ...] = ()


Install = Callable[[Path, Path], Tool]
"""A function that installs a peer, given the cache folder and the folder of the servers' programs.

Raises Unavailable.
"""


def cache_folder() -> Path:
    """The folder that keeps installed peers between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "nightly-etl-bench"


def ours(_cache: Path, _servers: Path) -> Tool:
    """This working copy, with the Python environment of the benchmark."""
    commit = _output(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"], "no commit")
    return Tool(Path(sys.executable).parent, f"{etl.__version__} ({commit})", (("PYTHONPATH", str(ROOT)),))


def postgres(_cache: Path, servers: Path) -> Tool:
    """PostgreSQL's own programs, of the servers' version."""
    return Tool(servers, _output([servers / "psql", "--version"]).partition(")")[2].split()[0])


@dataclass(frozen=True, slots=True)
class Pypi:
    """Packages from PyPI in a virtual environment. The tool's version is that of the first package."""

    packages: tuple[str, ...]

    def __call__(self, cache: Path, _servers: Path) -> Tool:
        """Creates the environment unless it exists."""
        folder = cache / f"{_slug(self.packages[0])}-{_digest(self.packages)}"
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for command in self._commands(folder):
                _insist(command, f"PyPI's {self.packages[0]}")
            (folder / "done").touch()
        return Tool(folder / "bin", ", ".join(name.replace("==", " ") for name in self.packages if "==" in name))

    def _commands(self, folder: Path) -> list[list[str | Path]]:
        python = folder / "bin" / "python"
        if uv := os.environ.get("UV") or shutil.which("uv"):  # `uv run` sets UV
            return [
                [uv, "venv", "--quiet", "--python", sys.executable, folder],
                [uv, "pip", "install", "--quiet", "--python", python, *self.packages],
            ]
        return [[sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "--quiet", *self.packages]]


@dataclass(frozen=True, slots=True)
class Debian:
    """Packages of the machine's Debian, unpacked into a folder: nothing is installed, no root is needed."""

    packages: tuple[str, ...]

    def __call__(self, cache: Path, _servers: Path) -> Tool:
        """Downloads and unpacks the packages unless they are there already."""
        folder = cache / f"{_slug(self.packages[0])}-{_digest(self.packages)}"
        if not (folder / "done").exists():
            if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
                raise Unavailable(f"{self.packages[0]} is taken from Debian, and this machine has no apt-get")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            what = f"Debian's {self.packages[0]} (`apt-get update` may help)"
            _insist(["apt-get", "download", "--quiet", *self.packages], what, folder)
            for file in sorted(folder.glob("*.deb")):
                _insist(["dpkg-deb", "--extract", file, folder / "root"], what)
            (folder / "done").touch()
        first = next(folder.glob(f"{self.packages[0]}_*.deb"))
        version = _output(["dpkg-deb", "--field", first, "Version"])
        return Tool(folder / "root" / "usr" / "bin", f"{version} of Debian")


def _insist(command: Sequence[str | Path], what: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from error
    if done.returncode:
        raise Unavailable(f"{what}: {' / '.join((done.stderr or done.stdout).strip().splitlines()[-3:])[-400:]}")


def _output(command: Sequence[str | Path], otherwise: str = "unknown") -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else otherwise


def _slug(package: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in package).strip("-")


def _digest(packages: Sequence[str]) -> str:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256(" ".join([python, *packages]).encode()).hexdigest()[:8]
