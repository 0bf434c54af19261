"""Columns that look like personal data: which are found, which are not, and which mask is proposed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.model import mask, personal
from etl.model.catalog import Column, Index, SourceTable
from etl.model.name import Relation


def proposed(name: str, kind: str = "text", table: str = "things", *, unique: bool = False) -> str | None:
    """The mask that is proposed for a column."""
    indexes = (Index("i", unique=True, definition="", columns=(name,)),) if unique else ()
    made = SourceTable(Relation("public", table), columns=(Column(name, kind),), indexes=indexes)
    return personal.proposed(made).get(name)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("email", "text", "fake-email"),
        ("E_MAIL", "character varying(80)", "fake-email"),
        ("contactEmail", "citext", "fake-email"),
        ("phone_number", "text", "keep-last-4"),
        ("IBAN", "text", "keep-last-4"),
        ("first_name", "text", "fake-name"),
        ("LastName", "text", "fake-name"),
        ("surname", "text", "fake-name"),
        ("date_of_birth", "date", "date-shift:30"),
        ("born_at", "timestamp with time zone", "date-shift:30"),
        ("street", "text", "null"),
        ("password_hash", "text", "null"),
        ("last_ip", "inet", "null"),
        ("username", "text", "hmac"),
    ],
)
def test_a_column_is_found_by_the_words_of_its_name(name: str, kind: str, expected: str) -> None:
    """In snake case, camel case and capitals."""
    assert proposed(name, kind) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("id", "integer"),
        ("name", "text"),  # of a thing
        ("total", "numeric"),
        ("email_count", "integer"),
        ("phone", "boolean"),
        ("birthday", "text"),
        ("recipe", "text"),
        ("ship_date", "date"),
    ],
)
def test_other_columns_are_left_alone(name: str, kind: str) -> None:
    """A proposal that is mostly wrong is not read."""
    assert proposed(name, kind) is None


def test_the_name_of_a_person_is_told_by_the_table() -> None:
    """A product has a name, too."""
    assert proposed("name", table="customers") == proposed("name", table="app_user") == "fake-name"
    assert proposed("name", table="products") is None


def test_a_unique_column_keeps_its_index() -> None:
    """A mask that gives two rows one value would cost the index."""
    assert proposed("phone", unique=True) == "hmac"
    assert proposed("email", unique=True) == "fake-email"


@given(name=st.text(min_size=1), kind=st.sampled_from(["text", "date", "inet", "integer", "character varying(3)"]))
def test_each_proposal_is_a_mask_that_the_column_can_have(name: str, kind: str) -> None:
    """Whatever the column is called."""
    found = proposed(name, kind)
    assert found is None or mask.fault(mask.parse(found), kind, [name]) is None
