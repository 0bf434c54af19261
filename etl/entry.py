"""The first step of every entry point: reads the settings, configures the log, and hides the settings' secrets.

Only this module changes the whole process: asyncpg's protocol class and the log's configuration. Importing ``etl``
changes neither, so that another program may use its modules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from etl.logs import log
from etl.logs.log import get_logger
from etl.model.redaction import Redacted, Redactor, own_words
from etl.sessions import protocol
from etl.settings import config, file
from etl.settings.access import Access, access
from etl.settings.found import Found
from etl.settings.settings import Settings

_redactor: ContextVar[Redactor] = ContextVar("etl_redactor", default=own_words)
"""Removes the secrets of the settings that were read last in this context: a thread or task may read others."""

_BOUND = ("run_id", "job", "shard")
"""The settings that each line of the log has, if they are set."""

_log = get_logger()


def settings(
    environment: Mapping[str, str],
    needs: Collection[str],
    given: Mapping[str, str] | None = None,
    *,
    on_terminal: bool = False,
) -> Settings:
    """Reads a command's settings, as ``config.load`` finds them; from then on the log hides their secrets."""
    return found(environment, needs, given, on_terminal=on_terminal).settings


def found(
    environment: Mapping[str, str],
    needs: Collection[str],
    given: Mapping[str, str] | None = None,
    *,
    on_terminal: bool = False,
) -> Found:
    """Reads a command's settings like ``settings``, and returns them with the origin of each."""
    # boto3 itself reads AWS_DEFAULT_REGION only
    store = _Store(environment.get("AWS_REGION") or None, access(environment, given or {}))
    mint = partial(_mint_token, environment)
    name = file.found(environment, (given or {}).get("config"))
    from_file = file.read(name, environment, needs, store.parameter)
    loaded = config.load(
        environment, needs, store.parameters, mint_token=mint, given=given, file=from_file, on_terminal=on_terminal
    )
    settings = loaded.settings
    _redactor.set(settings.redact)
    protocol.exchange()
    log.configure(settings.log_format, settings.log_level, settings.redact, settings.table_metrics)
    log.bind(**{name: value for name in _BOUND if (value := getattr(settings, name)) is not None})
    for warning in loaded.warnings:
        _log.warning("setting.unknown", error=settings.redact(warning))
    return loaded


def forget() -> None:
    """Forgets all that an earlier reading of settings has left in this process, which may have been another job's."""
    _redactor.set(own_words)
    log.bind()
    log.configure("json", "info")


def redact(text: str | BaseException) -> Redacted:
    """A text or an error without the secrets of the settings that were read last."""
    return _redactor.get()(text)


@dataclass(slots=True)
class _Store:
    """Parameter Store, as one reading of settings sees it: a role is assumed once, when the first parameter is read."""

    region: str | None
    access: Access | None
    _opened: Any = None

    def parameters(self, path: str) -> dict[str, str]:
        """All parameters under a path."""
        values: dict[str, str] = self._open().parameters(path)
        return values

    def parameter(self, name: str) -> str:
        """One parameter, by its full name."""
        value: str = self._open().parameter(name)
        return value

    def _open(self) -> Any:
        if self._opened is None:
            from etl.settings.aws import Store  # importing boto3 takes half a second, which other starts save

            self._opened = Store(self.region, self.access)
        return self._opened


def _mint_token(environment: Mapping[str, str], host: str, port: int, user: str) -> str:
    from etl.settings.aws import mint_token

    return mint_token(host, port, user, environment.get("AWS_REGION") or None)
