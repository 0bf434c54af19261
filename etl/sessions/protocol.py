"""asyncpg's protocol with two things that it has neither a setting nor a hook for; so its class is exchanged for ours.

The exchange is the whole process's, so only an entry point does it (``etl/entry.py``), never an import.

A bound on what a source may say before its session is open: asyncpg takes in whatever comes, and a server that means
harm, or is none, may send until the machine's memory is full. (libpq refuses such messages by itself.) That it holds,
tests/faults/test_hostile_server.py shows at real sockets. And larger pieces of rows, each of which costs some Python.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg.protocol

from etl.model import limits

if TYPE_CHECKING:
    _Protocol = asyncpg.protocol.Protocol[asyncpg.Record]
else:
    _Protocol = asyncpg.protocol.Protocol


class SourceProtocol(_Protocol):
    """What stands between a session on the source and its socket."""

    def __init__(self, address: object, opened: asyncio.Future[object], *rest: Any) -> None:
        super().__init__(address, opened, *rest)
        self._opened = opened
        self._left = limits.UNOPENED_SESSION_BYTES

    def connection_made(self, transport: Any) -> None:
        """Begins on a connection."""
        transport.max_size = limits.SOCKET_READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: Any) -> None:
        """Takes the bytes that have come; fails the opening with ConnectionError where it is too much."""
        if not self._opened.done():
            self._left -= len(data)
            if self._left < 0:
                self._opened.set_exception(ConnectionError("it sends without end before the session is open"))
                self.abort()
                return
        super().data_received(data)


def exchange() -> None:
    """Has asyncpg use this protocol for all sessions of the process from here on."""
    asyncpg.protocol.Protocol = SourceProtocol  # type: ignore[assignment, misc]
