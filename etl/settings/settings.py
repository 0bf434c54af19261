"""The settings of one command: frozen, validated, and safe to print."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_serializer

from etl.logs import log, metrics
from etl.model import mask
from etl.model.selection import Selection
from etl.sessions.url import DatabaseUrl
from etl.settings.options import Options

MAX_JOBS = 64
"""More pairs of connections than this would only wait for each other."""

_RUN_ID = re.compile(r"[A-Za-z0-9._:+=@-]{1,100}")


def new_run_id() -> str:
    """Makes up a run's id: the time, and a few characters so that two runs of one second differ."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _jobs(text: Any) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()) or not 1 <= int(text) <= MAX_JOBS:
        raise ValueError(f"is {text!r}; write a whole number from 1 to {MAX_JOBS}")
    return int(text)


def _deadline(text: Any) -> float:
    if not re.fullmatch(r"[0-9]{1,6}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number of seconds")
    return float(text)


def _index_memory(text: Any) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5}) ?(MB|GB)", str(text).strip())
    if found is None:
        raise ValueError(f"is {text!r}; write a size such as 512MB or 4GB")
    return int(found[1]) * {"MB": 1 << 10, "GB": 1 << 20}[found[2]]


def _max_age(text: Any) -> float:
    if _deadline(text) < 1:
        raise ValueError(f"is {text!r}; write a whole number of seconds, 1 or more")
    return float(text)


def _shard(text: Any) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number from 0 to 9999")
    return int(text)


def check_run_id(text: Any) -> Any:
    """Gives a run's id as it is; raises ValueError where it is none."""
    if not isinstance(text, str) or not _RUN_ID.fullmatch(text):
        raise ValueError(f"is {text!r}; write 1 to 100 letters, digits and . _ : + = @ -")
    return text


def _choice(*choices: str) -> BeforeValidator:
    def check(text: Any) -> Any:
        if text not in choices:
            raise ValueError(f"is {text!r}; write one of {', '.join(choices)}")
        return text

    return BeforeValidator(check)


def _mask_key(text: str) -> SecretStr:
    if len(text) < mask.SHORTEST_KEY:
        raise ValueError(f"is shorter than {mask.SHORTEST_KEY} characters; make one with `openssl rand -hex 32`")
    return SecretStr(text)


def _dimensions(text: Any) -> Any:
    return metrics.dimensions(text) if isinstance(text, str) else text


class Settings(BaseModel):
    """All settings, whichever of them a command needs; ``config.load`` makes one.

    ``operational``, ``reporting`` and ``tables`` are None only for commands that do not need them.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    operational: DatabaseUrl | None = None
    reporting: DatabaseUrl | None = None
    tables: Selection | None = None
    run_id: Annotated[str, BeforeValidator(check_run_id)] = Field(default_factory=new_run_id)
    jobs: Annotated[int, BeforeValidator(_jobs)] = 4
    plan: Annotated[Literal["own", "run"], _choice("own", "run")] = "own"
    publish: Annotated[Literal["run", "table", "defer"], _choice("run", "table", "defer")] = "run"
    snapshot: Annotated[Literal["own", "run"], _choice("own", "run")] = "own"
    snapshot_max_age: Annotated[float, BeforeValidator(_max_age)] = 6 * 3600.0
    shard: Annotated[int, BeforeValidator(_shard)] | None = None
    verify: Annotated[Literal["rows", "checksum", "none"], _choice("rows", "checksum", "none")] = "rows"
    deadline: Annotated[float, BeforeValidator(_deadline)] = 600.0
    blockers: Annotated[Literal["wait", "end"], _choice("wait", "end")] = "wait"
    index_memory: Annotated[int, BeforeValidator(_index_memory)] | None = None
    """kB, for all index builds that go on at once."""
    options: Options = Options()
    mask_key: Annotated[SecretStr, BeforeValidator(_mask_key)] | None = None
    metrics_namespace: Annotated[str, BeforeValidator(metrics.namespace)] | None = None
    metrics_dimensions: Annotated[dict[str, str | None], BeforeValidator(_dimensions)] = {"table": None}
    log_format: Annotated[Literal["json", "console"], _choice(*log.FORMATS)] = "json"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _choice(*log.LEVELS)] = "info"

    @field_serializer("operational", "reporting")
    def _without_password(self, url: DatabaseUrl | None) -> str | None:
        return None if url is None else str(url)

    @property
    def source(self) -> DatabaseUrl:
        """The operational database's URL, with what its sessions need to compute masks."""
        assert self.operational is not None, "this command did not ask for the operational database"
        return replace(self.operational, session=self._mask_session)

    @property
    def _mask_session(self) -> dict[str, str]:
        return mask.session(self.mask_key.get_secret_value()) if self.mask_key and self.options.needs_key else {}

    @property
    def target(self) -> DatabaseUrl:
        """The reporting database's URL."""
        assert self.reporting is not None, "this command did not ask for the reporting database"
        return self.reporting

    @property
    def selection(self) -> Selection:
        """The tables to copy."""
        assert self.tables is not None, "this command did not ask for the tables"
        return self.tables

    @property
    def table_metrics(self) -> metrics.Metrics | None:
        """What makes metrics of each table's log line, None where nobody asked for any."""
        namespace = self.metrics_namespace
        return metrics.Metrics(namespace, self.metrics_dimensions) if namespace else None

    @property
    def secrets(self) -> list[str]:
        """The texts that no log line, error or ledger row may hold, as they are and percent-encoded.

        The longest stands first: one that holds another must not be left in part.
        """
        urls = [url for url in (self.operational, self.reporting) if url is not None]
        plain = [secret for url in urls for secret in url.secrets] + list(self._mask_session.values())
        plain += [self.mask_key.get_secret_value()] if self.mask_key else []
        known = {*plain, *(quote(secret, safe="") for secret in plain)}
        return sorted(known, key=lambda secret: (-len(secret), secret))

    def redact(self, text: str) -> str:
        """Gives ``text`` without the secrets."""
        return log.redact(text, self.secrets)
