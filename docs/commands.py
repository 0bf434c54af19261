"""Writes docs/commands.md and docs/schemas/ from the list of commands: ``python -m docs.commands [--check]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from docs import config_schema
from docs.generated import bring_up_to_date
from etl import cli
from etl.catalogue import COMMANDS
from etl.commands.command import Command, Form
from etl.functions import FUNCTIONS, event_of

DOCS = Path(__file__).parent
PAGE = DOCS / "commands.md"
SCHEMAS = DOCS / "schemas"

HEAD = """# Commands

`make reference` writes this page, and the JSON Schemas in [schemas/](schemas), from the list in `etl/catalogue.py`.

`etl run`, `check`, `verify` and `snapshot` take tables as in `TABLES`, and instead of it:
`etl run orders 'sales.*' '!audit'` (single quotes keep the shell from `*` and `!`). Each command has `--config FILE`:
[the configuration file](reference.md#the-configuration-file).

## Completion and man pages

`etl` completes commands and options in bash, zsh and fish, with one of these lines in the shell's start-up file:

```sh
eval "$(_ETL_COMPLETE=bash_source etl)"         # ~/.bashrc
eval "$(_ETL_COMPLETE=zsh_source etl)"          # ~/.zshrc
_ETL_COMPLETE=fish_source etl | source          # ~/.config/fish/config.fish
```

The wheel installs man pages: `man etl` has every setting, and `man etl-run` is one of a command. `make reference`
writes them, too ([man/](man)). `man` finds those of a virtual environment while its `bin` is on the PATH.

## `--json`

Each command has this option. Standard output then has one JSON document and nothing else; the log and all messages go
to standard error. The exit status is the same as without the option: 0 done, 1 failed, 2 bad configuration. A command
that fails prints no document. `verify`, `check` and `abort` print what they found, and then exit with 1 where something
is wrong. After a run that failed, `etl report --json` says what failed.

The schemas are a contract: later versions may add fields, but rename and remove none. Timestamps are ISO 8601 with an
offset. `etl plan` prints JSON without the option too, to everything but a terminal.
"""

NEEDS = {
    "operational": "`ETL_OPERATIONAL_URL`",
    "reporting": "`ETL_REPORTING_URL`",
    "tables": "`TABLES`",
    "plan": "`TABLES` or `ETL_PLAN=run`",
    "run_id": "`ETL_RUN_ID` or RUN_ID",
}


def schema(form: Form[Any]) -> dict[str, Any]:
    """The JSON Schema of a result."""
    return TypeAdapter(form.type).json_schema(mode="serialization")


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema, with the name of its file below docs/schemas/."""
    for command in COMMANDS:
        if command.json is not None:
            yield f"{command.name}.json", schema(command.json)
    yield config_schema.NAME, config_schema.schema()
    for name, command in FUNCTIONS.items():
        assert command.answer is not None
        yield f"functions/{name}.event.json", event_of(command).model_json_schema()
        yield f"functions/{name}.answer.json", schema(command.answer)


def page() -> str:
    """The content of docs/commands.md."""
    return "\n".join([HEAD, *(line for command in COMMANDS for line in _command(command))]).rstrip("\n") + "\n"


def _command(command: Command[Any, Any]) -> Iterator[str]:
    if command.json is not None:
        yield from (f"## `etl {command.name}`", "", command.help, "")
        yield from _usage(command, cli.etl.commands[command.name].params)
        yield from _needs(command)
        yield from _json("`--json` prints", f"{command.name}.json", command.json)
    for name in (name for name, one in FUNCTIONS.items() if one is command):
        assert command.answer is not None
        yield from (f"### Lambda `etl.functions.{name}`", "", *([] if command.json else [command.help, ""]))
        yield from (f"The event ([schema](schemas/functions/{name}.event.json)); any other field is refused:", "")
        yield from _fields(event_of(command).model_json_schema())
        file = f"functions/{name}.answer.json"
        if command.answer == command.json:
            yield from (f"The answer is what `--json` prints ([schema](schemas/{file})).", "")
        else:
            yield from _json("The Lambda answers with", file, command.answer)


def _json(intro: str, file: str, form: Form[Any]) -> Iterator[str]:
    found = schema(form)
    described = _resolved(found.get("items", found), found)["description"].rstrip(".")
    what = "an array of objects" if "items" in found else "an object"
    yield from (f"{intro} {what} ([schema](schemas/{file})). {described}:", "", *_fields(found))


def _needs(command: Command[Any, Any]) -> Iterator[str]:
    """A sentence on the needs of a call that has only the required fields."""
    asked = {name: 1 for name, field in command.input.model_fields.items() if field.is_required()}
    needed = command.needed(command.input.model_construct(**asked))
    if needs := [text for name, text in NEEDS.items() if name in needed]:
        yield from (f"It needs {', '.join(needs)}.", "")


def _usage(command: Command[Any, Any], parameters: Sequence[click.Parameter]) -> Iterator[str]:
    """A table of the arguments and options other than ``--json``."""
    if not command.input.model_fields:
        return
    yield from ("| argument or option | what it is | default |", "|---|---|---|")
    for one in parameters:
        if one.name not in command.input.model_fields:
            continue
        option = one.opts[0] if isinstance(one, click.Option) else one.name.upper()
        default = one.default if isinstance(one, click.Option) and one.show_default else ""
        about = command.input.model_fields[one.name].description
        yield f"| `{option}` | {about} | {'required' if one.required else default} |"
    yield ""


def _fields(found: Mapping[str, Any]) -> Iterator[str]:
    """A table of a schema's fields, with those of nested objects below their parents."""
    yield from ("| field | type | what it is |", "|---|---|---|")
    yield from (f"| `{path}` | {kind} | {about} |" for path, kind, about in flat(found, found, ""))
    yield ""


def flat(found: Mapping[str, Any], root: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Each field of a schema: its path, such as ``loads[].table``, its type, and its description."""
    found = _resolved(found, root)
    if "items" in found:
        yield from flat(found["items"], root, f"{path}[]")
    for name, field in found.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        yield inner, kind(field, root), " ".join(field.get("description", "").split())
        yield from flat(field, root, inner)
    for choice in found.get("anyOf", []):
        if "properties" in _resolved(choice, root):
            yield from flat(choice, root, path)


def kind(found: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """A field's type in words."""
    if "anyOf" in found:
        return " or ".join(kind(choice, root) for choice in found["anyOf"])
    if "$ref" in found:
        return kind(_resolved(found, root), root)
    if found.get("type") == "array":
        return f"array of {kind(found['items'], root)}"
    return "timestamp" if found.get("format") == "date-time" else str(found["type"])


def _resolved(found: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    return root["$defs"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found


def main(check: bool) -> int:
    """Writes the page and the schemas, or with ``check`` prints which are out of date; returns the exit status."""
    wanted = {PAGE: page()}
    wanted |= {SCHEMAS / name: json.dumps(one, indent=2, ensure_ascii=False) + "\n" for name, one in schemas()}
    ours = {file for file in SCHEMAS.rglob("*.json") if file.parent.name != "nightly-jobs"}  # docs/jobs_commands.py's
    return bring_up_to_date(wanted, {PAGE, *ours}, check=check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
