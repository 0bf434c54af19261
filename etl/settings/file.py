"""The configuration file, nightly-etl.toml: settings and options of tables, in one file beside a project's code.

Its keys are the names of the parameters in Parameter Store, with a section for each database, and ``[options]`` for the
options of tables. A value is a text, a number or, for TABLES, a list; or a reference to a variable, a parameter or
a file that has it. A password stands in no file in clear: it is refused (docs/reference.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from etl.model.errors import ConfigurationError
from etl.model.selection import tables_text
from etl.sessions.url import DatabaseUrl, UrlError
from etl.settings import toml
from etl.settings.declarations import SIDES
from etl.settings.found import CONFIG, DECLARED, FILE_NAME, FromFile, Origin, Value
from etl.settings.hidden import hidden

REFERENCES = {
    "environment": ("VARIABLE", "The variable of the environment that has the value."),
    "parameter": ("/NAME", "The parameter of AWS Parameter Store that has the value, by its full name."),
    "file": ("NAME", "The file that has the value; a relative name begins at the folder of the configuration file."),
}
"""What a value may refer to, each with an example and its meaning."""

OF_ONE_PROCESS = ("config", "role", "job", "run_id", "plan", "snapshot", "shard")
"""The settings that the file cannot have, because each process of a run has its own."""

KEYS = {
    "parameter_path" if name == "path" else name.replace("/", "."): name
    for name in DECLARED
    if name not in OF_ONE_PROCESS
}
"""The settings that the file may have: their names by their keys, such as ``operational.url``."""

ReadParameter = Callable[[str], str]
"""A function that reads and decrypts one parameter."""


def found(environment: Mapping[str, str], option: str | None) -> Value | None:
    """The configuration file's name: of the command line, of ETL_CONFIG, or the one in the current folder; or None."""
    if option is not None:
        return Value(option, "--config", Origin.COMMAND_LINE)
    if name := environment.get(CONFIG.variable, "").strip():
        return Value(name, CONFIG.variable)
    return Value(FILE_NAME, "the current folder", Origin.FILE) if Path(FILE_NAME).exists() else None


def read(
    name: Value | None, environment: Mapping[str, str], needs: Collection[str], read_parameter: ReadParameter
) -> FromFile:
    """Reads the configuration file. Raises ConfigurationError if there is no such file, or if it is not TOML.

    All its other problems are in the result. ``needs`` are the settings that the command needs: a variable that is not
    set is a problem only if the value is needed.
    """
    if name is None:
        return FromFile()
    document = _document(name)
    reading = _Reading(Path(name.text), environment, needs, read_parameter, {*_vouched(document)})
    for key, value in _flat(document, reading):
        reading.add(key, value)
    options = document.get("options", {})
    if isinstance(options, dict) and options:
        what = f"{len(options)} section{'s' if len(options) > 1 else ''}"
        reading.values["options"] = Value(f"{what} of [options]", f"{name.text}: options", Origin.FILE)
    reading.values["config"] = name
    sections = options if isinstance(options, dict) else {}
    return FromFile(reading.values, sections, tuple(reading.problems), reading.withheld)


def _document(name: Value) -> dict[str, Any]:
    try:
        text = Path(name.text).read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"{name.where} names {name.text!r}, which cannot be read: {reason}; `etl init` writes such a file"
        ) from None
    try:
        return toml.read(text, toml.Kind.CONFIG, hidden(text))
    except ValueError as error:
        raise ConfigurationError(f"{name.text} {error}") from None


def _vouched(document: Mapping[str, Any]) -> Iterator[str]:
    """The URLs and hosts that the file itself takes from a variable, so that its secrets may go there."""
    for side in SIDES:
        section = document.get(side)
        if not isinstance(section, dict):
            continue
        for part in ("url", "host"):
            value = section.get(part)
            if isinstance(value, dict) and value.keys() == {"environment"}:
                yield f"{side}/{part}"


def _flat(document: Mapping[str, Any], reading: _Reading) -> Iterator[tuple[str, Any]]:
    """The document's settings by their keys, without the options."""
    for key, value in document.items():
        if key in SIDES and isinstance(value, dict):
            yield from ((f"{key}.{part}", inner) for part, inner in value.items())
        elif key in SIDES:
            reading.refuse(key, f'is no section; write [{key}], and below it url = "postgresql://…"')
        elif key != "options":
            yield key, value
        elif not isinstance(value, dict):
            reading.refuse(key, "is no section; write [options.orders], and below it the options of the table orders")


