"""What may lie between a client and a server: TLS, and the time that bytes take on their way."""

from __future__ import annotations

import os
import socket
import socketserver
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

IN_FLIGHT = 16 << 20
"""Bytes that may be under way in one direction of one connection, as a TCP window would allow: far more than 20 ms hold
at what two cores can copy, so that the relay delays and does not throttle."""

PIECE = 256 << 10


def secure(servers: Iterable[Server], folder: Path) -> Path:
    """Makes servers take TLS beside plain connections, with a certificate for 127.0.0.1; gives its authority's file."""
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
    """Runs a relay to a port of this machine, in a process of its own, that delays every byte; gives its port.

    Each direction takes half of ``round_trip`` (seconds), however many bytes are under way.
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


class _Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.delay = delay


class _Handler(socketserver.BaseRequestHandler):
    server: _Relay

    def handle(self) -> None:
        time.sleep(2 * self.server.delay)  # the handshake of a connection is a round trip, too
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            ways = [_Way(self.request, server, self.server.delay), _Way(server, self.request, self.server.delay)]
            for way in ways:
                way.start()
            for way in ways:
                way.join()


class _Way(threading.Thread):
    """One direction of one connection: what is read now is written when its time has come."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        super().__init__(daemon=True)
        self.source, self.target, self.delay = source, target, delay
        self.pieces: deque[tuple[float, bytes]] = deque()
        self.held = 0
        self.changed = threading.Condition()
        for end in (source, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        writer = threading.Thread(target=self._write, daemon=True)
        writer.start()
        while self._take(self._received()):
            pass
        writer.join()

    def _received(self) -> bytes:
        try:
            return self.source.recv(PIECE)
        except OSError:
            return b""

    def _take(self, piece: bytes) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.held < IN_FLIGHT)
            self.pieces.append((time.monotonic() + self.delay, piece))
            self.held += len(piece)
            self.changed.notify_all()
        return bool(piece)

    def _write(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.pieces)
                due, piece = self.pieces.popleft()
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)
            try:
                self.target.sendall(piece) if piece else self.target.shutdown(socket.SHUT_WR)
            except OSError:
                piece = b""  # the other end has gone: read on no more
                _shut(self.source)
            with self.changed:
                self.held = self.held - len(piece) if piece else 0
                self.changed.notify_all()
            if not piece:
                return


def _shut(end: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    with _Relay(int(sys.argv[1]), float(sys.argv[2])) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
