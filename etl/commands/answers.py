"""The commands' answers: the dataclasses that ``--json`` prints and that the Lambdas return, as JSON.

docs/schemas/ is generated from them. They are a contract: fields are added, never renamed. Those that tell what the
ledger has are in ``accounts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from etl.commands.answer import Answer
from etl.model.record import Finished, Load


@dataclass(frozen=True, slots=True)
class RunLoad(Answer):
    """One table that a run has copied."""

    table: str
    """The table's name in the source, `schema.table`."""
    rows: int | None
    bytes: int | None
    """Bytes that the stream had."""
    seconds: float
    """Wall time from the load's beginning until the table was staged."""
    copy_seconds: float | None
    index_seconds: float | None
    analyze_seconds: float | None

    @classmethod
    def of(cls, load: Load) -> RunLoad:
        """The answer about one load."""
        steps = load.copy_seconds, load.index_seconds, load.analyze_seconds
        return cls(load.table_name, load.rows, load.bytes, load.seconds, *steps)


@dataclass(frozen=True, slots=True)
class InitAnswer(Answer):
    """A configuration file that was written."""

    file: str
    """Its name; `-` if it was printed."""
    tables: int
    """The tables that it names, without those that the source's role may not read."""
    masks: int
    """The columns that look like personal data; the file proposes a mask for each, commented out."""


@dataclass(frozen=True, slots=True)
class RunAnswer(Answer):
    """A run that succeeded."""

    run_id: str
    status: str
    """`published`, also if `--only-failed` has found no table to run; or `staged`, if ETL_PUBLISH is defer."""
    tables: int
    rows: int
    bytes: int
    """Bytes that the streams had."""
    seconds: float
    loads: tuple[RunLoad, ...]
    """The tables that this process has copied, in the order in which they were staged."""

    @classmethod
    def of(cls, finished: Finished) -> RunAnswer:
        """The answer for a run that has finished."""
        loads = tuple(map(RunLoad.of, finished.loads))
        figures = len(loads), finished.rows, finished.bytes, round(finished.seconds, 3)
        return cls(finished.run_id, finished.status, *figures, loads)


@dataclass(frozen=True, slots=True)
class PlanShard(Answer):
    """A shard, and its tables in the form of TABLES."""

    shard: int
    """The shard's number, from 0 on: ETL_SHARD."""
    tables: str
    """A JSON array of names, as a text for TABLES."""
    expected_seconds: float
    """Seconds that the shard is expected to take, with ETL_JOBS loads at once."""


@dataclass(frozen=True, slots=True)
class PlanAnswer(Answer):
    """A run's shards."""

    run_id: str
    shards: tuple[PlanShard, ...]


@dataclass(frozen=True, slots=True)
class BriefShard(Answer):
    """A shard, and the number of its tables."""

    shard: int
    """The shard's number, from 0 on: ETL_SHARD."""
    tables: int
    """Number of the shard's tables; the ledger has their names."""
    expected_seconds: float
    """Seconds that the shard is expected to take, with ETL_JOBS loads at once."""


@dataclass(frozen=True, slots=True)
class PlanInBrief(Answer):
    """A plan without the tables' names: a state machine passes it on, so its size must not depend on their number."""

    run_id: str
    tables: int
    """Number of the tables of all shards."""
    shards: tuple[BriefShard, ...]


@dataclass(frozen=True, slots=True)
class SnapshotAnswer(Answer):
    """A snapshot that its holder has released."""

    run_id: str
    snapshot_id: str | None
    """Null if all tables were staged already, so that no snapshot was taken."""
    snapshot_at: datetime | None
    """The instant that the copied tables show."""
    tables: int
    reason: str
    """`staged` or `published`: the state of the run when the holder released the snapshot."""
    seconds: float
    """How long the snapshot was held."""


@dataclass(frozen=True, slots=True)
class PublishAnswer(Answer):
    """A publish."""

    run_id: str
    tables: int
    seconds: float
    """Wall time, including the waiting for readers."""
    attempts: int
    """How often the publish asked for its locks; 0 if the run was published before."""
    blocked_ms: float
    """How long readers may have waited for the publish, in milliseconds."""


@dataclass(frozen=True, slots=True)
class AbortAnswer(Answer):
    """A run that was to be aborted."""

    run_id: str
    status: str | None
    """The run's status in the ledger: `failed`, `interrupted` or `stopped`; `published` if the run was published
    before; null if it is not in the ledger."""
    dropped: int
    """The number of staging tables dropped."""


@dataclass(frozen=True, slots=True)
class Comparison(Answer):
    """The comparison of one table on both sides."""

    table: str
    rows: int | None
    """Rows in the source; null if a side could not be read."""
    checksum: str | None
    """The checksum of the source's rows, in hexadecimal digits."""
    difference: str | None
    """How the target differs, or why a side could not be read; null if both sides are equal."""


@dataclass(frozen=True, slots=True)
class Finding(Answer):
    """One line of `etl check`."""

    subject: str
    """A table of the source, or `source` or `target`."""
    text: str
    obstacle: bool = False
    """Whether it would make a run fail."""
    load: str | None = None
    """Of a table that is not always loaded whole: `full`, or `delta` if the next load would copy changes alone."""
    reason: str | None = None
    """Why the next load of the table would be full."""


@dataclass(frozen=True, slots=True)
class RetireAnswer(Answer):
    """A live table that is retired."""

    table: str
    """The live table, `schema.table`."""
    dropped: bool
    """Whether it was dropped; otherwise it is marked."""
    as_of: datetime | None
    """The instant of the source that its rows show; null if the ledger does not know it."""
    rows: int | None
    bytes: int
    """Its size with indexes."""
    dropped_with_it: tuple[str, ...]
    """What the reporting side had added to it, which was dropped with it."""
