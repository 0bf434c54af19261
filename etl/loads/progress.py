"""Who is told how far the loads are: nobody, or a person at a terminal."""

from __future__ import annotations

from etl.model.table import Table


class Progress:
    """What a run tells of its loads while it goes on; this one tells nobody."""

    def surveyed(self, tables: list[Table]) -> None:
        """These tables are to be loaded."""

    def started(self, table: Table) -> None:
        """A load has begun."""

    def advanced(self, table: Table, size: int) -> None:
        """``size`` more bytes of a table have gone through."""

    def restarted(self, table: Table) -> None:
        """A load will be tried again, or has been given up."""

    def finished(self, table: Table) -> None:
        """A load is staged."""
