"""What the figures say, as Markdown, and as JSON for whoever wants to compare two runs."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.measure import Spread, Usage
from benchmarks.peers import PEERS, Servers
from benchmarks.scenarios import TINY_TABLES, Memory, Stream

OURS, THEIRS = "etl run", "psql | psql"


@dataclass(slots=True)
class Report:
    """All that one ``make bench`` measured, and where."""

    machine: dict[str, str]
    streams: list[Stream]
    memory: list[Memory]
    tiny: list[Usage]
    first_byte: dict[str, list[float]]
    seconds: float

    def json(self) -> dict[str, Any]:
        """Gives every single measurement."""
        return asdict(self)

    def markdown(self) -> str:
        """Gives the tables."""
        lines = [*self._head(), *self._targets(), *self._figures()]
        return "\n".join(lines).replace(THEIRS, THEIRS.replace("|", "\\|")) + "\n"

    def _head(self) -> Iterator[str]:
        yield "# Benchmarks"
        yield ""
        yield from (f"- {name}: {value}" for name, value in self.machine.items())
        yield f"- the whole took {self.seconds / 60:.0f} minutes, load average {psutil.getloadavg()[0]:.1f} at the end"
        yield "- every figure is min – **median** – max"
        yield ""

    def _targets(self) -> Iterator[str]:
        yield "| what | target | measured |"
        yield "|---|---|---|"
        for stream in self.streams:
            for what, most, value in (("wall", 1.10, _wall), ("client CPU", 1.0, _cpu)):
                for peer in (OURS, "etl.stream"):
                    spread = _show(stream.ratio(peer, THEIRS, value))
                    yield f"| {stream.table}: {what}, `{peer}` beside `{THEIRS}` | ≤ {most:.2f} × | {spread} |"
                spread = _show(stream.ratio(OURS, "psycopg", value))
                yield f"| {stream.table}: {what}, `{OURS}` beside psycopg | | {spread} |"
        for one in self.memory:
            yield f"| peak memory, {one.copied / 1e9:.1f} GB copied | < 150 MB | **{one.peak / 1e6:.0f} MB** |"
        for what, limit, value in (("", "≤ 20 ms", _wall), (", client CPU", "", _cpu)) if self.tiny else ():
            ms = _show(Spread.of([value(one) / TINY_TABLES * 1000 for one in self.tiny]), 1)
            yield f"| ms a tiny table, of {TINY_TABLES:,}{what} | {limit} | {ms} |"
        for peer, seconds in self.first_byte.items():
            target = "< 1 s" if peer == OURS else ""
            yield f"| start to the first byte of COPY, `{peer}` | {target} | {_show(Spread.of(seconds))} |"
        yield ""

    def _figures(self) -> Iterator[str]:
        for stream in self.streams:
            yield f"`{stream.table}`, {stream.rows:,} rows, {len(stream.rounds)} rounds:"
            yield ""
            yield "| | wall s | client CPU s | peak MB |"
            yield "|---|---|---|---|"
            for peer in PEERS:
                cells = [_show(stream.spread(peer, value)) for value in (_wall, _cpu)]
                yield f"| {peer} | {' | '.join(cells)} | {stream.spread(peer, _megabytes).median:.0f} |"
            yield ""


def _wall(usage: Usage) -> float:
    return usage.wall


def _cpu(usage: Usage) -> float:
    return usage.cpu


def _megabytes(usage: Usage) -> float:
    return usage.peak / 1e6


def _show(spread: Spread, digits: int = 2) -> str:
    return f"{spread.low:.{digits}f} – **{spread.median:.{digits}f}** – {spread.high:.{digits}f}"


def machine(servers: Servers, settings: Sequence[str]) -> dict[str, str]:
    """Says what this ran on, and with which versions."""
    cpu = next((line for line in _cpuinfo() if line.startswith("model name")), platform.processor())
    libpq = psycopg.pq.version()
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average {psutil.getloadavg()[0]:.1f} at the start",
        "machine": f"{cpu.split(':')[-1].strip()}, {psutil.cpu_count()} cores for the clients and both servers,"
        f" {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} {platform.release().partition('-')[0]}",
        "PostgreSQL": f"{servers.source.psql('SHOW server_version')} on both sides; {', '.join(settings)}",
        "clients": f"Python {platform.python_version()}, asyncpg {version('asyncpg')}, psycopg {version('psycopg')}"
        f" (libpq {libpq // 10000}.{libpq % 10000}), psql of the server's version",
        "the same for all": "binary COPY over TCP on the loopback, FREEZE, no indexes; the peers do not ANALYZE,"
        " `etl run` does",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
