"""The progress of the loads: shown to nobody here, or as bars on a terminal (``etl.report.console``)."""

from __future__ import annotations

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

    def finished(self, table: Table) -> None:
        """A load is staged."""
