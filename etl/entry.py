"""What every way into the program does first: the settings are read, the log is set up and knows the secrets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import structlog

from etl import config, log
from etl.settings import Settings

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
    found, warnings = config.load(environment, needs, read, given=given, on_terminal=on_terminal)
    _secrets[:] = found.secrets
    log.configure(found.log_format, found.log_level, found.secrets)
    log.bind(run_id=found.run_id, **({} if found.shard is None else {"shard": found.shard}))
    for warning in warnings:
        structlog.get_logger().warning("setting.unknown", error=warning)
    return found


def redact(text: str) -> str:
    """Gives ``text`` without the secrets of the settings read last."""
    return log.redact(text, _secrets)


def _read_parameters(environment: Mapping[str, str], path: str) -> dict[str, str]:
    from etl.aws import read_parameters  # boto3 costs half a second of start-up where it is not needed

    return read_parameters(path, environment.get("AWS_REGION") or None)  # boto3 itself reads AWS_DEFAULT_REGION only
