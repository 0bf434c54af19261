"""A database that takes IAM's word, as RDS does: TLS, and a signed token in place of the password.

In front of a real server: it ends TLS, asks for a password, checks that this is a token for this host, port and user,
signed with the one secret key and not older than 15 minutes, and hands the session over to the server.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import socketserver
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, quote, urlsplit

import trustme

from tests.harness import Database

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_SSL_REQUEST, _CANCEL_REQUEST = 80877103, 80877102
_LIFE = timedelta(minutes=15)


def refusal(token: str, host: str, port: int, user: str) -> str | None:
    """Says what is wrong with a token, None where nothing is (Signature Version 4, in the query string)."""
    url = urlsplit(f"https://{token}")
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    signature = query.pop("X-Amz-Signature", "")
    if url.netloc != f"{host}:{port}" or query.get("DBUser") != user or query.get("Action") != "connect":
        return f"a token for {query.get('DBUser')} at {url.netloc}"
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not timedelta(minutes=-1) < datetime.now(UTC) - signed < _LIFE or query["X-Amz-Expires"] != "900":
        return "a token that has expired"
    _, date, region, service, _ = query["X-Amz-Credential"].split("/")
    if service != "rds-db":
        return f"a token for {service}"
    canonical = "&".join(f"{quote(key, safe='')}={quote(query[key], safe='')}" for key in sorted(query))
    asked = f"GET\n/\n{canonical}\nhost:{url.netloc}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    scope = f"{date}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (date, region, service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return None if hmac.compare_digest(key.hex(), signature) else "a token with a wrong signature"


class Rds(socketserver.ThreadingTCPServer):
    """Serves one server's databases; ``tokens`` are those that it took, in order."""

    daemon_threads = True

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        authority = trustme.CA()
        self.bundle = folder / "bundle.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.tls)
        self.database = database
        self.tokens: list[str] = []

    @property
    def port(self) -> int:
        """The port."""
        port: int = self.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The URL, without a password: there is none."""
        where = f"localhost:{self.port}/{self.database.name}"
        return f"postgresql://postgres@{where}?sslmode=verify-full&sslrootcert={self.bundle}"


class _Session(socketserver.BaseRequestHandler):
    server: Rds

    def handle(self) -> None:
        code, packet = _startup(self.request)
        if code == _SSL_REQUEST:
            self.request.sendall(b"S")
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            code, packet = _startup(self.request)
            if code == _CANCEL_REQUEST or self._signs_in(_user(packet)):
                self._hand_over(packet)
        elif code == _CANCEL_REQUEST:  # libpq's old call sends it in the clear
            self._hand_over(packet)
        else:
            self._refuse("no pg_hba.conf entry, no encryption")

    def _hand_over(self, packet: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self.server.database.server.port)) as server:
            server.sendall(packet)
            answering = Thread(target=_pump, args=(server, self.request), daemon=True)
            answering.start()
            _pump(self.request, server)
            answering.join()

    def _signs_in(self, user: str) -> bool:
        self.request.sendall(b"R" + struct.pack("!II", 8, 3))  # AuthenticationCleartextPassword
        kind, length = struct.unpack("!cI", _exactly(self.request, 5))
        token = _exactly(self.request, length - 4).rstrip(b"\0").decode()
        fault = "no password" if kind != b"p" else refusal(token, "localhost", self.server.port, user)
        if fault is not None:
            self._refuse(f'PAM authentication failed for user "{user}": {fault}')
            return False
        self.server.tokens.append(token)
        return True

    def _refuse(self, message: str) -> None:
        fields = f"SFATAL\0VFATAL\0C28000\0M{message}\0\0".encode()
        self.request.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)


def _startup(connection: socket.socket) -> tuple[int, bytes]:
    """Reads a packet without a type; gives its code, and the whole of it."""
    head = _exactly(connection, 8)
    length, code = struct.unpack("!II", head)
    return code, head + _exactly(connection, length - 8)


def _user(packet: bytes) -> str:
    words = packet[8:].split(b"\0")
    return dict(zip(words[::2], words[1::2], strict=False))[b"user"].decode()


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := connection.recv(size - len(found))):
        found += piece
    return found


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Passes bytes on until one side ends, then ends both."""
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass  # the other direction has ended the connection
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # ended already


@contextmanager
def rds(database: Database, folder: Path) -> Iterator[Rds]:
    """Serves a database for as long as the block lasts."""
    with Rds(database, folder) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
