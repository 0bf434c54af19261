"""What a terminal shows: tables and lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from scheduler.job import Job
from scheduler.records import BrokenJob, Registered, Run

from .answers import PoolAnswer, due_times
from .diff import Changed, Difference, attributes
from .moments import foreseen, local, soon
from .problem import printable
from .writing import Written

_WIDE = 200  # a file or a pipe has no width
_RED = {"paused": "red", "broken": "red", "disabled": "dim"}
_BAD = {"failed", "timed_out", "aborted", "missed"}


def screen() -> Console:
    """The terminal that standard output is, or a file."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDE)
    return console


def print_jobs(jobs: Sequence[Registered | BrokenJob], now: datetime) -> None:
    """Prints a table of jobs, and below it how many there are."""
    grid = _grid("job", "status", "schedule", "next run", "last run", ">failures")
    for known in jobs:
        if isinstance(known, BrokenJob):
            grid.add_row(_safe(known.job), "broken", _safe(known.why), "", "", "", style="red")
            continue
        status, failures = known.job.status.value, known.counters.failures_in_row
        last = known.last_status or ("started" if known.last_run else "")
        grid.add_row(
            _safe(known.job.id),
            status,
            _safe(str(known.job.schedule)),
            _next(known, now),
            last,
            str(failures or ""),
            style=_RED.get(status) or ("yellow" if failures else None),
        )
    console = screen()
    console.print(grid if jobs else "no jobs")
    enabled = sum(isinstance(known, Registered) and known.job.status == "enabled" for known in jobs)
    if jobs:
        console.print(f"{len(jobs):,} job{'s' * (len(jobs) != 1)}, {enabled:,} of them enabled")


def _next(known: Registered, now: datetime) -> str:
    if known.next_run_at is None:
        return ""
    return f"{local(known.next_run_at, known.job.schedule.timezone)}, {soon(known.next_run_at, now)}"


def print_job(known: Registered, pools: Sequence[PoolAnswer], now: datetime) -> None:
    """Prints all that there is of a job."""
    console, job = screen(), known.job
    console.print(f"\n{job.id}: {job.status.value}", style="bold", markup=False)
    grid = Table(box=None, show_header=False)
    for name, value in attributes(job).items():
        if name != "status":
            grid.add_row(name, _safe(value))
    for name in ("started", "succeeded", "failed", "skipped", "missed", "waited"):
        grid.add_row(name, f"{getattr(known.counters, name):,}")
    last = [text for text in (known.last_run, known.last_status) if text]
    grid.add_row("last run", _safe(", ".join(last)) or "none yet")
    grid.add_row("failures in a row", str(known.counters.failures_in_row))
    console.print(grid)
    if known.last_error:
        console.print(f"last error: {printable(known.last_error)}", style="red", markup=False)
    for pool in pools:
        _print_pool(console, pool, now)
    dues = foreseen(job, now)
    console.print("next, if it were enabled:" if job.status != "enabled" else "next:")
    for due in dues:
        console.print(f"  {local(due, job.schedule.timezone)}, {soon(due, now)}", markup=False)


def _print_pool(console: Console, pool: PoolAnswer, now: datetime) -> None:
    most = "the deployment's number" if pool.at_once is None else str(pool.at_once)
    console.print(f"{pool.id}: {len(pool.holders)} at once, of {most}", markup=False)
    for holder in pool.holders:
        console.print(f"  {printable(holder.run)}, since {soon(holder.since, now).removesuffix(' ago')}", markup=False)


def print_runs(runs: Sequence[Run], job: Job | None) -> None:
    """Prints the runs of a job, the newest first."""
    console, grid = screen(), _grid("run", "due", "status", ">late", ">waits", ">took", "error")
    for run in runs:
        due = local(run.due, job.schedule.timezone if job else ZoneInfo("UTC"))
        late = "" if run.late_seconds is None else f"{run.late_seconds:.1f} s"
        took = f"{(run.ended_at - run.started_at).total_seconds():,.0f} s" if run.ended_at and run.started_at else ""
        row = run.name, due, run.status, late, str(run.waits or ""), took, _safe(run.error or "")
        grid.add_row(*row, style="red" if run.status in _BAD else "yellow" if run.status == "skipped" else None)
    console.print(grid if runs else "no runs yet")


def print_difference(todo: Difference, now: datetime, *, prune: bool) -> None:
    """Prints what a file changes: each new job, each changed attribute, and what the file lacks."""
    console = screen()
    for one in todo.new:
        _print_job_to_be(console, f"new {one.job.id}: {one.job.schedule}, {one.job.status.value}", "green", one, now)
    for one in todo.changed:
        _print_job_to_be(console, f"changed {one.job.id}", "yellow", one, now)
    for change in todo.limits:
        console.print(f"{_server(change.key)}: at_once {_number(change.old)} -> {_number(change.new)}", markup=False)
    lost = "is removed" if prune else "is not in the file, and stays; --prune removes it"
    for job in todo.absent:
        console.print(f"{job} {lost}", style="red" if prune else None, markup=False)
    for change in todo.unlisted:
        what = "gets the deployment's number" if prune else "is not in the file, and stays; --prune takes it away"
        console.print(f"{_server(change.key)}: at_once {change.old} {what}", markup=False)
    for job in todo.paused:
        console.print(f"{job} is paused, and stays so; nightly-jobs enable {job}", style="red", markup=False)
    for broken in todo.broken:
        what = f"cannot be read, and is left out: {printable(broken.why)}; nightly-jobs remove {broken.job}"
        console.print(f"{broken.job} {what}, and put the file again", style="red", markup=False)
    console.print(_sum(todo, prune=prune))


def _sum(todo: Difference, *, prune: bool) -> str:
    counts = f"{len(todo.new):,} new, {len(todo.changed):,} changed, {todo.unchanged:,} unchanged"
    absent = f", {len(todo.absent):,} {'to be removed' if prune else 'not in the file'}" if todo.absent else ""
    return f"{counts}{absent}"


def _print_job_to_be(console: Console, head: str, style: str, one: Changed, now: datetime) -> None:
    """Prints a job's changes and due times at once, for there may be thousands of jobs."""
    lines = [f"\n  {change.key}: {_said(change.old)} -> {_said(change.new)}" for change in one.changes]
    lines += [f"\n  due {local(due, one.job.schedule.timezone)}" for due in due_times(one, now)]
    console.print(Text.assemble((head, style), *lines))


def print_written(written: Written) -> None:
    """Prints how much was written."""
    counts = f"written: {written.new:,} new jobs, {written.changed:,} changed ones"
    pools = f", {written.limits:,} at_once" if written.limits else ""
    removed = f"; {written.removed:,} removed" if written.removed else ""
    screen().print(f"{counts}{pools}{removed}")


def print_line(text: str) -> None:
    """Prints one line."""
    screen().print(printable(text), markup=False)


def _said(value: str | None) -> str:
    return "not set" if value is None else printable(value)


def _server(pool: str) -> str:
    """A pool as the file has it: source db1."""
    _, kind, name = pool.split("#", 2)
    return f"{kind} {printable(name)}"


def _number(value: str | None) -> str:
    return "the deployment's number" if value is None else value


def _safe(text: str) -> str:
    return escape(printable(text))


def _grid(*columns: str) -> Table:
    """A table with these columns; a column of numbers has ``>`` before its name."""
    grid = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        if column.startswith(">"):
            grid.add_column(column[1:], justify="right", no_wrap=True)
        else:
            grid.add_column(column, overflow="fold", no_wrap=column == "run")
    return grid
