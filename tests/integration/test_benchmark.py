"""The benchmark measures what it says it measures: processes with their children, delayed bytes, and checked copies."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import benchmarks.__main__ as command
from benchmarks import network, peers
from benchmarks.measure import Failed, measure
from benchmarks.results import load
from benchmarks.tools import Pypi


def test_children_of_a_client_count() -> None:
    """CPU time and memory of a client include its child processes."""
    script = (
        'python3 -c "b = bytearray(80_000_000); import time; t = time.time()\nwhile time.time() < t + 0.5: pass" | cat'
    )
    usage = measure(script)
    assert usage.cpu > 0.3
    assert usage.peak > 80_000_000


def test_a_client_that_fails_is_told_with_its_own_words() -> None:
    """The error has standard error's last lines."""
    with pytest.raises(Failed, match="no such table"):
        measure("echo no such table >&2; exit 3")
    with pytest.raises(Failed, match="said nothing"):
        measure("false | true")


def test_a_client_that_does_not_end_is_stopped_with_its_children() -> None:
    """At the deadline, and the error says so."""
    began = time.monotonic()
    with pytest.raises(Failed, match="stopped after"):
        measure("sleep 60 | sleep 60", deadline=0.3)
    assert time.monotonic() - began < 10


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends all received bytes back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while piece := connection.recv(1 << 20):
                    connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def test_the_relay_delays_every_byte_and_loses_none(echo: int) -> None:
    """A question and its answer take one round trip; 64 MB also take one, because all are in flight at once."""
    with network.relay(echo, 0.1) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"warm")
        assert client.recv(4) == b"warm"
        began = time.monotonic()
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        assert 0.1 <= time.monotonic() - began < 1
        sent = bytes(range(256)) * (1 << 18)
        writer = threading.Thread(target=_send, args=(client, sent))
        writer.start()
        received = bytearray()
        while piece := client.recv(1 << 20):
            received += piece
        writer.join()
        assert received == sent


def _send(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Separate folders for this test's results and for installed peers."""
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def bench(*arguments: str) -> str:
    done = CliRunner().invoke(command.main, [*arguments, "--scale", "0.0002", "--rounds", "1", "--deadline", "60"])
    assert done.exit_code == 0, done.output
    return done.output


OURS = [word for name in ("etl run", "limit", "psql | psql", "pg_dump | psql") for word in ("--peer", name)]


def test_a_scenario_is_measured_verified_and_resumed(results: Path) -> None:
    """Servers, data, four real copies, report and chart; a second run finds nothing left, a third adds a peer."""
    bench("--only", "a", *OURS)
    (first,) = load(results / "quick.json")["a"].rounds
    assert set(first) == {"etl run", "limit", "psql | psql", "pg_dump | psql"}
    assert {(run.indexes, run.types) for run in first.values()} == {(1.0, 1.0)}
    assert 0 < first["etl run"].parts["publish"] < first["etl run"].wall
    assert set(first["limit"].parts) == {"out", "in", "indexes"}
    assert (results / "quick.svg").read_text().startswith("<svg")
    assert "0 copies to measure" in bench("--only", "a", *OURS)
    bench("--only", "a", "--peer", "pg_dump -Fd -j2, pg_restore -j2")
    (second,) = load(results / "quick.json")["a"].rounds
    assert {name: second[name] for name in first} == first
    assert "pg_dump -Fd -j2, pg_restore -j2" in second


def test_a_peer_that_leaves_something_out_is_not_measured_but_named(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies that lack rows or indexes do not count."""
    psql = peers.PEERS["psql | psql"]
    bring = 'pg_dump --section={} "$SOURCE" | psql -Xq "$TARGET"'
    monkeypatch.setitem(peers.PEERS, "psql | psql", replace(psql, script=bring.format("pre-data")))
    monkeypatch.setitem(peers.PEERS, "pg_dump | psql", replace(psql, script=bring.format("pre-data --section=data")))
    bench("--only", "a", "--peer", "psql | psql", "--peer", "pg_dump | psql")
    missing = json.loads((results / "quick.json").read_text())["a"]["missing"]
    assert missing == {
        "psql | psql": "0 of accounts's 600 rows arrived",
        "pg_dump | psql": "0 of accounts's 1 indexes arrived",
    }


def test_rows_that_an_incremental_peer_misses_are_counted_and_those_of_others_are_failures(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one leaves the target as it was before the day; the other changes a row after it has copied all."""
    copy = peers.PEERS["psql | psql"]
    idle = replace(copy, script="true", before=copy.script, incremental=True)
    wrong = replace(copy, script=f"{copy.script}\npsql -Xq $TARGET -c 'UPDATE accounts SET bid = -1 WHERE aid = 2'")
    monkeypatch.setitem(peers.PEERS, "sling, incremental", idle)
    monkeypatch.setitem(peers.PEERS, "pgcopydb", wrong)
    bench("--only", "night-10", "--peer", "sling, incremental", "--peer", "pgcopydb", "--peer", "limit of a night")
    outcome = load(results / "quick.json")["night-10"]
    assert outcome.missing == {"pgcopydb": "rows differ from the source's: 1 changed"}
    (first,) = outcome.rounds
    assert first["limit of a night"].missed == {"deleted": 0, "changed": 0, "new": 0}
    assert all(first["sling, incremental"].missed[kind] for kind in ("deleted", "changed", "new"))
    assert " deleted, " in (results / "quick.md").read_text()


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are measured nevertheless."""
    absent = Pypi(("nightly-etl-has-no-such-peer @ file:///nowhere.whl",))
    monkeypatch.setitem(peers.PEERS, "sling", replace(peers.PEERS["sling"], install=absent))
    bench("--only", "a", "--peer", "sling", "--peer", "psql | psql")
    outcome = load(results / "quick.json")["a"]
    assert outcome.missing["sling"].startswith("not to be had here: PyPI's nightly-etl-has-no-such-peer")
    assert outcome.cases == ["psql | psql"]
