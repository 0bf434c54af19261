"""A database's URL: parsed once, given to both drivers, and never shown with its password."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from asyncpg import connect_utils
from hypothesis import given
from hypothesis import strategies as st

from etl.sessions.url import DatabaseUrl, UrlError

PASSWORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)

CANARY = "s3cr3t"


def told(text: str, **parts: str) -> str:
    with pytest.raises(UrlError) as caught:
        DatabaseUrl.parse(text, parts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def understood(url: DatabaseUrl) -> tuple[Any, Any]:
    """The addresses and the parameters that asyncpg itself reads from our arguments."""
    arguments = url.asyncpg()
    rest = {"passfile": None, "ssl": None, "service": None, "servicefile": None, "direct_tls": None}
    rest |= {"target_session_attrs": None, "krbsrvname": None, "gsslib": None}
    arguments.pop("timeout")
    addresses, parameters, *_ = connect_utils._parse_connect_dsn_and_args(**rest | arguments)  # type: ignore[attr-defined]
    return addresses, parameters


@given(PASSWORDS)
def test_any_password_reaches_both_drivers_from_a_url(password: str) -> None:
    """Percent-encoded in the URL, it is the same text in both drivers' arguments."""
    url = DatabaseUrl.parse(f"postgresql://etl:{quote(password, safe='')}@db.example:5433/shop")
    assert url.libpq()["password"] == url.asyncpg()["password"] == url.password == password
    assert (url.libpq()["host"], url.libpq()["port"], url.libpq()["dbname"]) == ("db.example", "5433", "shop")


@given(PASSWORDS)
def test_any_password_reaches_both_drivers_as_a_part(password: str) -> None:
    """A part needs no percent-encoding."""
    url = DatabaseUrl.parse("", {"host": "db.example", "dbname": "shop", "user": "etl", "password": password})
    assert url.libpq()["password"] == url.asyncpg()["password"] == password


@given(PASSWORDS)
def test_the_password_is_never_shown(text: str) -> None:
    """Neither str() nor repr() shows it, nor anything that formats the object."""
    password = CANARY + text
    url = DatabaseUrl.parse(f"postgresql://etl:{quote(password, safe='')}@db.example/shop?sslpassword={CANARY}")
    for shown in (str(url), repr(url), f"{url}", f"{url!r}", f"{[url]}"):
        assert CANARY not in shown
        assert shown.strip("[]") == "postgresql://etl@db.example/shop"
    assert {password, CANARY} == set(url.secrets)


def test_asyncpg_understands_what_libpq_understands() -> None:
    """Two hosts, their ports, the names, TLS and server options arrive; parameters unknown to asyncpg are left out."""
    url = DatabaseUrl.parse(
        "postgresql://etl:pw@one:5433,two:5434/shop?sslmode=disable&options=-c%20geqo%3Doff"
        "&keepalives_idle=7&load_balance_hosts=random&connect_timeout=3&target_session_attrs=read-write"
    )
    addresses, parameters = understood(url)
    assert addresses == [("one", 5433), ("two", 5434)]
    assert (parameters.user, parameters.password, parameters.database) == ("etl", "pw", "shop")
    assert parameters.server_settings == {"options": "-c geqo=off"}
    assert url.asyncpg()["timeout"] == 3.0
    assert url.libpq()["keepalives_idle"] == "7"


def test_a_socket_and_a_numeric_address_are_hosts() -> None:
    """The folder of a Unix socket and an IPv6 address mean the same to both drivers."""
    assert understood(DatabaseUrl.parse("postgresql:///shop?host=/run/pg&user=etl"))[0] == ["/run/pg/.s.PGSQL.5432"]
    assert understood(DatabaseUrl.parse("postgresql://etl@[::1]:5433/shop"))[0] == [("::1", 5433)]


