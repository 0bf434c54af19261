"""What every way into the program does first: it reads the settings, sets up the log, and hides their secrets.

Only here is anything changed that belongs to the whole process: asyncpg's protocol class and the log's configuration.
Importing ``etl`` changes nothing, so another program may use its modules beside its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from functools import partial

from etl.logs import log
from etl.logs.log import get_logger
from etl.model.redaction import Redacted, Redactor, own_words
from etl.sessions import protocol
from etl.settings import config
from etl.settings.settings import Settings

_redactor: ContextVar[Redactor] = ContextVar("etl_redactor", default=own_words)
"""Takes out the secrets of the settings that this entry has read; each thread and task may be an entry of its own."""

_log = get_logger()


def settings(
    environment: Mapping[str, str],
    needs: Collection[str],
    given: Mapping[str, str] | None = None,
    *,
    on_terminal: bool = False,
) -> Settings:
    """A command's settings, as ``config.load`` finds them; from here on the log hides their secrets."""
    return found(environment, needs, given, on_terminal=on_terminal).settings


def found(
    environment: Mapping[str, str],
    needs: Collection[str],
    given: Mapping[str, str] | None = None,
    *,
    on_terminal: bool = False,
) -> config.Found:
    """The same, with where each of them comes from."""
    read = partial(_read_parameters, environment)
    mint = partial(_mint_token, environment)
    loaded = config.load(environment, needs, read, mint_token=mint, given=given, on_terminal=on_terminal)
    settings = loaded.settings
    _redactor.set(settings.redact)
    protocol.exchange()
    log.configure(settings.log_format, settings.log_level, settings.redact, settings.table_metrics)
    log.bind(run_id=settings.run_id, **({} if settings.shard is None else {"shard": settings.shard}))
    for warning in loaded.warnings:
        _log.warning("setting.unknown", error=settings.redact(warning))
    return loaded


def redact(said: str | BaseException) -> Redacted:
    """A text or an error without the secrets of the settings that this entry has read."""
    return _redactor.get()(said)


def _read_parameters(environment: Mapping[str, str], path: str) -> dict[str, str]:
    from etl.settings.aws import read_parameters  # boto3 costs half a second of start-up where it is not needed

    return read_parameters(path, environment.get("AWS_REGION") or None)  # boto3 itself reads AWS_DEFAULT_REGION only


def _mint_token(environment: Mapping[str, str], host: str, port: int, user: str) -> str:
    from etl.settings.aws import mint_token

    return mint_token(host, port, user, environment.get("AWS_REGION") or None)
