"""IAM tokens instead of passwords: a new one for each connection, signed for the host's region."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from etl.sessions.url import DatabaseUrl, UrlError
from etl.settings import aws
from tests.rds import SECRET_KEY, refusal


def counting() -> Callable[[str, int, str], str]:
    """A token function whose tokens contain a count and the arguments."""
    numbers = count(1)
    return lambda host, port, user: f"{user}@{host}:{port} {next(numbers)}"


def test_each_connection_gets_a_token_of_its_own() -> None:
    """With both drivers; the URL's password is not used, and neither appears in the URL's text."""
    url = DatabaseUrl.parse("postgresql://etl:old@db/shop?sslmode=require").with_tokens(counting())
    passwords = [url.libpq()["password"], url.asyncpg()["password"], url.libpq()["password"]]
    assert passwords == ["etl@db:5432 1", "etl@db:5432 2", "etl@db:5432 3"]
    assert str(url) == "postgresql://etl@db/shop"


@pytest.mark.parametrize("mode", ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"])
def test_a_token_never_travels_in_the_clear(mode: str) -> None:
    """It is refused even if the server might not ask for TLS."""
    with pytest.raises(UrlError, match="sslmode of require"):
        DatabaseUrl.parse(f"postgresql://etl@db/shop{mode}").with_tokens(counting())


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.abc123.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("shop.cluster-ro-abc123.eu-central-1.rds.amazonaws.com", "eu-central-1"),
        ("shop.internal", "ap-south-1"),
    ],
)
def test_a_token_is_signed_for_the_host_s_region(monkeypatch: pytest.MonkeyPatch, host: str, region: str) -> None:
    """The region is the one in the host's name, else that of the environment; a database would accept the token."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    aws._rds.cache_clear()
    token = aws.mint_token(host, 5432, "etl", "ap-south-1")
    assert f"%2F{region}%2Frds-db%2F" in token
    assert refusal(token, host, 5432, "etl") is None
    assert refusal(token, host, 5432, "root") == f"a token for etl at {host}:5432"


@pytest.mark.parametrize(
    ("part", "other", "fault"),
    [
        ("DBUser=etl", "DBUser=root", "a token for root"),
        ("%2Fap-south-1%2F", "%2Fap-south-2%2F", "a token with a wrong signature"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7ANOTHER", "a token with a wrong signature"),
        ("X-Amz-Expires=900", "X-Amz-Expires=901", "a token that has expired"),
        ("%2Frds-db%2F", "%2Fs3%2F", "a token for s3"),
        ("X-Amz-Signature=", "X-Amz-Signature=0", "a token with a wrong signature"),
    ],
)
def test_a_token_that_was_changed_is_refused(
    monkeypatch: pytest.MonkeyPatch, part: str, other: str, fault: str
) -> None:
    """A database of the tests' own that took every token would show nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    aws._rds.cache_clear()
    token = aws.mint_token("shop.internal", 5432, "etl", "ap-south-1")
    assert part in token
    assert fault in str(refusal(token.replace(part, other), "shop.internal", 5432, "etl"))
