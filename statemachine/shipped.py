"""Copies this folder's files into the Terraform module: ``python -m statemachine.shipped``, or `make definitions`.

Users may fetch the module alone, from an archive or a registry, without this folder. Therefore infra/definitions/ has
copies of the files. With ``--check`` nothing is written, and the status is 1 if a copy differs from its original.
"""

from __future__ import annotations

import sys
from pathlib import Path

from statemachine.definition import FOLDER

TARGET = FOLDER.parent / "infra" / "definitions"

_PATTERNS = ("*.asl.json", "*.jsonata", "compute/*.json", "compute/*.jsonata", "queries/*.logs")


def originals() -> dict[str, bytes]:
    """The files that Terraform reads: content by path within the folder."""
    return _read(FOLDER)


def stale(target: Path) -> list[str]:
    """The paths of copies that are missing, out of date, or without an original."""
    wanted, found = originals(), _read(target)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def ship(target: Path) -> list[str]:
    """Writes copies that are missing or out of date, removes those without an original; returns all their paths."""
    wanted, changed = originals(), stale(target)
    for name in changed:
        if name in wanted:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(wanted[name])
        else:
            (target / name).unlink()
    return changed


def main(check: bool) -> int:
    """Copies the files, or with ``check`` only compares them; prints the paths; returns the exit status."""
    changed = stale(TARGET) if check else ship(TARGET)
    for name in changed:
        said = "is not what statemachine/ has; run `make definitions`" if check else "is written anew"
        print(f"infra/definitions/{name} {said}")
    return 1 if check and changed else 0


def _read(folder: Path) -> dict[str, bytes]:
    files = (file for pattern in _PATTERNS for file in folder.glob(pattern))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
