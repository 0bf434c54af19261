"""Writes the tables of inputs and outputs into the READMEs: ``python infra/reference.py [--check]``.

Between the two marks of a README are tables made from the .tf files. With --check it writes nothing, and exits with 1
if a README is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).parent
BEGIN, END = "<!-- reference: python infra/reference.py -->", "<!-- /reference -->"


def folders() -> list[Path]:
    """The folders of the module, its submodules and its examples."""
    return [ROOT, *sorted((ROOT / "modules").iterdir()), *sorted((ROOT / "examples").iterdir())]


def reference(folder: Path) -> str:
    """The tables of a folder, as Markdown."""
    return "\n".join([*_inputs(folder), "", *_outputs(folder)])


def _inputs(folder: Path) -> Iterator[str]:
    yield "| input | type | default | what it is |\n|---|---|---|---|"
    for name, body in _blocks(folder / "variables.tf", "variable"):
        default = f"`{_short(body['default'])}`" if "default" in body else "required"
        yield f"| `{name}` | `{_kind(body['type'])}` | {default} | {_cell(body['description'])} |"


def _outputs(folder: Path) -> Iterator[str]:
    yield "| output | what it is |\n|---|---|"
    for name, body in _blocks(folder / "outputs.tf", "output"):
        yield f"| `{name}` | {_cell(body['description'])} |"


def _blocks(file: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in hcl2.loads(file.read_text(encoding="utf-8")).get(kind, []):
        for name, body in one.items():
            yield name.strip('"'), body


def _kind(text: str) -> str:
    kind = text.removeprefix("${").removesuffix("}")
    return "object" if kind.startswith("object(") else "map(object)" if kind.startswith("map(object(") else kind


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)
    text = text.removeprefix("${").removesuffix("}") if text.startswith("${") else text
    return text if len(text) < 80 else "…"


def _plain(value: Any) -> Any:
    """Removes the quotes and the keys that the HCL parser adds."""
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(each) for key, each in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def _cell(text: str) -> str:
    return text.removeprefix('"').removesuffix('"').replace('\\"', '"').replace("|", "\\|")


def main(check: bool) -> int:
    """Writes all tables, or with ``check`` only compares them; returns the exit status."""
    stale = []
    for folder in folders():
        file = folder / "README.md"
        before = file.read_text(encoding="utf-8")
        head, begin, rest = before.partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            stale.append(f"{file.relative_to(ROOT.parent)}: write {BEGIN} and {END} where the tables go")
            continue
        after = f"{head}{BEGIN}\n\n{reference(folder)}\n\n{END}{tail}"
        if after != before:
            stale.append(
                f"{file.relative_to(ROOT.parent)} is not what the .tf files say; run python infra/reference.py"
            )
            if not check:
                file.write_text(after, encoding="utf-8")
    if check:
        print("".join(f"{line}\n" for line in stale), end="")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