def test_parts_win_over_the_url_and_the_rest_is_filled_in() -> None:
    """A part wins over the URL, and the URL over the defaults."""
    url = DatabaseUrl.parse("postgresql://etl@one/shop", {"host": "two"}, {"user": "other", "password": "pw"})
    assert dict(url.parameters) == {"host": "two", "user": "etl", "dbname": "shop", "password": "pw"}


def test_the_platforms_certificates_become_a_context() -> None:
    """``sslrootcert=system`` is libpq's notation; asyncpg gets an SSL context with the same meaning."""
    arguments = DatabaseUrl.parse("postgresql://h/shop?sslmode=verify-full&sslrootcert=system").asyncpg()
    assert arguments["ssl"].check_hostname
    assert "ssl" not in arguments["dsn"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("db.example/shop", "is not a libpq URL; write postgresql://USER:PASSWORD@HOST:PORT/DBNAME"),
        ("postgresql+psycopg://h/shop", "is not a libpq URL"),
        ("host=h dbname=shop", "is not a libpq URL"),
        ("postgresql://etl@h", "names no database"),
        ("postgresql://h:port/shop", "has a port that is no number from 1 to 65535"),
        ("postgresql://h:65536/shop", "has a port"),
        (f"postgresql://h:{'9' * 5000}/shop", "has a port"),
        ("postgresql://h/shop?sslmode=on", "has an unknown sslmode; write one of disable, allow, prefer, require,"),
        ("postgresql://h/shop?connect_timeout=soon", "has a connect_timeout that is no number of seconds"),
        ("postgresql://h/shop?connect_timeout=%C2%B2", "has a connect_timeout that is no number of seconds"),
        ("postgresql://h/shop?pool_size=5", "has an option that libpq does not know, pool_size; leave it out"),
        ("postgresql://h/shop?channel_binding=require", "asks for channel_binding=require, which is not supported"),
        ("postgresql://h/shop?require_auth=none", "asks for require_auth, which is not supported"),
        ("postgresql://etl:pa%ss@h/shop", "cannot be read as a libpq URL; percent-encode"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(text: str, fault: str) -> None:
    """A security option that one driver would silently ignore is refused too."""
    assert fault in told(text)


@pytest.mark.parametrize("options", ["service=nobody", "gssencmode=perhaps", "sslnegotiation=never"])
def test_options_that_libpq_itself_refuses_are_told_without_reading_its_words(options: str) -> None:
    """libpq's messages are in the language of the process; PQping returns a status for them."""
    assert DatabaseUrl.parse(f"postgresql://u:pw@one:5,two:6/shop?{options}").is_refused_by_libpq
    assert not DatabaseUrl.parse("postgresql://u:pw@one:5,two:6/shop?sslmode=require").is_refused_by_libpq


@pytest.mark.parametrize("hole", ["@", "/", "?", "@/", "?sslmode=", "/%", "?require_auth=", "#@"])
@pytest.mark.parametrize("head", ["12", "12a"])
def test_an_unescaped_password_is_refused_without_quoting_it(head: str, hole: str) -> None:
    """libpq would take a piece of it for a port, a host, a database or an option, and show it in its error."""
    said = told(f"postgresql://etl:{head}{hole}{CANARY}@db.example/shop")
    assert CANARY not in said
    assert "percent-encode" in said


def test_bytes_that_are_no_utf_8_are_refused_and_not_shown() -> None:
    """Tested percent-encoded in a URL, unencoded in a URL, and in a part."""
    for text in (f"postgresql://etl:%ff{CANARY}@db/shop", f"postgresql://etl:\udcff{CANARY}@db/shop"):
        said = told(text)
        assert said.startswith("is not UTF-8 text; percent-encode ")
        assert CANARY not in said
    assert told("", dbname="shop", password="a\udcff").startswith("has bytes in its password that are not UTF-8 text")


def test_a_zero_byte_is_refused() -> None:
    """PostgreSQL's protocol ends a string there, so only half of the password would be sent."""
    assert (
        told("", dbname="shop", password="a\0b")
        == "has a zero byte in its password, which PostgreSQL cannot take; write it without"
    )
