"""The address of a database: a libpq URL, or its parts. It is never shown with its password."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo, PGconn, Ping

from etl.model import limits
from etl.model.wording import did_you_mean

PARTS = ("host", "port", "dbname", "user", "password", "sslmode")
"""The parts that can be set one by one, by libpq's names."""

MintToken = Callable[[str, int, str], str]
"""A function that makes a password for a host, a port and a user, which is valid for one connection."""

_ENCRYPTED = ("require", "verify-ca", "verify-full")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# asyncpg, which reads the source, does not have these options. They concern security, so they are refused, not ignored.
# None refuses any value.
_UNSUPPORTED = {
    "require_auth": None,
    "requirepeer": None,
    "sslcrldir": None,
    "channel_binding": "require",
    "gssencmode": "require",
    "sslcertmode": "require",
}

_ENCODE = (
    "percent-encode special characters in the user and the password (@ is %40, : is %3A, / is %2F, ? is %3F, % is"
    " %25), or give the password as a part of its own"
)

# asyncpg takes these options in its URL only. All other options are keyword arguments of its connect().
_URL_ONLY = (
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "service", "passfile"),
    *("target_session_attrs", "krbsrvname", "gsslib"),
)

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
"""The parameters that name files. They are checked in advance, because the drivers report missing files differently."""


class UrlError(ValueError):
    """A fault of a URL, in one line; ``parameter`` is libpq's name of the faulty parameter, or None."""

    def __init__(self, fault: str, parameter: str | None = None) -> None:
        self.parameter = parameter
        super().__init__(fault)


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """The address of a database: libpq's parameters by name, including the password.

    ``str()`` and ``repr()`` show it as a URL without the password. ``session`` are secret settings of the source's
    sessions, by name: the startup packet contains them, because servers may log statements and bind parameters.
    ``mint_token`` makes a new password for each connection.
    """

    parameters: Mapping[str, str]
    session: Mapping[str, str] = field(default_factory=dict)
    mint_token: MintToken | None = None

    @classmethod
    def parse(
        cls, text: str, parts: Mapping[str, str] | None = None, otherwise: Mapping[str, str] | None = None
    ) -> DatabaseUrl:
        """Reads a libpq URL, ``parts`` that override it, and parts that are used if neither has them (``otherwise``).

        Raises UrlError, which never quotes ``text`` or a value from it: after a mistake in the URL's punctuation, any
        value may contain a piece of the password.
        """
        parameters = {**(otherwise or {})} | (_parse(text) if text else {})
        parameters |= {key: value for key, value in (parts or {}).items() if value}
        _validate(parameters)
        return cls(parameters)

    def with_tokens(self, mint_token: MintToken | None) -> DatabaseUrl:
        """Returns the URL with tokens instead of a password; raises UrlError if it cannot be used with tokens."""
        for key in ("host", "user"):
            if not self.parameters.get(key):
                raise UrlError(f"names no {key}, for which auth=iam signs its tokens; add it", key)
        if "," in self.parameters["host"]:
            raise UrlError("names several hosts, and auth=iam signs a token for one; name one", "host")
        if self.parameters.get("sslmode") not in _ENCRYPTED:
            raise UrlError(f"has no sslmode of {', '.join(_ENCRYPTED)}, which auth=iam needs; add it", "sslmode")
        return replace(self, mint_token=mint_token)

    def _token(self) -> str | None:
        """A new token if connections authenticate with tokens, the password otherwise."""
        if self.mint_token is None:
            return self.password
        known = self.parameters
        return self.mint_token(known["host"], int(known.get("port") or 5432), known["user"])

    @property
    def password(self) -> str | None:
        """The password, if the URL or the parts contain one."""
        return self.parameters.get("password")

    @property
    def secrets(self) -> list[str]:
        """The values that must never be shown: the password, and the password of the client's key."""
        return [value for key in ("password", "sslpassword") if (value := self.parameters.get(key))]

    @property
    def files(self) -> dict[str, str]:
        """The files that a connection reads, by parameter."""
        if self.parameters.get("sslmode") == "disable":
            return {}
        return {key: self.parameters[key] for key in FILES if self.parameters.get(key, "system") != "system"}

    @property
    def keeps_alive(self) -> bool:
        """Whether dead peers are detected; ``keepalives=0`` disables it."""
        return self.parameters.get("keepalives", "1") != "0"

    @property
    def keepalives(self) -> dict[str, int]:
        """The keepalive parameters, by libpq's names."""
        return {key: int(self.parameters.get(key, value)) for key, value in limits.KEEPALIVES.items()}

    @property
    def connect_timeout(self) -> float | None:
        """Seconds to wait for a connection, or None for no limit."""
        return float(self.parameters.get("connect_timeout", limits.CONNECT_SECONDS)) or None

    @property
    def is_refused_by_libpq(self) -> bool:
        """Whether libpq refuses the options: an unknown value, or a service that no file defines.

        PQping tells it by a status, not by a text in some language. It checks the options before it connects; here it
        connects to a port without a server.
        """
        nowhere = {"host": "localhost", "hostaddr": "127.0.0.1", "port": "1"}
        return PGconn.ping(make_conninfo(**dict(self.parameters) | nowhere).encode()) == Ping.NO_ATTEMPT

    def libpq(self) -> dict[str, Any]:
        """The keyword arguments of psycopg's connect().

        tcp_user_timeout is set only if the URL has it, because a live target may receive no rows for a while
        (session.py).
        """
        keepalives = {key: value for key, value in limits.KEEPALIVES.items() if key != "tcp_user_timeout"}
        token = {} if self.mint_token is None else {"password": self._token()}
        return {"connect_timeout": limits.CONNECT_SECONDS} | keepalives | dict(self.parameters) | token

    def asyncpg(self) -> dict[str, Any]:
        """The keyword arguments of asyncpg's connect(), which differ from libpq's.

        asyncpg sends each unknown parameter of a URL to the server as a setting, so its URL contains known parameters
        only. ``sslrootcert=system`` (libpq 16) stands for the platform's list of certificates.
        """
        known = self.parameters
        in_url = {key: known[key] for key in _URL_ONLY if key in known}
        arguments: dict[str, Any] = {
            "host": _split(known.get("hostaddr") or known.get("host")),
            "port": _ports(known.get("port")),
            "user": known.get("user"),
            "password": self._token(),
            "database": known.get("dbname"),
            "timeout": self.connect_timeout,
            "server_settings": {**self.session} | ({"options": known["options"]} if "options" in known else {}),
        }
        if in_url.get("sslrootcert") == "system":
            import ssl  # here, because only this option needs it, and the import takes a few milliseconds

            arguments["ssl"] = ssl.create_default_context()
            in_url = {key: value for key, value in in_url.items() if not key.startswith("ssl")}
        return arguments | {"dsn": "postgresql:///?" + urlencode(in_url, quote_via=quote)}

    def __str__(self) -> str:
        user, host, port, dbname = (self.parameters.get(key, "") for key in ("user", "host", "port", "dbname"))
        where = f"{host}:{port}" if port else host
        return f"postgresql://{quote(user) + '@' if user else ''}{where}/{quote(dbname)}"

    __repr__ = __str__


