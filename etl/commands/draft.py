"""The text of a configuration file that ``etl init`` writes: what it has found in the source, with comments. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from etl.logs.log import printable
from etl.model import personal
from etl.model.catalog import SourceTable
from etl.model.name import Relation
from etl.sessions.url import DatabaseUrl
from etl.settings.options import DEFAULTS

PROJECT = "https://github.com/example/nightly-etl"
"""The project's address, as pyproject.toml has it."""

SCHEMA = f"{PROJECT.replace('github.com', 'raw.githubusercontent.com')}/main/docs/schemas/nightly-etl.toml.json"
"""The JSON Schema of the file, for editors: Taplo, and Even Better TOML, read the file's first line."""

SECRETS = ("password", "sslpassword", "passfile")


@dataclass(frozen=True, slots=True)
class Found:
    """A table of the source; ``unreadable`` says why its rows cannot be read, None if they can."""

    table: SourceTable
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """A database: its URL, None if it is not set; the parameter that has it, if one does; whether it takes tokens."""

    name: str
    url: DatabaseUrl | None
    parameter: str | None
    tokens: bool


def draft(tables: Sequence[Found], sides: Iterable[Side], parameter_path: str | None) -> str:
    """The whole file."""
    lines = [*_head(), *_tables(tables), *_settings(parameter_path)]
    for side in sides:
        lines += _side(side)
    return "\n".join([*lines, *_masks(tables)]) + "\n"


def masked(tables: Sequence[Found]) -> dict[Relation, dict[str, str]]:
    """The masks that are proposed, by table."""
    return {found.table.source: masks for found in tables if (masks := personal.proposed(found.table))}


def toml(text: str) -> str:
    """A string of TOML, whose escapes are JSON's; but JSON lets DEL stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def element(relation: Relation) -> str:
    """A table as an element of TABLES; its schema is left out if it is ``public``."""
    return str(relation).removeprefix("public.")


def _head() -> list[str]:
    return [
        f"#:schema {SCHEMA}",
        "# The configuration of nightly-etl, as `etl init` has written it from what it found in the source.",
        "# The environment overrides it, setting by setting; it overrides Parameter Store. `etl settings` shows the",
        "# outcome, `etl check` what a run would do.",
        f"# All settings: {PROJECT}/blob/main/docs/reference.md",
        "",
    ]


def _tables(tables: Iterable[Found]) -> list[str]:
    return ["tables = [", *map(_table, tables), "]", ""]


def _table(found: Found) -> str:
    table, off = found.table, "# " if found.unreadable else ""
    about = f"{table.rows:,} rows, {table.bytes / 1e6:,.1f} MB; {found.unreadable or _key(table)}"
    return f"    {off}{toml(element(table.source))},  # about {about}"


def _key(table: SourceTable) -> str:
    keys = [one for one in table.constraints if one.definition.startswith("PRIMARY KEY")]
    if keys:
        return printable(f"key: {', '.join(keys[0].columns)}")
    return "no primary key, so a night with changes may copy it whole"


def _settings(parameter_path: str | None) -> list[str]:
    stored = f"parameter_path = {toml(parameter_path)}" if parameter_path else '# parameter_path = "/nightly-etl/prod"'
    return [
        f"{stored}  # settings in AWS Parameter Store",
        "# jobs = 4  # tables, page ranges and index builds at the same time",
        '# verify = "checksum"  # compare both sides by hashes, not by the number of rows alone',
        '# after_publish = "dbt build"  # a command after each publish',
        "",
    ]


def _side(side: Side) -> list[str]:
    password = f"ETL_{side.name.upper()}_PASSWORD"
    lines = [f"[{side.name}]"]
    if side.parameter:
        lines.append(f"# The URL is in Parameter Store: {side.parameter}")
    elif side.url is None:
        lines.append('# url = "postgresql://loader@reporting:5432/shop"')
    else:
        lines.append(f"url = {toml(_without_secrets(side.url))}")
    if side.tokens:
        lines.append('auth = "iam"')
    elif not side.parameter:
        lines.append(
            f'# password = {{ environment = "{password}" }}  # read anyway; no password may stand here in clear'
        )
    return [*lines, ""]


def _without_secrets(url: DatabaseUrl) -> str:
    """The URL with all its options, but without passwords."""
    known = {key: value for key, value in url.parameters.items() if value and key not in SECRETS}
    user = known.pop("user", None)
    simple = not set(known.get("host", "")) & set("/,")  # a socket's folder, or several hosts, stand in the query
    host = quote(known.pop("host", ""), safe=":") if simple else ""
    host = f"[{host}]" if ":" in host else host  # an IPv6 address, whose colons would begin a port
    port = known.pop("port", None) if simple else None
    dbname = known.pop("dbname", "")
    authority = f"{quote(user, safe='')}@" if user else ""
    authority += f"{host}:{port}" if port else host
    query = f"?{urlencode(known, quote_via=quote)}" if known else ""
    return f"postgresql://{authority}/{quote(dbname, safe='')}{query}"


def _masks(tables: Sequence[Found]) -> list[str]:
    """The proposed masks, commented out: a mask changes what reports show, so a person decides."""
    if not (proposals := masked(tables)):
        return []
    lines = [
        "# These columns look like personal data, by their names and types. To mask them in the reporting database,",
        "# take away the # before them. hmac, fake-name, fake-email and date-shift need a key, ETL_MASK_KEY, in the",
        "# environment or in Parameter Store: `openssl rand -hex 32` makes one. Keep it, so that masks stay the same.",
        f"# All masks: {PROJECT}/blob/main/docs/options.md#masks",
    ]
    for relation, columns in proposals.items():
        lines += ["#", f"# [options.{_bare(_section(relation))}.mask]"]
        lines += [f"# {_bare(column)} = {toml(mask)}" for column, mask in columns.items()]
    return lines


def _section(relation: Relation) -> str:
    """A table's section of the options; with its schema if the section would be that of all tables."""
    short = element(relation)
    return str(relation) if short == DEFAULTS else short


def _bare(key: str) -> str:
    """A key of TOML, quoted where it must be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
