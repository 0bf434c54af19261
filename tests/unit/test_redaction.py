"""Redacted texts: only a redactor makes them."""

from __future__ import annotations

import re
from pathlib import Path

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
    cut = Redactor([secret]).cut(before + secret, longest)
    assert len(cut) <= longest
    assert secret not in cut.replace("***", "\0")


def test_a_redactor_does_not_show_its_secrets() -> None:
    """Neither a traceback nor a debugger shows them."""
    assert "swordfish" not in repr(Redactor(["swordfish"]))
