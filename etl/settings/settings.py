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
from etl.model.redaction import Redactor
from etl.model.selection import Selection
from etl.sessions.url import DatabaseUrl
from etl.settings import values
from etl.settings.declared import Setting
from etl.settings.options import Options

_RUN_ID = re.compile(r"[A-Za-z0-9._:+=@-]{1,100}")


def new_run_id() -> str:
    """Makes up a run's id: the time, and a few characters so that two runs of one second differ."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def check_run_id(text: Any) -> Any:
    """Gives a run's id as it is; raises ValueError where it is none."""
    if not isinstance(text, str) or not _RUN_ID.fullmatch(text):
        raise ValueError(f"is {text!r}; write 1 to 100 letters, digits and . _ : + = @ -")
    return text


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
        BeforeValidator(values.jobs),
        Setting("ETL_JOBS", "jobs", "Tables, page ranges and index builds in flight at once, 1 to 64."),
    ] = 4
    index_memory: Annotated[
        int | None,
        BeforeValidator(values.index_memory),
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
        values.choice("own", "run"),
        Setting(
            "ETL_PLAN",
            None,
            "Which tables this process is given: `own`, those of `TABLES`; `run`, those that `etl plan --save` wrote"
            " into the ledger for this run: of the shard `ETL_SHARD`, or of all shards.",
        ),
    ] = "own"
    publish: Annotated[
        Literal["run", "defer"],
        values.choice("run", "defer"),
        Setting(
            "ETL_PUBLISH",
            "publish",
            "When the run's tables become live: `run`, at its end; `defer`, when `etl publish` is called.",
        ),
    ] = "run"
    publish_deadline: Annotated[
        float,
        BeforeValidator(values.deadline),
        Setting(
            "ETL_PUBLISH_DEADLINE",
            "publish_deadline",
            "Seconds for which a publish goes on giving way to readers.",
        ),
    ] = 600.0
    publish_blockers: Annotated[
        Literal["fail", "end"],
        values.choice("fail", "end"),
        Setting(
            "ETL_PUBLISH_BLOCKERS",
            "publish_blockers",
            "What to do with sessions that still block the publish at the deadline: `fail` the run, or `end` them.",
        ),
    ] = "fail"
    snapshot: Annotated[
        Literal["own", "run"],
        values.choice("own", "run"),
        Setting(
            "ETL_SNAPSHOT",
            None,
            "`own`: this process takes the snapshot; `run`: it waits in the ledger for the one that `etl snapshot`"
            " holds for this run.",
        ),
    ] = "own"
    snapshot_max_age: Annotated[
        float,
        BeforeValidator(values.max_age),
        Setting(
            "ETL_SNAPSHOT_MAX_AGE",
            "snapshot_max_age",
            "Seconds for which `etl snapshot` holds a snapshot at most.",
        ),
    ] = 6 * 3600.0
    shard: Annotated[
        int | None,
        BeforeValidator(values.shard),
        Setting("ETL_SHARD", None, "This container's number, for the plan, the ledger and the log."),
    ] = None
    verify: Annotated[
        Literal["rows", "checksum", "none"],
        values.choice("rows", "checksum", "none"),
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
        BeforeValidator(values.mask_key),
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
        BeforeValidator(values.dimensions),
        Setting(
            "ETL_METRICS_DIMENSIONS",
            "metrics_dimensions",
            "Dimensions of these metrics: `table`, and `name=value` for what is the same on every line.",
            "table",
        ),
    ] = {"table": None}
    log_format: Annotated[
        Literal["json", "console"],
        values.choice(*log.FORMATS),
        Setting("ETL_LOG_FORMAT", None, "`json` or `console`.", "json; on a terminal console"),
    ] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        values.choice(*log.LEVELS),
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
