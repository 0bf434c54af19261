"""Draws the definition as the picture in docs/state-machine.md: ``python -m statemachine.picture``.

With ``--check`` it writes nothing, and ends with status 1 if the picture is out of date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from statemachine.definition import FOLDER, inner_machines

PAGE = FOLDER.parent / "docs" / "state-machine.md"

_BEGIN = "<!-- picture: make picture -->"
_END = "<!-- end of the picture -->"
_CAUGHT = "on error"
_SHAPES = {"Choice": ('{{"', '"}}'), "Succeed": ('(["', '"])'), "Fail": ('(["', '"])')}
_BOX = ('["', '"]')


def picture(definition: Mapping[str, Any]) -> str:
    """The Mermaid flowchart of a definition; dotted arrows follow errors, the others are solid."""
    lines = ["flowchart TD", *_machine(definition, ""), "    classDef bad stroke:#c00"]
    bad = [name for name, state in _all(definition["States"]) if state["Type"] == "Fail"]
    return "\n".join([*lines, f"    class {','.join(bad)} bad"])


def _machine(machine: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, state in machine["States"].items():
        yield from _state(name, state, indent + "    ")
    for name, state in machine["States"].items():
        yield from _arrows(name, state, indent + "    ")


def _state(name: str, state: Mapping[str, Any], indent: str) -> Iterator[str]:
    if state["Type"] == "Parallel":
        yield f'{indent}subgraph {name}["{_words(name)}: in parallel"]'
        for branch in state["Branches"]:
            yield from _machine(branch, indent)
        yield f"{indent}end"
    elif state["Type"] == "Map":
        yield f'{indent}subgraph {name}["{_words(name)}: one job each"]'
        yield from _machine(state["ItemProcessor"], indent)
        yield f"{indent}end"
    else:
        opened, closed = _SHAPES.get(state["Type"], _BOX)
        yield f"{indent}{name}{opened}{_words(name)}{closed}"


def _arrows(name: str, state: Mapping[str, Any], indent: str) -> Iterator[str]:
    if "Next" in state:
        yield f"{indent}{name} --> {state['Next']}"
    for choice in state.get("Choices", []):
        yield f"{indent}{name} -->|{choice.get('Comment', 'yes')}| {choice['Next']}"
    if "Default" in state:
        yield f"{indent}{name} -->|no| {state['Default']}"
    for target in dict.fromkeys(catcher["Next"] for catcher in state.get("Catch", [])):
        yield f"{indent}{name} -.->|{_CAUGHT}| {target}"


def _all(states: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, state in states.items():
        yield name, state
        for inner in inner_machines(state):
            yield from _all(inner["States"])


def _words(name: str) -> str:
    """A state's name in words: ``IsAnythingPlanned`` is "Is anything planned"."""
    first, *others = re.findall(r"[A-Z][a-z]+", name)
    return " ".join([first, *(word.lower() for word in others)])


def drawn(page: str, definition: Mapping[str, Any]) -> str:
    """The page with the definition's picture between its two marks. Raises ValueError without the marks."""
    before, mark, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (mark and end):
        raise ValueError(f"docs/state-machine.md has lost the marks {_BEGIN} and {_END}")
    return f"{before}{_BEGIN}\n```mermaid\n{picture(definition)}\n```\n{_END}{after}"


def main(check: bool) -> int:
    """Draws the picture into the page, or with ``check`` only compares it; returns the exit status."""
    old = PAGE.read_text()
    new = drawn(old, json.loads((FOLDER / "nightly.asl.json").read_text()))
    if check and new != old:
        print("docs/state-machine.md: the picture is not the definition's; run `make picture`", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
