"""A database with IAM authentication, as RDS has it: TLS, and a signed token instead of the password.

It is a relay in front of a real server. It ends TLS, asks for a password, and checks that the password is a token for
this host, port and user, signed with the one secret key and at most 15 minutes old. Then it passes the session on to
the server.
"""

from __future__ import annotations

import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import trustme
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from servers.relay import Link, Relay
from tests.harness import Database

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_SSL_REQUEST, _CANCEL_REQUEST = 80877103, 80877102
_LIFE = timedelta(minutes=15)


def refusal(token: str, host: str, port: int, user: str) -> str | None:
    """Says what is wrong with a token, None where nothing is: botocore's own signer signs it again."""
    url = urlsplit(f"https://{token}")
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if url.netloc != f"{host}:{port}" or query.get("DBUser") != user or query.get("Action") != "connect":
        return f"a token for {query.get('DBUser')} at {url.netloc}"
    signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if not timedelta(minutes=-1) < datetime.now(UTC) - signed < _LIFE or query["X-Amz-Expires"] != "900":
        return "a token that has expired"
    access_key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    if service != "rds-db":
        return f"a token for {service}"
    unsigned, _, signature = token.partition("&X-Amz-Signature=")
    request = AWSRequest("GET", f"https://{unsigned}")
    request.context["timestamp"] = query["X-Amz-Date"]
    signer = SigV4QueryAuth(Credentials(access_key, SECRET_KEY), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return None if signer.signature(text, request) == signature else "a token with a wrong signature"


class Rds(Relay):
    """A relay to one server's databases; ``tokens`` are the accepted tokens, in order."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database.server.port)
        authority = trustme.CA()
        self.bundle = folder / "bundle.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.tls)
        self.database = database
        self.tokens: list[str] = []

    @property
    def url(self) -> str:
        """The URL, without a password, because IAM needs none."""
        where = f"localhost:{self.port}/{self.database.name}"
        return f"postgresql://postgres@{where}?sslmode=verify-full&sslrootcert={self.bundle}"

    def link(self, client: socket.socket) -> Link | None:
        """Accepts a client that comes with TLS and a valid token. A cancel request needs neither."""
        code, packet = _startup(client)
        if code == _SSL_REQUEST:
            client.sendall(b"S")
            client = self.tls.wrap_socket(client, server_side=True)
            code, packet = _startup(client)
            if code != _CANCEL_REQUEST and not self._signs_in(client, _user(packet)):
                client.close()
                return None
        elif code != _CANCEL_REQUEST:  # libpq's PQcancel sends the request without TLS
            _refuse(client, "no pg_hba.conf entry, no encryption")
            return None
        link = Link(client, self.connect())
        link.ask(packet)
        return link

    def _signs_in(self, client: socket.socket, user: str) -> bool:
        client.sendall(b"R" + struct.pack("!II", 8, 3))  # AuthenticationCleartextPassword
        kind, length = struct.unpack("!cI", _exactly(client, 5))
        token = _exactly(client, length - 4).rstrip(b"\0").decode()
        fault = "no password" if kind != b"p" else refusal(token, "localhost", self.port, user)
        if fault is not None:
            _refuse(client, f'PAM authentication failed for user "{user}": {fault}')
            return False
        self.tokens.append(token)
        return True


def _refuse(client: socket.socket, message: str) -> None:
    fields = f"SFATAL\0VFATAL\0C28000\0M{message}\0\0".encode()
    client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)


def _startup(connection: socket.socket) -> tuple[int, bytes]:
    """Reads a packet without a type byte; returns its code and the whole packet."""
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
