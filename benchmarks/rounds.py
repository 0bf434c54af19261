"""Runs a scenario: two servers, the data, and rounds of every peer, whose order changes from round to round."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks import data, network
from benchmarks.data import DATABASE, Contents
from benchmarks.measure import Failed, measure
from benchmarks.missed import missed, told
from benchmarks.peers import PEERS, Peer
from benchmarks.results import Outcome, Run
from benchmarks.scenarios import ROUND_TRIP, Case, Scenario, Way
from benchmarks.tools import Tool, Unavailable, cache_folder
from servers.postgres import Server
from servers.programs import system_bin

SETTINGS = {
    "fsync": "off",  # the benchmark does not compare disks
    "wal_level": "replica",
    "shared_buffers": "512MB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_locks_per_transaction": "1024",  # for peers that copy 10,000 tables in one transaction
}

MEMORY = Path("/dev/shm")
"""A file system in memory, on Linux."""

CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers of a scenario, and the URLs of both databases for each way."""

    source: Server
    target: Server
    urls: dict[Way, tuple[str, str]]

    def fresh(self) -> None:
        """Recreates the target's database, and writes all dirty buffers of both servers."""
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
    """The folder for the servers' data."""
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
    """A scenario and its size: the part of the rows, the rounds, the maximum seconds of one copy."""

    scenario: Scenario
    scale: float
    rounds: int
    deadline: float


def measured(work: Work, outcome: Outcome, keep: Callable[[], None]) -> None:
    """Adds the missing runs of an outcome; calls ``keep`` after each copy, so that an interruption loses nothing.

    A peer that cannot be installed, fails, or copies other rows is recorded with the reason, and not measured again in
    this call. Raises Unavailable if a server cannot run or the disk is too small.
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
    """The cases that a round has not measured yet."""
    done = outcome.rounds[number] if number < len(outcome.rounds) else {}
    return [case for case in work.scenario.cases if case.name not in done]


@dataclass(frozen=True, slots=True)
class _Stand:
    """A measurement of a scenario: the servers, the source's contents, the outcome to fill; nights are numbered."""

    work: Work
    outcome: Outcome
    servers: Servers
    expected: Contents
    nights: Iterator[int] = field(default_factory=lambda: count(1))

    def tools(self) -> Iterator[tuple[str, Tool]]:
        """Installs the peers; records those that cannot be installed as missing."""
        for name in self.work.scenario.peers:
            try:
                tool = PEERS[name].install(cache_folder(), self.servers.source.bin)
            except Unavailable as error:
                self.miss(name, f"not to be had here: {error}")
            else:
                self.outcome.met(name, tool.version)
                yield name, tool

    def warm_up(self, tools: dict[str, Tool]) -> None:
        """Copies once without measuring, so that the servers create their WAL files and touch their memory.

        Otherwise the first peer would pay for this: a third of the job's seconds (benchmarks/NOTES.md).
        """
        case = next((case for case in self.work.scenario.cases if case.peer in tools), None)
        if case is not None:
            with suppress(Failed):  # the measured copy will report the failure
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
        """Records a peer that is not measured, with the reason."""
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
            expected = self.changed(variables)
            self.servers.target.psql("CHECKPOINT")
            before = self.servers.target.psql("SELECT pg_current_wal_insert_lsn()")
            usage = measure(peer.script, variables, self.work.deadline)
        wal = float(self.servers.target.psql(f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn"))
        arrived = data.contents(self.servers.target)
        if not peer.incremental:
            _insist_on_rows(expected, arrived)
        indexes, types = _insist(peer, expected, arrived)
        return Run(
            usage.wall, usage.cpu, usage.peak, indexes, types, peer.parts(usage.output), wal, self.compared(peer)
        )

    def compared(self, peer: Peer) -> dict[str, int]:
        """The rows that a copy has missed; empty if the scenario does not compare them.

        Raises Failed if there are any and the peer claims to copy all.
        """
        if not self.work.scenario.compare:
            return {}
        found = missed(self.servers.source, self.servers.target)
        if any(found.values()) and not peer.incremental:
            raise Failed(f"rows differ from the source's: {told(found)}")
        return found

    def changed(self, variables: dict[str, str]) -> Contents:
        """Lets a day pass in the source; returns its contents then."""
        if not self.work.scenario.change:
            return self.expected
        variables["CHANGE"] = self.work.scenario.change.replace("{night}", str(next(self.nights)))
        self.servers.source.psql(variables["CHANGE"], DATABASE)
        return data.contents(self.servers.source)

    def variables(self, case: Case, tool: Tool, folder: str) -> dict[str, str]:
        """The environment variables of a peer's script."""
        source, target = self.servers.urls[case.way]
        return dict(tool.variables) | {
            "PATH": f"{tool.bin}:{self.servers.source.bin}:/usr/local/bin:/usr/bin:/bin",
            "SOURCE": source,
            "TARGET": target,
            "SOURCE_PORT": str(self.servers.source.port),
            "DATABASE": DATABASE,
            "NAMES": "\n".join(self.expected.rows),
            "WORK": folder,
            "HOME": folder,  # a new folder, because files that a tool keeps would help its second run
            "TMPDIR": folder,
            "CLIENTS": str(CLIENTS),
        }


def _insist_on_rows(expected: Contents, arrived: Contents) -> None:
    for name, rows in expected.rows.items():
        if arrived.rows.get(name) != rows:
            raise Failed(f"{arrived.rows.get(name, 'none')} of {name}'s {rows} rows arrived")


def _insist(peer: Peer, expected: Contents, arrived: Contents) -> tuple[float, float]:
    """The parts of indexes and column types that arrived unchanged.

    Raises Failed if indexes are missing although the peer copies them.
    """
    for name in expected.rows:
        if peer.indexes and arrived.indexes[name] != expected.indexes[name]:
            raise Failed(f"{arrived.indexes[name]} of {name}'s {expected.indexes[name]} indexes arrived")
    indexes = sum(min(arrived.indexes[name], number) for name, number in expected.indexes.items())
    types = sum(arrived.types.get(name) == kind for name, kind in expected.types.items())
    return indexes / max(1, sum(expected.indexes.values())), types / max(1, len(expected.types))
