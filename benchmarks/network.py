"""The network between a client and a server: TLS, and a delay of every byte."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, Popen

import trustme

from servers.postgres import Server
from servers.relay import Link, Relay

IN_FLIGHT = 16 << 20
"""Bytes that may be under way in one direction of one connection, as a TCP window would allow: far more than 20 ms hold
at what two cores can copy, so that the relay delays and does not throttle."""


def secure(servers: Iterable[Server], folder: Path) -> Path:
    """Configures servers to accept TLS too, with a certificate for 127.0.0.1; returns the file of its authority."""
    authority = trustme.CA()
    for server in servers:
        issued, owner = authority.issue_cert("127.0.0.1", "localhost"), server.data.stat()
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for name, content in {"server.crt": chain, "server.key": issued.private_key_pem.bytes()}.items():
            file = server.data / name
            file.write_bytes(content)
            file.chmod(0o600)
            os.chown(file, owner.st_uid, owner.st_gid)
        server.psql("ALTER SYSTEM SET ssl = on")
        server.psql("SELECT pg_reload_conf()")
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return folder / "authority.pem"


@contextmanager
def relay(port: int, round_trip: float) -> Iterator[int]:
    """Runs a relay to a port of this machine, in a separate process, that delays every byte; yields the relay's port.

    Each direction takes half of ``round_trip`` (seconds), however many bytes are in flight.
    """
    process = Popen(
        [sys.executable, "-m", __name__, str(port), str(round_trip / 2)], stdout=PIPE, stdin=PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


class _Delay(Relay):
    """Sends every byte on ``delay`` seconds later."""

    def __init__(self, port: int, delay: float) -> None:
        super().__init__(port)
        self.delay = delay

    def link(self, client: socket.socket) -> Link:
        """Accepts a client. The handshake of its connection takes a round trip, too."""
        time.sleep(2 * self.delay)
        return _Delayed(client, self.connect(), self.delay)


class _Delayed(Link):
    def __init__(self, client: socket.socket, server: socket.socket, delay: float) -> None:
        super().__init__(client, server)
        self.ways = {client: _Way(client, server, delay), server: _Way(server, client, delay)}

    def ask(self, piece: bytes) -> None:
        self.ways[self.client].take(piece)

    def answer(self, piece: bytes) -> None:
        self.ways[self.server].take(piece)

    def ended(self, end: socket.socket) -> None:
        self.ways[end].take(b"")  # earlier bytes arrive first

    def run(self) -> None:
        for way in self.ways.values():
            way.start()
        super().run()
        for way in self.ways.values():
            way.join()


class _Way(threading.Thread):
    """One direction of one connection: each piece is written when its delay has passed."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        super().__init__(daemon=True)
        self.source, self.target, self.delay = source, target, delay
        self.pieces: deque[tuple[float, bytes]] = deque()
        self.held = 0
        self.changed = threading.Condition()

    def take(self, piece: bytes) -> None:
        """Takes a piece as soon as there is room for it; an empty piece is the last."""
        with self.changed:
            self.changed.wait_for(lambda: self.held < IN_FLIGHT)
            self.pieces.append((time.monotonic() + self.delay, piece))
            self.held += len(piece)
            self.changed.notify_all()

    def run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.pieces)
                due, piece = self.pieces.popleft()
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            try:
                self.target.sendall(piece) if piece else self.target.shutdown(socket.SHUT_WR)
            except OSError:
                piece = b""  # the other end is closed, but this end must still be read
                _shut(self.source)
            with self.changed:
                self.held = self.held - len(piece) if piece else 0
                self.changed.notify_all()
            if not piece:
                return


def _shut(end: socket.socket) -> None:
    with suppress(OSError):  # the connection has ended already
        end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    with _Delay(int(sys.argv[1]), float(sys.argv[2])) as server:
        print(server.port, flush=True)
        server.serve_forever()
