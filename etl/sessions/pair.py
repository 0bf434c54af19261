"""A pair of sessions: one reads the source, one writes to the target."""

from __future__ import annotations

from dataclasses import dataclass

from etl.sessions.postgres import Source, Target, close_source, connect_source, connect_target
from etl.sessions.tasks import together
from etl.sessions.url import DatabaseUrl

LOCK_TIMEOUT = "30s"
"""How long a writer waits for a live table that somebody holds in ACCESS EXCLUSIVE mode, to read what hangs on it."""


@dataclass(slots=True)
class Pair:
    """A reader on the source and a writer on the target, opened when first asked for, kept from load to load.

    ``memory`` is what the writer's index builds may take, in kB; None is the server's own maintenance_work_mem.
    """

    source_url: DatabaseUrl
    target_url: DatabaseUrl
    application: str
    memory: int | None = None
    _reader: Source | None = None
    _writer: Target | None = None

    async def reader(self) -> Source:
        """Gives the session that reads."""
        if self._reader is None:
            self._reader = await connect_source(self.source_url, self.application)
        return self._reader

    async def writer(self) -> Target:
        """Gives the session that writes."""
        if self._writer is None:
            self._writer = await connect_target(
                self.target_url, self.application, self.memory, lock_timeout=LOCK_TIMEOUT
            )
        return self._writer

    async def both(self) -> tuple[Source, Target]:
        """Gives both, opened side by side."""
        if self._reader is None or self._writer is None:
            await together([self.reader(), self.writer()])
        return await self.reader(), await self.writer()

    async def __aenter__(self) -> Pair:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes both, whatever state they are in; asked for again, they are opened anew."""
        reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
        if writer is not None:
            await writer.close()
        if reader is not None:
            await close_source(reader)
