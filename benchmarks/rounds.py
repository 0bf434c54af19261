"""Runs a scenario: two servers, the data, and rounds of every peer, in an order that turns round each time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data, network
from benchmarks.data import DATABASE, Contents
from benchmarks.measure import Failed, measure
from benchmarks.peers import PEERS, Peer
from benchmarks.results import Outcome, Run
from benchmarks.scenarios import ROUND_TRIP, Case, Scenario, Way
from benchmarks.tools import Tool, Unavailable, cache_folder
from servers.postgres import Server
from servers.programs import system_bin

SETTINGS = {
    "fsync": "off",  # the disk is not what is compared
    "wal_level": "replica",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_locks_per_transaction": "1024",  # 10,000 tables in one transaction, for every peer that works so
}

MEMORY = Path("/dev/shm")
"""Where Linux has a file system in memory."""

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
        source, target = (_server(stack, programs, data_folder(scenario)) for _ in range(2))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = network.secure((source, target), folder) if Way.TLS in scenario.ways else None
        yield Servers(source, target, {way: _urls(stack, source, target, way, authority) for way in scenario.ways})


def data_folder(scenario: Scenario) -> Path:
    """Gives the folder that the servers' data goes into."""
    return MEMORY if scenario.many_files and MEMORY.is_dir() else Path(tempfile.gettempdir())


def _server(stack: ExitStack, programs: Path | None, folder: Path) -> Server:
    server = Server.start(programs, SETTINGS, folder)
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


@dataclass(frozen=True, slots=True)
class Work:
    """A scenario, and how much of it: the part of the rows, the rounds, the seconds that one copy may take."""

    scenario: Scenario
    scale: float
    rounds: int
    deadline: float


def measured(work: Work, outcome: Outcome, keep: Callable[[], None]) -> None:
    """Fills what is missing of an outcome's rounds; ``keep`` is called after each copy, so that it is not lost.

    A peer that cannot be had, fails or arrives with other rows is written down with the reason, and measured no more
    this time. Raises Unavailable where the servers or the disk are wanting.
    """
    _insist_on_room(data_folder(work.scenario), work.scenario.disk * work.scale)
    with started(work.scenario) as servers:
        stand = _Stand(work, outcome, servers, data.make(servers.source, work.scenario.tables, work.scale))
        outcome.tables, outcome.rows = len(stand.expected.rows), sum(stand.expected.rows.values())
        outcome.bytes = data.size(servers.source)
        outcome.postgres = servers.source.psql("SHOW server_version")
        tools = dict(stand.tools())
        stand.warm_up(tools)
        for number in range(work.rounds):
            if number == len(outcome.rounds):
                outcome.rounds.append({})
            cases = [case for case in missing(work, outcome, number) if case.peer in tools]
            for case in cases if number % 2 == 0 else cases[::-1]:
                stand.measure(case, tools[case.peer], number)
                keep()


def _insist_on_room(folder: Path, gigabytes: float) -> None:
    if (free := shutil.disk_usage(folder).free / 1e9) < gigabytes:
        larger = "make it larger (mount -o remount,size=…; in a container --shm-size=…)"
        remedy = larger if folder == MEMORY else "TMPDIR leads elsewhere"
        raise Unavailable(f"{free:.1f} GB are free in {folder}, {gigabytes:.1f} are needed; {remedy}")


def missing(work: Work, outcome: Outcome, number: int) -> list[Case]:
    """Gives the cases that a round has not measured yet."""
    done = outcome.rounds[number] if number < len(outcome.rounds) else {}
    return [case for case in work.scenario.cases if case.name not in done]


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where the peers compete: the servers, what the source holds, and the outcome that fills."""

    work: Work
    outcome: Outcome
    servers: Servers
    expected: Contents

    def tools(self) -> Iterator[tuple[str, Tool]]:
        """Installs the peers; those that cannot be had are missing."""
        for name in self.work.scenario.peers:
            try:
                tool = PEERS[name].install(cache_folder(), self.servers.source.bin)
            except Unavailable as error:
                self.miss(name, f"not to be had here: {error}")
            else:
                self.outcome.met(name, tool.version)
                yield name, tool

    def warm_up(self, tools: dict[str, Tool]) -> None:
        """Copies once for the servers alone, which make their WAL files and touch their memory for the first time.

        It would be the first peer's burden: a third of the job's seconds (benchmarks/NOTES.md).
        """
        case = next((case for case in self.work.scenario.cases if case.peer in tools), None)
        if case is not None:
            with suppress(Failed):  # which its own turn will tell
                self.copied(case, tools[case.peer])

    def measure(self, case: Case, tool: Tool, number: int) -> None:
        """Adds a case's run to a round, unless it has failed before."""
        if case.name in self.outcome.missing:
            return
        try:
            run = self.copied(case, tool)
        except Failed as error:
            self.miss(case.name, str(error))
        else:
            print(f"  {number + 1} {case.name:45} {run.wall:8.2f} s  cpu {run.cpu:7.2f} s  {run.peak >> 20:5} MiB")
            self.outcome.rounds[number][case.name] = run

    def miss(self, name: str, reason: str) -> None:
        """Writes down who is not measured, and why."""
        print(f"  {name}: {reason}")
        self.outcome.missing[name] = reason

    def copied(self, case: Case, tool: Tool) -> Run:
        """Measures one copy into an empty database. Raises Failed."""
        peer = PEERS[case.peer]
        self.servers.fresh()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)  # the servers run as another user
            variables = self.variables(case, tool, folder)
            if peer.before:
                measure(peer.before, variables, self.work.deadline)
            usage = measure(peer.script, variables, self.work.deadline)
        indexes, types = _insist(peer, self.expected, data.contents(self.servers.target))
        return Run(usage.wall, usage.cpu, usage.peak, indexes, types, peer.parts(usage.output))

    def variables(self, case: Case, tool: Tool, folder: str) -> dict[str, str]:
        """Gives what a peer's script finds."""
        source, target = self.servers.urls[case.way]
        return dict(tool.variables) | {
            "PATH": f"{tool.bin}:{self.servers.source.bin}:/usr/local/bin:/usr/bin:/bin",
            "SOURCE": source,
            "TARGET": target,
            "SOURCE_PORT": str(self.servers.source.port),
            "DATABASE": DATABASE,
            "NAMES": "\n".join(self.expected.rows),
            "WORK": folder,
            "HOME": folder,  # what a tool keeps from one run to the next would help the second
            "TMPDIR": folder,
            "CLIENTS": str(CLIENTS),
        }


def _insist(peer: Peer, expected: Contents, arrived: Contents) -> tuple[float, float]:
    """Gives the parts of indexes and types that are the same.

    Raises Failed unless all rows are there, and the indexes if the peer brings them.
    """
    for name, rows in expected.rows.items():
        if arrived.rows.get(name) != rows:
            raise Failed(f"{arrived.rows.get(name, 'none')} of {name}'s {rows} rows arrived")
        if peer.indexes and arrived.indexes[name] != expected.indexes[name]:
            raise Failed(f"{arrived.indexes[name]} of {name}'s {expected.indexes[name]} indexes arrived")
    indexes = sum(min(arrived.indexes[name], number) for name, number in expected.indexes.items())
    types = sum(arrived.types.get(name) == kind for name, kind in expected.types.items())
    return indexes / max(1, sum(expected.indexes.values())), types / max(1, len(expected.types))
