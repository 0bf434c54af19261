"""A relay between a client and a server: it passes connections on to a port of this machine.

By itself it changes nothing. A subclass of ``Link`` sees each piece that passes, in either direction, and may record
it, hold it or send it later; a subclass of ``Relay`` opens such links, and may speak with the client first.
"""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import ClassVar, Self


class Link:
    """One connection through the relay: the client's socket, and the server's."""

    PIECE: ClassVar[int] = 256 << 10
    """The most bytes that are passed on at once."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, piece: bytes) -> None:
        """Passes on the client's bytes."""
        self.server.sendall(piece)

    def answer(self, piece: bytes) -> None:
        """Passes on the server's bytes."""
        self.client.sendall(piece)

    def ended(self, _end: socket.socket) -> None:
        """Ends the connection for both sides, because one side has closed its direction."""
        self.cut()

    def cut(self) -> None:
        """Ends the connection for both sides."""
        for end in (self.client, self.server):
            with suppress(OSError):  # the connection has ended already
                end.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Passes pieces on in both directions until both have ended."""
        asking = Thread(target=self._pump, args=(self.client, self.ask), daemon=True)
        asking.start()
        self._pump(self.server, self.answer)
        asking.join()

    def _pump(self, end: socket.socket, pass_on: Callable[[bytes], None]) -> None:
        with suppress(OSError):  # the other direction has ended the connection
            while piece := end.recv(self.PIECE):
                pass_on(piece)
        self.ended(end)


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections on to a server of this machine, for as long as ``running`` lasts."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server_port = server_port

    @property
    def port(self) -> int:
        """The relay's port on 127.0.0.1."""
        return int(self.server_address[1])

    def link(self, client: socket.socket) -> Link | None:
        """Accepts a new client; returns None if it is refused."""
        return Link(client, self.connect())

    def connect(self) -> socket.socket:
        """Opens a connection to the server."""
        return socket.create_connection(("127.0.0.1", self.server_port))

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Accepts clients for as long as the block lasts."""
        with self:
            thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


class _Handler(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with suppress(OSError):  # a server that is down refuses its clients, and so does the relay
            if link := self.server.link(self.request):
                with link.client, link.server:
                    link.run()
