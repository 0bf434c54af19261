"""A server that is not PostgreSQL, or that is hostile: etl reports a clear error soon, with bounded memory."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product

import psutil
import pytest

from tests.harness import Databases, Etl
from tests.situations import ended

SIDES = ("operational", "reporting")

MEMORY = 300 << 20
"""Bytes of resident memory that a run may use, whatever the server sends; a normal run uses 75 MB."""

SECONDS = 60.0
"""Seconds within which etl must give up."""

AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)


def hang_up(_client: socket.socket) -> None:
    """Closes the connection at once."""


def say_nothing(client: socket.socket) -> None:
    """Reads all bytes, and never answers."""
    while client.recv(65536):
        pass


def speak_http(client: socket.socket) -> None:
    """Answers as a web server."""
    client.recv(65536)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")


def speak_nonsense(client: socket.socket) -> None:
    """Sends every possible byte."""
    client.recv(65536)
    client.sendall(bytes(range(256)) * 64)


def flood(client: socket.socket) -> None:
    """Authenticates, and sends notices without end."""
    client.recv(65536)
    client.sendall(AUTHENTICATED)
    notice = b"N" + struct.pack("!i", 4 + 8000) + b"M" + b"x" * 7998 + b"\0"
    while True:
        client.sendall(notice * 64)


def promise_two_gigabytes(client: socket.socket) -> None:
    """Authenticates, and sends one message of 2 GB."""
    client.recv(65536)
    client.sendall(AUTHENTICATED + b"S" + struct.pack("!i", 2**31 - 1))
    while True:
        client.sendall(b"x" * 65536)


def lie_of_length(client: socket.socket) -> None:
    """Sends a message whose length is negative."""
    client.recv(65536)
    client.sendall(AUTHENTICATED + b"S" + struct.pack("!i", -5) + b"x" * 1000)
    say_nothing(client)


Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Runs a server that answers each client in this way after it has refused TLS; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            with suppress(OSError):
                if client.recv(8, socket.MSG_PEEK)[4:] == struct.pack("!i", 80877103):  # SSLRequest
                    client.recv(8)
                    client.sendall(b"N")
                answer(client)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()


class Peak(threading.Thread):
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.bytes = psutil.Process(pid), 0
        self.over = threading.Event()

    def run(self) -> None:
        with suppress(psutil.NoSuchProcess):
            while not self.over.wait(0.05):
                self.bytes = max(self.bytes, self.process.memory_info().rss)


ANSWERS = [hang_up, say_nothing, speak_http, speak_nonsense, lie_of_length, flood, promise_two_gigabytes]


@pytest.mark.parametrize(("answer", "side"), list(product(ANSWERS, SIDES)))
def test_a_server_that_is_none_ends_in_a_clear_error(databases: Databases, etl: Etl, answer: Answer, side: str) -> None:
    """Exit status 1, one line that names the database, no traceback, no more memory than a run takes."""
    with server(answer) as port:
        url = {f"ETL_{side.upper()}_URL": f"postgresql://postgres@127.0.0.1:{port}/shop?connect_timeout=3"}
        with etl.started("run", TABLES="orders", **url) as process:
            watch = Peak(process.pid)
            watch.start()
            done = ended(process, SECONDS)
            watch.over.set()
    assert done.status == 1, done
    assert f"{side} database" in done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert watch.bytes < MEMORY, f"{watch.bytes >> 20} MB"
