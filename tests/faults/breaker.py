"""A relay that reads the statements that pass and, at a chosen one, holds the connection for a fault to be made.

So a run stands still at a stage of its work (connect, snapshot, COPY …) without a word about tests in the product: the
stage is a statement that every run must send. What PostgreSQL's protocol looks like: manual, 55.7.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Literal

from tests.harness import Database

PIECE = 65_536
TRICKLE = 4_096
"""Bytes that a trickling connection lets through a turn, ..."""
TURN = 0.02
"""... and how long a turn is: 200 kB/s."""


@dataclass(frozen=True)
class Stage:
    """A moment of a run: a side, a statement, and when: ``before`` the server gets it, ``during`` its data's way (after
    the first bytes), or ``after`` the server did it, before we are told; ``given``: only after this statement."""

    name: str
    side: Literal["operational", "reporting"]
    statement: str
    when: Literal["before", "during", "after"] = "before"
    given: str | None = None


class Link:
    """One connection that passes through."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.open = Event()
        self.open.set()
        self.trickles = False
        self.seen: list[str] = []
        self.withheld = False  # hold at the server's next byte
        self.countdown: int | None = None  # hold when so many bytes have passed

    @property
    def port(self) -> int:
        """The port by which the server knows the client."""
        return int(self.server.getsockname()[1])

    def cut(self) -> None:
        """Ends the connection for both sides."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open.set()


class Breaker(socketserver.ThreadingTCPServer):
    """Passes connections on to a server; holds the one in which an armed stage is reached."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, database: Database) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.database = database
        self.links: list[Link] = []
        self.stage: Stage | None = None
        self.reached = Event()
        self.held: Link | None = None
        self.black_hole = False
        self.lock = Lock()

    @property
    def url(self) -> str:
        """Leads to the database through here, in the clear; a dead peer is noticed in seconds, not in a minute."""
        port = self.server_address[1]
        options = "sslmode=disable&gssencmode=disable&keepalives_idle=1&keepalives_interval=1&connect_timeout=2"
        return f"postgresql://postgres@127.0.0.1:{port}/{self.database.name}?{options}"

    def arm(self, stage: Stage) -> None:
        """Holds the first connection that comes to the stage from now on."""
        self.stage, self.held = stage, None
        self.reached.clear()

    def release(self) -> None:
        """Lets everything pass from now on."""
        self.stage, self.black_hole = None, False
        for link in list(self.links):
            link.open.set()

    def cut(self) -> None:
        """Ends all connections there are."""
        for link in list(self.links):
            link.cut()

    def swallow(self) -> None:
        """Passes nothing on any more, of old connections and of new ones, and closes none: the host is gone."""
        self.black_hole = True
        for link in list(self.links):
            link.open.clear()

    def hold(self, link: Link) -> None:
        """Stops a link at the armed stage; only once."""
        with self.lock:
            if self.stage is None or self.held is not None:
                return
            self.held = link
            link.open.clear()
        self.reached.set()

    def saw(self, link: Link, text: str) -> bool:
        """Looks at a statement; tells whether its server may not have it yet."""
        stage = self.stage
        link.seen.append(text)
        if stage is None or self.held is not None or not re.search(stage.statement, text):
            return False
        if stage.given is not None and not any(re.search(stage.given, other) for other in link.seen[:-1]):
            return False
        if stage.when == "before":
            self.hold(link)
            return True
        link.withheld = stage.when == "after"
        link.countdown = 100_000 if stage.when == "during" else None
        return False

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: connections that break are what this is for."""


class _Handler(socketserver.BaseRequestHandler):
    server: Breaker

    def handle(self) -> None:
        breaker = self.server
        with suppress(OSError), socket.create_connection(("127.0.0.1", breaker.database.server.port)) as server:
            link = Link(self.request, server)
            for end in (self.request, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            breaker.links.append(link)
            if breaker.black_hole:
                link.open.clear()
            asking = Thread(target=_ask, args=(breaker, link), daemon=True)
            asking.start()
            _answer(breaker, link)
            asking.join()
            breaker.links.remove(link)


def _ask(breaker: Breaker, link: Link) -> None:
    """Passes what the client says, message by message."""
    buffer, begun = b"", False
    with suppress(OSError):
        while piece := link.client.recv(PIECE):
            buffer += piece
            messages, buffer, begun = _messages(buffer, begun)
            for message in messages:
                if message[:1] in {b"Q", b"P"}:  # a startup packet begins with the zero byte of its length
                    breaker.saw(link, _statement(message))
                _pass(breaker, link, link.server, message)
    link.cut()


def _answer(breaker: Breaker, link: Link) -> None:
    """Passes what the server says."""
    with suppress(OSError):
        while piece := link.server.recv(TRICKLE if link.trickles else PIECE):
            if link.withheld:
                link.withheld = False
                breaker.hold(link)
            _pass(breaker, link, link.client, piece)
    link.cut()


def _pass(breaker: Breaker, link: Link, to: socket.socket, data: bytes) -> None:
    if link.countdown is not None:
        link.countdown -= len(data)
        if link.countdown < 0:
            link.countdown = None
            breaker.hold(link)
    link.open.wait()
    if not link.trickles:
        return to.sendall(data)
    for at in range(0, len(data), TRICKLE):
        time.sleep(TURN)
        to.sendall(data[at : at + TRICKLE])
    return None


def _messages(buffer: bytes, begun: bool) -> tuple[list[bytes], bytes, bool]:
    """Cuts whole messages from what has come; the first of a connection has no type byte."""
    whole = []
    while len(buffer) >= 5:
        size = struct.unpack_from("!i", buffer, 1 if begun else 0)[0] + (1 if begun else 0)
        if len(buffer) < size:
            break
        whole.append(buffer[:size])
        buffer, begun = buffer[size:], True
    return whole, buffer, begun


def _statement(message: bytes) -> str:
    """Gives the text of a Query or Parse message (Parse has the statement's name before it)."""
    body = message[5:]
    text = body if message[:1] == b"Q" else body.partition(b"\0")[2]
    return text.partition(b"\0")[0].decode(errors="replace")


@contextmanager
def breaker(database: Database) -> Iterator[Breaker]:
    """Runs a breaker in front of a database for as long as the block lasts."""
    with Breaker(database) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.release()
            server.cut()
            server.shutdown()
            thread.join()
