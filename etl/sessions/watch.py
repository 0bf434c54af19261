"""Detects dead sessions: the policy (pure), and the task that asks the server about a silent session.

TCP's keepalives detect a host that has gone. They do not detect a connection that passes on no data while both its ends
are alive, because a firewall has dropped its state, or a proxy hangs. A silent session need not be dead: a view may
sort for an hour before its first row. So after some time without an answer, a task asks the server over a new
connection for the session's state. If the server waits for this client while this client waits for the server, the
connection is dead. If the session is active, it is alive.
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
    """The state of a session, as the server reports it."""

    WORKS = "works"
    WAITS = "waits for us, as we do for it: the connection passes nothing on"
    GONE = "is gone"
    SILENT = "is out of reach: the server answers nobody"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Silence:
    """Seconds: how long a session may be silent before the server is asked, and how long an answer may take.

    ``interval`` is the pause before the server is asked again.
    """

    idle: float
    interval: float
    timeout: float


_ALIVE = frozenset({Answer.WORKS, Answer.UNKNOWN})


def dead(answers: Sequence[Answer]) -> Answer | None:
    """The last of a session's answers, if the last ones prove that the session is dead; None otherwise."""
    last = answers[-limits.AGREEING_ANSWERS :]
    return last[-1] if len(last) == limits.AGREEING_ANSWERS and _ALIVE.isdisjoint(last) else None


def answered(state: str | None, wait_event_type: str | None) -> Answer:
    """The answer in a row of pg_stat_activity: a backend that waits for its client, to read or to write, shows it."""
    if state is None:
        return Answer.UNKNOWN  # the server hides the state of other roles' sessions
    return Answer.WAITS if wait_event_type == "Client" else Answer.WORKS


@dataclass(slots=True)
class Watch:
    """Watches a session.

    ``ask`` asks the server about the session. If the session is dead, ``end`` ends its server process, which may hold
    locks that the next attempt needs, ``cut`` closes this end of the connection, so that a waiting call fails, and
    ``verdict`` is the reason.
    """

    silence: Silence
    ask: Callable[[], Awaitable[Answer]]
    end: Callable[[], Awaitable[object]]
    cut: Callable[[], None]
    verdict: Answer | None = None
    _since: float | None = None
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Starts to watch, on the running event loop."""
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Stops to watch."""
        if self._task is not None:
            self._task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block in which the client waits for the server."""
        self.moved()
        try:
            yield
        finally:
            self._since = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A block, within ``waiting``, in which the client is busy and does not wait for the server."""
        self._since = None
        try:
            yield
        finally:
            self.moved()

    def moved(self) -> None:
        """Records that the server has just sent something."""
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
            if self._since == since:  # otherwise the session has received something in the meantime
                answers.append(answer)
            if verdict := dead(answers):
                self.verdict = verdict
                if verdict is Answer.WAITS:
                    await self._asked(self.end)
                self.cut()
                return

    def _pause(self, answers: Sequence[Answer]) -> float:
        """Seconds until the next look at the session."""
        if answers:
            return self.silence.idle if answers[-1] in _ALIVE else self.silence.interval
        quiet = 0.0 if self._since is None else time.monotonic() - self._since
        return max(self.silence.idle - quiet, 0.0)

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None if it does not come in time."""
        try:
            async with asyncio.timeout(self.silence.timeout):
                return await question()
        except TimeoutError:
            return None
