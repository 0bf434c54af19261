"""The gate: tells by the numbers of rows alone whether a night cannot be right. Pure policy.

The commonest accident is a source that is suddenly empty, or halved: a table that is being filled again, a filter with
a slip, rows that a role no longer sees. A copy of it is correct, and its publish would replace good rows. So a run
compares what it has staged with the last publish of each live table, and does not publish what has shrunk too far.

A load that copies changes alone knows the rows that it deletes, too. New rows may make up for these in number.
"""

# docs/decisions.md, "A night that has lost too many rows is stopped"

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from etl.model import limits
from etl.model.name import TargetName
from etl.model.wording import shown

OFF = "off"

DELETED = "deleted_at_most"

_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")


@dataclass(frozen=True, slots=True)
class Shrink:
    """The part of its rows that a table may lose from one publish to the next, from 0 to 1; 1 is ``off``.

    Lose in number is ``shrink_at_most``, and lose by key ``deleted_at_most``.
    """

    part: Fraction

    @classmethod
    def parse(cls, text: Any) -> Shrink:
        """Reads ``shrink_at_most`` or ``deleted_at_most``; raises ValueError."""
        if isinstance(text, Shrink):
            return text
        if text == OFF:
            return cls(Fraction(1))
        found = _PERCENTAGE.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None or Fraction(found[1]) > 100:
            raise ValueError(f'is {shown(text)}; write a percentage from "0%" to "100%", or "{OFF}"')
        return cls(Fraction(found[1]) / 100)

    def __str__(self) -> str:
        return f"{float(self.part * 100):g}%"


def rows_min(number: Any) -> int:
    """Reads ``rows_min``; raises ValueError."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"is {shown(number)}; write a whole number of rows, 0 or more, without quotes")
    return number


@dataclass(frozen=True, slots=True)
class Rule:
    """What a table has to keep: not to lose more than ``shrink``, and to have ``rows_min`` rows.

    ``deleted`` is the part of its rows that a load of changes may delete; any part if it is None, because a table that
    is filled again each night under new keys loses all of its rows by key.
    """

    shrink: Shrink = Shrink(Fraction(1, 2))
    rows_min: int = 0
    deleted: Shrink | None = None

    @property
    def deleted_at_most(self) -> Shrink:
        """The part of its rows that a load of changes may delete."""
        return Shrink(Fraction(1)) if self.deleted is None else self.deleted

    def broken(self, count: Count) -> str | None:
        """The option that a count breaks, with its value; None if it breaks none.

        A table that was small is only held to be empty or not: the counts of small tables halve by chance.
        """
        if count.rows < self.rows_min:
            return f"rows_min = {self.rows_min}"
        if count.before is None:
            return None
        lost, is_large = max(count.before - count.rows, 0), count.before >= limits.SHRINK_COUNTS_FROM_ROWS
        if (is_large or count.rows == 0) and lost > self.shrink.part * count.before:
            return f'shrink_at_most = "{self.shrink}"'
        return self._deleted_too_many(count, count.before) if is_large else None

    def _deleted_too_many(self, count: Count, before: int) -> str | None:
        most = self.deleted_at_most
        return f'{DELETED} = "{most}"' if (count.rows_deleted or 0) > most.part * before else None


@dataclass(frozen=True, slots=True)
class Count:
    """The rows that a run has staged of a table, and those of the last published load of its live table.

    ``before``, ``before_run`` and ``before_at`` are None if no load of this live table was published. ``refiltered``
    says that ``where`` is another one than then; it is None if the ledger does not say. ``is_emptied`` says that the
    staged rows are gone: their table was UNLOGGED, and the server has crashed. ``rows_deleted`` are the rows that a
    load of changes deletes; it is None if the load copied all rows. ``shrink_at_most``, ``rows_min`` and
    ``deleted_at_most`` are the options with which the table was loaded.
    """

    table_name: str
    schema_name: str
    relation_name: str
    rows: int
    before: int | None = None
    before_run: str | None = None
    before_at: datetime | None = None
    refiltered: bool | None = None
    is_emptied: bool = False
    shrink_at_most: str | None = None
    rows_min: int | None = None
    rows_deleted: int | None = None
    deleted_at_most: str | None = None

    @property
    def rule(self) -> Rule | None:
        """The rule with which the table was loaded; None if an older version has loaded it."""
        if self.shrink_at_most is None or self.rows_min is None:
            return None
        deleted = None if self.deleted_at_most is None else Shrink.parse(self.deleted_at_most)
        return Rule(Shrink.parse(self.shrink_at_most), self.rows_min, deleted)

    @property
    def live(self) -> TargetName:
        """The live table."""
        return TargetName(self.schema_name, self.relation_name)


@dataclass(frozen=True, slots=True)
class Finding:
    """A table whose count breaks a rule, and the option that it breaks."""

    count: Count
    broken: str

    @property
    def is_of_deleted(self) -> bool:
        """Whether the table would lose too many rows by key, while their number is right."""
        return self.broken.startswith(DELETED)

    def __str__(self) -> str:
        count = self.count
        if self.is_of_deleted:
            return (
                f"{count.table_name} would lose {count.rows_deleted:,} of the {count.before:,} rows that run"
                f" {count.before_run} has published ({self.broken})"
            )
        now = f"{count.table_name} has {count.rows:,} row{'' if count.rows == 1 else 's'} now"
        if count.before is None:
            return f"{now} ({self.broken})"
        filtered = ", and its where is another one than then" if count.refiltered else ""
        return (
            f"{now}, {count.before:,} when it was last published, by run {count.before_run}{filtered} ({self.broken})"
        )


def findings(counts: Sequence[Count], rules: Mapping[TargetName, Rule]) -> list[Finding]:
    """The counts that break their table's rule, in the order of the tables' names.

    The rule is that of the load, because ``etl publish`` may be called without the options of the run; ``rules`` are
    for loads that have none.
    """

    def found() -> Iterator[Finding]:
        for count in sorted(counts, key=lambda count: count.table_name):
            rule = count.rule or rules.get(count.live, Rule())
            if broken := rule.broken(count):
                yield Finding(count, broken)

    return list(found())


def said(run_id: str, found: Sequence[Finding], kept_until: datetime | None) -> str:
    """The reason why a run is stopped, in one line that names all tables; ``kept_until`` is how long it may pass."""
    remedy = "say so in the options of these tables and run again (nothing is kept, as ETL_KEEP_STOPPED is 0)"
    if kept_until is not None:
        remedy = f"`etl publish {run_id} --anyway --reason TEXT` publishes it until {kept_until:%Y-%m-%d %H:%M} UTC"
    tables = "; ".join(map(str, found))
    return f"run {run_id} is stopped before its publish, because {_why(found)}; if that is right, {remedy}: {tables}"


_REMEDY = re.compile(r"run \S+ is stopped before its publish, (because .*?); if that is right, .*?(?: UTC|is 0\)): ")


def reason(error: str) -> str:
    """Of what ``said`` has said: the reason and the tables alone, without the remedy."""
    return _REMEDY.sub(r"\1: ", error, count=1)


def _why(found: Sequence[Finding]) -> str:
    """How many tables break a rule, and what is wrong with them."""
    few, lose = ([each for each in found if each.is_of_deleted is of_deleted] for of_deleted in (False, True))
    parts = [f"{_tables(few)} {'has' if len(few) == 1 else 'have'} too few rows"] if few else []
    return " and ".join([*parts, *([f"{_tables(lose)} would lose too many rows"] if lose else [])])


def _tables(some: Sequence[Finding]) -> str:
    return f"{len(some):,} table{'' if len(some) == 1 else 's'}"
