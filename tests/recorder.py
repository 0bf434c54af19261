"""A relay between ``etl`` and a server that records every byte."""

from __future__ import annotations

import socket

from servers.relay import Link, Relay
from tests.harness import Database


class Recorder(Relay):
    """Passes connections on to a database.

    ``sent`` has the server's bytes and ``asked`` the client's. ``trips`` counts round trips over all connections: how
    often the client sent something after the server had answered.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.server.port)
        self.database = database
        self.sent = bytearray()
        self.asked = bytearray()
        self.trips = 0

    @property
    def url(self) -> str:
        """The URL of the database through this relay, without encryption, which would make the bytes unreadable."""
        return f"postgresql://{self.database.role}@127.0.0.1:{self.port}/{self.database.name}?sslmode=disable"

    def link(self, client: socket.socket) -> Link:
        """Records the bytes of a new connection."""
        return _Recorded(self, client)


class _Recorded(Link):
    def __init__(self, recorder: Recorder, client: socket.socket) -> None:
        super().__init__(client, recorder.connect())
        self.recorder = recorder
        self.answered = True

    def ask(self, piece: bytes) -> None:
        self.recorder.asked.extend(piece)
        self.recorder.trips += self.answered
        self.answered = False
        super().ask(piece)

    def answer(self, piece: bytes) -> None:
        self.recorder.sent.extend(piece)
        self.answered = True
        super().answer(piece)
