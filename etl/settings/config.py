"""Where settings come from: environment beats Parameter Store beats default; all problems are told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etl.model.errors import ConfigurationError
from etl.model.selection import Selection
from etl.sessions.url import PARTS, DatabaseUrl, MintToken, UrlError
from etl.settings.options import Options
from etl.settings.settings import Settings
from etl.settings.spelling import strange_parameters, strange_variables

PARAMETER_PATH = "ETL_PARAMETER_PATH"

ReadParameters = Callable[[str], Mapping[str, str]]
"""Reads all parameters under a path: names relative to it, and their decrypted values."""


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text, and where it was found, as a user would look for it."""

    text: str
    where: str
    from_store: bool = False


# setting -> its environment variable, and its parameter under ETL_PARAMETER_PATH (None: environment only)
_NAMES: dict[str, tuple[str, str | None]] = {
    "tables": ("TABLES", "tables"),
    "run_id": ("ETL_RUN_ID", None),
    "jobs": ("ETL_JOBS", "jobs"),
    "plan": ("ETL_PLAN", None),
    "publish": ("ETL_PUBLISH", "publish"),
    "deadline": ("ETL_PUBLISH_DEADLINE", "publish_deadline"),
    "blockers": ("ETL_PUBLISH_BLOCKERS", "publish_blockers"),
    "snapshot": ("ETL_SNAPSHOT", None),
    "snapshot_max_age": ("ETL_SNAPSHOT_MAX_AGE", "snapshot_max_age"),
    "shard": ("ETL_SHARD", None),
    "verify": ("ETL_VERIFY", "verify"),
    "index_memory": ("ETL_INDEX_MEMORY", "index_memory"),
    "options": ("ETL_OPTIONS_FILE", "options"),
    "mask_key": ("ETL_MASK_KEY", "mask_key"),
    "metrics_namespace": ("ETL_METRICS_NAMESPACE", "metrics_namespace"),
    "metrics_dimensions": ("ETL_METRICS_DIMENSIONS", "metrics_dimensions"),
    "log_format": ("ETL_LOG_FORMAT", None),
    "log_level": ("ETL_LOG_LEVEL", None),
} | {
    f"{side}/{part}": (f"ETL_{side}_{part}".upper(), f"{side}/{part}")
    for side in ("operational", "reporting")
    for part in ("url", *PARTS, "auth")
}


def load(
    environment: Mapping[str, str],
    needs: Collection[str],
    read_parameters: ReadParameters,
    *,
    mint_token: MintToken | None = None,
    given: Mapping[str, str] | None = None,
    on_terminal: bool = False,
) -> tuple[Settings, list[str]]:
    """Gives the settings of a command, and warnings about variables that begin like ours and are none.

    Takes the environment; what the command ``needs`` of operational, reporting, tables, run_id, and of plan (the tables
    of TABLES or, where ETL_PLAN is run, those that the ledger has for ETL_RUN_ID); the reader of the
    Parameter Store; what makes tokens for ``auth = iam``; and what was ``given`` on the command line, by setting.
    Raises ConfigurationError with every problem, each of which names the setting and where its value came from.
    """
    path = _parameter_path(environment)
    parameters = read_parameters(path) if path else {}
    values = _from_store(path or "", parameters) | _from_environment(environment)
    values |= {name: Value(text, f"{name.upper()} on the command line") for name, text in (given or {}).items()}
    if "plan" in needs:
        needs = {*needs, "run_id" if "plan" in values and values["plan"].text == "run" else "tables"}
    problems: list[str] = []
    fields: dict[str, Any] = {
        name: value
        for name in ("operational", "reporting")
        if (value := _url(name, values, needs, problems, mint_token))
    }
    fields |= _parsed("tables", Selection.parse, values, problems) | _options(values, problems)
    fields |= {name: values[name].text for name in _PLAIN if name in values}
    fields.setdefault("log_format", "console" if on_terminal else "json")
    problems += [_missing(name) for name in ("tables", "run_id") if name in needs and name not in values]
    problems += _contradictions(fields, values, needs)
    settings = _validated(fields, values, problems)
    names = [*_NAMES.values(), (PARAMETER_PATH, None)]
    slips, warnings = strange_variables(environment, names)
    problems += [*slips, *strange_parameters(path or "", parameters, names)]
    if fields.get("plan") == "run" and "plan" in needs and "tables" in values and not values["tables"].from_store:
        warnings.append("TABLES is not read, because ETL_PLAN is run; take one of the two out")
    if problems or settings is None:
        raise ConfigurationError(problems)
    return settings, warnings


_PLAIN = (
    "run_id",
    "jobs",
    "plan",
    "publish",
    "deadline",
    "blockers",
    "snapshot",
    "snapshot_max_age",
    "shard",
    "verify",
    "index_memory",
    "mask_key",
    "metrics_namespace",
    "metrics_dimensions",
    "log_format",
    "log_level",
)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    # An empty variable is what compose files and task definitions make of one that is not set; an empty
    # TABLES, though, is somebody's list gone missing.
    return {
        setting: Value(_clean(setting, environment[variable]), variable)
        for setting, (variable, _) in _NAMES.items()
        if variable in environment and (environment[variable] or setting == "tables")
    }


