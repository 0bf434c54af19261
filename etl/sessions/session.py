"""Sessions of both drivers that notice when their server, or the way to it, is dead.

A host that is gone is found by TCP: keepalives while nothing is sent, and TCP_USER_TIMEOUT while something is. The
latter only towards whom we send little: it also ends a connection whose peer is well and takes nothing for as long
(tcp(7); tcp_probe_timer() in Linux), which is what a target that is busy does in the middle of a COPY. Everything else
is found by ``watch``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import psycopg
from asyncpg.transaction import Transaction
from psycopg.rows import dict_row

from etl.model.errors import ConfigurationError, is_connection_loss, one_line, sqlstate
from etl.sessions.url import DatabaseUrl
from etl.sessions.watch import Answer, Silence, Watch, answered

if TYPE_CHECKING:
    _SourceBase = asyncpg.Connection[asyncpg.Record]
else:
    _SourceBase = asyncpg.Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """A session as its server knows it: the process, and which server it is, however many hide behind one name."""

    pid: int
    address: str | None
    port: int | None
    started: object

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Backend:
        """Reads a row of session.sql."""
        return cls(row["pid"], row["address"], row["port"], row["started"])

    def judged(self, row: Mapping[str, Any]) -> Answer:
        """Says what a row of session.sql, asked over another connection, means for this session."""
        other = Backend.of(row)
        if (other.address, other.port) != (self.address, self.port):
            return Answer.UNKNOWN  # another server behind the same name
        if other.started != self.started or not row["is_there"]:
            return Answer.GONE
        return answered(row["state"], row["wait_event_type"])


class SourceSession(_SourceBase):
    """A session on the source; what waits for a dead one ends with a connection error that says so."""

    watch: Watch | None = None

    async def execute(self, query: str, *args: object, **options: Any) -> str:
        """Executes SQL; gives the last statement's status."""
        return await self._watched(super().execute(query, *args, **options))

    async def fetch(self, query: str, *args: object, **options: Any) -> Any:
        """Gives a query's rows."""
        return await self._watched(super().fetch(query, *args, **options))

    async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
        """Gives a query's first row."""
        return await self._watched(super().fetchrow(query, *args, **options))

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        """Gives one value of a query's first row."""
        return await self._watched(super().fetchval(query, *args, **options))

    async def copy_from_query(self, query: str, *args: object, output: Any, **options: Any) -> str:
        """Streams a query's rows to ``output``, a coroutine function, for which the server may have to wait."""
        watch = self.watch

        async def passed_on(piece: bytes) -> None:
            with watch.busy() if watch else nullcontext():
                await output(piece)

        return await self._watched(super().copy_from_query(query, *args, output=passed_on, **options))

    def transaction(self, **options: Any) -> Transaction:
        """A transaction, to be begun."""
        try:
            return super().transaction(**options)
        except asyncpg.InterfaceError as error:
            raise self._told(error) from error

    async def _watched(self, answer: Awaitable[T]) -> T:
        try:
            with self.watch.waiting() if self.watch else nullcontext():
                return await answer
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> Exception:
        """The error as it is, or one that says that the connection is lost.

        asyncpg has one class for a closed session and for a wrong call. And after a fatal error it stays in the middle
        of that, and cannot even roll back: that is an error of asyncpg's own, an InternalClientError.
        """
        is_closed = isinstance(error, asyncpg.InterfaceError) and self.is_closed()
        if is_closed or isinstance(error, asyncpg.InternalClientError) or is_connection_loss(error):
            return asyncpg.ConnectionDoesNotExistError(_obituary("operational", self.watch, error))
        return error


class TargetSession(psycopg.AsyncConnection[dict[str, Any]]):
    """A session on the target; what waits for a dead one ends with a connection error that says so."""

    watch: Watch | None = None

    async def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Waits for the server: all that this session does comes by here."""
        watch = self.watch
        if watch is None:
            return await super().wait(gen, *args, **options)
        try:
            with watch.waiting():
                return await super().wait(gen, *args, **options)
        except psycopg.OperationalError as error:
            if not is_connection_loss(error):
                raise
            raise type(error)(_obituary("reporting", watch, error)) from error

    def cut(self) -> None:
        """Shuts the socket, so that who waits for it wakes up; libpq closes it."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Closes the session, whatever state it is in."""
        if self.watch is not None:
            self.watch.stop()
        await super().close()


def _obituary(side: str, watch: Watch | None, error: Exception) -> str:
    if watch is not None and watch.verdict is not None:
        return f"the session with the {side} database {watch.verdict.value}"
    return f"the connection with the {side} database was lost: {one_line(error, whole=False)}"


async def open_source(arguments: Mapping[str, Any]) -> SourceSession:
    """Opens a session with asyncpg's arguments; raises what asyncpg raises."""
    session: Any = await asyncpg.connect(**arguments, statement_cache_size=0, connection_class=SourceSession)
    return session  # type: ignore[no-any-return]  # asyncpg's stubs do not know connection_class's type


