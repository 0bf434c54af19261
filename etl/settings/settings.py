"""The settings of one command: frozen, validated, and safe to print."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_serializer
from pydantic.fields import FieldInfo

from etl.logs import log, metrics
from etl.model import mask
from etl.model.redaction import Redactor
from etl.model.selection import Selection
from etl.sessions.url import PARTS, DatabaseUrl
from etl.settings.declared import Setting
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
    tables: Annotated[
        Selection | None,
        Setting(
            "TABLES",
            "tables",
            "The tables to copy: `orders,sales.invoice,audit.*,!audit.tmp_*`. Bare names are in `public`, `*` matches"
            ' any characters, `!` excludes, `"quoted.names"` are taken as they are. Or a JSON array.',
        ),
    ] = None
    run_id: Annotated[
        str,
        BeforeValidator(check_run_id),
        Setting(
            "ETL_RUN_ID",
            None,
            "The run's id, the same for all containers of a run. `etl snapshot` and `ETL_SNAPSHOT=run` need it.",
            "made of the time",
        ),
    ] = Field(default_factory=new_run_id)
    jobs: Annotated[
        int,
        BeforeValidator(_jobs),
        Setting("ETL_JOBS", "jobs", "Tables, page ranges and index builds in flight at once, 1 to 64."),
    ] = 4
    index_memory: Annotated[
        int | None,
        BeforeValidator(_index_memory),
        Setting(
            "ETL_INDEX_MEMORY",
            "index_memory",
            "Memory on the target of all index builds in flight together, such as `2GB`.",
            "an eighth of its `shared_buffers`, but 64 MB for each build",
        ),
    ] = None
    """kB, for all index builds that go on at once."""
    plan: Annotated[
        Literal["own", "run"],
        _choice("own", "run"),
        Setting(
            "ETL_PLAN",
            None,
            "Which tables this process is given: `own`, those of `TABLES`; `run`, those that `etl plan --save` wrote"
            " into the ledger for this run: of the shard `ETL_SHARD`, or of all shards.",
        ),
    ] = "own"
    publish: Annotated[
        Literal["run", "defer"],
        _choice("run", "defer"),
        Setting(
            "ETL_PUBLISH",
            "publish",
            "When the run's tables become live: `run`, at its end; `defer`, when `etl publish` is called.",
        ),
    ] = "run"
    publish_deadline: Annotated[
        float,
        BeforeValidator(_deadline),
        Setting(
            "ETL_PUBLISH_DEADLINE",
            "publish_deadline",
            "Seconds for which a publish goes on giving way to readers.",
        ),
    ] = 600.0
    publish_blockers: Annotated[
        Literal["fail", "end"],
        _choice("fail", "end"),
        Setting(
            "ETL_PUBLISH_BLOCKERS",
            "publish_blockers",
            "What to do with sessions that still block the publish at the deadline: `fail` the run, or `end` them.",
        ),
    ] = "fail"
    snapshot: Annotated[
        Literal["own", "run"],
        _choice("own", "run"),
        Setting(
            "ETL_SNAPSHOT",
            None,
            "`own`: this process takes the snapshot; `run`: it waits in the ledger for the one that `etl snapshot`"
            " holds for this run.",
        ),
    ] = "own"
    snapshot_max_age: Annotated[
        float,
        BeforeValidator(_max_age),
        Setting(
            "ETL_SNAPSHOT_MAX_AGE",
            "snapshot_max_age",
            "Seconds for which `etl snapshot` holds a snapshot at most.",
        ),
    ] = 6 * 3600.0
    shard: Annotated[
        int | None,
        BeforeValidator(_shard),
        Setting("ETL_SHARD", None, "This container's number, for the plan, the ledger and the log."),
    ] = None
    verify: Annotated[
        Literal["rows", "checksum", "none"],
        _choice("rows", "checksum", "none"),
        Setting(
            "ETL_VERIFY",
            "verify",
            "How a load is compared with its table before the publish: `rows`, their number; `checksum`, the hashes of"
            " both sides too; `none`.",
        ),
    ] = "rows"
    options: Annotated[
        Options,
        Setting(
            "ETL_OPTIONS_FILE",
            "options",
            "A TOML file, in Parameter Store the text itself: what one table needs beside the defaults (columns,"
            " filter, name, order, indexes, masks …), see [options.md](options.md).",
            "no options",
        ),
    ] = Options()
    mask_key: Annotated[
        SecretStr | None,
        BeforeValidator(_mask_key),
        Setting("ETL_MASK_KEY", "mask_key", "The key of masks that need one, 16 characters or more.", secret=True),
    ] = None
    metrics_namespace: Annotated[
        str | None,
        BeforeValidator(metrics.namespace),
        Setting(
            "ETL_METRICS_NAMESPACE",
            "metrics_namespace",
            "CloudWatch namespace of the metrics that each table's log line carries (embedded metric format).",
            "no metrics",
        ),
    ] = None
    metrics_dimensions: Annotated[
        dict[str, str | None],
        BeforeValidator(_dimensions),
        Setting(
            "ETL_METRICS_DIMENSIONS",
            "metrics_dimensions",
            "Dimensions of these metrics: `table`, and `name=value` for what is the same on every line.",
            "table",
        ),
    ] = {"table": None}
    log_format: Annotated[
        Literal["json", "console"],
        _choice(*log.FORMATS),
        Setting("ETL_LOG_FORMAT", None, "`json` or `console`.", "json; on a terminal console"),
    ] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _choice(*log.LEVELS),
        Setting("ETL_LOG_LEVEL", None, "`debug`, `info`, `warning` or `error`."),
    ] = "info"

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
    def redact(self) -> Redactor:
        """What takes the secrets out of texts and errors."""
        return Redactor(self.secrets)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no log line, error or ledger row may hold, as they are and percent-encoded.

        The longest stands first: one that holds another must not be left in part.
        """
        urls = [url for url in (self.operational, self.reporting) if url is not None]
        plain = [secret for url in urls for secret in url.secrets] + list(self._mask_session.values())
        plain += [self.mask_key.get_secret_value()] if self.mask_key else []
        known = {*plain, *(quote(secret, safe="") for secret in plain)}
        return tuple(sorted(known, key=lambda secret: (-len(secret), secret)))


SIDES = ("operational", "reporting")
"""The two databases, as settings name them."""

_AUTH = (
    "How sessions sign in: `password`; or `iam`, with a token for each connection that the task's role signs for RDS or"
    " Aurora, which needs `sslmode=require` or better."
)


def declared() -> dict[str, Setting]:
    """Every setting's declaration, by the name of its field; those of the two databases by ``side/part``."""
    sides = {f"{side}/{part}": _of_database(side, part) for side in SIDES for part in ("url", *PARTS, "auth")}
    fields = {name: _declaration(field) for name, field in Settings.model_fields.items() if name not in SIDES}
    return fields | sides


def _of_database(side: str, part: str) -> Setting:
    names = f"ETL_{side}_{part}".upper(), f"{side}/{part}"
    match part:
        case "url":
            return Setting(*names, f"The {side} database, as a libpq URL with all its options.")
        case "auth":
            return Setting(*names, _AUTH, "password")
    text = f"The part `{part}` of the URL; it counts over the one that stands there."
    return Setting(*names, text, secret=part == "password")


def _declaration(field: FieldInfo) -> Setting:
    (one,) = (found for found in field.metadata if isinstance(found, Setting))
    match field.default:
        case float() as number:
            return replace(one, default=one.default or f"{number:g}")
        case str() | int() as default:
            return replace(one, default=one.default or str(default))
    return one
