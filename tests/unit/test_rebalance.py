"""What another plan would change in a run's shards, as its page tells it."""

from __future__ import annotations

from etl.commands.night import Move
from etl.commands.rebalance import rebalance


def test_a_shard_that_is_much_longer_gives_tables_to_the_others() -> None:
    """The moves, and how long the longest shard would take before and after them."""
    seconds = {"a": 100.0, "b": 90.0, "c": 80.0, "d": 5.0}
    found = rebalance({"a": 0, "b": 0, "c": 0, "d": 1}, seconds, {})
    assert found is not None
    assert found.longest_now == 270.0
    assert found.longest_then < found.longest_now
    assert found.mean == 137.5
    moved = {move.table for move in found.moves}
    after = {"a": 0, "b": 0, "c": 0, "d": 1} | {move.table: int(move.to) for move in found.moves}
    assert max(sum(seconds[one] for one in after if after[one] == shard) for shard in (0, 1)) == found.longest_then
    assert moved


def test_even_shards_stay_as_they_are() -> None:
    """No move, and the longest shard stays the longest."""
    found = rebalance({"a": 0, "b": 1}, {"a": 10.0, "b": 10.5}, {})
    assert found is not None
    assert (found.moves, found.longest_now, found.longest_then) == ((), 10.5, 10.5)


def test_tables_that_belong_together_move_together() -> None:
    """As `etl plan` keeps them in one shard."""
    found = rebalance({"a": 0, "b": 0, "c": 0, "d": 1}, dict.fromkeys("abcd", 60.0) | {"d": 1.0}, {"b": "x", "c": "x"})
    assert found is not None
    assert {move.to for move in found.moves if move.table in "bc"} <= {"1"}
    assert len([move for move in found.moves if move.table in "bc"]) in {0, 2}
    assert all(isinstance(move, Move) for move in found.moves)


def test_a_run_of_one_process_has_nothing_to_balance() -> None:
    """Neither has one of a single shard."""
    assert rebalance({}, {}, {}) is None
    assert rebalance({"a": 3}, {"a": 1.0}, {}) is None
