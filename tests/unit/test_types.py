"""User-defined types that the target lacks, or has with another definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.target import types
from etl.target.types import UserType

ENUM = UserType(
    schema="public",
    name="mood",
    kind="e",
    extension=None,
    extension_schema=None,
    is_row_type=False,
    labels=("b",),
    statement="CREATE TYPE public.mood AS ENUM ('b')",
    asked_schemas=("public",),
    asked_names=("mood",),
)
VECTOR = replace(ENUM, name="vector", kind="b", extension="vector", extension_schema="maths", labels=(), statement=None)


def enum(*labels: str) -> UserType:
    return replace(ENUM, labels=labels, statement=f"CREATE TYPE public.mood AS ENUM {labels}")


def statements(wanted: list[UserType], there: list[UserType]) -> list[str]:
    found = {(one.schema, one.name): one for one in there}
    return [one.as_string(None) for step in types.steps(wanted, found) for one in step.statements]


def problems(wanted: list[UserType], there: list[UserType]) -> list[str]:
    found = types.differences(wanted, {(one.schema, one.name): one for one in there})
    return [text for texts in found.values() for text in texts]


def test_what_is_missing_is_made_in_the_order_given() -> None:
    """Extensions come first, once each, in their own schema; existing types stay as they are."""
    other = replace(ENUM, name="other", statement="CREATE TYPE public.other …")
    half = replace(VECTOR, name="halfvec")
    assert statements([other, VECTOR, half, ENUM], []) == [
        'CREATE EXTENSION IF NOT EXISTS "vector" SCHEMA "maths"',
        "CREATE TYPE public.other …",
        "CREATE TYPE public.mood AS ENUM ('b')",
    ]
    assert statements([other, VECTOR, ENUM], [other, VECTOR, ENUM]) == []


@pytest.mark.parametrize(
    ("was", "labels", "added"),
    [
        (["b"], ["b", "c"], ["'c' AFTER 'b'"]),
        (["b"], ["a", "A", "b"], ["'a' BEFORE 'b'", "'A' AFTER 'a'"]),
        (["b", "d"], ["b", "it's", "d"], ["'it''s' AFTER 'b'"]),
        ([], ["a", "b"], ["'a'", "'b' AFTER 'a'"]),
    ],
)
def test_new_labels_come_at_their_places(was: list[str], labels: list[str], added: list[str]) -> None:
    """Each new label comes after its predecessor, which exists already; a new first label before the old first one."""
    prefix = 'ALTER TYPE "public"."mood" ADD VALUE IF NOT EXISTS '
    assert statements([enum(*labels)], [enum(*was)]) == [prefix + one for one in added]


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_an_enum_grows_or_differs(was: list[str], labels: list[str]) -> None:
    """It grows if all its old labels are still there in the same order; otherwise it differs."""
    kept = [label for label in labels if label in was]
    if kept == was:
        assert len(statements([enum(*labels)], [enum(*was)])) == len(labels) - len(was)
    else:
        assert len(problems([enum(*labels)], [enum(*was)])) == 1
        assert statements([enum(*labels)], [enum(*was)]) == []


def test_all_that_differs_is_named_with_both_definitions() -> None:
    """Other kinds, other attributes, and types that cannot be created."""
    domain = replace(ENUM, name="code", kind="d", statement="CREATE DOMAIN public.code AS int")
    row = replace(ENUM, name="pair", kind="c", is_row_type=True)
    there = [replace(ENUM, kind="d", statement="A"), replace(domain, statement="B")]
    assert problems([ENUM, domain, row], there) == [
        "type public.mood differs: the source has CREATE TYPE public.mood AS ENUM ('b'), the target A",
        "type public.code differs: the source has CREATE DOMAIN public.code AS int, the target B",
        "type public.pair is a table's row type or a base type, which cannot be made in the target",
    ]
