"""Sessions of both drivers that detect a dead server, or a dead connection to a server.

TCP detects a host that has gone: by keepalives while the connection is idle, and by TCP_USER_TIMEOUT while data is
sent. TCP_USER_TIMEOUT is set only on connections to the source, to which this program sends little. It also ends a
connection to a live peer that accepts no data for that time (tcp(7); tcp_probe_timer() in Linux), as a busy target does
during a COPY. ``watch`` detects all other cases.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import psycopg
from asyncpg.prepared_stmt import PreparedStatement
from asyncpg.transaction import Transaction
from psycopg.rows import dict_row

from etl.model import limits
from etl.model.errors import ConfigurationError, one_line, sqlstate
from etl.model.transient import is_connection_loss
from etl.sessions.url import DatabaseUrl
from etl.sessions.watch import Answer, Silence, Watch, answered

if TYPE_CHECKING:
    _SourceBase = asyncpg.Connection[asyncpg.Record]
else:
    _SourceBase = asyncpg.Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backend:
    """A session in the server's view: its process, and the server itself, because several may share a host name."""

    pid: int
    address: str | None
    port: int | None
    started: object

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Backend:
        """The session in a row of session.sql."""
        return cls(row["pid"], row["address"], row["port"], row["started"])

    def judged(self, row: Mapping[str, Any]) -> Answer:
        """The state of this session, according to a row of session.sql from another connection."""
        other = Backend.of(row)
        if (other.address, other.port) != (self.address, self.port):
            return Answer.UNKNOWN  # another server with the same host name
        if other.started != self.started or not row["is_there"]:
            return Answer.GONE
        return answered(row["state"], row["wait_event_type"])


class SourceSession(_SourceBase):
    """A session on the source. If the session is dead, a waiting call raises a connection error that says so."""

    watch: Watch | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._prepared: dict[str, PreparedStatement[asyncpg.Record]] = {}

    async def execute(self, query: str, *args: object, **options: Any) -> str:
        """Executes SQL, and returns the status of the last statement."""
        return await self._watched(super().execute(query, *args, **options))

    async def fetch(self, query: str, *args: object, **options: Any) -> Any:
        """Returns all rows of a query."""
        return await self._watched(super().fetch(query, *args, **options))

    async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
        """Returns the first row of a query."""
        return await self._watched(super().fetchrow(query, *args, **options))

    async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
        """Returns a value of the first row of a query."""
        return await self._watched(super().fetchval(query, *args, **options))

    async def fetch_at_once(self, query: str) -> list[dict[str, Any]]:
        """Returns all rows of a query in one round trip; numbers are numbers, other values are text, as JSON has them.

        ``fetch`` takes two round trips, because asyncpg asks for the types of the result first.
        """
        received = bytearray()

        async def receive(piece: bytes) -> None:
            received.extend(piece)

        as_json = f"SELECT pg_catalog.row_to_json(r) FROM ({query}) AS r"  # noqa: S608
        await self.copy_from_query(as_json, output=receive)
        return [json.loads(line.replace(rb"\\", b"\\")) for line in received.splitlines()]  # COPY doubles backslashes

    async def fetch_prepared(self, name: str, query: str, *args: object) -> Any:
        """Returns all rows of a query that this session prepares once: from the second time on in one round trip."""
        if name not in self._prepared:
            # a pooler may pass on the session of another run, with what that has prepared
            unique = f"etl_{name}_{secrets.token_hex(8)}"
            self._prepared[name] = await self._watched(self.prepare(query, name=unique))
        return await self._watched(self._prepared[name].fetch(*args))

    async def copy_from_query(self, query: str, *args: object, output: Any, **options: Any) -> str:
        """Streams the rows of a query to ``output``, a coroutine function; the server waits while it is busy."""
        watch = self.watch

        async def passed_on(piece: bytes) -> None:
            with watch.busy() if watch else nullcontext():
                await output(piece)

        return await self._watched(super().copy_from_query(query, *args, output=passed_on, **options))

    def transaction(self, **options: Any) -> Transaction:
        """Returns a transaction that is not started yet."""
        try:
            return super().transaction(**options)
        except asyncpg.InterfaceError as error:
            raise self._explained(error) from error

    async def _watched(self, answer: Awaitable[T]) -> T:
        try:
            with self.watch.waiting() if self.watch else nullcontext():
                return await answer
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        """Returns the error unchanged, or an error that says that the connection was lost.

        asyncpg raises the same class for a closed session and for a wrong call. After a fatal error of the server, it
        stays in the state of the failed operation, and raises InternalClientError at the next call, even a ROLLBACK.
        """
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            _note(error, "operational", self._params.user)  # type: ignore[attr-defined]  # asyncpg has no public way
        is_closed = isinstance(error, asyncpg.InterfaceError) and self.is_closed()
        if is_closed or isinstance(error, asyncpg.InternalClientError) or is_connection_loss(error):
            return asyncpg.ConnectionDoesNotExistError(_loss("operational", self.watch, error))
        return error


