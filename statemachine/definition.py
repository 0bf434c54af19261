"""The state machine's definition as it is deployed, made from one file, the fragment of a compute kind, and names.

    python -m statemachine.definition batch JobQueue=… JobDefinition=… PlanFunction=… >nightly.json

Terraform does the same with its own functions; docs/state-machine.md shows how.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

COMPUTE = ("batch", "codebuild", "ecs")
"""The services that can run the container. Each has its fragment in ``compute/``."""

DEFAULTS = {
    "Partition": "aws",
    "Shards": "4",
    "MaxConcurrency": "0",
    "LoadTimeoutSeconds": "21600",
    "TransformStateMachine": "",
    "JobsPath": "",
    "BatchRows": "20000",
    "PublishedByMinutes": "180",
    "AssignPublicIp": "DISABLED",
    "Container": "etl",
    "LogStreamPrefix": "etl",
}
"""The defaults of placeholders, used if the deployment gives no value. Other placeholders have no default."""

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_RESOURCE = "${ComputeResource}"
_ARGUMENTS = '"${ComputeArguments}"'  # including the quotes, because the value is an object
_REASON = '"${ComputeReason}"'
_SHARDS_FAILED = '"${ShardsFailedCause}"'
_INPUT = '"${ExecutionInput}"'


class NameMissing(ValueError):
    """A placeholder has no value."""


def nightly(compute: str, names: Mapping[str, str]) -> str:
    """The nightly definition for a compute kind.

    Takes the values for the placeholders of the definition and of the kind's fragment. Raises NameMissing.
    """
    fragment = json.loads((FOLDER / "compute" / f"{compute}.json").read_text())
    text = (FOLDER / "nightly.asl.json").read_text()
    text = text.replace(_ARGUMENTS, json.dumps(fragment["Arguments"])).replace(_RESOURCE, fragment["Resource"])
    text = text.replace(_REASON, _expression("compute/reason", fragment["Reason"]))
    text = text.replace(_SHARDS_FAILED, _expression("shards-failed", {}))
    jobs = {"JobsPath": names.get("JobsPath", DEFAULTS["JobsPath"])}
    return filled(text.replace(_INPUT, _expression("execution-input", jobs)), names)


def _expression(name: str, parts: Mapping[str, str]) -> str:
    """A JSONata expression from a file of its own, with ``parts`` filled in, as a JSON string for the definition."""
    text = (FOLDER / f"{name}.jsonata").read_text()
    text = _PLACEHOLDER.sub(lambda match: parts[match[1]], text)
    return json.dumps(f"{{% {' '.join(text.split())} %}}")


def batches(names: Mapping[str, str]) -> str:
    """The definition of the state machine that copies one big table by repeated calls of a Lambda.

    Raises NameMissing.
    """
    return filled((FOLDER / "batches.asl.json").read_text(), names)


def deadline(names: Mapping[str, str]) -> str:
    """The definition that checks at each night's deadline whether the night is published. Raises NameMissing."""
    return filled((FOLDER / "deadline.asl.json").read_text(), names)


def filled(text: str, names: Mapping[str, str]) -> str:
    """Fills the placeholders in ``text``. Raises NameMissing, and ValueError for a value that would break the JSON."""
    known = {**DEFAULTS, **names}
    missing = sorted({name for name in _PLACEHOLDER.findall(text) if name not in known})
    if missing:
        raise NameMissing(f"nothing was given for {', '.join(missing)}; give each as NAME=VALUE")
    return _PLACEHOLDER.sub(lambda match: _within_a_string(match[1], known[match[1]]), text)


def tasks(states: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every Task by its name, including those in branches and Maps."""
    found: dict[str, dict[str, Any]] = {}
    for name, state in states.items():
        if state["Type"] == "Task":
            found[name] = state
        for inner in inner_machines(state):
            found |= tasks(inner["States"])
    return found


def inner_machines(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The state machines inside a state: a Parallel's branches, a Map's processor."""
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def _within_a_string(name: str, value: str) -> str:
    if json.dumps(value) != f'"{value}"':
        raise ValueError(f"{name} is {value!r}, which cannot stand within a JSON string as it is")
    return value


def main(arguments: Sequence[str]) -> int:
    """Prints the definition for a compute kind and names given as NAME=VALUE; returns the exit status."""
    kind, *pairs = arguments or [""]
    if kind not in COMPUTE or not all("=" in pair for pair in pairs):
        print(f"usage: python -m statemachine.definition {{{','.join(COMPUTE)}}} [NAME=VALUE …]", file=sys.stderr)
        return 2
    try:
        definition = nightly(kind, dict(pair.split("=", 1) for pair in pairs))
    except ValueError as error:
        print(f"definition: {error}", file=sys.stderr)
        return 2
    print(json.dumps(json.loads(definition), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
