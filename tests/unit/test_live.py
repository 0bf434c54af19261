"""The attachments of a live table, as SQL: the order of views, and what can be reattached to the next table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from etl.target import attachments, live
from etl.target.attachments import Attachment
from etl.target.live import Object

TABLE = Object(
    oid=1,
    schema="public",
    name="orders",
    kind="r",
    is_live=True,
    owner="boss",
    is_ours=True,
    comment=None,
    options=(),
    tablespace=None,
    method=None,
    is_populated=True,
    refreshes_concurrently=False,
    definition=None,
    rests_on=(),
    reads_schemas=(),
    reads_columns=(),
    columns=("id", "note"),
    commented_columns=(),
    uncommented=(),
    grantees=(),
    indexes=("orders_pkey",),
    constraints=("orders_pkey",),
    foreign_keys=(),
    statistics=(),
    statistics_elsewhere=(),
    sequences=(),
    unproven=(),
    obstacles=(),
)

NAME = sql.Identifier("public", "orders")

ATTACHMENT = Attachment(oid=1, role=None, columns=(), index=None, what=None, is_comment=False, part=None, statement="…")


def view(oid: int, *rests_on: int) -> Object:
    return replace(TABLE, oid=oid, name=f"v{oid}", kind="v", is_live=False, rests_on=rests_on, definition=" SELECT 1")


def text(statements: Iterable[sql.Composable]) -> list[str]:
    return [statement.as_string(None) for statement in statements]


def attached(*old: Attachment, by: Object = TABLE, is_table: bool = True) -> list[Attachment]:
    return list(attachments.reattachable(old, by, is_table=is_table))


@given(st.data())
def test_views_come_after_all_that_they_rest_on(data: st.DataObject) -> None:
    """This holds for any order in the catalog, and for any dependencies between the views."""
    count = data.draw(st.integers(1, 8))
    views = [view(oid, *data.draw(st.sets(st.integers(1, oid - 1), min_size=1))) for oid in range(2, count + 2)]
    ordered = live.views(data.draw(st.permutations([TABLE, *views])))
    made = {1}
    for one in ordered:
        assert set(one.rests_on) <= made
        made.add(one.oid)
    assert len(ordered) == count


@pytest.mark.parametrize(
    ("one", "statement"),
    [
        (view(2, 1), 'CREATE VIEW "s"."n" AS SELECT x'),
        (
            replace(view(2, 1), options=("security_barrier=true", "check_option=local")),
            'CREATE VIEW "s"."n" WITH (security_barrier=true, check_option=local) AS SELECT x',
        ),
        (replace(view(2, 1), kind="m"), 'CREATE MATERIALIZED VIEW "s"."n" AS SELECT x WITH NO DATA'),
    ],
)
def test_a_view_is_made_under_another_name_with_its_options(one: Object, statement: str) -> None:
    """A materialized view is created empty: REFRESH writes frozen rows, and CREATE does not on every release."""
    assert live.create(one, sql.Identifier("s", "n"), "SELECT x").as_string(None) == statement


@pytest.mark.parametrize(
    ("one", "statement"),
    [
        (view(2, 1), 'DROP VIEW "public"."v2"'),
        (replace(view(2, 1), kind="m", name='o"dd'), 'DROP MATERIALIZED VIEW "public"."o""dd"'),
    ],
)
def test_a_view_is_dropped_by_its_own_word(one: Object, statement: str) -> None:
    """The statement is DROP VIEW or DROP MATERIALIZED VIEW, never with CASCADE."""
    assert live.drop(one).as_string(None) == statement


def test_what_default_privileges_granted_is_taken_back() -> None:
    """The privileges are revoked from each grantee. None is PUBLIC, because a role may have the name PUBLIC too."""
    new = replace(TABLE, grantees=(None, "PUBLIC", 'o"dd'))
    assert text(attachments.revoke_grants(new, NAME)) == [
        'REVOKE ALL ON "public"."orders" FROM PUBLIC',
        'REVOKE ALL ON "public"."orders" FROM "PUBLIC"',
        'REVOKE ALL ON "public"."orders" FROM "o""dd"',
    ]


def test_what_needs_a_column_or_an_index_that_is_gone_is_left_out() -> None:
    """The remaining attachments are reattached in their old order."""
    first = replace(ATTACHMENT, columns=("note", "id"))
    second = replace(ATTACHMENT, index="orders_pkey")
    gone = replace(ATTACHMENT, columns=("id", "gone"))
    lost = replace(ATTACHMENT, index="orders_gone")
    assert attached(first, gone, ATTACHMENT, lost, second) == [first, ATTACHMENT, second]


def test_the_sources_comments_go_before_those_on_the_live_table() -> None:
    """The comments of the table and of each column are handled separately; a view has no source."""
    table, column = replace(ATTACHMENT, is_comment=True), replace(ATTACHMENT, is_comment=True, columns=("note",))
    assert attached(table, column) == [table, column]
    assert attached(table, column, by=replace(TABLE, comment="Orders")) == [column]
    assert attached(table, column, by=replace(TABLE, commented_columns=("note",))) == [table]
    commented = replace(TABLE, comment="Orders", commented_columns=("note",))
    assert attached(table, column, by=commented, is_table=False) == [table, column]


def test_what_must_not_vanish_with_its_column_is_named_once() -> None:
    """The error has names and columns; an attachment without a name may go, and one that fits is not orphaned."""
    trigger = replace(ATTACHMENT, what="trigger t on table orders", columns=("id", "gone", "lost"))
    fits = replace(ATTACHMENT, what="policy p on table orders", columns=("id",))
    comment = replace(trigger, statement="COMMENT …")
    assert attachments.orphaned([trigger, comment, fits, replace(ATTACHMENT, columns=("gone",))], TABLE.columns) == [
        "trigger t on table orders uses gone, lost, which is no longer there"
    ]


@pytest.mark.parametrize(
    ("one", "obstacle", "in_place"),
    [
        (TABLE, None, None),
        (view(2, 1), None, None),
        (replace(TABLE, kind="v"), "public.orders is a view in the target, not a table; rename or drop it", "same"),
        (
            replace(TABLE, kind="p"),
            'public.orders is a partitioned table in the target, not a table; rename or drop it, or publish "in-place"',
            None,
        ),
        (
            replace(TABLE, obstacles=("function f()", "table t")),
            "public.orders cannot be replaced while this depends on it: function f(), table t; drop that, or publish"
            ' "in-place"',
            None,
        ),
    ],
)
def test_what_cannot_be_put_back_is_an_obstacle_that_is_named(
    one: Object, obstacle: str | None, in_place: str | None
) -> None:
    """Another object in a table's place is one; in a swap, so is an object that would be dropped with the table."""
    assert one.obstacle == obstacle
    if one.is_live:
        assert one.obstacle_in_place == (obstacle if in_place == "same" else in_place)
