"""What is found of settings: each value with the place that it comes from, and the list of all settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from etl.settings.declarations import declared
from etl.settings.declared import Setting
from etl.settings.settings import Settings

PARAMETER_PATH = "ETL_PARAMETER_PATH"
PARAMETER_ROLE = "ETL_PARAMETER_ROLE"
JOB = "ETL_JOB"
RUN_ID = "ETL_RUN_ID"

FILE_NAME = "nightly-etl.toml"
"""The configuration file's name in the current folder."""

CONFIG = Setting(
    "ETL_CONFIG",
    None,
    "The configuration file, as `--config` ([the configuration file](reference.md#the-configuration-file)).",
    "`nightly-etl.toml` in the current folder, if it is there",
)

_PATH = Setting(
    PARAMETER_PATH,
    None,
    "The path of the parameters in AWS Parameter Store, such as `/nightly-etl/prod`; read recursively, and decrypted.",
    "the environment alone",
)

_ROLE = Setting(
    PARAMETER_ROLE,
    None,
    "The IAM role that is assumed to read parameters, with the session tag `settings_path`, so that its policy can"
    " allow what is under `ETL_PARAMETER_PATH` and nothing else ([state-machine.md](state-machine.md#many-jobs)).",
    "the process's own role",
)

DECLARED = {"config": CONFIG, "path": _PATH, "role": _ROLE} | declared()
"""All settings, by their names in ``Found.given``."""


class Origin(IntEnum):
    """Where the value of a setting comes from; the greater takes precedence (docs/reference.md)."""

    STORE = 1
    FILE = 2
    ENVIRONMENT = 3
    COMMAND_LINE = 4


@dataclass(frozen=True, slots=True)
class Value:
    """The text of a setting, and where the text comes from, in a user's words."""

    text: str
    where: str
    origin: Origin = Origin.ENVIRONMENT

    @property
    def source(self) -> str:
        """Where the value comes from, as ``etl settings`` says it."""
        if self.origin == Origin.ENVIRONMENT:
            return "environment"
        return "command line" if self.origin == Origin.COMMAND_LINE else self.where


@dataclass(frozen=True, slots=True)
class FromFile:
    """The settings of a configuration file (``etl.settings.file``): their values, and the problems of the file.

    ``options`` are the file's options of tables, as TOML has them. ``withheld`` are parts of a database's URL
    that refer to where a secret may be, each with where it stands, and the setting by which the environment leads to a
    host that the file does not name: no secret of the file goes there.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    withheld: Mapping[str, tuple[str, str]] = field(default_factory=dict)


NO_FILE = FromFile()


@dataclass(frozen=True, slots=True)
class Found:
    """The settings of a command, warnings about variables that are no settings, and the given texts by setting."""

    settings: Settings
    warnings: tuple[str, ...]
    given: Mapping[str, Value]

    def shown(self) -> list[Shown]:
        """All settings, in the order of the reference."""
        return [self._shown(name, setting) for name, setting in DECLARED.items()]

    def _shown(self, name: str, setting: Setting) -> Shown:
        value = self.given.get(name)
        if value is None:
            return Shown(setting.variable, setting.default or None, "default")
        text = "***" if setting.secret else self.settings.redact(value.text)
        return Shown(setting.variable, text, value.source)


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting, its value (None if it has none; ``***`` for a secret), and the source of the value."""

    setting: str
    value: str | None
    source: str
