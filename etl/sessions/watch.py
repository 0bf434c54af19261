"""Whether a silent session works or is dead: pure policy, and the task that asks.

TCP's keepalives find a host that is gone. They do not find a connection through which nothing comes while its ends
are alive: a firewall that has forgotten it, a proxy that hangs. And silence alone proves nothing, since a view may
sort for an hour before its first row. So whoever has waited for a while asks the server, over a fresh connection,
what the session does. A server that waits for us while we wait for it has lost touch with us; one that works, works.
"""

# docs/decisions.md, "A session that does not answer is asked about"

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from etl.model import limits

T = TypeVar("T")


class Answer(Enum):
    """What a server says about one of its sessions."""

    WORKS = "works"
    WAITS = "waits for us, as we do for it: the connection passes nothing on"
    GONE = "is gone"
    SILENT = "is out of reach: the server answers nobody"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a session may be silent before the server is asked, and how long the server may take: seconds."""

    idle: float
    interval: float
    timeout: float


_ALIVE = frozenset({Answer.WORKS, Answer.UNKNOWN})


def dead(answers: Sequence[Answer]) -> Answer | None:
    """Gives what a session died of, or None where its last answers do not prove it; the last of them says what."""
    last = answers[-limits.AGREEING_ANSWERS :]
    return last[-1] if len(last) == limits.AGREEING_ANSWERS and _ALIVE.isdisjoint(last) else None


def answered(state: str | None, wait_event_type: str | None) -> Answer:
    """Reads pg_stat_activity: a backend that waits for its client says so, whether for a question or for room."""
    if state is None:
        return Answer.UNKNOWN  # another role's session: the server does not tell
    return Answer.WAITS if wait_event_type == "Client" else Answer.WORKS


@dataclass(slots=True)
class Watch:
    """Watches one session.

    ``ask`` asks the server about it. Once it is dead, ``end`` ends what the server still has of it, for that may hold
    locks that the next try needs, and ``cut`` closes our end, so that who waits is told; ``verdict`` says why.
    """

    silence: Silence
    ask: Callable[[], Awaitable[Answer]]
    end: Callable[[], Awaitable[object]]
    cut: Callable[[], None]
    verdict: Answer | None = None
    _since: float | None = None
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Begins to watch, on the running loop."""
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Watches no more."""
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Says that for as long as the block lasts we wait for the server."""
        self.moved()
        try:
            yield
        finally:
            self._since = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Says that for as long as the block lasts it is us who is waited for; after it we wait again."""
        self._since = None
        try:
            yield
        finally:
            self.moved()

    def moved(self) -> None:
        """Says that the server has just been heard of."""
        self._since = time.monotonic()

    async def _watch(self) -> None:
        answers: list[Answer] = []
        asked_since: float | None = None
        while True:
            await asyncio.sleep(self._pause(answers))
            since = self._since
            if since is None or since != asked_since:
                answers, asked_since = [], since
            if since is None or time.monotonic() - since < self.silence.idle:
                continue
            answer = await self._asked(self.ask) or Answer.SILENT
            if self._since == since:  # else it has been heard of while we asked
                answers.append(answer)
            if verdict := dead(answers):
                self.verdict = verdict
                if verdict is Answer.WAITS:
                    await self._asked(self.end)
                self.cut()
                return

    def _pause(self, answers: Sequence[Answer]) -> float:
        """Gives the seconds until there may be something to ask."""
        if answers:
            return self.silence.idle if answers[-1] in _ALIVE else self.silence.interval
        quiet = 0.0 if self._since is None else time.monotonic() - self._since
        return max(self.silence.idle - quiet, 0.0)

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """Gives the answer, or None where none comes in time."""
        try:
            async with asyncio.timeout(self.silence.timeout):
                return await question()
        except TimeoutError:
            return None
