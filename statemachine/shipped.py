"""What the Terraform module ships of this folder: ``python -m statemachine.shipped``, which is `make definitions`.

A module may be fetched alone, from an archive or a registry: then there is no folder beside it. So infra/definitions/
holds copies. With ``--check`` nothing is written, and copies that differ from their originals end with status 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from statemachine.definition import FOLDER

TARGET = FOLDER.parent / "infra" / "definitions"

_PATTERNS = ("*.asl.json", "*.jsonata", "compute/*.json", "compute/*.jsonata", "queries/*.logs")


def originals() -> dict[str, bytes]:
    """Gives what Terraform reads, by its path within the folder."""
    return _read(FOLDER)


def stale(target: Path) -> list[str]:
    """Gives the paths of copies that are missing, left over or different."""
    wanted, found = originals(), _read(target)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def ship(target: Path) -> list[str]:
    """Writes what is stale, removes what is left over; gives the paths of both."""
    wanted, changed = originals(), stale(target)
    for name in changed:
        if name in wanted:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(wanted[name])
        else:
            (target / name).unlink()
    return changed


def main(check: bool) -> int:
    """Ships, or checks, and says of what; gives the exit status."""
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
