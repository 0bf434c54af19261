"""What every way into the program does first: the settings are read, the log is set up and knows the secrets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import structlog

from etl.logs import log
from etl.settings import config
from etl.settings.settings import Settings

_secrets: list[str] = []


def settings(
    environment: Mapping[str, str],
    needs: Collection[str],
    given: Mapping[str, str] | None = None,
    *,
    on_terminal: bool = False,
) -> Settings:
    """Gives a command's settings, as ``config.load`` finds them; from here on the log hides their secrets."""
    read = partial(_read_parameters, environment)
    mint = partial(_mint_token, environment)
    found, warnings = config.load(environment, needs, read, mint_token=mint, given=given, on_terminal=on_terminal)
    _secrets[:] = found.secrets
    log.configure(found.log_format, found.log_level, found.secrets, found.table_metrics)
    log.bind(run_id=found.run_id, **({} if found.shard is None else {"shard": found.shard}))
    for warning in warnings:
        structlog.get_logger().warning("setting.unknown", error=warning)
    return found


def redact(text: str) -> str:
    """Gives ``text`` without the secrets of the settings read last."""
    return log.redact(text, _secrets)


def _read_parameters(environment: Mapping[str, str], path: str) -> dict[str, str]:
    from etl.settings.aws import read_parameters  # boto3 costs half a second of start-up where it is not needed

    return read_parameters(path, environment.get("AWS_REGION") or None)  # boto3 itself reads AWS_DEFAULT_REGION only


def _mint_token(environment: Mapping[str, str], host: str, port: int, user: str) -> str:
    from etl.settings.aws import mint_token

    return mint_token(host, port, user, environment.get("AWS_REGION") or None)
