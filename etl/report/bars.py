"""Draws a run's progress on a terminal, with rich: a bar for each load, and one for the run."""

from __future__ import annotations

from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from etl.loads.progress import Progress
from etl.model.table import Table
from etl.model.wording import counted
from etl.report.console import escape


class _RowsColumn(ProgressColumn):
    """The rows that were copied, estimated from the catalog; empty if the catalog has no estimate."""

    def render(self, task: Task) -> Text:
        rows = task.fields["rows"]
        return Text(f"{rows:,.0f} rows" if rows else "", justify="right", no_wrap=True)


class TerminalProgress(Progress):
    """Draws a bar for each load, and one for the run, from the catalog's estimates of rows and bytes."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(None), _RowsColumn(), DownloadColumn())
        self._bars = Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(compact=True), transient=True)
        self._of_table: dict[str, TaskID] = {}
        self._of_run = TaskID(0)

    def __enter__(self) -> TerminalProgress:
        self._bars.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bars.__exit__(*exception)

    def surveyed(self, tables: list[Table]) -> None:
        """Draws the run's bar; draws it again from the start if the run has taken another snapshot."""
        for bar in self._bars.task_ids:
            self._bars.remove_task(bar)
        self._of_table.clear()
        self._of_run = self._bars.add_task(
            f"[bold]{counted(len(tables), 'table')}", total=sum(map(_size, tables)), rows=0
        )

    def started(self, table: Table) -> None:
        """Draws a table's bar."""
        if str(table) not in self._of_table:
            self._of_table[str(table)] = self._bars.add_task(escape(str(table)), total=_size(table), rows=0)

    def advanced(self, table: Table, size: int) -> None:
        """Moves a table's bar and the run's."""
        self._move(table, size, table.rows * size / _size(table))

    def restarted(self, table: Table) -> None:
        """Moves a table's bar back to its start, and the run's bar by as much."""
        bar = self._task(self._of_table[str(table)])
        self._move(table, -bar.completed, -bar.fields["rows"])

    def finished(self, table: Table) -> None:
        """Removes a table's bar, and moves the run's bar on by the rest of the table's estimate."""
        bar = self._task(self._of_table[str(table)])
        self._move(table, _size(table) - bar.completed, table.rows - bar.fields["rows"])
        self._bars.remove_task(self._of_table.pop(str(table)))

    def failed(self, table: Table) -> None:
        """Removes a table's bar, if it has one, and moves the run's bar on as if the table had arrived."""
        if str(table) in self._of_table:
            self.finished(table)
        else:
            self._bars.update(self._of_run, advance=_size(table), rows=self._task(self._of_run).fields["rows"])

    def _move(self, table: Table, size: float, rows: float) -> None:
        for bar in (self._of_table[str(table)], self._of_run):
            self._bars.update(bar, advance=size, rows=self._task(bar).fields["rows"] + rows)

    def _task(self, bar: TaskID) -> Task:
        return next(task for task in self._bars.tasks if task.id == bar)


def _size(table: Table) -> int:
    return max(table.bytes, 1)
