"""Writes docs/reference.md from the settings' declarations: ``python -m docs.reference [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from etl.settings.config import DECLARED

FILE = Path(__file__).with_suffix(".md")

HEAD = """# Settings

`make reference` writes this page from the declarations in `etl/settings/`. `etl settings` shows the value of each, and
where it comes from. The environment counts over Parameter Store, and that over the default.

| environment | Parameter Store, under `ETL_PARAMETER_PATH` | what it is | default |
|---|---|---|---|
"""


def rows() -> Iterator[str]:
    """The rows of the table, one for each setting."""
    for one in DECLARED.values():
        parameter = f"`{one.parameter}`" if one.parameter else ""
        yield f"| `{one.variable}` | {parameter} | {one.help} | {one.default} |"


def main(check: bool) -> int:
    """Writes the page, or says whether it is stale; the exit status."""
    text = HEAD + "\n".join(rows()) + "\n"
    if not check:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        print("docs/reference.md is stale; run make reference", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
