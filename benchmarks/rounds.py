"""Runs a scenario: two servers, the data, and round after round of every peer, in an order that turns round each time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data, network
from benchmarks.data import DATABASE, Contents
from benchmarks.measure import Failed, measure
from benchmarks.peers import PEERS, Peer
from benchmarks.results import Outcome, Run
from benchmarks.scenarios import ROUND_TRIP, Case, Scenario, Way
from benchmarks.tools import Tool, Unavailable, cache_folder
from demo.embedded import Server, system_bin

SETTINGS = {
    "fsync": "off",  # the disk is not what is compared
    "wal_level": "replica",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_locks_per_transaction": "1024",  # 10,000 tables in one transaction, for every peer that works so
}

CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers that a scenario stands on, and the URLs of both databases on each way."""

    source: Server
    target: Server
    urls: dict[Way, tuple[str, str]]

    def fresh(self) -> None:
        """Leaves an empty database in the target, and no dirty buffers on either side."""
        self.target.psql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        self.target.psql(f"CREATE DATABASE {DATABASE}")
        for server in (self.source, self.target):
            server.psql("CHECKPOINT")


@contextmanager
def started(scenario: Scenario) -> Iterator[Servers]:
    """Starts a scenario's servers; removes them with their data at the block's end. Raises Unavailable."""
    programs = system_bin() if scenario.debian else None
    if scenario.debian and programs is None:
        raise Unavailable(
            "no PostgreSQL server with TLS and contrib here: `apt-get install postgresql` brings Debian's"
        )
    with ExitStack() as stack:
        source, target = (_server(stack, programs) for _ in range(2))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = network.secure((source, target), folder) if Way.TLS in scenario.ways else None
        yield Servers(source, target, {way: _urls(stack, source, target, way, authority) for way in scenario.ways})


def _server(stack: ExitStack, programs: Path | None) -> Server:
    server = Server.start(programs, SETTINGS)
    stack.callback(server.remove)
    return server


def _urls(stack: ExitStack, source: Server, target: Server, way: Way, authority: Path | None) -> tuple[str, str]:
    options = {Way.PLAIN: "?sslmode=disable", Way.TLS: f"?sslmode=verify-full&sslrootcert={authority}"}.get(way, "")
    if way not in ROUND_TRIP:
        return source.url(DATABASE) + options, target.url(DATABASE) + options
    ports = [stack.enter_context(network.relay(server.port, ROUND_TRIP[way])) for server in (source, target)]
    return (
        f"postgresql://postgres@127.0.0.1:{ports[0]}/{DATABASE}",
        f"postgresql://postgres@127.0.0.1:{ports[1]}/{DATABASE}",
    )


def measured(
    scenario: Scenario, outcome: Outcome, scale: float, rounds: int, deadline: float, keep: Callable[[], None]
) -> None:
    """Fills an outcome up to so many rounds; ``keep`` is called after each, so that what was measured is not lost.

    A peer that cannot be had, fails or arrives with other rows is written down with the reason, and measured no more.
    """
    with started(scenario) as servers:
        tools = dict(_installed(scenario, servers, outcome))
        contents = data.make(servers.source, scenario.tables, scale)
        outcome.tables, outcome.rows = len(contents.rows), sum(contents.rows.values())
        outcome.bytes = data.size(servers.source)
        outcome.postgres = servers.source.psql("SHOW server_version")
        while len(outcome.rounds) < rounds:
            number = len(outcome.rounds)
            order = scenario.cases if number % 2 == 0 else scenario.cases[::-1]
            outcome.rounds.append(dict(_round(servers, tools, contents, outcome, order, deadline)))
            keep()


def _installed(scenario: Scenario, servers: Servers, outcome: Outcome) -> Iterator[tuple[str, Tool]]:
    for name in scenario.peers:
        try:
            tool = PEERS[name].install(cache_folder(), servers.source.bin)
        except Unavailable as error:
            _missing(outcome, name, f"not to be had here: {error}")
        else:
            outcome.versions[name] = tool.version
            yield name, tool


def _round(
    servers: Servers, tools: dict[str, Tool], expected: Contents, outcome: Outcome, order: list[Case], deadline: float
) -> Iterator[tuple[str, Run]]:
    for case in order:
        if case.name in outcome.missing or case.peer not in tools:
            continue
        try:
            run = _copied(servers, PEERS[case.peer], tools[case.peer], case.way, expected, deadline)
        except Failed as error:
            _missing(outcome, case.name, str(error))
        else:
            print(
                f"  {len(outcome.rounds) + 1}  {case.name:36} {run.wall:8.2f} s  cpu {run.cpu:7.2f} s  {run.peak >> 20:5} MiB"
            )
            yield case.name, run


def _missing(outcome: Outcome, name: str, reason: str) -> None:
    print(f"  -  {name}: {reason}")
    outcome.missing[name] = reason


def _copied(servers: Servers, peer: Peer, tool: Tool, way: Way, expected: Contents, deadline: float) -> Run:
    servers.fresh()
    work = Path(tempfile.mkdtemp())
    work.chmod(0o755)
    variables = _variables(servers, tool, way, work, expected)
    try:
        if peer.before:
            measure(peer.before, variables, deadline)
        usage = measure(peer.script, variables, deadline)
    finally:
        shutil.rmtree(work)
    indexes, types = _insist(peer, expected, data.contents(servers.target))
    return Run(usage.wall, usage.cpu, usage.peak, indexes, types, peer.parts(usage.output))


def _variables(servers: Servers, tool: Tool, way: Way, work: Path, expected: Contents) -> dict[str, str]:
    source, target = servers.urls[way]
    return dict(tool.variables) | {
        "PATH": f"{tool.bin}:{servers.source.bin}:/usr/local/bin:/usr/bin:/bin",
        "SOURCE": source,
        "TARGET": target,
        "SOURCE_PORT": str(servers.source.port),
        "DATABASE": DATABASE,
        "NAMES": "\n".join(expected.rows),
        "WORK": str(work),
        "HOME": str(work),  # what a tool keeps from one run to the next would help the second
        "TMPDIR": str(work),
        "CLIENTS": str(CLIENTS),
    }


def _insist(peer: Peer, expected: Contents, arrived: Contents) -> tuple[float, float]:
    """Raises Failed unless all rows are there, and the indexes if the peer brings them; gives the parts that are the same."""
    for name, rows in expected.rows.items():
        if arrived.rows.get(name) != rows:
            raise Failed(f"{arrived.rows.get(name, 'none')} of {name}'s {rows} rows arrived")
        if peer.indexes and arrived.indexes[name] != expected.indexes[name]:
            raise Failed(f"{arrived.indexes[name]} of {name}'s {expected.indexes[name]} indexes arrived")
    indexes = sum(min(arrived.indexes[name], number) for name, number in expected.indexes.items())
    types = sum(arrived.types.get(name) == kind for name, kind in expected.types.items())
    return indexes / max(1, sum(expected.indexes.values())), types / max(1, len(expected.types))
