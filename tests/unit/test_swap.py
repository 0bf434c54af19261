"""What a swap reattaches, and to which table; its statements are tested on a server (integration/test_swap.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etl.model.errors import CannotCarry
from etl.model.name import TargetName
from etl.publish import message
from etl.publish.way import said
from tests.unit.test_live import ATTACHMENT, TABLE, view

STAGED = replace(TABLE, oid=9, schema="etl_staging_public", statistics=("s",), grantees=(None,))


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
