"""Parsing masks and composing their SQL. Integration tests show what real servers do with this SQL."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model import mask
from etl.model.mask import IPAD, OPAD, Mask


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hmac", Mask("hmac")),
        ("constant:", Mask("constant", "")),
        ("constant:a:b", Mask("constant", "a:b")),
        ("date-shift:30", Mask("date-shift", "30")),
        ("date-shift:7:customer id", Mask("date-shift", "7:customer id")),
        ("sql:lower(email)", Mask("sql", "lower(email)")),
        ("none", Mask("none")),
    ],
)
def test_a_mask_is_its_kind_and_its_argument(text: str, parsed: Mask) -> None:
    """The first colon separates them."""
    assert mask.parse(text) == parsed


@pytest.mark.parametrize(
    ("text", "meant"),
    [("HMAC", "hmac"), ("hmac:x", "hmac"), ("fake_email", "fake-email"), ("constant", "constant:x")]
    + [(text, "sql:left(name, 1)") for text in ("sql", "sql:", "sql: ")]
    + [(f"date-shift{days}", "date-shift:30") for days in ("", ":0", ":-1", ":x")],
)
def test_what_is_nearly_a_mask_is_refused_with_the_one_that_is_meant(text: str, meant: str) -> None:
    """A misspelt mask must not leave its column unmasked."""
    with pytest.raises(ValueError, match=rf'^is "{text}", which is no mask; did you mean "{re.escape(meant)}"\?$'):
        mask.parse(text)


def test_what_is_no_mask_is_refused_with_all_that_are() -> None:
    """If none is nearly meant."""
    for text in ("", "stars"):
        with pytest.raises(ValueError, match="which is no mask; write one of hmac, null, constant:TEXT, keep-last-4"):
            mask.parse(text)


@given(st.text(min_size=1, max_size=200))
def test_the_padded_keys_are_those_of_rfc_2104(key: str) -> None:
    """Each is a block of 64 bytes, and they differ as RFC 2104 says."""
    settings = mask.session(key)
    inner, outer = bytes.fromhex(settings[IPAD]), bytes.fromhex(settings[OPAD])
    assert len(inner) == len(outer) == 64
    assert {one ^ other for one, other in zip(inner, outer, strict=True)} == {0x36 ^ 0x5C}


@pytest.mark.parametrize("kind", ["date", "timestamp(3) without time zone", "timestamp with time zone"])
def test_dates_and_timestamps_are_shifted(kind: str) -> None:
    """In every precision, with and without time zone."""
    assert mask.fault(mask.parse("date-shift:9:id"), kind, ["id", "born"]) is None


@pytest.mark.parametrize("kind", ["time without time zone", "interval", "date[]", "text", "public.birthday"])
def test_nothing_else_is_shifted(kind: str) -> None:
    """A time of day plus some days is the same time of day, so its mask would change nothing."""
    assert mask.fault(mask.parse("date-shift:9"), kind, ["born"])


def test_a_date_is_shifted_along_a_column_that_is_there() -> None:
    """The error names a misspelt column."""
    assert mask.fault(mask.parse("date-shift:9:idd"), "date", ["id"]) == (
        "is shifted along 'idd', which is no column of it; did you mean id?"
    )
