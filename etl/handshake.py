"""How much a source may say before its session is open.

asyncpg takes in whatever comes, and a server that means harm, or is none, may send until the machine's memory is full.
It has no setting for this, and no hook; so its protocol's class is exchanged for ours. That it still is one, and that
the bound holds, tests/faults/test_hostile_server.py shows at real sockets. (libpq refuses such messages by itself.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg.protocol

MOST_BYTES = 1 << 20
"""Bytes until a session is open: PostgreSQL sends about 1 kB, and notices where a trigger ON login raises some."""

if TYPE_CHECKING:
    _Protocol = asyncpg.protocol.Protocol[asyncpg.Record]
else:
    _Protocol = asyncpg.protocol.Protocol


class BoundedProtocol(_Protocol):
    """asyncpg's protocol, which hangs up on a server that talks on before the session is open."""

    def __init__(self, address: object, opened: asyncio.Future[object], *rest: Any) -> None:
        super().__init__(address, opened, *rest)
        self._opened = opened
        self._left = MOST_BYTES

    def data_received(self, data: Any) -> None:
        """Takes the bytes that have come; fails the opening with ConnectionError where it is too much."""
        if not self._opened.done():
            self._left -= len(data)
            if self._left < 0:
                self._opened.set_exception(ConnectionError("it sends without end before the session is open"))
                self.abort()
                return
        super().data_received(data)


def bound() -> None:
    """Has asyncpg use this protocol for all sessions from here on."""
    asyncpg.protocol.Protocol = BoundedProtocol  # type: ignore[assignment, misc]
