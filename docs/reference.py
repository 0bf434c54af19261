"""Writes the settings into docs/reference.md, and a few into README.md: ``python -m docs.reference [--check]``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from docs.generated import bring_up_to_date
from etl.settings.found import DECLARED

FILE = Path(__file__).with_suffix(".md")
README = FILE.parents[1] / "README.md"

FEW = ("TABLES", "ETL_OPERATIONAL_URL", "ETL_REPORTING_URL", "ETL_PARAMETER_PATH", "ETL_JOBS", "ETL_OPTIONS_FILE")
"""The settings that README.md shows."""

_BEGIN = "<!-- settings: make reference -->\n"
_END = "<!-- end of the settings -->"

_INTRODUCTION = """# Settings

`make reference` writes this page from the declarations in `etl/settings/`. `etl settings` shows the value of each
setting and where the value comes from. For each setting by itself, the first of these that has it decides:

1. the command line: tables (`etl run orders 'sales.*' '!audit'`), a run's id, `--config`;
2. the environment;
3. the configuration file;
4. Parameter Store;
5. the default.

A variable or parameter whose name is nearly a setting's is refused. For any other variable that begins with `ETL_`, the
log has a warning (`setting.unknown`).

## The configuration file

`nightly-etl.toml` in the current folder, or the file that `--config` or `ETL_CONFIG` names, has all in one place:
tables, settings, databases, and the [options of tables](options.md). `etl init` writes one from what it finds in the
source.

```toml
#:schema https://raw.githubusercontent.com/example/nightly-etl/main/docs/schemas/nightly-etl.toml.json

tables = ["orders", "sales.*", "!sales.tmp_*"]      # or a text, as in TABLES
jobs = 8
after_publish = "dbt build"

[operational]
url = "postgresql://reader@operational:5432/shop"
password = { file = "/run/secrets/operational" }

[reporting]
url = { parameter = "/nightly-etl/prod/reporting/url" }

[options.orders]
where = "day >= date '2020-01-01'"

[options."sales.*".mask]
email = "hmac"
```

- **Keys** are the names of the second column below, with a section for each database: `operational/url` is `url`
  below `[operational]`. `parameter_path`, `after_publish`, `log_format` and `log_level` may stand there too. What each
  process of a run has for itself may not: `ETL_RUN_ID`, `ETL_SHARD`, `ETL_PLAN`, `ETL_SNAPSHOT`, `ETL_JOB`,
  `ETL_PARAMETER_ROLE`. A key that is none is an error.
- **References**: a value may be `{ environment = "VARIABLE" }`, `{ parameter = "/NAME" }` (one parameter of Parameter
  Store, which needs `ssm:GetParameter`) or `{ file = "NAME" }` (seen from the file's folder). Most need no reference:
  the variable of the first column is read anyway.
- **A password of its own goes to no other server by mistake**: if the environment has a database's URL or host,
  `password`, and each other part beside it, is not read from a parameter or a file. The log warns (`setting.unknown`)
  of one that the URL lacks. Set its variable or, if it is meant for that server, write
  `url = { environment = "ETL_REPORTING_URL" }` in the file.
- **No secret in clear**: a password in a URL, `password` and `mask_key` are refused as texts, because such a file is
  committed, copied and mailed.
- **Options** are those of the options file, each section below `[options]`. `ETL_OPTIONS_FILE` in the environment
  replaces all of them.
- **Editors** with Taplo (Even Better TOML) complete and check the file by its first line.
- The file may name a program to execute (`after_publish`). So let nobody else write to the folder in which `etl` runs.

## All settings

"""

_COLUMNS = """| environment | Parameter Store, under `ETL_PARAMETER_PATH` | what it is | default |
|---|---|---|---|
"""


def table(variables: Collection[str], folder: str = "") -> str:
    """A table with a row for each of these settings; links to pages of docs/ begin with ``folder``."""
    return _COLUMNS + "".join(f"{row}\n" for row in _rows(variables)).replace("](", f"]({folder}")


def _rows(variables: Collection[str]) -> Iterator[str]:
    of_variable = {one.variable: one for one in DECLARED.values()}
    for one in (of_variable[variable] for variable in variables):
        parameter = f"`{one.parameter}`" if one.parameter else ""
        yield f"| `{one.variable}` | {parameter} | {one.help} | {one.default} |"


def page() -> str:
    """The content of docs/reference.md."""
    return _INTRODUCTION + table([one.variable for one in DECLARED.values()])


def readme() -> str:
    """README.md with the table between its two marks. Raises ValueError if a mark is missing."""
    before, begin, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"README.md has lost the marks {_BEGIN.strip()} and {_END}")
    return before + begin + table(FEW, "docs/") + end + after


def main(check: bool) -> int:
    """Writes both pages, or with ``check`` prints which are out of date; returns the exit status."""
    return bring_up_to_date({FILE: page(), README: readme()}, check=check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