def _from_store(path: str, parameters: Mapping[str, str]) -> dict[str, Value]:
    return {
        setting: Value(_clean(setting, parameters[name]), f"{path}/{name}", from_store=True)
        for setting, (_, name) in _NAMES.items()
        if name is not None and name in parameters
    }


def _clean(setting: str, text: str) -> str:
    """Takes off the newline that files and shells leave at a value's end; a password is taken as it is."""
    return text if setting.endswith("/password") else text.strip()


def _parameter_path(environment: Mapping[str, str]) -> str | None:
    path = environment.get(PARAMETER_PATH, "").strip()
    if path and not re.fullmatch(r"(/[A-Za-z0-9_.-]+){1,15}/?", path):
        raise ConfigurationError(f"{PARAMETER_PATH} is {path!r}; write a path such as /nightly-etl/prod")
    return path.rstrip("/") or None


def _url(
    side: str,
    values: Mapping[str, Value],
    needs: Collection[str],
    problems: list[str],
    mint_token: MintToken | None,
) -> DatabaseUrl | None:
    parts = {part: values[f"{side}/{part}"] for part in PARTS if f"{side}/{part}" in values}
    url = values.get(f"{side}/url")
    if url is None and not parts:
        if side in needs:
            problems.append(_missing(f"{side}/url"))
        return None
    # A part beats the URL that stands beside it, but one from the store does not beat the environment's URL.
    weak = [part for part, value in parts.items() if value.from_store and url is not None and not url.from_store]
    try:
        found = _with_files(
            DatabaseUrl.parse(
                url.text if url else "",
                {part: value.text for part, value in parts.items() if part not in weak},
                {part: parts[part].text for part in weak},
            )
        )
        return found.with_tokens(mint_token) if _wants_tokens(side, values, problems) else found
    except UrlError as fault:
        at_fault = parts.get(fault.parameter or "", url)
        problems.append(f"{at_fault.where} {fault}" if at_fault else _missing(f"{side}/{fault.parameter}"))
        return None


def _wants_tokens(side: str, values: Mapping[str, Value], problems: list[str]) -> bool:
    auth = values.get(f"{side}/auth")
    if auth is not None and auth.text not in {"password", "iam"}:
        problems.append(f"{auth.where} is {auth.text!r}; write one of password, iam")
    return auth is not None and auth.text == "iam"


def _with_files(url: DatabaseUrl) -> DatabaseUrl:
    """Gives the URL when the files that it names can be read; raises UrlError otherwise."""
    for parameter, file in url.files.items():
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise UrlError(f"names a file in {parameter} that cannot be read: {error.strerror}", parameter) from None
    return url


def _parsed(
    name: str, parse: Callable[[str], object], values: Mapping[str, Value], problems: list[str]
) -> dict[str, Any]:
    if name not in values:
        return {}
    try:
        return {name: parse(values[name].text)}
    except ValueError as error:
        problems.append(f"{values[name].where} {error}")
        return {}


def _options(values: Mapping[str, Value], problems: list[str]) -> dict[str, Any]:
    """Reads the options: a file that the environment names, or the text itself in the Parameter Store."""
    value = values.get("options")
    if value is None:
        return {}
    if value.where == _NAMES["options"][0]:
        try:
            value = Value(Path(value.text).read_text(encoding="utf-8"), f"{value.where} ({value.text})")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            problems.append(f"{value.where} names {value.text!r}, which cannot be read: {reason}")
            return {}
    return _parsed("options", Options.parse, {"options": value}, problems)


def _contradictions(fields: Mapping[str, Any], values: Mapping[str, Value], needs: Collection[str]) -> Iterator[str]:
    """Says where a setting asks for what the others do not give."""
    if fields.get("snapshot") == "run" and "operational" in needs and "run_id" not in values.keys() | set(needs):
        yield f"{values['snapshot'].where} is run, the snapshot that another container holds: {_missing('run_id')}"
    options = fields.get("options", Options())
    if options.needs_key and "operational" in needs and "mask_key" not in values:
        yield f"{values['options'].where} has masks that need a key; {_missing('mask_key')}"
    if "tables" in fields:
        yield from (f"{values['options'].where}: {clash}" for clash in options.named_clashes(fields["tables"]))


def _missing(setting: str) -> str:
    variable, parameter = _NAMES[setting]
    or_else = f", or the parameter {parameter} under {PARAMETER_PATH}" if parameter else ""
    return f"{variable} is not set; set it{or_else or ' (publish and abort take it on the command line, too)'}"


def _validated(fields: dict[str, Any], values: Mapping[str, Value], problems: list[str]) -> Settings | None:
    try:
        return Settings(**fields)
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            problems.append(
                f"{values[name].where if name in values else name} {fault['msg'].removeprefix('Value error, ')}"
            )
        return None
