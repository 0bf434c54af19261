"""A relay that reads the statements that pass and, at a chosen one, holds the connection for a fault to be made.

So a run stands still at a stage of its work (connect, snapshot, COPY …). The stages are declared in
etl/sessions/stage.py: each is a comment in the statement that does its work, so this relay need not know what the
statement says. What PostgreSQL's protocol looks like: manual, 55.7.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Literal, Self

from etl.sessions.stage import Stage
from servers import relay
from tests.harness import Database

TRICKLE = 4_096
"""Bytes that a trickling connection passes in a turn."""
TURN = 0.02
"""Seconds of a turn: 4 kB each 0.02 s are 200 kB/s."""


COMMIT: Literal["COMMIT"] = "COMMIT"
"""What psycopg's ``transaction()`` sends at its end."""


@dataclass(frozen=True)
class Moment:
    """A moment of a run: a side, a stage (or a COMMIT), and when: ``before`` the server gets its statement, ``during``
    its data's way (after the first bytes), or ``after`` the server did it, before we are told; ``given``: only in a
    session that has come to this stage."""

    name: str
    side: Literal["operational", "reporting"]
    stage: Stage | Literal["COMMIT"]
    when: Literal["before", "during", "after"] = "before"
    given: Stage | None = None

    def is_come(self, statement: str, earlier: Iterable[str]) -> bool:
        """Tells whether a statement is the armed one, given the session's earlier statements."""
        found = self.stage in statement if isinstance(self.stage, Stage) else statement == self.stage
        return found and (self.given is None or any(self.given in one for one in earlier))


class Link(relay.Link):
    """One connection that passes through the breaker."""

    PIECE = 65_536

    def __init__(self, breaker: Breaker, client: socket.socket) -> None:
        super().__init__(client, breaker.connect())
        self.breaker = breaker
        self.open = Event()
        self.open.set()
        self.trickles = False
        self.seen: list[str] = []
        self.withheld = False  # hold at the server's next byte
        self.countdown: int | None = None  # hold when so many bytes have passed
        self.said, self.begun = b"", False

    @property
    def port(self) -> int:
        """The port by which the server knows the client."""
        return int(self.server.getsockname()[1])

    def ask(self, piece: bytes) -> None:
        """Passes on the client's bytes, message by message."""
        messages, self.said, self.begun = _messages(self.said + piece, self.begun)
        for message in messages:
            if message[:1] in {b"Q", b"P"}:  # a startup packet begins with the zero byte of its length
                self.breaker.saw(self, _statement(message))
            self._pass(self.server, message)

    def answer(self, piece: bytes) -> None:
        """Passes on the server's bytes."""
        if self.withheld:
            self.withheld = False
            self.breaker.hold(self)
        self._pass(self.client, piece)

    def _pass(self, to: socket.socket, data: bytes) -> None:
        if self.countdown is not None:
            self.countdown -= len(data)
            if self.countdown < 0:
                self.countdown = None
                self.breaker.hold(self)
        self.open.wait()
        for piece in _turns(data) if self.trickles else [data]:
            to.sendall(piece)

    def run(self) -> None:
        """Passes pieces on until the connection has ended, then removes it from the breaker."""
        super().run()
        self.breaker.links.remove(self)

    def cut(self) -> None:
        """Ends the connection for both sides, also while it is held."""
        super().cut()
        self.open.set()


class Breaker(relay.Relay):
    """Passes connections on to a server; holds the one in which an armed moment is come."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.server.port)
        self.database = database
        self.links: list[Link] = []
        self.moment: Moment | None = None
        self.reached = Event()
        self.held: Link | None = None
        self.black_hole = False
        self.lock = Lock()

    @property
    def url(self) -> str:
        """The URL through this relay, unencrypted; its settings detect a dead peer in seconds, not in a minute."""
        options = "sslmode=disable&gssencmode=disable&keepalives_idle=1&keepalives_interval=1&connect_timeout=2"
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.database.name}?{options}"

    def arm(self, moment: Moment) -> None:
        """Holds the next connection that reaches the moment."""
        self.moment, self.held = moment, None
        self.reached.clear()

    def release(self) -> None:
        """Lets all connections continue, and holds no more."""
        self.moment, self.black_hole = None, False
        for link in list(self.links):
            link.open.set()

    def cut(self) -> None:
        """Ends all current connections."""
        for link in list(self.links):
            link.cut()

    def swallow(self) -> None:
        """Passes nothing on any more, on old connections and new ones, and closes none, as if the host had vanished."""
        self.black_hole = True
        for link in list(self.links):
            link.open.clear()

    def hold(self, link: Link) -> None:
        """Stops a link at the armed moment, only once."""
        with self.lock:
            if self.moment is None or self.held is not None:
                return
            self.held = link
            link.open.clear()
        self.reached.set()

    def saw(self, link: Link, text: str) -> None:
        """Checks a statement before the server gets it."""
        moment, earlier = self.moment, list(link.seen)
        link.seen.append(text)
        if moment is None or self.held is not None or not moment.is_come(text, earlier):
            return
        if moment.when == "before":
            self.hold(link)
        link.withheld = moment.when == "after"
        link.countdown = 100_000 if moment.when == "during" else None

    def link(self, client: socket.socket) -> Link:
        """Accepts a new connection. It is held from the start if the host has vanished."""
        link = Link(self, client)
        self.links.append(link)
        if self.black_hole:
            link.open.clear()
        return link

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Takes clients for as long as the block lasts, and then holds none of them any more."""
        with super().running():
            try:
                yield self
            finally:
                self.release()
                self.cut()


def _turns(data: bytes) -> Iterator[bytes]:
    """Splits data into pieces, one for each turn of a trickling connection."""
    for at in range(0, len(data), TRICKLE):
        time.sleep(TURN)
        yield data[at : at + TRICKLE]


def _messages(buffer: bytes, begun: bool) -> tuple[list[bytes], bytes, bool]:
    """Splits whole messages from the received bytes; the first message of a connection has no type byte."""
    whole = []
    while len(buffer) >= 5:
        size = struct.unpack_from("!i", buffer, 1 if begun else 0)[0] + (1 if begun else 0)
        if len(buffer) < size:
            break
        whole.append(buffer[:size])
        buffer, begun = buffer[size:], True
    return whole, buffer, begun


def _statement(message: bytes) -> str:
    """The text of a Query or Parse message. In a Parse message the statement's name comes before the text."""
    body = message[5:]
    text = body if message[:1] == b"Q" else body.partition(b"\0")[2]
    return text.partition(b"\0")[0].decode(errors="replace")
