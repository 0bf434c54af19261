"""The progress of the loads: counted here, and shown to nobody, or as bars on a terminal (``etl.report.console``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from etl.ledger.rows import UnderWay
from etl.model.status import LoadStep
from etl.model.table import Table


class Progress:
    """Receives the progress of a run's loads, and ignores it; subclasses show it."""

    def surveyed(self, tables: list[Table]) -> None:
        """The run will load these tables."""

    def started(self, table: Table) -> None:
        """A load has begun."""

    def advanced(self, table: Table, size: int) -> None:
        """``size`` more bytes of a table have been copied."""

    def restarted(self, table: Table) -> None:
        """An attempt at a load has failed; its progress is void."""

    def copied(self, table: Table) -> None:
        """All rows of a table have been copied; its indexes are next."""

    def finished(self, table: Table) -> None:
        """A load is staged."""

    def failed(self, table: Table) -> None:
        """A load has failed."""


@dataclass(slots=True)
class _Going:
    """A load that goes on."""

    table: Table
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    step: LoadStep = LoadStep.ROWS
    bytes: int = 0

    def seen(self) -> UnderWay:
        """The load as the ledger has it; its rows are as many as its part of the catalog's bytes."""
        size = max(self.table.bytes, 1)
        part = 1.0 if self.step == LoadStep.INDEXES else min(self.bytes / size, 1.0)
        rows = round(max(self.table.rows, 0) * part)
        return UnderWay(str(self.table), self.began, self.step, rows, max(self.bytes, 0), size)


class Tally(Progress):
    """Counts the progress of a run's loads, and passes it on to ``shown``."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._going: dict[str, _Going] = {}
        self._told: dict[str, UnderWay] = {}
        self.tables = self.staged = self.broken = 0

    def surveyed(self, tables: list[Table]) -> None:
        """Begins anew: a run that has lost its snapshot loads its tables from another one."""
        self._going.clear()
        self._told.clear()
        self.tables, self.staged, self.broken = len(tables), 0, 0
        self._shown.surveyed(tables)

    def started(self, table: Table) -> None:
        """Counts a load among those that go on."""
        self._going.setdefault(str(table), _Going(table))
        self._shown.started(table)

    def advanced(self, table: Table, size: int) -> None:
        """Counts the bytes."""
        self._going[str(table)].bytes += size
        self._shown.advanced(table, size)

    def restarted(self, table: Table) -> None:
        """Counts no bytes of an attempt that has failed, unless all rows had been copied before."""
        going = self._going[str(table)]
        going.bytes = 0 if going.step == LoadStep.ROWS else going.bytes
        self._shown.restarted(table)

    def copied(self, table: Table) -> None:
        """Notes that a load copies rows no longer."""
        self._going[str(table)].step = LoadStep.INDEXES
        self._shown.copied(table)

    def finished(self, table: Table) -> None:
        """Counts a load that is staged."""
        self.staged += 1
        self._end(table)
        self._shown.finished(table)

    def failed(self, table: Table) -> None:
        """Counts a load that has failed."""
        self.broken += 1
        self._end(table)
        self._shown.failed(table)

    def _end(self, table: Table) -> None:
        self._going.pop(str(table), None)
        self._told.pop(str(table), None)

    def under_way(self) -> Sequence[UnderWay]:
        """The loads that go on, in the order in which they began."""
        return [one.seen() for one in self._going.values()]

    def news(self) -> Sequence[UnderWay]:
        """Those of them that have moved since they were told last."""
        return [one for one in self.under_way() if self._told.get(one.table_name) != one]

    def told(self, news: Sequence[UnderWay]) -> None:
        """Notes what the ledger has now."""
        self._told |= {one.table_name: one for one in news}
