"""Staging schemas: one for each live schema, for any name."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from etl.model.name import Place

SCHEMAS = st.text("aé☃", min_size=1, max_size=63).filter(lambda name: len(name.encode()) <= 63)


def test_a_short_name_is_prefixed() -> None:
    """So people recognize it in psql."""
    assert Place.STAGING.schema("public") == "etl_staging_public"


@given(SCHEMAS)
def test_a_staging_schema_has_a_name_that_postgresql_takes(schema: str) -> None:
    """At most 63 bytes, cut between characters, recognizable, and the same each time."""
    name = Place.STAGING.schema(schema)
    assert len(name.encode()) <= 63
    assert name.startswith("etl_staging_")
    assert name == Place.STAGING.schema(schema)


@given(SCHEMAS, SCHEMAS)
def test_two_schemas_never_share_a_staging_schema(one: str, other: str) -> None:
    """Not even if only their last characters differ."""
    assume(one != other)
    assert Place.STAGING.schema(one) != Place.STAGING.schema(other)


def test_names_that_are_cut_alike_differ() -> None:
    """The hash is computed from the whole name."""
    assert Place.STAGING.schema("x" * 62 + "a") != Place.STAGING.schema("x" * 62 + "b")
