"""What a person at a terminal sees: progress, tables, colours. Rich draws it; nothing here decides anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.table import Table as Grid

from etl.catalog import Table
from etl.check import Finding
from etl.progress import Progress
from etl.run import Finished
from etl.verify import Comparison


class TerminalProgress(Progress):
    """Draws a bar for each load, and one for the run, from the catalog's estimates."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Bars(*columns, TimeRemainingColumn(), transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._whole = TaskID(0)

    def __enter__(self) -> TerminalProgress:
        self._bars.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bars.__exit__(*exception)

    def planned(self, tables: list[Table]) -> None:
        """Draws the run's bar."""
        self._whole = self._bars.add_task(f"[bold]{len(tables)} tables", total=sum(table.bytes for table in tables))

    def started(self, table: Table) -> None:
        """Draws a table's bar."""
        if str(table) not in self._tasks:
            self._tasks[str(table)] = self._bars.add_task(escape(str(table)), total=table.bytes or None)

    def advanced(self, table: Table, size: int) -> None:
        """Moves a table's bar and the run's."""
        self._bars.advance(self._tasks[str(table)], size)
        self._bars.advance(self._whole, size)

    def restarted(self, table: Table) -> None:
        """Takes a table's bar back to its start."""
        self._bars.update(self._tasks[str(table)], completed=0)

    def finished(self, table: Table) -> None:
        """Takes a table's bar away."""
        self._bars.remove_task(self._tasks.pop(str(table)))


def print_finished(finished: Finished) -> None:
    """Prints a run's closing table."""
    loads = [vars_of(load) for load in finished.loads]
    grid = _loads(f"run {finished.run_id}: {finished.status} in {finished.seconds:.1f} s", loads)
    Console().print(grid)


def vars_of(load: Any) -> dict[str, Any]:
    """Gives a load's fields, and its seconds, by name."""
    return {name: getattr(load, name) for name in (*load.__slots__, "seconds")}


def print_history(runs: Sequence[dict[str, Any]]) -> None:
    """Prints runs, newest first, with their loads."""
    console = Console()
    if not runs:
        console.print("no runs yet")
    for run in runs:
        error = f": {run['error']}" if run["error"] else ""
        title = f"run {run['run_id']}: {run['status']}, began {run['started_at']:%Y-%m-%d %H:%M:%S %Z}{error}"
        console.print(_loads(title, [load | {"seconds": _seconds(load)} for load in run["loads"]]))


def print_comparisons(comparisons: Iterable[Comparison]) -> None:
    """Prints what ``etl verify`` found."""
    grid = _grid("verify", "table", ">rows", ">checksum", "source = target")
    for one in comparisons:
        rows, checksum = (f"{one.source.rows:,}", f"{one.source.sum:x}") if one.source else ("", "")
        grid.add_row(escape(one.table), rows, checksum, escape(one.difference or "same"))
    Console().print(grid)


def print_findings(findings: Iterable[Finding]) -> None:
    """Prints what ``etl check`` found, one line each."""
    for one in findings:
        print(f"{'not ready' if one.obstacle else 'ok':9}  {one.subject}: {one.text}")


def _seconds(load: dict[str, Any]) -> float:
    started, finished = load["started_at"], load["finished_at"]
    return float((finished - started).total_seconds()) if started and finished else 0.0


def _loads(title: str, loads: Iterable[dict[str, Any]]) -> Grid:
    grid = _grid(title, "table", "status", ">rows", ">MB", ">copy s", ">index s", ">seconds", ">rows/s", "error")
    for load in loads:
        rows, size, seconds = load["rows"] or 0, load["bytes"] or 0, load["seconds"]
        steps = [f"{load[step]:.2f}" if load[step] is not None else "" for step in ("copy_seconds", "index_seconds")]
        figures = [
            f"{rows:,}",
            f"{size / 1e6:,.1f}",
            *steps,
            f"{seconds:.2f}",
            f"{rows / seconds if seconds else 0:,.0f}",
        ]
        grid.add_row(escape(load["table_name"]), load["status"], *figures, escape(load["error"] or ""))
    return grid


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=escape(title), title_justify="left")
    for column in columns:
        grid.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return grid