class TargetSession(psycopg.AsyncConnection[dict[str, Any]]):
    """A session on the target. If the session is dead, a waiting call raises a connection error that says so."""

    watch: Watch | None = None

    async def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Waits for the server. psycopg calls this method for every operation of the session."""
        watch = self.watch
        try:
            with watch.waiting() if watch else nullcontext():
                return await super().wait(gen, *args, **options)
        except psycopg.errors.InsufficientPrivilege as error:
            _note(error, "reporting", self.info.user)
            raise
        except psycopg.OperationalError as error:
            if watch is None or not is_connection_loss(error):
                raise
            raise type(error)(_loss("reporting", watch, error)) from error

    def cut(self) -> None:
        """Shuts down the socket, so that a call that waits for it returns; libpq closes it."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Closes the session, in any state."""
        if self.watch is not None:
            self.watch.stop()
        await super().close()


def _note(error: Exception, side: str, role: str) -> None:
    """Notes on an error whose privilege is missing: the server names the object alone."""
    if not getattr(error, "__notes__", None):  # a call within a call has noted it already
        error.add_note(
            f"role {role} of the {side} database lacks this privilege; GRANT it, as docs/{_ROLES[side]} does"
        )


_ROLES = {"operational": "source-role.sql", "reporting": "target-role.sql"}


def _loss(side: str, watch: Watch | None, error: Exception) -> str:
    """The message for a lost connection, with the watch's verdict if there is one."""
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
    """Sets the keepalives of a session on the source, and starts to watch it; ``query`` is session.sql.

    Raises ConfigurationError if a pooler shares the session's server process with other sessions.
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
    """Starts to watch a session on the target, whose keepalives libpq sets; ``query`` is session.sql.

    Raises ConfigurationError if a pooler shares the session's server process with other sessions.
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
    """Raises ConfigurationError if a pooler assigns the server process of an open session to another session.

    The caller has found a pooler: the session's process is not the process that was reported at its start. A pooler
    assigns the process that was used last, which is this session's, unless another client connects at the same moment.
    Therefore it is asked up to three times.
    """
    for _ in range(limits.POOLER_LOOKS):
        if Backend.of(await another()).pid == backend.pid:
            raise ConfigurationError(
                f"{side} database {url} is reached through a pooler in transaction mode, in which locks, settings and"
                " the snapshot would be anybody's; connect to the server itself, or through a pool in session mode"
            )


def _silence(url: DatabaseUrl) -> Silence:
    return Silence(
        url.keepalives["keepalives_idle"],
        url.keepalives["keepalives_interval"],
        url.connect_timeout or limits.CONNECT_SECONDS,
    )


async def answer_of_refusal(url: DatabaseUrl, error: Exception) -> Answer:
    """The answer in an error of the watch's second connection.

    If the server refuses the connection (too many connections, for instance), it is alive, and the state of the session
    is unknown. Any other error means that the server does not answer.
    """
    return Answer.SILENT if sqlstate(await with_state(url, error)) is None else Answer.UNKNOWN


async def with_state(url: DatabaseUrl, error: Exception) -> Exception:
    """Returns an error with SQLSTATE for a connection that libpq could not open, because libpq's error has none.

    The error comes from asyncpg, which opens the same connection again. libpq's text alone does not distinguish a wrong
    password from a server that starts up, because it is in the server's language.
    """
    other = await _of_asyncpg(url, error)
    return other if isinstance(other, asyncpg.PostgresError | asyncpg.ClientConfigurationError) else error


async def plainer(url: DatabaseUrl, error: Exception) -> Exception:
    """Returns ``with_state``, or asyncpg's error if no server has answered, because it has a class or a number.

    libpq has one class for all errors, and tells them apart by texts in the system's language. Its own error stays if
    it has refused the options itself.
    """
    other = await _of_asyncpg(url, error)
    if other is None or isinstance(other, asyncpg.PostgresError | asyncpg.ClientConfigurationError):
        return other or error
    is_plain = isinstance(other, OSError | asyncpg.InternalClientError)
    return other if is_plain and not url.is_refused_by_libpq else error


async def _of_asyncpg(url: DatabaseUrl, error: Exception) -> Exception | None:
    """Asyncpg's error about the same connection; None if it can open it, or if libpq's error has what is needed."""
    refused = isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.ConnectionTimeout)
    if not refused or sqlstate(error) is not None:
        return None
    try:
        (await open_source(url.asyncpg())).terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as other:
        return other
    return None


def _keep_alive(session: SourceSession, url: DatabaseUrl) -> None:
    """Sets the keepalive options on asyncpg's socket as libpq does on its socket, as far as the system has them."""
    connection = session._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # asyncpg has no public way
    if connection is None or connection.family == getattr(socket, "AF_UNIX", None):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {
        "TCP_KEEPIDLE": url.keepalives["keepalives_idle"],
        "TCP_KEEPINTVL": url.keepalives["keepalives_interval"],
        "TCP_KEEPCNT": url.keepalives["keepalives_count"],
        "TCP_USER_TIMEOUT": url.keepalives["tcp_user_timeout"],
    }
    for name, value in options.items():
        if value and hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
