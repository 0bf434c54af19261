"""The first step of every entry point: reads the settings, configures the log, and hides the settings' secrets.

Only this module changes the whole process: asyncpg's protocol class and the log's configuration. Importing ``etl``
changes neither, so that another program may use its modules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from functools import partial

from etl.logs import log
from etl.logs.log import get_logger
from etl.model.redaction import Redacted, Redactor, own_words
from etl.sessions import protocol
from etl.settings import config, file
from etl.settings.found import Found
from etl.settings.settings import Settings

_redactor: ContextVar[Redactor] = ContextVar("etl_redactor", default=own_words)
"""Removes the secrets of the settings that were read last in this context: a thread or task may read others."""

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
    read = partial(_read_parameters, environment)
    mint = partial(_mint_token, environment)
    name = file.found(environment, (given or {}).get("config"))
    from_file = file.read(name, environment, needs, partial(_read_parameter, environment))
    loaded = config.load(
        environment, needs, read, mint_token=mint, given=given, file=from_file, on_terminal=on_terminal
    )
    settings = loaded.settings
    _redactor.set(settings.redact)
    protocol.exchange()
    log.configure(settings.log_format, settings.log_level, settings.redact, settings.table_metrics)
    log.bind(run_id=settings.run_id, **({} if settings.shard is None else {"shard": settings.shard}))
    for warning in loaded.warnings:
        _log.warning("setting.unknown", error=settings.redact(warning))
    return loaded


def redact(text: str | BaseException) -> Redacted:
    """A text or an error without the secrets of the settings that were read last."""
    return _redactor.get()(text)


def _read_parameters(environment: Mapping[str, str], path: str) -> dict[str, str]:
    from etl.settings.aws import read_parameters  # importing boto3 takes half a second, which other starts save

    return read_parameters(path, environment.get("AWS_REGION") or None)  # boto3 itself reads AWS_DEFAULT_REGION only


def _read_parameter(environment: Mapping[str, str], name: str) -> str:
    from etl.settings.aws import read_parameter

    return read_parameter(name, environment.get("AWS_REGION") or None)


def _mint_token(environment: Mapping[str, str], host: str, port: int, user: str) -> str:
    from etl.settings.aws import mint_token

    return mint_token(host, port, user, environment.get("AWS_REGION") or None)
