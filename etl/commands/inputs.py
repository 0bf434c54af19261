"""The commands' inputs: arguments and options on the command line, and fields of a Lambda's event.

Each model declares both. A field is an option ``--name`` and a field ``name`` of the event, unless its ``Given`` says
otherwise. Its description is the option's help.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from etl.model import limits
from etl.model.errors import ConfigurationError
from etl.model.selection import Selection


@dataclass(frozen=True, slots=True)
class Given:
    """How a field is given, if it is not simply an option and a field of the event.

    ``is_argument``: by its position on the command line. ``names_run``: it is the run's id, and is validated as the
    setting is; an event has to have it. ``names_tables``: it is the setting TABLES. ``in_event``: whether an event may
    have it. ``in_event_alone``: the command line does not have it. ``as_event``: its description there, where an event
    may have more than the command line.
    """

    is_argument: bool = False
    names_run: bool = False
    names_tables: bool = False
    in_event: bool = True
    in_event_alone: bool = False
    as_event: str | None = None


def given(field: FieldInfo) -> Given:
    """The ``Given`` of a field."""
    return next((item for item in field.metadata if isinstance(item, Given)), Given())


class Input(BaseModel):
    """A command's input; this one is empty, for commands that need only settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that the input overrides: the run's id, and the tables."""
        return {
            name: value if isinstance(value, str) else ",".join(value)
            for name, field in type(self).model_fields.items()
            if (given(field).names_run or given(field).names_tables)
            and (value := getattr(self, name)) not in {None, ()}
        }


class OfTables(Input):
    """The tables, instead of those of the setting."""

    tables: Annotated[
        tuple[str, ...],
        Given(is_argument=True, names_tables=True, in_event=False),
        Field(description="The tables, as in TABLES: `orders 'sales.*' '!audit'`; by default those of TABLES."),
    ] = ()


class InitInput(OfTables):
    """The file to write, and the tables that it is about."""

    output: Annotated[str, Field(description="The file to write; - prints it.")] = "nightly-etl.toml"
    force: Annotated[bool, Field(description="Overwrite a file that is there.")] = False


class RunInput(OfTables):
    """The tables of a run, and whether only those that failed before are run."""

    only_failed: Annotated[
        bool,
        Given(in_event=False),
        Field(
            description="Of these tables, run those whose last load was not published. They show another instant than"
            " the tables that stay."
        ),
    ] = False


class OfRun(Input):
    """A run."""

    run_id: Annotated[
        str | None, Given(is_argument=True, names_run=True), Field(description="The run; by default ETL_RUN_ID.")
    ] = None


class ReportInput(Input):
    """A run, and the file of its page."""

    run_id: Annotated[
        str | None,
        Given(is_argument=True, names_run=True),
        Field(description="The run; by default ETL_RUN_ID, or else the newest."),
    ] = None
    output: Annotated[
        str | None,
        Given(in_event=False),
        Field(description="Write the night as a page to this file (HTML), in place of the figures; - prints it."),
    ] = None


class PlanInput(OfRun):
    """The number of shards or, in an event, the tables of each."""

    shards: Annotated[
        Annotated[int, Field(ge=1, le=limits.MOST_SHARDS)]
        | Annotated[list[str | list[str]], Field(min_length=1, max_length=limits.MOST_SHARDS)],
        Given(as_event="How many, at most; or the tables of each: lists of names and patterns, or texts for TABLES."),
        Field(description="How many, at most."),
    ]
    tables: Annotated[
        str | None,
        Given(names_tables=True, in_event=False),
        Field(description="The tables, as in TABLES; by default those of TABLES."),
    ] = None
    save: Annotated[
        bool,
        Given(in_event=False),
        Field(description="Write the plan of ETL_RUN_ID to the ledger, for ETL_PLAN=run."),
    ] = False


class PublishInput(OfRun):
    """A run to publish, and the reason if it was stopped."""

    anyway: Annotated[
        bool, Field(description="Publish a run that was stopped because its tables have too few rows.")
    ] = False
    reason: Annotated[str | None, Field(description="Why such a run is right; the ledger records it.")] = None

    @property
    def passing(self) -> str | None:
        """The reason to let a stopped run pass, or None; raises ConfigurationError if only one of the two is given."""
        if self.anyway != bool(self.reason and self.reason.strip()):
            raise ConfigurationError("--anyway and --reason TEXT go together; give both, or neither")
        return self.reason


class AbortInput(OfRun):
    """A run to end, and the reason."""

    error: Annotated[str | None, Field(description="The reason to record in the ledger.")] = "aborted"
    event: Annotated[
        dict[str, Any] | None,
        Given(in_event_alone=True),
        Field(
            description="EventBridge's event of the end of an execution, whose input may have settings_path and job; in"
            " place of these two."
        ),
    ] = None


class HistoryInput(Input):
    """The last runs, or one run."""

    run_id: Annotated[
        str | None,
        Given(is_argument=True, names_run=True),
        Field(description="The run; by default the last ones."),
    ] = None
    limit: Annotated[
        int | None, Field(ge=1, le=10_000, description="The most runs to show; by default 5, and of one table 30.")
    ] = None
    table: Annotated[
        str | None, Field(description="Show the nights of this table: seconds, rows, bytes, and since when it is slow.")
    ] = None
    last_good: Annotated[bool, Field(description="Show published runs alone; by default the last one.")] = False

    @property
    def is_one(self) -> bool:
        """Whether one run is asked for; raises ConfigurationError if more than that is."""
        if self.run_id is not None and (self.table is not None or self.last_good):
            raise ConfigurationError(
                "RUN_ID is one run, and --table and --last-good choose runs; leave one of them out"
            )
        return self.run_id is not None


class WatchInput(Input):
    """The run to watch."""

    run_id: Annotated[
        str | None,
        Given(is_argument=True, names_run=True),
        Field(description="The run; by default the newest that is running, or else the newest."),
    ] = None


class RetireInput(Input):
    """A live table to drop, or to mark."""

    table: Annotated[str, Given(is_argument=True), Field(description="The live table, as `etl check` names it.")]
    keep: Annotated[bool, Field(description="Mark the table as one that stays, instead of dropping it.")] = False
    yes: Annotated[bool, Field(description="Drop it without a question; without a terminal, nothing is asked.")] = False


class BatchInput(Input):
    """The next batch of a table."""

    table: Annotated[str, Field(description="The table's exact name.")]
    last_id: Annotated[
        int | None,
        Field(ge=-(2**63), lt=2**63, description="The last id of the batch before; null goes on from the watermark."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=100_000_000, description="The most rows to copy.")]
    key: Annotated[str | None, Field(description="The column whose order to follow; by default the primary key.")] = (
        None
    )
    lag: Annotated[
        int,
        Field(
            ge=0,
            lt=100_000_000,
            description="If last_id is null: begins so many ids before the watermark, for rows committed late.",
        ),
    ] = 0


def selections(shards: Sequence[str | list[str]]) -> list[Selection]:
    """Parses shards that a user wrote: each is a list of names and patterns, or a text in the form of TABLES."""
    read, problems = [], []
    for number, shard in enumerate(shards):
        try:
            read.append(Selection.parse(shard if isinstance(shard, str) else json.dumps(shard)))
        except ValueError as error:
            problems.append(f"event: shards: number {number} {error}")
    if problems:
        raise ConfigurationError(problems)
    return read
