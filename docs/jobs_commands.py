"""Writes docs/scheduler-commands.md and docs/schemas/nightly-jobs/: ``python -m docs.jobs_commands [--check]``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter

from docs.commands import flat
from docs.generated import bring_up_to_date
from scheduler.cli import keys
from scheduler.cli.answers import ANSWERS
from scheduler.cli.program import PROGRAM, program

DOCS = Path(__file__).parent
PAGE = DOCS / "scheduler-commands.md"
SCHEMAS = DOCS / "schemas" / PROGRAM

HEAD = """# The commands of the scheduler

`make reference` writes this page, and the JSON Schemas in [schemas/nightly-jobs/](schemas/nightly-jobs), from
`scheduler/cli`. [scheduler.md](scheduler.md) says what a job is, and what is promised of it.

```
pip install 'nightly_etl-0.1.0-py3-none-any.whl[scheduler]'      # the release's wheel, or make dist: dist/
export AWS_PROFILE=… AWS_REGION=eu-central-1
nightly-jobs put jobs.toml
nightly-jobs list
```

`nightly-jobs` calls AWS's APIs with the usual credentials, and nothing else: `dynamodb:Scan`, `GetItem`, `Query`,
`UpdateItem` and `DeleteItem` on the jobs' table, and for `run-now` `sqs:SendMessage` on the queue, with `GetQueueUrl`
unless `--queue` is its URL. The table and the queue are `NAME-jobs` and `NAME-due` of the deployment's name, or those
that an option names.

Exit status: 0 done, 1 something failed, 2 bad configuration or usage. `--json` prints one JSON document; messages and
questions are on standard error. A command that fails before it has done anything prints no document; `put`, `enable`,
`disable` and `remove` print what they did, and then exit with 1 where some of it failed. The schemas are a contract:
later versions may add fields, but rename and remove none.

Completion for bash, zsh and fish is as [that of `etl`](commands.md#completion-and-man-pages), by
`_NIGHTLY_JOBS_COMPLETE=bash_source nightly-jobs`; `man nightly-jobs` has all commands.

A pattern of ids has `*`, `?` or `[…]`, in single quotes because of the shell: `nightly-jobs disable 'eu-*'`.
"""

FILE = """## The file of all jobs

One TOML file has all jobs of a deployment. `nightly-jobs put` compares it with the registry and shows what would
change; what the file lacks stays, and is named, until `--prune` removes it.

```toml
[defaults]                              # what a job does not say itself
zone = "Europe/Berlin"
target = "reports.example.com"
notify = { topic = "arn:aws:sns:eu-central-1:123456789012:nightly-etl-tenant-nights" }

[jobs.acme]                             # its settings are beneath /nightly-etl/jobs/acme
cron = "30 2 * * *"
source = "acme.db.example.com"

[jobs.globex]
cron = "0 1 * * 1-5"
zone = "America/New_York"
source = "db2.example.com"
window = "2 hours"
notify = { slack_channel = "C0123ABCD" }

[sources."db2.example.com"]
at_once = 2

[targets."reports.example.com"]
at_once = 8
```

An id has letters, digits, `-` and `_`, begins with a letter or digit, and has 63 characters at most.

- **A settings path is one job's.** Two jobs with the same path are an error: a run reads what is beneath its path, and
  two jobs of one path would copy the same tables, each into the other's way. A copy at two times of the day is one job
  with one expression, such as `0 2,14 * * *`. A path within another's is an error, too, because parameters are read
  recursively: the other job's runs would read this one's passwords. Both hold for jobs of the registry that the file
  lacks, too.
- **A job keeps the status that people gave it.** Without `enabled`, a new job is enabled, and a known one stays as it
  is. `enabled = true` enables one that is disabled. A paused job stays paused, and is named: `nightly-jobs enable` is
  for a person who has looked at its failures.
- **A new schedule counts from now on.** A job that gets another expression or zone, or is enabled, is due next by that;
  due times before are forgotten, after a new expression or zone also those that wait for a place. Other changes leave
  the next due time as it is.
- **What was changed meanwhile is not overwritten.** A job that somebody changes, disables or that is paused between the
  comparison and the write is left, and named.
"""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of what each command prints."""
    found = {}
    for name, (answer, is_array) in ANSWERS.items():
        kind: Any = tuple[answer, ...] if is_array else answer
        found[name] = TypeAdapter(kind).json_schema(mode="serialization")
    return found


def page() -> str:
    """The content of docs/scheduler-commands.md."""
    lines = [HEAD, FILE, *_file_keys()]
    for name, command in program.commands.items():
        lines += _command(name, command, schemas()[name])
    return "\n".join(lines).rstrip("\n") + "\n"


def _file_keys() -> Iterator[str]:
    yield from _keys("A job's section, `[jobs.ID]`; all but `settings_path` may stand in `[defaults]`:", keys.JOB)
    yield from _keys("`notify`; a job's keys are put over those of `[defaults]`:", keys.NOTIFY)
    yield from _keys("`[defaults]` alone:", {"settings_root": keys.ROOT})
    yield from _keys("`[sources.NAME]` and `[targets.NAME]`:", {"at_once": keys.AT_ONCE})


def _keys(intro: str, known: Mapping[str, keys.Key]) -> Iterator[str]:
    yield from (intro, "", "| key | what it is | where it is absent |", "|---|---|---|")
    yield from (f"| `{name}` | {key.about} | {key.absent} |" for name, key in known.items())
    yield ""


def _command(name: str, command: click.Command, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## `{PROGRAM} {name}`", "", " ".join((command.help or "").split()), "")
    yield from ("| argument or option | what it is | default |", "|---|---|---|")
    for one in command.params:
        if isinstance(one, click.Option):
            default = one.default if one.show_default else ""
            yield f"| `{one.opts[0]}` | {one.help} | {default} |"
        else:
            yield f"| `{one.make_metavar(click.Context(command))}` | {ARGUMENTS[str(one.name)]} |  |"
    yield ""
    described = schema.get("items", schema)
    described = schema["$defs"][described["$ref"].rpartition("/")[2]] if "$ref" in described else described
    what = "an array of objects" if "items" in schema else "an object"
    text = " ".join(described["description"].split()).rstrip(".")
    yield from (f"`--json` prints {what} ([schema](schemas/{PROGRAM}/{name}.json)). {text}:", "")
    yield from ("| field | type | what it is |", "|---|---|---|")
    yield from (f"| `{path}` | {kind} | {about} |" for path, kind, about in flat(schema, schema, ""))
    yield ""


ARGUMENTS = {
    "path": "The TOML file of all jobs.",
    "job": "A job's id.",
    "jobs": "Ids of jobs; also patterns, but for `remove`.",
}


def main(check: bool) -> int:
    """Writes the page and the schemas, or with ``check`` prints which are out of date; returns the exit status."""
    wanted = {PAGE: page()}
    wanted |= {
        SCHEMAS / f"{name}.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n"
        for name, one in schemas().items()
    }
    return bring_up_to_date(wanted, {PAGE, *SCHEMAS.rglob("*.json")}, check=check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
