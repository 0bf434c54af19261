"""Why a session could not be opened, in plain words; tests/mistakes/with_servers.txt has those of real servers."""

from __future__ import annotations

import errno
import socket
import ssl

import asyncpg
import psycopg
import pytest

from etl.model.errors import ConfigurationError, ConnectionFailed
from etl.sessions import refusal
from etl.sessions.url import DatabaseUrl

URL = DatabaseUrl.parse("postgresql://etl:s3cr3t@db.example:6432/shop?sslmode=verify-full&connect_timeout=7")
WHERE = "reporting database postgresql://etl@db.example:6432/shop"


def of_server(code: str, words: str, function: str | None = None) -> asyncpg.PostgresError:
    """A server's refusal."""
    return asyncpg.PostgresError.new({"C": code, "M": words, "R": function or ""})


def untrusted() -> ssl.SSLCertVerificationError:
    """A certificate that is not trusted."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "Hostname mismatch, certificate is not valid for 'db.example'."
    return error


FOR_NOW: list[tuple[Exception, str]] = [
    (TimeoutError(), "no answer from db.example:6432 within 7 s (connect_timeout); check its host and port in "),
    (psycopg.errors.ConnectionTimeout(), "no answer from db.example:6432 within 7 s (connect_timeout); check its host"),
    (OSError(errno.ETIMEDOUT, "x"), "no answer from db.example:6432 within 7 s (connect_timeout); check its host"),
    (
        socket.gaierror(socket.EAI_NONAME, "x"),
        "no machine has the name db.example; check the host in ETL_REPORTING_URL",
    ),
    (socket.gaierror(socket.EAI_AGAIN, "x"), "the name db.example cannot be looked up now; check the host in "),
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "nothing listens at db.example:6432; check its host and port in"),
    (
        OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1'), [Errno 111] Connect call failed"),
        "nothing listens at db.example:6432; check its host and port in ETL_REPORTING_URL, and that the server is",
    ),
    (OSError(errno.EHOSTUNREACH, "x"), "no network leads to db.example:6432; check the host in ETL_REPORTING_URL, and"),
    (untrusted(), "the certificate of db.example:6432 is not trusted (Hostname mismatch, certificate is not valid for"),
    (ssl.SSLError(1, "x"), "TLS with db.example:6432 failed ("),
    (ConnectionError("x"), "the server at db.example:6432 offers no TLS, and sslmode is verify-full; turn its ssl on"),
    (ConnectionResetError(errno.ECONNRESET, "x"), "what listens at db.example:6432 has closed the connection; check"),
    (of_server("57P03", "startet"), "the server at db.example:6432 is starting or stopping (startet); run again in a"),
    (of_server("53300", "zu viele"), "the server at db.example:6432 has no connection left (zu viele); raise its max_"),
    (
        of_server("53300", "zu viele", "InitializeSessionUserId"),
        "the server at db.example:6432 has no connection left (zu viele); raise the limit: ALTER ROLE etl CONNECTION",
    ),
    (
        of_server("53300", "zu viele", "CheckMyDatabase"),
        "the server at db.example:6432 has no connection left (zu viele); raise the limit: ALTER DATABASE shop CONN",
    ),
]


@pytest.mark.parametrize(("error", "said"), FOR_NOW, ids=lambda one: type(one).__name__)
def test_what_may_be_over_soon_is_a_failed_connection(error: Exception, said: str) -> None:
    """It is told with host and port, and with what to check; a retry may help, so that it is no bad configuration."""
    explained = refusal.explained("reporting", URL, error)
    assert isinstance(explained, ConnectionFailed)
    assert str(explained).startswith(f"{WHERE} cannot be reached: {said}")
    assert "s3cr3t" not in str(explained)


FOR_GOOD = [
    (of_server("28P01", "falsch"), "wrong password for role etl, or the server has no such role (falsch)"),
    (of_server("3D000", "fehlt"), "the server at db.example:6432 has no database shop (fehlt)"),
    (
        of_server("28000", "fehlt", "InitializeSessionUserId"),
        "the server at db.example:6432 has no role etl that may log in (fehlt)",
    ),
    (
        of_server("28000", "kein Eintrag", "ClientAuthentication"),
        "the server's pg_hba.conf has no line that lets role etl into shop from here; add one (kein Eintrag)",
    ),
    (of_server("28000", "nein"), "the server at db.example:6432 does not let role etl in (nein)"),
    (of_server("42501", "nein"), "role etl may not connect; GRANT CONNECT ON DATABASE shop TO etl (nein)"),
    (
        asyncpg.ClientConfigurationError("so not."),
        "sslmode=verify-full needs the certificate of the server's authority",
    ),
]


@pytest.mark.parametrize(("error", "said"), FOR_GOOD, ids=lambda one: str(one)[:20])
def test_what_stays_until_somebody_changes_it_is_bad_configuration(error: Exception, said: str) -> None:
    """The server's own words follow in brackets, and then the setting to look at."""
    explained = refusal.explained("reporting", URL, error)
    assert isinstance(explained, ConfigurationError)
    assert str(explained).startswith(f"{WHERE}: {said}")
    assert str(explained).endswith("; check ETL_REPORTING_URL")


def test_a_statement_to_give_has_its_names_as_sql_takes_them() -> None:
    """A statement that is pasted has no syntax error, and does nothing else."""
    url = DatabaseUrl.parse("postgresql://etl-loader@db.example/My%22Shop")
    said = str(refusal.explained("reporting", url, of_server("42501", "nein")))
    assert 'GRANT CONNECT ON DATABASE "My""Shop" TO "etl-loader" (nein)' in said


def test_a_server_that_takes_tls_alone_is_told_of_to_whom_goes_without() -> None:
    """As RDS does with rds.force_ssl: to add a line to pg_hba.conf would be no remedy there."""
    refused = of_server("28000", "nein", "ClientAuthentication")
    plain = DatabaseUrl.parse("postgresql://etl@db.example/shop?sslmode=disable")
    said = "from here; add one, or set sslmode=require: disable goes without TLS (nein)"
    assert said in str(refusal.explained("reporting", plain, refused))
    assert "from here; add one (nein)" in str(refusal.explained("reporting", URL, refused))


def test_each_of_several_hosts_is_named_with_its_port() -> None:
    """libpq gives those without a port an empty one."""
    several = DatabaseUrl.parse("postgresql://etl@one,two:6432/shop")
    assert refusal.address(several) == "one:5432, two:6432"
    assert several.asyncpg()["port"] == ["5432", "6432"]
    assert refusal.address(DatabaseUrl.parse("postgresql:///shop")) == "the local socket:5432"
