"""The report in Markdown: targets first, then a table for each scenario, then the machine and its settings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

from benchmarks.measure import Spread
from benchmarks.missed import told
from benchmarks.peers import PEERS
from benchmarks.results import Outcome, Results, Run, Value

OURS = "etl run"
CHANGES = f"{OURS}, changes"
AGAIN = f"{OURS}, again"


def wall(run: Run) -> float:
    """The seconds of a run."""
    return run.wall


def cpu(run: Run) -> float:
    """The seconds of client CPU of a run."""
    return run.cpu


def wal(run: Run) -> float:
    """The bytes of WAL of the target."""
    return run.wal


def megabytes(run: Run) -> float:
    """The peak of client memory of a run."""
    return run.peak / 1e6


@dataclass(frozen=True, slots=True)
class Target:
    """A target: a figure, measured over the scenarios that it names, and its allowed maximum."""

    what: str
    most: float
    unit: str
    scenarios: tuple[str, ...]
    of: Callable[..., Spread | None]

    def measured(self, results: Results) -> Spread | None:
        """The figure; None if its scenarios were not measured."""
        outcomes = [results.get(key) for key in self.scenarios]
        return None if None in outcomes else self.of(*outcomes)


def _beside(peer: str, most: float, key: str = "a") -> Target:
    return Target(f"{key}: wall beside {peer}", most, "×", (key,), lambda one: one.ratio(OURS, peer, wall))


def _cpu(key: str) -> Target:
    what = f"{key}: client CPU beside psql | psql"
    return Target(what, 0.80, "×", (key,), lambda one: one.ratio(OURS, "psql | psql", cpu))


def _per_table(one: Outcome, case: str = OURS) -> Spread | None:
    return one.spread(case, lambda run: run.wall * 1000 / one.tables)


def _growth(small: Outcome, large: Outcome) -> Spread | None:
    """The larger size's time per byte divided by the smaller one's, for medians and extremes."""
    a, b = (one.spread(OURS, lambda run, size=one.bytes: run.wall / size) for one in (small, large))  # type: ignore[misc]
    return Spread(b.low / a.high, b.median / a.median, b.high / a.low) if a and b else None


def _stream(key: str, what: str, most: float) -> Target:
    """The target for the copying alone, without the start of Python, relative to two psql."""

    def of(one: Outcome) -> Spread | None:
        return one.ratio("the stream alone", "psql | psql, rows alone", lambda run: run.parts.get(what, figure(run)))

    figure = {"wall": wall, "cpu": cpu}[what]
    return Target(f"{key}: {what} of the stream beside psql | psql", most, "×", (key,), of)


def _night(key: str, most: float, what: str = "a night", of: Value = wall) -> Target:
    return Target(f"{key}: {what} beside a full one", most, "×", (key,), lambda one: one.ratio(CHANGES, AGAIN, of))


TARGETS = (
    *(_stream(key, "wall", 1.10) for key in ("stream-wide", "stream-narrow")),
    *(_stream(key, "cpu", 1.0) for key in ("stream-wide", "stream-narrow")),
    _beside("pgcopydb", 0.60),
    _beside("pgcopydb", 0.60, "a-15"),
    _beside("pg_dump -Fd -j2, pg_restore -j2", 0.65),
    _beside("sling", 0.15),
    _beside("dlt", 0.15),
    _beside("limit", 1.25),
    *(_cpu(key) for key in ("a", "b-5")),
    Target("b: peak memory over 0.5 GB", 150, "MB", ("b-0.5",), lambda one: one.spread(OURS, megabytes)),
    Target("b: peak memory over 5 GB", 150, "MB", ("b-5",), lambda one: one.spread(OURS, megabytes)),
    Target("b: time per byte, 5 GB beside 0.5 GB", 1.10, "×", ("b-0.5", "b-5"), _growth),
    Target("c: a tiny table, of 1,000", 10, "ms", ("c-1000",), _per_table),
    Target(
        "c: a tiny table, of 1,000, replacing 1,000",
        10,
        "ms",
        ("c-1000",),
        lambda one: _per_table(one, f"{OURS}, again"),
    ),
    *(_night(key, most) for key, most in {"night-0": 0.15, "night-1": 0.20, "night-10": 1.03}.items()),
    *(_night(key, most) for key, most in {"night-5gb-0": 0.05, "night-5gb-1": 0.08}.items()),
    _night("night-1", 0.15, "WAL of a night", wal),
    Target("c: a tiny table, of 10,000", 10, "ms", ("c-10000",), _per_table),
    Target(
        "c: publish of 1,000 tables over 1,000",
        3,
        "s",
        ("c-1000",),
        lambda one: one.spread(f"{OURS}, again", lambda run: run.parts["publish"]),
    ),
    Target(
        "f: through TLS beside without",
        1.15,
        "×",
        ("f",),
        lambda one: one.ratio(f"{OURS}, TLS", f"{OURS}, without TLS", wall),
    ),
    Target(
        "g: with 20 ms beside 0 ms",
        1.20,
        "×",
        ("g",),
        lambda one: one.ratio(f"{OURS}, relay, 20 ms", f"{OURS}, relay, 0 ms", wall),
    ),
)


def markdown(results: Results) -> str:
    """The report."""
    lines = [*_head(results), *_targets(results)]
    for key, outcome in sorted(results.items()):
        lines += _table(key, outcome)
    return "\n".join(lines) + "\n"


def _head(results: Results) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "Every figure is min – **median** – max of its rounds; a ratio is that of the medians, between the least and"
    yield "the greatest of one round. How it is measured: [NOTES.md](../NOTES.md)."
    yield ""
    if small := {key: one.scale for key, one in sorted(results.items()) if one.scale != 1}:
        sizes = ", ".join(f"{key} {scale:g}" for key, scale in small.items())
        yield f"**Not at full size** (part of the rows: {sizes}): these figures show that it works, not how fast it is."
        yield ""


def _targets(results: Results) -> Iterator[str]:
    yield "| what, of `etl run` | target | measured | |"
    yield "|---|---|---|---|"
    for target in TARGETS:
        spread, whole = target.measured(results), all(results[k].scale == 1 for k in target.scenarios if k in results)
        verdict = "" if spread is None or not whole else "met" if spread.median <= target.most else "**missed**"
        value = show(spread) if spread else "not measured"
        yield f"| {_cell(target.what)} | ≤ {target.most:g} {target.unit} | {value} | {verdict} |"
    yield ""


def _table(key: str, outcome: Outcome) -> Iterator[str]:
    yield f"## {key}: {outcome.title}"
    yield ""
    yield f"{_said(outcome)}"
    yield ""
    if outcome.cases:
        heads = f"wall s | `{OURS}` is | client CPU s | a GB | peak MB | indexes | types |{_missed_head(outcome)}"
        yield f"| | {heads} what it does not do |"
        yield f"|---|{'---|' * heads.count('|')}---|"
        for case in sorted(outcome.cases, key=lambda name: _median(outcome, name)):
            yield _row(outcome, case)
        yield ""
    yield from (f"- {_cell(name)} was not measured: {reason}" for name, reason in outcome.missing.items())
    yield from _parts(outcome)
    yield from (f"- {name}: {value}" for name, value in outcome.machine.items())
    yield f"- versions: {'; '.join(f'{name} {number}' for name, number in outcome.versions.items())}"
    yield ""


def _parts(outcome: Outcome) -> Iterator[str]:
    """The steps of the runs that printed them."""
    for case in outcome.cases:
        runs = [one[case] for one in outcome.rounds if case in one]
        steps = [(step, Spread.of([run.parts[step] for run in runs])) for step in runs[0].parts]
        if steps:
            yield f"- {_cell(case)}, of which {', '.join(f'{step} {show(spread)} s' for step, spread in steps)}"


def _said(outcome: Outcome) -> str:
    return (
        f"{outcome.tables:,} tables, {outcome.rows:,} rows, {outcome.bytes / 1e9:.3f} GB in the source; PostgreSQL"
        f" {outcome.postgres} on both sides; {len(outcome.rounds)} rounds; scale {outcome.scale:g}."
    )


def _row(outcome: Outcome, case: str) -> str:
    runs = [one[case] for one in outcome.rounds if case in one]
    ours = next((one for one in (OURS, CHANGES) if one in outcome.cases), f"{OURS}, {case.partition(', ')[2]}")
    ratio = outcome.ratio(ours, case, wall)
    spreads = [Spread.of([value(run) for run in runs]) for value in (wall, cpu, megabytes)]
    a_gb = spreads[1].median / (outcome.bytes / 1e9)
    cells = [
        _cell(case),
        show(spreads[0]),
        f"{show(ratio)} ×" if ratio and case != ours else "",
        show(spreads[1]),
        f"{a_gb:.2f}",
        f"{spreads[2].median:.0f}",
        f"{runs[-1].indexes:.0%}",
        f"{runs[-1].types:.0%}",
        *([_missed(runs)] if _missed_head(outcome) else []),
        ", ".join(_lacks(case)),
    ]
    return f"| {' | '.join(cells)} |"


def _missed_head(outcome: Outcome) -> str:
    """The head of the column of missed rows; empty if no copy was compared row by row."""
    return " rows missed |" if any(run.missed for one in outcome.rounds for run in one.values()) else ""


def _missed(runs: list[Run]) -> str:
    """The rows that a case has missed in one night: the most of each kind."""
    kinds = dict.fromkeys(kind for run in runs for kind in run.missed)
    return told({kind: max(run.missed.get(kind, 0) for run in runs) for kind in kinds}) if kinds else ""


def _lacks(case: str) -> tuple[str, ...]:
    """The parts of the work that a case's peer omits. The case's name may have the way after the peer's name."""
    found = max((name for name in PEERS if case.startswith(name)), key=len, default=None)
    return PEERS[found].lacks if found else ()


def _median(outcome: Outcome, case: str) -> float:
    spread = outcome.spread(case, wall)
    return spread.median if spread else 0


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def show(spread: Spread) -> str:
    """A spread with three significant digits."""
    digits = 0 if spread.median >= 100 else 1 if spread.median >= 10 else 2
    return f"{spread.low:.{digits}f} – **{spread.median:.{digits}f}** – {spread.high:.{digits}f}"


def machine(settings: Mapping[str, str]) -> dict[str, str]:
    """The machine of the benchmark."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    libpq = psycopg.pq.version()
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average {psutil.getloadavg()[0]:.1f} before it",
        "machine": f"{model}, {psutil.cpu_count()} cores for the clients and both servers,"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} {platform.release().partition('-')[0]}",
        "server settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
        "our client": f"Python {platform.python_version()}, asyncpg {version('asyncpg')}, psycopg {version('psycopg')}"
        f" (libpq {libpq // 10000}.{libpq % 10000})",
    }
