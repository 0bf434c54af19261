"""What one table needs beside the default: the options file, read and applied. Pure policy.

TOML: a ``[defaults]`` section and sections named like elements of TABLES, ``["sales.invoice"]`` or
``["audit.*"]``. Of the sections that match a table, a later one wins, key by key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from etl.catalog import Table
from etl.errors import ConfigurationError
from etl.selection import Pattern, Relation, Selection

DEFAULTS = "defaults"


class TableOptions(BaseModel):
    """The options of one section; None is "not said"."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    columns: list[str] | None = None
    """The only columns to copy."""
    exclude: list[str] | None = None
    """Columns not to copy."""
    where: str | None = None
    """A condition on the rows to copy, in the source's SQL."""
    publish: Literal["swap", "in-place"] | None = None
    """Whether the staging table becomes the live one (the default), or its rows replace the live one's."""

    def over(self, other: TableOptions) -> TableOptions:
        """Gives these options with ``other`` where nothing is said here."""
        said = self.model_dump(exclude_none=True)
        return other.model_copy(update=said)


@dataclass(frozen=True, slots=True)
class Options:
    """All sections of an options file, in its order."""

    defaults: TableOptions = TableOptions()
    sections: tuple[tuple[Pattern, TableOptions], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Options:
        """Reads TOML; raises ValueError with one line that names all that is wrong."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"is not TOML: {error}") from None
        problems: list[str] = []
        sections = [(name, _section(name, body, problems)) for name, body in document.items()]
        patterns = [(_pattern(name, problems), options) for name, options in sections if name != DEFAULTS]
        if problems:
            raise ValueError("; ".join(problems))
        defaults = next((options for name, options in sections if name == DEFAULTS), TableOptions())
        return cls(defaults, tuple(patterns))

    def is_in_place(self, live: Relation) -> bool:
        """Tells whether a live table's rows are to be replaced in place."""
        return self.of(live).publish == "in-place"

    def of(self, table: Table | Relation) -> TableOptions:
        """Gives the options that hold for one table."""
        found = self.defaults
        for pattern, options in self.sections:
            if pattern.matches(Relation(table.schema, table.name)):
                found = options.over(found)
        return found

    def apply(self, tables: Sequence[Table]) -> list[Table]:
        """Gives the tables as their options have them.

        Raises ConfigurationError naming every column that a table does not have.
        """
        problems = [problem for table in tables for problem in _problems(table, self.of(table))]
        if problems:
            raise ConfigurationError(problems)
        return [_applied(table, self.of(table)) for table in tables]


def _section(name: str, body: object, problems: list[str]) -> TableOptions:
    if not isinstance(body, dict):
        problems.append(f"{name!r} stands outside a section; put it under [defaults] or a table's section")
        return TableOptions()
    try:
        return TableOptions.model_validate(body)
    except ValidationError as error:
        known = ", ".join(TableOptions.model_fields)
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"][:1])
            if fault["type"] != "extra_forbidden":
                problems.append(f"[{name}] {key} is wrong: {fault['msg']}")
            elif isinstance(fault["input"], dict):
                problems.append(f'[{name}.{key}] is TOML for a section within a section; write ["{name}.{key}"]')
            else:
                problems.append(f"[{name}] {key} is unknown; the options are {known}")
        return TableOptions()


def _pattern(name: str, problems: list[str]) -> Pattern:
    try:
        (pattern,) = Selection.parse(name).patterns
        return pattern
    except ValueError:
        problems.append(f'[{name}] is no table\'s name or pattern; write ["sales.invoice"] or ["audit.*"]')
        return Selection.parse("*").patterns[0]


def _problems(table: Table, options: TableOptions) -> Iterable[str]:
    there = {column.name for column in table.columns}
    for key in ("columns", "exclude"):
        for name in getattr(options, key) or []:
            if name not in there:
                yield f"options of {table}: {key} names {name!r}, which is no column of it"


def _applied(table: Table, options: TableOptions) -> Table:
    kept = [
        column
        for column in table.columns
        if (options.columns is None or column.name in options.columns) and column.name not in (options.exclude or [])
    ]
    names = {column.name for column in kept}
    return replace(
        table,
        columns=tuple(kept),
        # An index or a constraint on a column that is left out is left out with it.
        indexes=tuple(index for index in table.indexes if names.issuperset(index.columns)),
        constraints=tuple(constraint for constraint in table.constraints if names.issuperset(constraint.columns)),
        statistics=tuple(statistics for statistics in table.statistics if names.issuperset(statistics.columns)),
        where=options.where,
    )
