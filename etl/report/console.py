"""Prints tables and colours on a terminal, with rich. It decides nothing.

To a file or a pipe it prints the same tables without colours, and does not cut them at 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table as Grid

from etl.commands.accounts import Report
from etl.commands.answers import Comparison, Finding, InitAnswer, RetireAnswer
from etl.commands.night import FullReport
from etl.commands.output import STANDARD_OUTPUT
from etl.commands.plan import Plan
from etl.logs.log import printable
from etl.model.record import Finished
from etl.model.status import LoadStatus, RunStatus
from etl.settings.found import FILE_NAME, Shown

_WIDE = 200
"""The least width of output that does not go to a terminal, in columns."""


_FIRST = 3
"""The number of a shard's tables that the plan names."""


def escape(text: str) -> str:
    """Escapes ``text``, so that rich prints it literally, and the terminal executes no escape sequence in it."""
    return escape_markup(printable(text))


def _count(tables: Sequence[object]) -> str:
    return f"{len(tables)} table{'s' if len(tables) != 1 else ''}"


def print_finished(finished: Finished) -> None:
    """Prints a run's end, and a table of its loads."""
    console = screen()
    if finished.status == RunStatus.PUBLISHED and not finished.loads:
        console.print("\nnothing to run: the last load of every table was published", style="bold")
        return
    console.print(f"\nrun {finished.run_id}: {finished.status} in {finished.seconds:.1f} s", style="bold")
    # The loads were recorded when they were staged; now they have the run's status.
    loads = [asdict(load) | {"status": finished.status} for load in finished.loads]
    print_loads(console, loads, finished.seconds)


def print_waiting(console: Console, keys: Iterable[str]) -> None:
    """Prints the foreign keys that wait for their validation."""
    for key in keys:
        console.print(printable(f"{key} is NOT VALID: it waits for its validation"), style="yellow", markup=False)


def print_plan(plan: Plan) -> None:
    """Prints the shards, the seconds that each is expected to take, and the imbalance."""
    grid = grid_of(">shard", ">tables", ">expected s", "longest first")
    for shard in plan.shards:
        first = ", ".join(shard.tables[:_FIRST]) + (" …" if len(shard.tables) > _FIRST else "")
        grid.add_row(str(shard.number), str(len(shard.tables)), f"{shard.expected:.1f}", escape(first))
    console = screen()
    console.print(grid)
    console.print(f"the longest shard is {plan.imbalance:.0%} longer than the mean", markup=False)


def print_comparisons(comparisons: Iterable[Comparison]) -> None:
    """Prints the comparisons of ``etl verify``."""
    grid = grid_of("table", ">rows", ">checksum", "source = target")
    for table in comparisons:
        rows = "" if table.rows is None else f"{table.rows:,}"
        grid.add_row(escape(table.table), rows, table.checksum or "", escape(table.difference or "same"))
    screen().print(grid)


def print_report(report: Report) -> None:
    """Prints how a run ended: its figures, its slowest and failed tables, and the run that readers see."""
    console = screen()
    took = f" in {report.seconds:.1f} s" if report.seconds is not None else ""
    copied = f"{report.tables:,} tables, {report.rows:,} rows, {report.bytes / 1e6:,.1f} MB"
    console.print(f"run {report.run_id}: {report.status}{took}; {copied}", style="bold", markup=False)
    if report.error:
        console.print(printable(report.error), style="red", markup=False)
    print_waiting(console, report.waiting)
    if report.kept_until:
        until = f"{report.kept_until:%Y-%m-%d %H:%M:%S %Z}"
        command = f"`etl publish {report.run_id} --anyway --reason TEXT`"
        console.print(f"its staging tables are kept until {until}; {command} lets it pass", markup=False)
    if report.slowest:
        grid = grid_of("slowest tables", ">seconds", ">median of the nights before", ">rows")
        for slow in report.slowest:
            median = "" if slow.median_seconds is None else f"{slow.median_seconds:.2f}"
            grid.add_row(escape(slow.table), f"{slow.seconds:.2f}", median, f"{slow.rows or 0:,}")
        console.print(grid)
    for failed in report.failed:
        console.print(printable(f"{failed.table}: {failed.error}"), style="red", markup=False)
    if more := report.failed_count - len(report.failed):
        console.print(f"{more:,} more tables failed", style="red")
    last = report.last_published
    as_of = f", as of {last.snapshot_at:%Y-%m-%d %H:%M:%S %Z}" if last and last.snapshot_at else ""
    console.print(f"readers see run {last.run_id}{as_of}" if last else "no run is published yet", markup=False)


def print_page(output: str, report: FullReport) -> None:
    """Prints which file has the page, and its first sentence; nothing if the page itself was printed."""
    if output != STANDARD_OUTPUT and report.night is not None:
        print(printable(f"{output}: {report.night.sentence}"))


def print_init(written: InitAnswer) -> None:
    """Prints what ``etl init`` has written, and what comes next; nothing if the file itself was printed."""
    if written.file == STANDARD_OUTPUT:
        return
    print(printable(f"{written.file}: {written.tables:,} table{'s' if written.tables != 1 else ''}"))
    if written.masks:
        look = "columns look" if written.masks > 1 else "column looks"
        print(f"{written.masks:,} {look} like personal data: read the masks that the file proposes at its end")
    print(f"next: etl check{'' if written.file == FILE_NAME else f' --config {written.file}'}")


