"""Prints what ``etl history`` has found: runs, each with the cause of its failure first; or the nights of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median, mode
from typing import Any

from etl.commands.accounts import HistoryLoad, HistoryRun
from etl.commands.outcome import Outcome
from etl.logs.log import printable
from etl.model.status import LoadStatus, RunStatus
from etl.report.console import escape, grid_of, print_loads, print_waiting, screen

_CAUSES = 5
"""The failed tables of a run whose errors are shown; there are as many more lines in the log."""

_MORE_ROWS = 1.2
"""How many times more rows a table has at least, for its growth to be told as what makes it slow."""

_WIDE_ENOUGH = 100
"""The width in columns from which on the nights of a table have their runs' ids."""


def print_history(runs: Sequence[HistoryRun]) -> None:
    """Prints runs, the newest first, with their loads."""
    console = screen()
    if not runs:
        console.print("no runs yet")
    for run in runs:
        console.print(f"\nrun {run.run_id}: {_state(run)}", style="bold", markup=False)
        for line in _causes(run):
            console.print(printable(line), style="red", markup=False)
        print_waiting(console, run.waiting)
        loads = sorted(run.loads, key=lambda load: load.outcome != Outcome.FAILED)
        print_loads(console, list(map(_told, loads)), _seconds(run.started_at, run.finished_at))


def _told(load: HistoryLoad) -> dict[str, Any]:
    """A load as the table has it: with what has become of it and, of one that goes on, with what it has copied."""
    so_far = {"rows": load.rows_so_far, "bytes": load.bytes_so_far} if load.outcome == Outcome.LOADING else {}
    return asdict(load) | {"status": load.outcome} | so_far


def _state(run: HistoryRun) -> str:
    """The run's status, when it began, and how long it took."""
    began = f"began {run.started_at:%Y-%m-%d %H:%M:%S %Z}"
    if run.is_dead:
        signs = [load.told_at for load in run.loads if load.told_at]
        last = f", last sign {max(signs):%H:%M:%S %Z}" if signs else ""
        return f"dead, {began}{last}; its processes are gone: run again, or `etl abort {run.run_id}`"
    if run.status == RunStatus.RUNNING and run.is_alive is False:
        staged = all(load.status == LoadStatus.STAGED for load in run.loads)
        return f"{'staged' if staged and run.loads else 'planned'}, {began}; no process works on it now"
    took = f", took {_seconds(run.started_at, run.finished_at):.1f} s" if run.finished_at else ""
    return f"{run.status}, {began}{took}"


def _causes(run: HistoryRun) -> list[str]:
    """The cause of a failure first: the errors of the tables that have failed, then that of the run."""
    failed = [load for load in run.loads if load.outcome == Outcome.FAILED]
    lines = [f"{load.table_name}: {load.error}" for load in failed[:_CAUSES]]
    lines += [f"{len(failed) - _CAUSES:,} more tables failed"] if len(failed) > _CAUSES else []
    return [*lines, *([run.error] if run.error else [])]


def print_nights(runs: Sequence[HistoryRun]) -> None:
    """Prints the nights of one table, the newest first, and the night since which it is slow."""
    console = screen()
    if not runs:
        console.print("no runs yet")
        return
    console.print(f"\n{runs[0].loads[0].table_name}", style="bold", markup=False)
    for line in _slow(runs):
        console.print(printable(line), style="yellow", markup=False)
    shows_status = any(run.loads[0].outcome != Outcome.PUBLISHED for run in runs)
    ids = ["run"] if console.width >= _WIDE_ENOUGH else []
    grid = grid_of("night", *ids, *(["status"] if shows_status else []), "load", ">rows", ">MB", ">seconds")
    for run in runs:
        load = run.loads[0]
        named = [f"{run.started_at:%m-%d %H:%M}", *([escape(run.run_id)] if ids else [])]
        named += [load.outcome] if shows_status else []
        figures = f"{load.rows or 0:,}", f"{(load.bytes or 0) / 1e6:,.1f}", f"{_of(load):.2f}" if _of(load) else ""
        style = "red" if load.outcome == Outcome.FAILED else "yellow" if load.is_slow else None
        grid.add_row(*named, load.load or "", *figures, style=style)
    console.print(grid)
    newest = runs[0].loads[0]
    if newest.error:
        console.print(printable(newest.error), style="red", markup=False)
    elif newest.reason:
        console.print(printable(f"last night: {newest.load}, {newest.reason}"), markup=False)


def _slow(runs: Sequence[HistoryRun]) -> list[str]:
    """A sentence on the first slow night, and on what else was different from then on."""
    slow = [run for run in runs if run.loads[0].is_slow]
    before = [run for run in runs if run.loads[0].is_slow is False]
    if not slow or not before:  # the nights before may be more than were asked for
        return []
    first = slow[-1]
    usual, now = (median(_of(run.loads[0]) for run in some) for some in (before, slow))
    began = f"{first.started_at:%Y-%m-%d %H:%M} (run {first.run_id})"
    lines = [f"slow since {began}: {now:.1f} s, before that {usual:.1f} s"]
    rows = [median(run.loads[0].rows or 0 for run in some) for some in (before, slow)]
    if rows[1] > _MORE_ROWS * rows[0]:
        lines.append(f"it has more rows since then: {rows[1]:,.0f} instead of {rows[0]:,.0f}")
    kinds = [mode(run.loads[0].load for run in some) for some in (before, slow)]
    if kinds[0] != kinds[1]:
        why = f", because {first.loads[0].reason}" if first.loads[0].reason else ""
        lines.append(f"since then its load is {kinds[1]} instead of {kinds[0]}{why}")
    return lines


def _of(load: HistoryLoad) -> float:
    return _seconds(load.started_at, load.finished_at)


def _seconds(began: Any, ended: Any) -> float:
    return float((ended - began).total_seconds()) if began and ended else 0.0