async def open_target(arguments: Mapping[str, Any]) -> TargetSession:
    """Opens a session in autocommit with psycopg's arguments; raises what psycopg raises."""
    return await TargetSession.connect(**arguments, autocommit=True, row_factory=dict_row, prepare_threshold=None)


_END = "SELECT pg_catalog.pg_terminate_backend({})"


async def watch_source(session: SourceSession, url: DatabaseUrl, arguments: Mapping[str, Any], query: str) -> None:
    """Keeps a session on the source alive, and watches it; ``query`` is session.sql.

    Raises ConfigurationError where it is not a session of its own.
    """
    backend = Backend.of(await session.fetchrow(query, 0))

    async def elsewhere(question: str, *args: object) -> Any:
        other = await asyncpg.connect(**arguments, statement_cache_size=0)
        try:
            return await other.fetchrow(question, *args)
        finally:
            other.terminate()

    async def ask() -> Answer:
        try:
            return backend.judged(await elsewhere(query, backend.pid))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return await answer_of_refusal(url, error)

    async def end() -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await elsewhere(_END.format("$1"), backend.pid)

    if backend.pid != session.get_server_pid():
        await _refuse_shared("operational", url, backend, lambda: elsewhere(query, 0))
    if url.keeps_alive:
        _keep_alive(session, url)
        watch = session.watch = Watch(_silence(url), ask, end, session.terminate)
        session.add_termination_listener(lambda _: watch.stop())
        watch.start()


async def watch_target(session: TargetSession, url: DatabaseUrl, arguments: Mapping[str, Any], query: bytes) -> None:
    """Watches a session on the target, which libpq keeps alive; ``query`` is session.sql.

    Raises ConfigurationError where it is not a session of its own.
    """
    row = await (await session.execute(query, {"pid": 0})).fetchone()
    assert row is not None
    backend = Backend.of(row)

    async def elsewhere(question: bytes) -> dict[str, Any]:
        async with await psycopg.AsyncConnection.connect(**arguments, row_factory=dict_row) as other:
            row: dict[str, Any] | None = await (await other.execute(question, {"pid": backend.pid})).fetchone()
        assert row is not None
        return row

    async def ask() -> Answer:
        try:
            return backend.judged(await elsewhere(query))
        except (OSError, psycopg.Error) as error:
            return await answer_of_refusal(url, error)

    async def end() -> None:
        with suppress(OSError, psycopg.Error):
            await elsewhere(_END.format("%(pid)s").encode())

    if backend.pid != session.info.backend_pid:
        await _refuse_shared("reporting", url, backend, lambda: elsewhere(query))
    if url.keeps_alive:
        session.watch = Watch(_silence(url), ask, end, session.cut)
        session.watch.start()


async def _refuse_shared(
    side: str, url: DatabaseUrl, backend: Backend, another: Callable[[], Awaitable[Mapping[str, Any]]]
) -> None:
    """Raises ConfigurationError where a pooler gives our server process to another session while ours is open.

    A pooler is there when the process is not the one that the connection was told of. It hands out the process that was
    used last, which is ours, unless somebody else comes at the same moment; hence more than one look.
    """
    for _ in range(3):
        if Backend.of(await another()).pid == backend.pid:
            raise ConfigurationError(
                f"{side} database {url} is reached through a pooler in transaction mode, in which locks, settings and"
                " the snapshot would be anybody's; connect to the server itself, or through a pool in session mode"
            )


def _silence(url: DatabaseUrl) -> Silence:
    return Silence(url.keepalives["keepalives_idle"], url.keepalives["keepalives_interval"], url.connect_timeout or 10)


async def answer_of_refusal(url: DatabaseUrl, error: Exception) -> Answer:
    """What an error of the watcher's own connection says: a refusal is an answer, too (no connection left, say).

    It does not tell whether the session lives.
    """
    return Answer.SILENT if sqlstate(await with_state(url, error)) is None else Answer.UNKNOWN


async def with_state(url: DatabaseUrl, error: Exception) -> Exception:
    """An error of libpq's, or that of asyncpg for the same session: libpq keeps the SQLSTATE of a refusal to itself.

    The text alone does not tell a wrong password from a server that starts up: it is in the server's language.
    """
    refused = isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.ConnectionTimeout)
    if refused and sqlstate(error) is None:
        try:
            (await open_source(url.asyncpg())).terminate()
        except (asyncpg.PostgresError, asyncpg.ClientConfigurationError) as refusal:
            return refusal
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return error
    return error


def _keep_alive(session: SourceSession, url: DatabaseUrl) -> None:
    """Sets on asyncpg's socket what libpq sets on its own; where the system has no such option, its default holds."""
    ours = session._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # asyncpg gives no other way
    if ours is None or ours.family == getattr(socket, "AF_UNIX", None):
        return
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {
        "TCP_KEEPIDLE": url.keepalives["keepalives_idle"],
        "TCP_KEEPINTVL": url.keepalives["keepalives_interval"],
        "TCP_KEEPCNT": url.keepalives["keepalives_count"],
        "TCP_USER_TIMEOUT": url.keepalives["tcp_user_timeout"],
    }
    for name, value in options.items():
        if value and hasattr(socket, name):
            ours.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
