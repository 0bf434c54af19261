"""Connections through TLS, with what a libpq URL can ask of them, on both sides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from servers.postgres import FAST, Server
from servers.programs import system_bin
from tests.harness import Database, Etl


@dataclass(frozen=True)
class Secured:
    """A server that takes TLS connections only, its authority's certificate, and another authority's."""

    server: Server
    authority: Path
    stranger: Path

    def url(self, dbname: str, host: str = "localhost", **options: str) -> str:
        """A URL with libpq options."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"{self.server.url(dbname, host=host)}?{query}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The machine's own PostgreSQL with a certificate for localhost (the wheel's has no TLS)."""
    folder = system_bin()
    if folder is None:
        pytest.skip("no pg_ctl on PATH; a PostgreSQL server package of the distribution brings one with TLS")
    authority, files = trustme.CA(), tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(files / "authority.pem"))
    trustme.CA().cert_pem.write_to_path(str(files / "stranger.pem"))
    server = Server.start(folder, FAST)
    _secure(server, authority)
    server.psql("CREATE DATABASE operational; CREATE DATABASE reporting")
    Database(server, "operational").execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 1000) AS i")
    yield Secured(server, files / "authority.pem", files / "stranger.pem")
    server.remove()


def _secure(server: Server, authority: trustme.CA) -> None:
    issued, owner = authority.issue_cert("localhost"), server.data.stat()
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    for name, content in {"server.crt": chain, "server.key": issued.private_key_pem.bytes()}.items():
        file = server.data / name
        file.write_bytes(content)
        file.chmod(0o600)
        os.chown(file, owner.st_uid, owner.st_gid)
    (server.data / "pg_hba.conf").write_text("hostssl all all all trust\nhost all all 127.0.0.1/32 trust\n")
    server.psql("ALTER SYSTEM SET ssl = on")
    (server.data / "pg_hba.conf").write_text("hostssl all all all trust\n")
    server.stop()
    server.restart()


def _run(secured: Secured, **options: str) -> tuple[int, str]:
    done = Etl()(
        "run",
        TABLES="orders",
        ETL_OPERATIONAL_URL=secured.url("operational", **options),
        ETL_REPORTING_URL=secured.url("reporting", **options),
    )
    return done.status, done.stderr


def test_a_server_with_the_right_certificate_is_trusted(secured: Secured) -> None:
    """sslmode=verify-full with the authority's certificate, through asyncpg and through libpq."""
    assert _run(secured, sslmode="verify-full", sslrootcert=str(secured.authority)) == (0, "")
    assert Database(secured.server, "reporting").server.psql("SELECT count(*) FROM orders", "reporting") == "1000"


@pytest.mark.parametrize("mode", ["require", "prefer", "verify-ca"])
def test_weaker_modes_connect_too(secured: Secured, mode: str) -> None:
    """As libpq has them; the server refuses whoever comes without TLS."""
    options = {"sslrootcert": str(secured.authority)} if mode == "verify-ca" else {}
    assert _run(secured, sslmode=mode, **options) == (0, "")


def test_a_certificate_of_another_authority_is_refused(secured: Secured) -> None:
    """One line, exit 1, and nothing copied."""
    status, stderr = _run(secured, sslmode="verify-full", sslrootcert=str(secured.stranger))
    assert status == 1
    assert "is not trusted (" in stderr
    assert len(stderr.splitlines()) == 1


def test_a_certificate_for_another_host_is_refused(secured: Secured) -> None:
    """verify-full compares the host's name; 127.0.0.1 is not localhost."""
    status, stderr = _run(secured, sslmode="verify-full", sslrootcert=str(secured.authority), host="127.0.0.1")
    assert status == 1
    assert "certificate" in stderr


def test_no_tls_is_refused_by_a_server_that_wants_it(secured: Secured) -> None:
    """sslmode=disable: the server's own refusal, in one line."""
    status, stderr = _run(secured, sslmode="disable")
    assert status in {1, 2}
    assert "no encryption" in stderr
