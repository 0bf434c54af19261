"""The statements of a swap, tested without a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from psycopg import sql

from etl.model.errors import CannotCarry
from etl.model.name import TargetName
from etl.publish import message
from etl.publish.way import said
from etl.target import live
from etl.target.views import Staged
from tests.unit.test_live import ATTACHMENT, TABLE, view

STAGED = replace(TABLE, oid=9, schema="etl_staging_public", statistics=("s",), grantees=(None,))


def text(statements: Iterable[sql.Composable]) -> list[str]:
    return [statement.as_string(None) for statement in statements]


def test_an_old_table_goes_aside_free_of_what_it_refers_to() -> None:
    """Its foreign keys are dropped first, so that its later DROP locks no other table; its statistics move with it."""
    old = replace(TABLE, foreign_keys=("fk",), statistics=("s",))
    assert text(message._aside(old)) == [
        'ALTER TABLE "public"."orders" DROP CONSTRAINT "fk"',
        'ALTER TABLE "public"."orders" SET SCHEMA "etl_stagingold_public"',
        'ALTER STATISTICS "public"."s" SET SCHEMA "etl_stagingold_public"',
    ]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_new_table_has_no_grants_unless_it_is_the_first(is_first: bool) -> None:
    """Privileges that default privileges granted are revoked if those of an old table are reattached."""
    moved = [
        'ALTER TABLE "etl_staging_public"."orders" SET SCHEMA "public"',
        'ALTER STATISTICS "etl_staging_public"."s" SET SCHEMA "public"',
    ]
    bared = [] if is_first else ['REVOKE ALL ON "public"."orders" FROM PUBLIC']
    assert text(message._move(TargetName("public", "orders"), STAGED, is_first=is_first)) == moved + bared


def test_views_are_locked_before_the_tables_as_their_readers_do() -> None:
    """The last view comes first, because it depends on the others; the timeouts apply to the locks only."""
    views = [view(2, 1), replace(view(3, 2), kind="m")]
    tables = (TABLE, replace(TABLE, name="items"))
    staged = Staged("12 345", tables, tuple(views), (), ())
    first, locks, last, look = text(message._locks([one.full_name for one in tables], staged))
    assert first == "SET LOCAL lock_timeout = '100ms'; SET LOCAL statement_timeout = '500ms'"
    assert locks.startswith(
        'DO \'BEGIN BEGIN ALTER MATERIALIZED VIEW "public"."v3" OWNER TO "boss";'
        ' ALTER VIEW "public"."v2" OWNER TO "boss";'
        ' LOCK TABLE "public"."orders", "public"."items" IN ACCESS EXCLUSIVE MODE; EXCEPTION WHEN undefined_table THEN'
    )
    looked = (
        live.inventory_query([*tables, *views], [one.full_name for one in tables]).as_string(None).replace("'", "''")
    )
    assert f"IF ({looked}) IS DISTINCT FROM ''12 345'' THEN RAISE EXCEPTION USING ERRCODE = ''ETL01''" in look
    assert last == "SET LOCAL statement_timeout = 0"


def test_locks_are_asked_for_in_one_statement() -> None:
    """statement_timeout starts anew for each statement of a message, and must limit the wait for all locks."""
    assert (
        message._as_one(sql.SQL("BEGIN LOCK TABLE s; LOCK TABLE t; END")).as_string(None)
        == "DO 'BEGIN LOCK TABLE s; LOCK TABLE t; END'"
    )


def test_a_grant_is_made_by_its_grantor() -> None:
    """A privilege that another role than the owner granted is granted by this role again."""
    assert message._reattach(replace(ATTACHMENT, statement="GRANT …")).as_string(None) == "GRANT …"
    assert message._reattach(replace(ATTACHMENT, role='o"dd', statement="GRANT …")).as_string(None) == (
        'SET LOCAL ROLE "o""dd"; GRANT …; RESET ROLE'
    )


def test_each_new_table_gets_its_own_attachments_and_a_late_view_all_that_it_had() -> None:
    """They come in their old order; the error names the obstacles of all tables at once."""
    late = view(2, 1)
    new = {TargetName("etl_staging_public", "orders"): replace(STAGED, columns=("id",))}
    mine, theirs, gone = (
        replace(ATTACHMENT, statement="mine"),
        replace(ATTACHMENT, oid=2, columns=("note",), statement="theirs"),
        replace(ATTACHMENT, columns=("note",), statement="gone"),
    )
    assert message._reattached([TABLE, late], new, [theirs, gone, mine]) == [theirs, mine]
    with pytest.raises(CannotCarry, match=r"^policy p uses note, which is no longer there; rule r uses note"):
        message._reattached([TABLE, late], new, [replace(gone, what="policy p"), replace(gone, what="rule r")])


def test_every_obstacle_is_named() -> None:
    """The obstacles of all tables, and only once if two tables share one."""
    one, other = TargetName("public", "orders"), TargetName("public", "items")
    assert said({one: ["a", "b"], other: ["b", "c"]}) == "a; b; c"
