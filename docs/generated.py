"""Files that are written from the code: writes them, or says which are out of date."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bring_up_to_date(wanted: Mapping[Path, str], there: Collection[Path] = (), *, check: bool) -> int:
    """Writes the wanted files and deletes others that are there; with ``check`` prints which are out of date instead.

    Returns the exit status.
    """
    extra = set(there) - wanted.keys()
    stale = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if check:
        for file in [*stale, *sorted(extra)]:
            print(f"{file.relative_to(ROOT)} is stale; run make reference", file=sys.stderr)
        return 1 if stale or extra else 0
    for file in extra:
        file.unlink()
    for file in stale:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted[file], encoding="utf-8")
    return 0
