"""A pair of sessions: a reader on the source, and a writer on the target."""

from __future__ import annotations

from dataclasses import dataclass

from etl.model import limits
from etl.sessions.postgres import Source, Target, close_source, connect_source, connect_target
from etl.sessions.tasks import together
from etl.sessions.url import DatabaseUrl


@dataclass(slots=True)
class Pair:
    """A reader on the source and a writer on the target. Each is opened on first use, and kept for later loads.

    ``memory`` is the maintenance_work_mem of the writer, in kB; None leaves the server's setting.
    """

    source_url: DatabaseUrl
    target_url: DatabaseUrl
    application: str
    memory: int | None = None
    _reader: Source | None = None
    _writer: Target | None = None

    async def reader(self) -> Source:
        """The session that reads."""
        if self._reader is None:
            self._reader = await connect_source(self.source_url, self.application)
        return self._reader

    async def writer(self) -> Target:
        """The session that writes."""
        if self._writer is None:
            self._writer = await connect_target(
                self.target_url, self.application, self.memory, lock_timeout=limits.LIVE_TABLE_LOCK_TIMEOUT
            )
        return self._writer

    async def both(self) -> tuple[Source, Target]:
        """Both sessions; they are opened at the same time."""
        if self._reader is None or self._writer is None:
            await together([self.reader(), self.writer()])
        return await self.reader(), await self.writer()

    async def __aenter__(self) -> Pair:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes both sessions, in any state. The next use opens new sessions."""
        reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
        if writer is not None:
            await writer.close()
        if reader is not None:
            await close_source(reader)
