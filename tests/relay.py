"""A relay between ``etl`` and a server that writes down every byte that passes."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from tests.harness import Database


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections on to a server.

    ``sent`` is what the server sent, ``asked`` what it was asked, and ``trips`` how often it was asked something after
    it had answered: the round trips, over all connections.
    """

    daemon_threads = True

    def __init__(self, database: Database) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.database = database
        self.sent = bytearray()
        self.asked = bytearray()
        self.trips = 0

    @property
    def url(self) -> str:
        """Leads to the database through here; in the clear, for encrypted bytes would show nothing."""
        port = self.server_address[1]
        return f"postgresql://postgres@127.0.0.1:{port}/{self.database.name}?sslmode=disable"


class _Handler(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.database.server.port)) as server:
            self.answered = True
            asking = Thread(target=_pump, args=(self.request, server, self._asks), daemon=True)
            asking.start()
            _pump(server, self.request, self._answers)
            asking.join()

    def _asks(self, piece: bytes) -> None:
        self.server.asked.extend(piece)
        self.server.trips += self.answered
        self.answered = False

    def _answers(self, piece: bytes) -> None:
        self.server.sent.extend(piece)
        self.answered = True


def _pump(source: socket.socket, target: socket.socket, record: Callable[[bytes], None]) -> None:
    """Passes bytes on until one side ends, then ends both."""
    try:
        while piece := source.recv(65536):
            record(piece)
            target.sendall(piece)
    except OSError:
        pass  # the other direction has ended the connection
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # ended already


@contextmanager
def relay(database: Database) -> Iterator[Relay]:
    """Runs a relay to a database for as long as the block lasts."""
    with Relay(database) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
