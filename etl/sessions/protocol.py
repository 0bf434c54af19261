"""A replacement of asyncpg's protocol class, with two changes for which asyncpg has neither a setting nor a hook.

It limits the bytes that a server may send before the session is open. asyncpg has no limit, so a hostile server, or
another kind of server, could fill the machine's memory; libpq refuses such messages. The limit is tested at real
sockets (tests/faults/test_hostile_server.py). And it reads larger pieces from the socket, because Python code runs for
each piece.

The class is replaced for the whole process, so only an entry point does it (``etl/entry.py``), never an import.
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
    """The asyncio protocol between a session on the source and its socket."""

    def __init__(self, address: object, opened: asyncio.Future[object], *rest: Any) -> None:
        super().__init__(address, opened, *rest)
        self._opened = opened
        self._left = limits.UNOPENED_SESSION_BYTES

    def connection_made(self, transport: Any) -> None:
        """Sets the size of the pieces that are read from the connection's socket."""
        transport.max_size = limits.SOCKET_READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: Any) -> None:
        """Processes received bytes. If there are too many before the session is open, opening it fails."""
        if not self._opened.done():
            self._left -= len(data)
            if self._left < 0:
                self._opened.set_exception(ConnectionError("it sends without end before the session is open"))
                self.abort()
                return
        super().data_received(data)


def exchange() -> None:
    """Makes asyncpg use this protocol for all later sessions of the process."""
    asyncpg.protocol.Protocol = SourceProtocol  # type: ignore[assignment, misc]
