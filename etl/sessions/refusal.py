"""Why a session could not be opened, in plain words: what is wrong at which address, and what to look at.

A server's words are in the server's language, and libpq's may be in the system's. So the case is told by SQLSTATEs,
numbers of errors and asyncpg's classes; the server's own words follow in brackets.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl

import asyncpg
import psycopg

from etl.model import limits
from etl.model.errors import ConfigurationError, ConnectionFailed, EtlError, one_line, sqlstate
from etl.sessions.url import DatabaseUrl

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_RESERVED = {"all", "default", "group", "public", "user", "order", "table", "analyze", "end"}  # as people name things
_CLOSED = (ConnectionResetError, BrokenPipeError, asyncpg.ConnectionDoesNotExistError)

_FOR_GOOD = {"28P01", "28000", "3D000", "42501"}
"""Conditions that no further attempt changes: a wrong password, role or database, or no right to connect."""


def explained(side: str, url: DatabaseUrl, error: Exception) -> EtlError:
    """The error for a user: ConfigurationError if it stays so until somebody changes something, else ConnectionFailed.

    ``error`` is asyncpg's, or the system's, where asyncpg could not open the session either.
    """
    setting, where = f"ETL_{side.upper()}_URL", f"{side} database {url}"
    state = sqlstate(error) or ""
    if state in _FOR_GOOD:
        return ConfigurationError(f"{where}: {_refused(state, url, error)} ({one_line(error)}); check {setting}")
    if _is_misconfigured(url, error):
        return ConfigurationError(f"{where}: {_misconfigured(url, error)}; check {setting}")
    return ConnectionFailed(f"{where} cannot be reached: {_unreachable(url, error, setting)}")


def address(url: DatabaseUrl) -> str:
    """Host and port, each of several."""
    known = url.parameters
    hosts = (known.get("hostaddr") or known.get("host") or "the local socket").split(",")
    ports = [port or "5432" for port in known.get("port", "").split(",")]
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return ", ".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))


def _refused(state: str, url: DatabaseUrl, error: Exception) -> str:
    role, database = _role(url), url.parameters.get("dbname", "")
    match state:
        case "28P01":
            none = " (the URL has none)" if url.password is None and url.mint_token is None else ""
            return f"wrong password{none} for role {role}, or the server has no such role"
        case "3D000":
            return f"the server at {address(url)} has no database {database}"
        case "42501":
            grant = f"GRANT CONNECT ON DATABASE {_quoted(database)} TO {_quoted(role)}"
            return f"role {role} may not connect; {grant}"
    place = getattr(error, "server_source_function", None)
    if place == "InitializeSessionUserId":
        return f"the server at {address(url)} has no role {role} that may log in"
    if place == "ClientAuthentication":
        plain = url.parameters.get("sslmode") in {"disable", "allow"}  # as with rds.force_ssl
        tls = f", or set sslmode=require: {url.parameters['sslmode']} goes without TLS" if plain else ""
        return f"the server's pg_hba.conf has no line that lets role {role} into {database} from here; add one{tls}"
    return f"the server at {address(url)} does not let role {role} in"


def _quoted(name: str) -> str:
    """A name as SQL takes it: in quotes, unless it is certain that it needs none."""
    is_plain = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and name not in _RESERVED
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def _role(url: DatabaseUrl) -> str:
    return url.parameters.get("user") or "(none is named)"


def _misconfigured(url: DatabaseUrl, error: Exception) -> str:
    if isinstance(error, psycopg.OperationalError) and error.pgconn is not None and error.pgconn.needs_password:
        return f"the server asks for the password of role {_role(url)}, and none is set"
    mode = url.parameters.get("sslmode", "")
    if mode.startswith("verify-") and "sslrootcert" not in url.parameters:
        return f"sslmode={mode} needs the certificate of the server's authority; give its file in sslrootcert"
    return one_line(error).rstrip(".")


def _unreachable(url: DatabaseUrl, error: Exception, setting: str) -> str:
    place = address(url)
    numbers = _numbers(error)
    if isinstance(error, TimeoutError | psycopg.errors.ConnectionTimeout) or numbers == {errno.ETIMEDOUT}:
        seconds = f"{url.connect_timeout or limits.CONNECT_SECONDS:g}"
        return (
            f"no answer from {place} within {seconds} s (connect_timeout); check its host and port in {setting}, and"
            " that firewalls and security groups let this machine through"
        )
    if isinstance(error, socket.gaierror):
        return _nameless(url, error, setting)
    if numbers and numbers <= {errno.ECONNREFUSED, errno.ENOENT}:
        return f"nothing listens at {place}; check its host and port in {setting}, and that the server is running"
    if numbers and numbers <= _NO_ROUTE:
        return f"no network leads to {place}; check the host in {setting}, and this machine's network"
    return _of_tls(url, error, setting) or _by_class(url, error, setting)


def _nameless(url: DatabaseUrl, error: socket.gaierror, setting: str) -> str:
    name = url.parameters.get("host")
    if error.errno == socket.EAI_AGAIN:
        return f"the name {name} cannot be looked up now; check the host in {setting}, and this machine's DNS"
    return f"no machine has the name {name}; check the host in {setting}"


def _of_tls(url: DatabaseUrl, error: Exception, setting: str) -> str | None:
    place, mode = address(url), url.parameters.get("sslmode", "prefer")
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {place} is not trusted ({error.verify_message.rstrip('.')}); check the host and"
            f" sslrootcert in {setting}"
        )
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or one_line(error)
        return f"TLS with {place} failed ({reason}); check the ssl options in {setting}"
    if type(error) is ConnectionError:  # asyncpg raises it itself if the server's answer to SSLRequest is not yes
        return f"the server at {place} offers no TLS, and sslmode is {mode}; turn its ssl on, or change it in {setting}"
    return None


def _by_class(url: DatabaseUrl, error: Exception, setting: str) -> str:
    place, wanted = address(url), url.parameters.get("target_session_attrs")
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"no server at {place} is {wanted}; check target_session_attrs in {setting}, or wait for a failover"
    if isinstance(error, _CLOSED):
        return f"what listens at {place} has closed the connection; check that it is PostgreSQL, and not a proxy's port"
    match sqlstate(error):
        case "57P03":
            return f"the server at {place} is starting or stopping ({one_line(error)}); run again in a minute"
        case "53300":
            return f"the server at {place} has no connection left ({one_line(error)}); {_more(url, error)}"
    return f"{one_line(error, whole=False)}; check {setting}"


def _more(url: DatabaseUrl, error: Exception) -> str:
    """What gives more connections: PostgreSQL has a limit for the server, one for each role, and for each database."""
    match getattr(error, "server_source_function", None):
        case "InitializeSessionUserId":
            return f"raise the limit: ALTER ROLE {_quoted(_role(url))} CONNECTION LIMIT"
        case "CheckMyDatabase":
            return f"raise the limit: ALTER DATABASE {_quoted(url.parameters.get('dbname', ''))} CONNECTION LIMIT"
    return "raise its max_connections"


def _numbers(error: Exception) -> set[int]:
    """The numbers of the system's errors: several if a name has several addresses, and each failed in its own way."""
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror | ssl.SSLError):
        return set()
    if error.errno is not None:
        return {error.errno}
    return {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))}


def _is_misconfigured(url: DatabaseUrl, error: Exception) -> bool:
    """Whether the driver, not a server, has refused the arguments, or misses a password."""
    if isinstance(error, psycopg.OperationalError):
        return (error.pgconn is not None and error.pgconn.needs_password) or url.is_refused_by_libpq
    return isinstance(error, asyncpg.ClientConfigurationError)
