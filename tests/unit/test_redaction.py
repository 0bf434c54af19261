"""Redacted texts: only a redactor makes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model.redaction import Redactor

ROOT = Path(__file__).parents[2] / "etl"


def test_a_redactor_alone_makes_a_redacted_text() -> None:
    """A call of the type elsewhere would let any text through, and mypy would not notice."""
    makers = [file for file in ROOT.rglob("*.py") if re.search(r"\bRedacted\(", file.read_text())]
    assert [file.name for file in makers] == ["redaction.py"]


def test_an_error_is_one_line_without_secrets() -> None:
    """Errors are redacted like texts."""
    assert Redactor(["swordfish"])(OSError("the password\n\tswordfish is wrong")) == "the password *** is wrong"


@given(st.text(min_size=3, max_size=20), st.text(max_size=20), st.integers(0, 30))
def test_no_half_of_a_secret_is_left_where_a_text_is_cut(secret: str, before: str, longest: int) -> None:
    """The secret is redacted before the text is cut."""
    cut = Redactor([secret]).cut(f"{before}:{secret}", longest)
    assert len(cut) <= longest
    assert secret not in cut.replace("***", "\0")


URL = "postgresql://etl_loader:{}@loaders.example/loader_db?application_name=etl"


@pytest.mark.parametrize(
    "secret", ["loader", "p@ss/word", "hunter2", "größe", 'quo"te', "back\\slash", "two words", "é%41!"]
)
def test_a_secret_is_found_however_it_is_written(secret: str) -> None:
    """As a whole word, within a URL, percent-encoded in part or in whole, in JSON, and in Python's own notation."""
    redact = Redactor([secret])
    for written in (
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        "".join(
            chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02x}" for byte in secret.encode()
        ),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(secret.encode())[2:-1],
    ):
        assert redact(f"the password {written} is wrong") == "the password *** is wrong"
        assert redact(URL.format(written)) == URL.format("***")
        assert redact(json.dumps({"url": URL.format(secret)})) == json.dumps({"url": URL.format("***")})
        assert redact(f"password={written}&x") == "password=***&x"
    assert redact(json.dumps(f"a\n{secret}\tb")) == json.dumps("a\n***\tb")
    assert redact(quote(f"/{secret}/", safe="")) == "%2F***%2F"


def test_a_short_secret_that_is_a_word_is_left_within_another_word() -> None:
    """To star a part of a name would tell where the secret ends; alone, or between marks, it is starred."""
    redact = Redactor(["loader"])
    assert (
        redact("role etl_loader of loaders, loader2 and preloader")
        == "role etl_loader of loaders, loader2 and preloader"
    )
    assert redact("'loader', loader. (loader) x-loader=loader") == "'***', ***. (***) x-***=***"


@pytest.mark.parametrize(
    "before", ["%253D", "\\075", "\\U0001f600", "\\x3d", "\\u003d", "=3D", "\x1b[1m", "\x1b[31m", "\\e[0m"]
)
def test_the_letters_of_an_escape_before_a_secret_are_no_part_of_its_word(before: str) -> None:
    """Encoded twice, in octal, as in mails, and in a terminal's colours."""
    assert Redactor(["hunter2"])(f"{before}hunter2'") == f"{before}***'"


def test_the_password_of_an_unknown_url_is_hidden() -> None:
    """Such as of one that stands in TABLES by mistake: no setting has it, so nobody knows its password."""
    redact = Redactor()
    assert redact("TABLES has 'postgresql://u:hunter2@h:1/db', of 4") == "TABLES has 'postgresql://u:***@h:1/db', of 4"
    assert redact("is postgres://u:p@ss/w#rd@h/db; write") == "is postgres://u:***@h/db; write"
    assert redact('"postgresql://h/db?user=u&password=x1&a=b"') == '"postgresql://h/db?user=u&password=***&a=b"'
    for said in ("postgresql://u@127.0.0.1:1/db", "write postgresql://USER:PASSWORD@HOST:PORT/DBNAME", "http://h:1/x"):
        assert redact(said) == said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("host=h user=u password=x1 dbname=d", "host=h user=u password=*** dbname=d"),
        (r"host=h password='it\'s x1' dbname=d", "host=h password=*** dbname=d"),
        ("PGPASSWORD=x1 psql -h h", "PGPASSWORD=*** psql -h h"),
        ('"password=x1"', '"password=***"'),
        ('write password = { environment = "X" }', 'write password = { environment = "X" }'),
        ("the password is wrong", "the password is wrong"),
        ("column password: is 5", "column password: is 5"),
    ],
)
def test_the_password_of_a_connection_string_is_hidden(said: str, told: str) -> None:
    """As people write one into a note, and as tools put one into an error."""
    assert Redactor()(said) == told


def test_a_secret_that_is_no_word_by_chance_is_hidden_within_others() -> None:
    """A long one, or one with other characters than letters, is no part of a name by chance."""
    assert Redactor(["0123456789abcdef"])("key0123456789abcdefkey") == "key***key"
    assert Redactor(["pass!"])("xpass!x") == "x***x"


def test_a_secret_within_a_longer_one_leaves_nothing_of_it() -> None:
    """The longest comes first, in whatever order they are given."""
    assert Redactor(["load", "load er!"])("load er! and load") == "*** and ***"


def test_a_redactor_does_not_show_its_secrets() -> None:
    """Neither a traceback nor a debugger shows them."""
    assert "swordfish" not in repr(Redactor(["swordfish"]))
