"""What hangs on a live table, as SQL: the order of views, privileges, comments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from etl import live
from etl.live import Object, Privilege

TABLE = Object(
    oid=1,
    schema="public",
    name="orders",
    kind="r",
    is_live=True,
    owner="boss",
    comment=None,
    options=(),
    is_populated=True,
    definition=None,
    rests_on=(),
    has_default_acl=True,
    privileges=(),
    columns=("id", "note"),
    column_comments={},
    indexes=(),
    obstacles=(),
)

NAME = sql.Identifier("public", "orders")


def view(oid: int, *rests_on: int) -> Object:
    return replace(TABLE, oid=oid, name=f"v{oid}", kind="v", is_live=False, rests_on=rests_on, definition=" SELECT 1")


def text(statements: Iterable[sql.Composed]) -> list[str]:
    return [statement.as_string(None) for statement in statements]


@given(st.data())
def test_views_come_after_all_that_they_rest_on(data: st.DataObject) -> None:
    """In whatever order the catalog gives them, and however they rest on each other."""
    count = data.draw(st.integers(1, 8))
    views = [view(oid, *data.draw(st.sets(st.integers(1, oid - 1), min_size=1))) for oid in range(2, count + 2)]
    ordered = live.views(data.draw(st.permutations([TABLE, *views])))
    made = {1}
    for one in ordered:
        assert set(one.rests_on) <= made
        made.add(one.oid)
    assert len(ordered) == count


@pytest.mark.parametrize(
    ("privilege", "statement"),
    [
        (Privilege("SELECT", "bi"), 'GRANT SELECT ON "public"."orders" TO "bi"'),
        (Privilege("SELECT", None), 'GRANT SELECT ON "public"."orders" TO PUBLIC'),
        (Privilege("SELECT", "PUBLIC"), 'GRANT SELECT ON "public"."orders" TO "PUBLIC"'),
        (
            Privilege("UPDATE", 'o"dd', grantable=True, column="no te"),
            'GRANT UPDATE ("no te") ON "public"."orders" TO "o""dd" WITH GRANT OPTION',
        ),
    ],
)
def test_a_privilege_is_granted_as_it_was(privilege: Privilege, statement: str) -> None:
    """Names are quoted; PUBLIC is nobody's name."""
    assert privilege.grant(NAME).as_string(None) == statement


def test_a_new_table_is_dressed_as_the_old_one() -> None:
    """Owner first, then privileges, then comments; what names a column that is gone is left out."""
    old = replace(
        TABLE,
        comment="it's",
        has_default_acl=False,
        privileges=(Privilege("SELECT", "bi"), Privilege("SELECT", "bi", column="gone")),
        column_comments={"id": "key", "gone": "x", "note": "old"},
    )
    assert text(live.dress(old, NAME, ["id", "note"], own_comments=["note"])) == [
        'ALTER TABLE "public"."orders" OWNER TO "boss"',
        'REVOKE ALL ON "public"."orders" FROM "boss"',
        'GRANT SELECT ON "public"."orders" TO "bi"',
        "COMMENT ON TABLE \"public\".\"orders\" IS 'it''s'",
        'COMMENT ON COLUMN "public"."orders"."id" IS \'key\'',
    ]


def test_what_default_privileges_granted_is_taken_back() -> None:
    """From each grantee once, and never from the owner."""
    new = replace(TABLE, privileges=(Privilege("SELECT", "bi"), Privilege("UPDATE", "bi"), Privilege("SELECT", "boss")))
    assert text(live.undress(new, NAME)) == ['REVOKE ALL ON "public"."orders" FROM "bi"']


def test_views_are_made_as_they_were() -> None:
    """A materialized view that was never filled stays so; options and indexes come back, default grants do not."""
    plain = replace(view(2, 1), options=("security_barrier=true",))
    empty = replace(view(3, 1), kind="m", is_populated=False, indexes=("CREATE INDEX i ON public.v3 (id)",))
    assert text(live.create(plain, []))[0] == 'CREATE VIEW "public"."v2" WITH (security_barrier=true) AS  SELECT 1'
    assert text(live.create(empty, [None]))[:3] == [
        'CREATE MATERIALIZED VIEW "public"."v3" AS  SELECT 1 WITH NO DATA',
        "CREATE INDEX i ON public.v3 (id)",
        'REVOKE ALL ON "public"."v3" FROM PUBLIC',
    ]
    assert live.drop(empty).as_string(None) == 'DROP MATERIALIZED VIEW "public"."v3"'


def test_what_cannot_be_put_back_is_an_obstacle_that_is_named() -> None:
    """A view in a table's place, or an object that would have to go with the table."""
    assert TABLE.obstacle is None
    assert view(2, 1).obstacle is None
    assert replace(TABLE, kind="v").obstacle == (
        "public.orders is a view in the target, not a table; rename or drop it"
    )
    assert replace(TABLE, obstacles=("function f()",)).obstacle == (
        "public.orders cannot be replaced while these depend on it: function f(); drop them"
    )
