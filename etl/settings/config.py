"""Reads settings: the command line, the environment, the configuration file, Parameter Store, and defaults.

The earlier of these takes precedence. All problems are reported in one error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from etl.model.errors import ConfigurationError
from etl.model.selection import Selection, from_file
from etl.model.wording import did_you_mean
from etl.sessions.url import PARTS, DatabaseUrl, MintToken, UrlError
from etl.settings import values as texts
from etl.settings.contradictions import contradictions, is_unread, missing
from etl.settings.found import (
    DECLARED,
    NO_FILE,
    PARAMETER_PATH,
    PARAMETER_ROLE,
    Found,
    FromFile,
    Origin,
    Value,
)
from etl.settings.options import Options
from etl.settings.settings import Settings
from etl.settings.spelling import OURS, strange_parameters, strange_variables
from etl.settings.values import FaultsError

_QUOTED = {"tables", "after_publish"}
"""Settings in whose text quotes have a sense of their own, beside URLs, which say it themselves, and secrets."""

_FILE_REMEDY = "check the path, and that the container has the file"

ReadParameters = Callable[[str], Mapping[str, str]]
"""A function that reads all parameters under a path; returns decrypted values by name relative to the path."""


_PLAIN = [name for name in DECLARED if name in Settings.model_fields and name not in {"tables", "options"}]
"""The settings whose text is passed to their validator without further processing."""


def load(
    environment: Mapping[str, str],
    needs: Collection[str],
    read_parameters: ReadParameters,
    *,
    mint_token: MintToken | None = None,
    given: Mapping[str, str] | None = None,
    file: FromFile = NO_FILE,
    on_terminal: bool = False,
) -> Found:
    """Reads the settings of a command.

    ``needs`` names the settings that the command needs: operational, reporting, tables, run_id, or plan (the tables of
    TABLES or, if ETL_PLAN is run, those of the plan that the ledger has for ETL_RUN_ID). ``read_parameters`` reads the
    Parameter Store, ``mint_token`` makes the tokens for ``auth = iam``, ``given`` has the settings of the command
    line, and ``file`` those of the configuration file. Raises ConfigurationError with all problems; each names the
    setting and the source of its value.
    """
    path = _parameter_path(environment, file)
    parameters = read_parameters(path.text) if path else {}
    values = _from_store(path.text if path else "", parameters) | dict(file.values) | _from_environment(environment)
    values |= _from_command_line(given or {})
    needs = _with_plan(needs, values)
    problems = list(file.problems)
    values = _unquoted(values, problems)
    fields = _fields(values, needs, problems, mint_token, file)
    fields.setdefault("log_format", "console" if on_terminal else "json")
    problems += [missing(name) for name in ("tables", "run_id") if name in needs and name not in values]
    problems = [_with_slip(problem, environment) for problem in problems]
    problems += contradictions(fields, values, needs, has_path=path is not None)
    if fields.get("publish_way") == "merge":
        fields["options"] = fields.get("options", Options()).in_place()
    settings = _validated(fields, values, problems)
    names = [(setting.variable, setting.parameter) for setting in DECLARED.values()]
    slips, warnings = strange_variables(environment, names)
    problems += [*slips, *strange_parameters(path.text if path else "", parameters, names)]
    if is_unread(fields, values, needs, Origin.ENVIRONMENT):
        warnings.append("TABLES is not read, because ETL_PLAN is run; take one of the two out")
    warnings += _withheld(fields, values, needs, file)
    if problems or settings is None:
        raise ConfigurationError(problems)
    if path:
        values["path"] = path
    if role := environment.get(PARAMETER_ROLE, "").strip():
        values["role"] = Value(role, PARAMETER_ROLE)
    return Found(settings, tuple(warnings), values)


def _with_plan(needs: Collection[str], values: Mapping[str, Value]) -> Collection[str]:
    """What a command needs, if it takes its tables from TABLES or from the plan of its run."""
    if "plan" not in needs:
        return needs
    return {*needs, "run_id" if "plan" in values and values["plan"].text == "run" else "tables"}


def _fields(
    values: Mapping[str, Value],
    needs: Collection[str],
    problems: list[str],
    mint_token: MintToken | None,
    file: FromFile,
) -> dict[str, Any]:
    """The fields of the settings: parsed here, or as texts that the settings themselves validate."""
    sides = {side: _url(side, values, needs, problems, mint_token) for side in ("operational", "reporting")}
    fields: dict[str, Any] = {side: url for side, url in sides.items() if url}
    fields |= _tables(values, problems) | _options(values, problems, file)
    return fields | {name: values[name].text for name in _PLAIN if name in values}


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    # An empty variable counts as not set, because compose files and task definitions pass a variable that is not set
    # as an empty one. An empty TABLES is an error: the list of tables was lost on its way.
    return {
        name: Value(_clean(name, environment[setting.variable]), setting.variable)
        for name, setting in DECLARED.items()
        if setting.variable in environment and (environment[setting.variable] or name == "tables")
    }


def _from_command_line(given: Mapping[str, str]) -> dict[str, Value]:
    return {
        name: Value(text, f"{name.upper()} on the command line", Origin.COMMAND_LINE) for name, text in given.items()
    }


def _from_store(path: str, parameters: Mapping[str, str]) -> dict[str, Value]:
    return {
        name: Value(_clean(name, parameters[setting.parameter]), f"{path}/{setting.parameter}", Origin.STORE)
        for name, setting in DECLARED.items()
        if setting.parameter is not None and setting.parameter in parameters
    }


def _unquoted(values: Mapping[str, Value], problems: list[str]) -> dict[str, Value]:
    """The values without quotes around them, each with a problem; in a secret, or in TABLES, they may belong there."""
    bare = dict(values)
    for name, value in values.items():
        text, may_have = value.text, DECLARED[name].secret or name in _QUOTED or name.endswith("/url")
        may_have = may_have or value.origin == Origin.FILE
        if not may_have and len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            problems.append(f"{value.where} is {text}, in quotes, which `docker --env-file` keeps; take them out")
            bare[name] = replace(value, text=text[1:-1])
    return bare


def _clean(setting: str, text: str) -> str:
    """Removes white space around a value, such as the newline at the end of a file; a password is not changed."""
    return text if setting.endswith("/password") else text.strip()


def _parameter_path(environment: Mapping[str, str], file: FromFile) -> Value | None:
    value = Value(environment.get(PARAMETER_PATH, "").strip(), PARAMETER_PATH)
    value = value if value.text else file.values.get("path", value)
    if not value.text:
        return None
    try:
        return replace(value, text=texts.path(value.text))
    except ValueError as error:
        raise ConfigurationError(f"{value.where} {error}") from None


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
            problems.append(missing(f"{side}/url"))
        return None
    # A part overrides the URL, but for instance a part from the Parameter Store does not override a URL from the
    # environment, which takes precedence over it.
    weak = [part for part, value in parts.items() if url is not None and value.origin < url.origin]
    try:
        database = _with_files(
            DatabaseUrl.parse(
                url.text if url else "",
                {part: value.text for part, value in parts.items() if part not in weak},
                {part: parts[part].text for part in weak},
            )
        )
        return database.with_tokens(mint_token) if _wants_tokens(side, values, problems) else database
    except UrlError as fault:
        at_fault = parts.get(fault.parameter or "", url)
        problems.append(f"{at_fault.where} {fault}" if at_fault else missing(f"{side}/{fault.parameter}"))
        return None


def _withheld(
    fields: Mapping[str, Any], values: Mapping[str, Value], needs: Collection[str], file: FromFile
) -> Iterator[str]:
    """Warnings about parts of the file that are not read, and that a URL of the environment lacks."""
    for name, (where, elsewhere) in file.withheld.items():
        side, _, part = name.partition("/")
        if side not in needs or side not in fields or name in values or part in fields[side].parameters:
            continue
        variable = DECLARED[elsewhere].variable
        named = f'{elsewhere.replace("/", ".")} = {{ environment = "{variable}" }}'
        yield (
            f"{where} is not read, because {variable} is in the environment, and may lead to another server; set"
            f" {DECLARED[name].variable}, or write {named} in the file"
        )


def _wants_tokens(side: str, values: Mapping[str, Value], problems: list[str]) -> bool:
    auth = values.get(f"{side}/auth")
    if auth is not None and auth.text not in {"password", "iam"}:
        meant = did_you_mean(auth.text, ("password", "iam"))
        problems.append(f"{auth.where} is {auth.text!r}; write one of password, iam{meant}")
    return auth is not None and auth.text == "iam"


def _with_files(url: DatabaseUrl) -> DatabaseUrl:
    """Returns the URL unchanged; raises UrlError if a file that it names cannot be read."""
    for parameter, file in url.files.items():
        try:
            Path(file).open("rb").close()
        except OSError as error:
            fault = f"names a file in {parameter} that cannot be read: {error.strerror}; {_FILE_REMEDY}"
            raise UrlError(fault, parameter) from None
    return url


def _parsed(
    name: str, parse: Callable[[str], object], values: Mapping[str, Value], problems: list[str]
) -> dict[str, Any]:
    if name not in values:
        return {}
    try:
        return {name: parse(values[name].text)}
    except FaultsError as error:
        problems += [f"{values[name].where} {fault}" for fault in error.faults]
    except ValueError as error:
        problems.append(f"{values[name].where} {error}")
    return {}


def _tables(values: Mapping[str, Value], problems: list[str]) -> dict[str, Any]:
    """Reads TABLES, which is the list of tables itself, or ``@`` and the name of a file that has it."""
    value = values.get("tables")
    if value is None or not value.text.startswith("@"):
        return _parsed("tables", Selection.parse, values, problems)
    file = value.text.removeprefix("@").strip()
    if value.origin == Origin.STORE:  # a job's errors are told to its people: they would show /proc/self/environ
        problems.append(f"{value.where} names a file, which a parameter may not; write the tables' names themselves")
        return {}
    if not file:
        problems.append(f"{value.where} is @ without the name of a file; write @tables.txt, or the names themselves")
        return {}
    text = _file(value, file, problems)
    if text is None:
        return {}
    where = f"{value.where} ({file})"
    found = _parsed("tables", from_file, {"tables": Value(text, where)}, problems)
    return {name: replace(selection, origin=where) for name, selection in found.items()}


def _file(value: Value, file: str, problems: list[str]) -> str | None:
    """The text of a file that a setting names; None, and a problem, if it cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text; save it as UTF-8"
    except (OSError, ValueError) as error:
        reason = f"{getattr(error, 'strerror', None) or error}; {_FILE_REMEDY}"
    problems.append(f"{value.where} names {file!r}, which cannot be read: {reason}")
    return None


def _options(values: Mapping[str, Value], problems: list[str], file: FromFile) -> dict[str, Any]:
    """Reads the options: the environment names a file; the configuration file and Parameter Store have them."""
    value = values.get("options")
    if value is None:
        return {}
    if value.origin == Origin.FILE:
        return _parsed("options", lambda _: Options.read(file.options), values, problems)
    if value.where == DECLARED["options"].variable:
        text = _file(value, value.text, problems)
        if text is None:
            return {}
        value = Value(text, f"{value.where} ({value.text})")
    return _parsed("options", Options.parse, {"options": value}, problems)


def _with_slip(problem: str, environment: Mapping[str, str]) -> str:
    """A problem; of a variable that is not set, with one that was probably meant: the name without ETL_."""
    variable, is_missing, _ = problem.partition(" is not set;")
    slip = variable.removeprefix(OURS)
    if is_missing and slip != variable and slip in environment:
        return f"{variable} is not set, but {slip} is; did you mean {variable}?"
    return problem


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