def print_settings(shown: Iterable[Shown]) -> None:
    """Prints every setting, its value, and the value's origin."""
    grid = grid_of("setting", "value", "from")
    for setting in shown:
        grid.add_row(escape(setting.setting), escape(setting.value or ""), escape(setting.source))
    screen().print(grid)


def print_findings(findings: Iterable[Finding]) -> None:
    """Prints the findings of ``etl check``, one line each."""
    for finding in findings:
        print(printable(f"{'not ready' if finding.obstacle else 'ok':9}  {finding.subject}: {finding.text}"))


def screen() -> Console:
    """The terminal that standard output is, or a file, which has no width."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDE)
    return console


def print_loads(console: Console, loads: Sequence[dict[str, Any]], seconds: float) -> None:
    """Prints a table of loads with their sums, and below it why they copied the rows that they did.

    Each load has a ``status``. A narrow terminal gets fewer columns, and none of them is cut.
    """
    if not loads:
        return
    columns = _columns(loads, console.width)
    grid = grid_of(*columns)
    for load in loads:
        style = "red" if load["status"] == "failed" else None
        grid.add_row(*(_cell(name.lstrip(">"), load, _seconds(load)) for name in columns), style=style)
    grid.add_section()
    total: dict[str, Any] = dict.fromkeys(("status", "load", "copy_seconds", "index_seconds"))
    total |= {"table_name": _count(loads), "rows": _sum(loads, "rows"), "bytes": _sum(loads, "bytes")}
    grid.add_row(*(_cell(name.lstrip(">"), total, seconds) for name in columns), style="bold")
    console.print(grid)
    for line in _reasons(loads):
        console.print(printable(line), markup=False)


_NEEDED = {">rows/s": 80, ">copy s": 76, ">index s": 76, "load": 66, ">MB": 54}
"""The width in columns from which on a column is shown; with a status beside it, the terminal must be wider."""

_STATUS_WIDTH = 17


def _columns(loads: Sequence[dict[str, Any]], width: int) -> list[str]:
    """The columns that fit. One that says the same of every load, "published" or nothing, would only take room."""
    shows_status = any(load["status"] != LoadStatus.PUBLISHED for load in loads)
    columns = ["table", *(["status"] if shows_status else [])]
    columns += ["load"] if any(load["reason"] for load in loads) else []
    columns += [">rows", ">MB", ">copy s", ">index s", ">seconds", ">rows/s"]
    room = width - (_STATUS_WIDTH if shows_status else 0)
    return [name for name in columns if room >= _NEEDED.get(name, 0)]


def _cell(column: str, load: dict[str, Any], seconds: float) -> str:
    rows, steps = load["rows"] or 0, ("copy_seconds", "index_seconds")
    copy, index = ("" if load[step] is None else f"{load[step]:.2f}" for step in steps)
    cells = {
        "table": escape(load["table_name"]),
        "status": load["status"] or "",
        "load": load["load"] or "",
        "rows": f"{rows:,}",
        "MB": f"{(load['bytes'] or 0) / 1e6:,.1f}",
        "copy s": copy,
        "index s": index,
        "seconds": f"{seconds:.2f}" if seconds else "",
        "rows/s": f"{rows / seconds:,.0f}" if seconds else "",
    }
    return cells[column]


def _sum(loads: Sequence[dict[str, Any]], what: str) -> int:
    return sum(load[what] or 0 for load in loads)


def _reasons(loads: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Why the loads copied all rows, or changes: a line for all tables of the same reason."""
    tables: dict[tuple[str, str], list[str]] = {}
    for load in loads:
        if load["reason"] and not load["error"]:
            tables.setdefault((load["load"], load["reason"]), []).append(load["table_name"])
    for (kind, reason), names in tables.items():
        more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
        yield f"{', '.join(names[:_FIRST])}{more}: {kind}, {reason}"


def _seconds(row: dict[str, Any]) -> float:
    started, finished = row["started_at"], row["finished_at"]
    return float((finished - started).total_seconds()) if started and finished else 0.0


def grid_of(*columns: str) -> Grid:
    """A table with these columns; a column of numbers, which is never cut, has ``>`` before its name."""
    grid = Grid(box=box.SIMPLE_HEAD)
    for column in columns:
        if column.startswith(">"):
            grid.add_column(column[1:], justify="right", no_wrap=True)
        else:
            grid.add_column(column, overflow="fold")
    return grid


def print_retired(retired: RetireAnswer) -> None:
    """Prints what has become of a table."""
    as_of = f", as of {retired.as_of:%Y-%m-%d %H:%M %Z}" if retired.as_of else ""
    with_it = f"; with it: {', '.join(retired.dropped_with_it)}" if retired.dropped_with_it else ""
    what = f"is dropped{as_of}{with_it}" if retired.dropped else f"stays as it is{as_of}; etl check does not list it"
    screen().print(printable(f"{retired.table} {what}"), markup=False)