@dataclass(slots=True)
class _Reading:
    """The values and the problems of a file that is being read."""

    file: Path
    environment: Mapping[str, str]
    needs: Collection[str]
    read_parameter: ReadParameter
    vouched: Collection[str]
    values: dict[str, Value] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    withheld: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, key: str, value: Any) -> None:
        """Adds the value of a key, or its problem."""
        name = KEYS.get(key)
        if name is None:
            self.refuse(key, _unknown(key))
        elif isinstance(value, dict):
            self._refer(key, name, value)
        elif (text := _text(name, value)) is None:
            wanted = "a list of names" if name == "tables" else "a whole number"
            self.refuse(key, f"is neither {wanted} nor a text in quotes")
        elif fault := _in_clear(name, text):
            self.refuse(key, fault)
        else:
            self._set(key, name, text)

    def _set(self, key: str, name: str, text: str) -> None:
        text = text if name.endswith("/password") else text.strip()
        self.values[name] = Value(text, f"{self.file}: {key}", Origin.FILE)

    def refuse(self, key: str, fault: str) -> None:
        """Adds a problem of a key."""
        self.problems.append(f"{self.file}: {key} {fault}")

    def _refer(self, key: str, name: str, reference: Mapping[str, Any]) -> None:
        """Adds the value that a reference leads to, unless it is withheld from a host of the environment."""
        if self._is_set(name):
            return
        elsewhere = self._elsewhere(name)
        if elsewhere and reference.keys() in ({"parameter"}, {"file"}):
            self.withheld[name] = f"{self.file}: {key}", elsewhere
        elif (text := self._referred(key, name, reference)) is not None:
            self._set(key, name, text)

    def _referred(self, key: str, name: str, reference: Mapping[str, Any]) -> str | None:
        """The value that a reference leads to; None if it has none, with the problem if it is needed."""
        match list(reference.items()):
            case [("environment", str(variable))]:
                if text := self.environment.get(variable):
                    return text
                if not self._is_beside_url(name):  # which may have the value
                    self._miss(key, name, f"names the variable {variable}, which is not set; set it")
            case [("file", str(file))]:
                try:
                    return (self.file.parent / file).read_text(encoding="utf-8").removesuffix("\n")
                except UnicodeDecodeError:
                    self._miss(key, name, f"names the file {file!r}, which cannot be read: it is not UTF-8 text")
                except (OSError, ValueError) as error:  # a ValueError is for a zero byte in the name
                    reason = getattr(error, "strerror", None) or error
                    self._miss(key, name, f"names the file {file!r}, which cannot be read: {reason}")
            case [("parameter", str(parameter))] if self._is_needed(name):
                return self.read_parameter(parameter)
            case [("parameter", str())]:
                return None
            case _:
                forms = ", ".join(f'{{ {kind} = "{example}" }}' for kind, (example, _) in REFERENCES.items())
                self.refuse(key, f"is no reference; write one of {forms}")
        return None

    def _miss(self, key: str, name: str, fault: str) -> None:
        if self._is_needed(name):
            self.refuse(key, fault)

    def _is_set(self, name: str) -> bool:
        """Whether the environment has this setting, so that the file's value is not read."""
        return bool(self.environment.get(DECLARED[name].variable))

    def _is_needed(self, name: str) -> bool:
        """Whether the command needs a value: not that of a database that it does not use, or whose URL is set."""
        side = name.partition("/")[0]
        return side not in SIDES or (side in self.needs and self._elsewhere(name) != f"{side}/url")

    def _is_beside_url(self, name: str) -> bool:
        """Whether a setting is a part of a database whose URL is in the environment."""
        side = name.partition("/")[0]
        return side in SIDES and self._is_set(f"{side}/url")

    def _elsewhere(self, name: str) -> str:
        """The setting by which the environment leads a part's database to a host that the file does not name, or ''."""
        side, _, part = name.partition("/")
        if side not in SIDES or part == "url":
            return ""
        hosts = (f"{side}/url", f"{side}/host")
        return next((one for one in hosts if self._is_set(one) and one not in self.vouched), "")


def _text(name: str, value: Any) -> str | None:
    """A value of TOML as the text of a setting; None if it cannot be one."""
    match value:
        case str():
            return value
        case bool():
            return None
        case int():
            return str(value)
        case list() if name == "tables" and all(isinstance(one, str) for one in value):
            return tables_text(value)
    return None


def _in_clear(name: str, text: str) -> str | None:
    """The fault of a value that holds a secret in clear; None if it holds none."""
    variable = DECLARED[name].variable
    if DECLARED[name].secret:
        return f'is a secret in clear; write {{ environment = "{variable}" }}, or set that variable alone'
    if name.endswith("/url"):
        try:
            secrets = DatabaseUrl.parse(text).secrets
        except UrlError:  # it is said with the other problems of the settings
            secrets = []
        if secrets:
            other = variable.removesuffix("URL") + "PASSWORD"
            remedy = f'set {other}, or write password = {{ environment = "{other}" }}'
            return f"has a password in clear; take it out of the URL, and {remedy}"
    return None


def _unknown(key: str) -> str:
    """The fault of a key that is no setting, with the one that was probably meant."""
    section, _, last = key.rpartition(".")
    if section and last in KEYS:
        return f"is no setting; {last} stands above the first [section] of the file"
    if key in OF_ONE_PROCESS:
        return f"is not for a file, because each process has its own; set {DECLARED[key].variable}"
    spellings = {key: key for key in KEYS} | {"options": "[options.…]"}
    for right, name in KEYS.items():
        declared = DECLARED[name]
        spellings |= {one.lower(): right for one in (declared.variable, declared.variable.removeprefix("ETL_"))}
    near = get_close_matches(key.lower(), spellings, n=1, cutoff=0.75)
    return f"is no setting; {f'did you mean {spellings[near[0]]}?' if near else '`etl settings` lists them'}"
