"""The settings of a command: frozen, validated, and safe to print."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, SecretStr, field_serializer
from pydantic_core.core_schema import is_instance_schema

from etl.logs import log, metrics
from etl.model import mask
from etl.model.redaction import Redactor
from etl.model.selection import Selection
from etl.model.way import RunWay
from etl.sessions.url import DatabaseUrl
from etl.settings import values
from etl.settings.declared import Setting
from etl.settings.options import Options

_RUN_ID = re.compile(r"[A-Za-z0-9._:+=@-]{1,100}")


def new_run_id() -> str:
    """Makes a run's id: the time, and random characters, because two runs may start in the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def check_run_id(text: Any) -> Any:
    """Returns a run's id unchanged; raises ValueError if it is not valid."""
    if not isinstance(text, str) or not _RUN_ID.fullmatch(text):
        raise ValueError(f"is {text!r}; write 1 to 100 letters, digits and . _ : + = @ -")
    return text


_Made = GetPydanticSchema(lambda kind, _: is_instance_schema(kind))
"""A value that ``config`` has made: it only has to be of its type. By default, pydantic builds validators of all that a
dataclass has, and of the options of tables, which takes longer than the rest of the settings."""


class Settings(BaseModel):
    """All settings; ``config.load`` creates them.

    ``operational``, ``reporting`` and ``tables`` are None only if the command does not need them.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    operational: Annotated[DatabaseUrl, _Made] | None = None
    reporting: Annotated[DatabaseUrl, _Made] | None = None
    tables: Annotated[
        Annotated[Selection, _Made] | None,
        Setting(
            "TABLES",
            "tables",
            "The tables to copy: `orders,sales.invoice,audit.*,!audit.tmp_*`. A name without a schema is in `public`,"
            ' `*` matches any characters, `!` excludes, and `"quoted.names"` are literal. Or a JSON array of names.'
            " Or, but not in Parameter Store, `@tables.txt`: a file of names, with a line or a comma between them, and"
            " `#` before a comment. A pattern leaves out partitions and the tables of extensions; name them to copy"
            " them.",
        ),
    ] = None
    run_id: Annotated[
        str,
        BeforeValidator(check_run_id),
        Setting(
            "ETL_RUN_ID",
            None,
            "The run's id; all containers of a run have the same id. `etl snapshot` and `ETL_SNAPSHOT=run` need it.",
            "generated from the time",
        ),
    ] = Field(default_factory=new_run_id)
    job: Annotated[
        Annotated[str, BeforeValidator(values.job)] | None,
        Setting(
            "ETL_JOB",
            None,
            "The name of the job that this run is of, where one deployment serves many: in each line of the log, and in"
            " the metrics ([state-machine.md](state-machine.md#many-jobs)). How much is done at once is `ETL_JOBS`.",
            "no name",
        ),
    ] = None
    jobs: Annotated[
        int,
        BeforeValidator(values.jobs),
        Setting("ETL_JOBS", "jobs", "The number of tables, page ranges and index builds at the same time, 1 to 64."),
    ] = 4
    index_memory: Annotated[
        int | None,
        BeforeValidator(values.index_memory),
        Setting(
            "ETL_INDEX_MEMORY",
            "index_memory",
            "Memory on the target for all simultaneous index builds together, such as `2GB`.",
            "an eighth of the target's `shared_buffers`, at least 64 MB for each build",
        ),
    ] = None
    """In kB, for all simultaneous index builds together."""
    plan: Annotated[
        Literal["own", "run"],
        values.choice("own", "run"),
        Setting(
            "ETL_PLAN",
            None,
            "The tables that this process loads: `own`, those of `TABLES`; `run`, those of the plan that `etl plan"
            " --save` wrote into the ledger for this run, of the shard `ETL_SHARD` or, without it, of all shards.",
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
    publish_way: Annotated[
        Literal["auto", "swap", "merge", "mixed"],
        values.choice("auto", "swap", "merge", "mixed"),
        Setting(
            "ETL_PUBLISH_WAY",
            "publish_way",
            "How the run's tables become live: `swap`, all as new tables, so that a table with changes is loaded whole;"
            " `merge`, the rows of all into the tables that are there; `auto`, the one of these that is possible and"
            " cheaper for the run; `mixed`, each table by itself, so that an older snapshot may see two nights"
            " ([guarantees.md](guarantees.md#readers-with-an-old-snapshot)).",
        ),
    ] = "auto"
    readers: Annotated[
        Literal["transaction", "statement"],
        values.choice("transaction", "statement"),
        Setting(
            "ETL_READERS",
            "readers",
            "Which readers see one night only: `transaction`, also a READ COMMITTED transaction that has read a table"
            " of the run, so the publish waits for it; `statement`, each statement, so that merged rows wait for no"
            " reader.",
        ),
    ] = "transaction"
    merge_max: Annotated[
        float,
        BeforeValidator(values.deadline),
        Setting(
            "ETL_MERGE_MAX",
            "merge_max",
            "The longest time that the changes of a run may be expected to take in the publish, in seconds; otherwise"
            " its tables are swapped. With `ETL_PUBLISH_WAY=mixed` it is the time of this process's tables, and one"
            " that does not fit any more is swapped. Not with `ETL_PUBLISH_WAY=merge`, nor for tables in place.",
        ),
    ] = 300.0
    publish_deadline: Annotated[
        float,
        BeforeValidator(values.deadline),
        Setting(
            "ETL_PUBLISH_DEADLINE",
            "publish_deadline",
            "How long a publish tries again while other sessions use the live tables, in seconds.",
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
    comment_as_of: Annotated[
        Literal["on", "off"],
        values.choice("on", "off"),
        Setting(
            "ETL_COMMENT_AS_OF",
            "comment_as_of",
            "Whether the last line of each live table's comment says as of when its rows are, such as `As of 2026-11-28"
            " 02:00:03 UTC (nightly-etl)`. What else the comment says stays"
            " ([operations.md](operations.md#as-of-when)).",
        ),
    ] = "off"
    after_publish: Annotated[
        Annotated[tuple[str, ...], BeforeValidator(values.command)] | None,
        Setting(
            "ETL_AFTER_PUBLISH",
            None,
            "A command that `etl run` and `etl publish` execute after they have published, such as `dbt build`"
            " ([operations.md](operations.md#a-command-after-the-publish)). It is split into words as a shell does, and"
            " run without one.",
            "no command",
        ),
    ] = None
    keep_stopped: Annotated[
        float,
        BeforeValidator(values.deadline),
        Setting(
            "ETL_KEEP_STOPPED",
            "keep_stopped",
            "How long the staging tables of a run are kept that was stopped because tables have too few rows"
            " ([options.md](options.md#too-few-rows)), in seconds; `0` drops them at once.",
        ),
    ] = 24 * 3600.0
    snapshot: Annotated[
        Literal["own", "run"],
        values.choice("own", "run"),
        Setting(
            "ETL_SNAPSHOT",
            None,
            "`own`: this process takes a snapshot of its own; `run`: it waits until the ledger has the snapshot that"
            " `etl snapshot` holds for this run.",
        ),
    ] = "own"
    snapshot_max_age: Annotated[
        float,
        BeforeValidator(values.max_age),
        Setting(
            "ETL_SNAPSHOT_MAX_AGE",
            "snapshot_max_age",
            "The longest time for which `etl snapshot` holds a snapshot, in seconds.",
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
            "How a load is verified before the publish: `rows` compares the number of rows of source and target,"
            " `checksum` their hashes, too, and `none` nothing.",
        ),
    ] = "rows"
    load: Annotated[
        Literal["full", "auto", "delta"],
        values.choice("full", "auto", "delta"),
        Setting(
            "ETL_LOAD",
            "load",
            "Which rows are copied: `full`, all of them; `auto`, those that have changed since the last published load,"
            " where that is exact, and all otherwise; `delta`, the same, but a table that was loaded before fails where"
            " it is not exact ([how-deltas-work.md](how-deltas-work.md)).",
        ),
    ] = "auto"
    options: Annotated[
        Options,
        _Made,
        Setting(
            "ETL_OPTIONS_FILE",
            "options",
            "A TOML file with options of single tables (columns, filter, name, order, indexes, masks …), see"
            " [options.md](options.md). The parameter in Parameter Store holds the text itself.",
            "no options",
        ),
    ] = Options()
    mask_key: Annotated[
        SecretStr | None,
        BeforeValidator(values.mask_key),
        Setting("ETL_MASK_KEY", "mask_key", "The key for masks that need a key, 16 characters or more.", secret=True),
    ] = None
    metrics_namespace: Annotated[
        str | None,
        BeforeValidator(metrics.namespace),
        Setting(
            "ETL_METRICS_NAMESPACE",
            "metrics_namespace",
            "The CloudWatch namespace of the metrics in each table's log line (embedded metric format).",
            "no metrics",
        ),
    ] = None
    metrics_dimensions: Annotated[
        dict[str, str | None],
        BeforeValidator(values.dimensions),
        Setting(
            "ETL_METRICS_DIMENSIONS",
            "metrics_dimensions",
            "The dimensions of these metrics: `table`, `job` (the name in `ETL_JOB`), and `name=value` for a constant,"
            " separated by commas, 30 at most. Each job with each table is then a metric that CloudWatch charges for"
            " ([contract.md](contract.md#metrics)).",
            "table",
        ),
    ] = {"table": None}
    report_bucket: Annotated[
        Annotated[str, BeforeValidator(values.bucket)] | None,
        Setting(
            "ETL_REPORT_BUCKET",
            "report_bucket",
            "The S3 bucket into which the function `report` writes [the page of each"
            " night](state-machine.md#the-page-of-a-night). The commands do not read it.",
            "no page",
        ),
    ] = None
    log_format: Annotated[
        Literal["json", "console"],
        values.choice(*log.FORMATS),
        Setting("ETL_LOG_FORMAT", None, "`json` or `console`.", "json; on a terminal console"),
    ] = "json"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        values.choice(*log.LEVELS),
        Setting("ETL_LOG_LEVEL", None, "`debug`, `info`, `warning` or `error`.", "info; beside progress bars warning"),
    ] = "info"

    @field_serializer("operational", "reporting")
    def _without_password(self, url: DatabaseUrl | None) -> str | None:
        return None if url is None else str(url)

    @property
    def source(self) -> DatabaseUrl:
        """The operational database's URL, with the settings with which its sessions compute masks."""
        assert self.operational is not None, "this command did not ask for the operational database"
        return replace(self.operational, session=self._mask_session)

    def by(self, way: RunWay) -> Settings:
        """The settings of a run of which it is known how its tables become live."""
        options = self.options.in_place() if way == RunWay.MERGE else self.options
        return self.model_copy(update={"publish_way": way.value, "options": options})

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
        """The log processor that adds metrics to each table's line, or None if no namespace is set."""
        namespace = self.metrics_namespace
        return metrics.Metrics(namespace, self.metrics_dimensions) if namespace else None

    @property
    def redact(self) -> Redactor:
        """The redactor that removes the secrets from texts and errors."""
        return Redactor(self.secrets)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no log line, error or ledger row may contain, plain and percent-encoded.

        The longest secret comes first: a shorter one may be a part of it.
        """
        urls = [url for url in (self.operational, self.reporting) if url is not None]
        plain = [secret for url in urls for secret in url.secrets] + list(self._mask_session.values())
        plain += [self.mask_key.get_secret_value()] if self.mask_key else []
        known = {*plain, *(quote(secret, safe="") for secret in plain)}
        return tuple(sorted(known, key=lambda secret: (-len(secret), secret)))
