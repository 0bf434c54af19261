"""A relay between ``etl`` and a server that writes down every byte that passes."""

from __future__ import annotations

import socket

from servers.relay import Link, Relay
from tests.harness import Database


class Recorder(Relay):
    """Passes connections on to a database.

    ``sent`` is what the server sent, ``asked`` what it was asked, and ``trips`` how often it was asked something after
    it had answered: the round trips, over all connections.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.server.port)
        self.database = database
        self.sent = bytearray()
        self.asked = bytearray()
        self.trips = 0

    @property
    def url(self) -> str:
        """Leads to the database through here; in the clear, for encrypted bytes would show nothing."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.database.name}?sslmode=disable"

    def link(self, client: socket.socket) -> Link:
        """Records what passes on a new connection."""
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
