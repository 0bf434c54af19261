"""Prints a run that is watched: on a terminal a picture that changes, elsewhere a line for each thing that happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from time import monotonic

from rich.console import Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.text import Text

from etl.commands.accounts import Watched
from etl.logs.log import printable
from etl.model import limits
from etl.model.wording import took
from etl.report.console import escape, grid_of, screen


async def print_watched(looks: AsyncIterator[Watched]) -> Watched:
    """Prints a run until it has ended; returns how it ended."""
    console, last = screen(), None
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            async for last in looks:
                live.update(picture(last), refresh=True)
        if last is not None:
            console.print(*(Text(printable(line)) for line in _end(last)), sep="\n")
    else:
        lines = Lines()
        async for last in looks:
            for line in lines.of(last):
                print(printable(line), flush=True)
    assert last is not None
    return last


def picture(seen: Watched) -> RenderableType:
    """All that is known of the run, on one screen: at most ``limits.WATCHED_TABLES`` tables that are being loaded."""
    head = Text(printable(f"run {seen.run_id}: {_doing(seen)}, {took(seen.seconds)}"), style="bold")
    bar = Padding(ProgressBar(total=max(seen.tables, 1), completed=seen.staged), 0)  # a bar alone ends no line
    table = grid_of("loading", "", ">rows", ">MB", ">seconds")
    for load in seen.loading[: limits.WATCHED_TABLES]:
        share = "indexes" if load.step == "indexes" else f"{load.share:.0%}"
        table.add_row(
            escape(load.table), share, f"{load.rows or 0:,}", f"{(load.bytes or 0) / 1e6:,.1f}", f"{load.seconds:.0f}"
        )
    parts: list[RenderableType] = [head, bar, Text(_counts(seen)), Text(_forecast(seen))]
    parts += [
        Text(printable(f"{one.table}: {one.error}"), style="red") for one in seen.failures[: limits.WATCHED_TABLES]
    ]
    return Group(*parts, *([table] if seen.loading else []))


def _doing(seen: Watched) -> str:
    words = {
        "planned": "planned, and not begun",
        "loading": "loading",
        "publishing": "publishing",
        "staged": f"staged; `etl publish {seen.run_id}` is next",
    }
    return words.get(seen.phase, seen.status)


def _counts(seen: Watched) -> str:
    """How many tables are done, under way and waiting."""
    counts = [f"{seen.staged:,} of {seen.tables:,} tables staged"]
    counts += [f"{len(seen.loading):,} loading"] if seen.loading else []
    counts += [f"{seen.waiting:,} waiting"] if seen.waiting else []
    counts += [f"{seen.failed:,} failed"] if seen.failed else []
    return f"{', '.join(counts)}; {seen.rows:,} rows, {seen.bytes / 1e6:,.1f} MB"


def _forecast(seen: Watched) -> str:
    if seen.expected_at is None or seen.expected_seconds is None:
        return "when it will have finished is not known: too few earlier nights" if seen.status == "running" else ""
    more = f"; {seen.without_history:,} tables have no earlier night" if seen.without_history else ""
    return f"expected to finish at {seen.expected_at:%H:%M:%S %Z}, in {took(seen.expected_seconds)}{more}"


def _end(seen: Watched) -> Iterable[str]:
    yield f"run {seen.run_id}: {seen.status} after {took(seen.seconds)}; {_counts(seen)}"
    for one in seen.failures[: limits.WATCHED_TABLES]:
        yield f"{one.table}: {one.error}"


class Lines:
    """What is new in each look: loads that have begun or failed, tables that are staged, and how far the run is."""

    def __init__(self) -> None:
        self._loading: set[str] = set()
        self._failed: set[str] = set()
        self._said = -limits.PROGRESS_LOG_SECONDS
        self._counts = (-1, "")

    def of(self, seen: Watched) -> Iterable[str]:
        """The lines for a look."""
        at = f"{seen.at:%H:%M:%S}"
        loading = {load.table for load in seen.loading}
        for one in seen.failures:
            if one.table not in self._failed:
                yield f"{at} {one.table} failed: {one.error}"
        for table in sorted(loading - self._loading):
            yield f"{at} {table} is loading"
        self._loading, self._failed = loading, {one.table for one in seen.failures}
        if seen.status != "running":
            yield from (f"{at} {line}" for line in _end(seen) if not seen.failures or line.startswith("run "))
            return
        counts = seen.staged, seen.phase
        if counts != self._counts or monotonic() - self._said >= limits.PROGRESS_LOG_SECONDS:
            self._counts, self._said = counts, monotonic()
            yield f"{at} {_doing(seen)}: {_counts(seen)}; {_forecast(seen)}"
