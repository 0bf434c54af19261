"""A server that refuses a session: what its code says counts, and not the words, which are in the server's language."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from etl.sessions.session import answer_of_refusal
from etl.sessions.url import DatabaseUrl
from etl.sessions.watch import Answer
from tests.harness import Databases, Etl

SSL_REQUEST = struct.pack("!i", 80877103)
FOR_GOOD = {
    "28P01": "Passwort-Authentifizierung für Benutzer »etl« fehlgeschlagen",
    "28000": "kein Eintrag in pg_hba.conf für Host »10.0.0.1«",
    "3D000": 'データベース "shop" は存在しません',
}
"""Codes that stay what they are however often the session is tried, with the words of servers that speak no English."""

FOR_NOW = {"57P03": "das Datenbanksystem startet", "53300": "tut mir leid, schon zu viele Verbindungen"}


@contextmanager
def refusing(code: str, words: str) -> Iterator[int]:
    """A server that refuses every session with a code and a text; its port."""
    fields = (("S", "ВАЖНО"), ("V", "FATAL"), ("C", code), ("M", words))  # S is translated, V is not
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields) + b"\0"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked = self.request.recv(65536)
            if asked[4:8] == SSL_REQUEST:
                self.request.sendall(b"N")
                asked = self.request.recv(65536)
            if asked:
                self.request.sendall(b"E" + struct.pack("!i", 4 + len(body)) + body)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def checked(databases: Databases, side: str, port: int) -> tuple[int, str]:
    """The exit status and standard error of a run whose database of one side is at this port."""
    url = f"postgresql://etl@127.0.0.1:{port}/shop"
    done = Etl(databases.environment | {f"ETL_{side}_URL": url, "TABLES": "*"})("run")
    return done.status, done.stderr


@pytest.mark.parametrize("side", ["OPERATIONAL", "REPORTING"])
def test_a_refusal_for_good_is_bad_configuration_in_any_language(databases: Databases, side: str) -> None:
    """Exit status 2, the server's own words, and the setting to look at."""
    for code, words in FOR_GOOD.items():
        with refusing(code, words) as port:
            status, said = checked(databases, side, port)
        assert (status, words in said, f"check ETL_{side}_URL" in said) == (2, True, True), said


@pytest.mark.parametrize("side", ["OPERATIONAL", "REPORTING"])
def test_a_refusal_for_now_is_a_failed_run(databases: Databases, side: str) -> None:
    """Exit status 1: tomorrow the same settings may do."""
    for code, words in FOR_NOW.items():
        with refusing(code, words) as port:
            status, said = checked(databases, side, port)
        assert (status, words in said, "cannot be reached" in said) == (1, True, True), said


async def test_a_server_that_refuses_the_watcher_is_not_taken_for_silent() -> None:
    """It has no connection left, say: nothing is known of the session, which goes on; nobody at the port is silence."""
    with refusing("53300", "слишком много клиентов") as port:
        url = DatabaseUrl.parse(f"postgresql://etl@127.0.0.1:{port}/shop")
        with pytest.raises(psycopg.OperationalError) as refused:
            await psycopg.AsyncConnection.connect(**url.libpq())
        assert await answer_of_refusal(url, refused.value) is Answer.UNKNOWN
    assert await answer_of_refusal(url, refused.value) is Answer.SILENT