def _parse(text: str) -> dict[str, str]:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise UrlError("stands in quotes, which `docker --env-file` keeps; take them out")
    if not text.startswith(("postgresql://", "postgres://")):
        raise UrlError("is not a libpq URL; write postgresql://USER:PASSWORD@HOST:PORT/DBNAME")
    authority, *rest = re.split("[/?]", text.partition("://")[2], maxsplit=1)
    if authority.count("@") > 1 or "@" in "".join(rest):
        # libpq would take the rest of the password for the host or the database, which messages show.
        raise UrlError(f"holds an @ that is not percent-encoded, or a / or ? before it; {_ENCODE}")
    try:
        parameters = conninfo_to_dict(text)
    except psycopg.Error:
        # libpq's message quotes the text, and so the password.
        if option := _unknown_option(text):
            remedy = _meant(option) or "; leave it out"
            raise UrlError(f"has an option that libpq does not know, {option}{remedy}") from None
        if option := next((key for key, value in _pairs(text) if "=" in value), None):
            raise UrlError(f"has an = in the value of {option}; write %3D for it") from None
        raise UrlError(f"cannot be read as a libpq URL; {_ENCODE}") from None
    except UnicodeError:  # its message quotes the byte, which may belong to the password
        raise UrlError(f"is not UTF-8 text; {_ENCODE}") from None
    return {key: str(value) for key, value in parameters.items() if value is not None}


def _meant(option: str) -> str:
    return did_you_mean(option, (known.keyword.decode() for known in Conninfo.get_defaults()))


def _unknown_option(text: str) -> str | None:
    """The first option of a URL that libpq does not know."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    names = (name for name, value in _pairs(text) if (name, value) != ("ssl", "true"))  # JDBC's, which libpq accepts
    return next((name for name in names if re.fullmatch(r"\w+", name) and name not in known), None)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in text.partition("?")[2].split("&"))
    return [(name, value) for name, _, value in pairs]


def _validate(parameters: Mapping[str, str]) -> None:
    for port in _split(parameters.get("port")) or []:
        if port and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
            raise UrlError("has a port that is no number from 1 to 65535; write PostgreSQL's, mostly 5432", "port")
    if parameters.get("sslmode", "prefer") not in _SSL_MODES:
        raise UrlError(f"has an unknown sslmode; write one of {', '.join(_SSL_MODES)}", "sslmode")
    _validate_numbers(parameters)
    if not any(parameters.get(key) for key in ("dbname", "service")):
        raise UrlError("names no database; write postgresql://USER:PASSWORD@HOST:PORT/DBNAME", "dbname")
    for key, value in parameters.items():
        if "\0" in value:
            raise UrlError(f"has a zero byte in its {key}, which PostgreSQL cannot take; write it without", key)
        if any("\ud800" <= character <= "\udfff" for character in value):  # Python's replacements of other bytes
            raise UrlError(f"has bytes in its {key} that are not UTF-8 text; write it in UTF-8", key)
    for key, refused in _UNSUPPORTED.items():
        if key in parameters and parameters[key] == (refused or parameters[key]):
            option = f"{key}={refused}" if refused else key
            raise UrlError(f"asks for {option}, which is not supported; leave it out", key)


def _validate_numbers(parameters: Mapping[str, str]) -> None:
    units = {"connect_timeout": "seconds", "keepalives_idle": "seconds", "keepalives_interval": "seconds"}
    for key, unit in (units | {"keepalives_count": "probes", "tcp_user_timeout": "milliseconds"}).items():
        if not re.fullmatch("[0-9]{1,9}", parameters.get(key, "1")):
            raise UrlError(f"has a {key} that is no number of {unit}; write digits alone", key)
    if parameters.get("keepalives", "1") not in {"0", "1"}:
        raise UrlError("has keepalives that are neither 0 nor 1; write 1, or 0 to turn them off", "keepalives")


def _split(value: str | None) -> list[str] | None:
    return value.split(",") if value else None


def _ports(value: str | None) -> int | list[str] | None:
    ports = _split(value)
    if ports and len(ports) > 1:  # libpq gives each host that has none an empty one
        return [port or "5432" for port in ports]
    return int(ports[0]) if ports else None
