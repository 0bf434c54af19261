"""What ``etl plan`` would change in a run's shards, by what the ledger knows. Pure policy."""

from __future__ import annotations

from collections.abc import Mapping

from etl.commands.balance import balance, items
from etl.commands.night import Move, Rebalance


def rebalance(
    shard_of: Mapping[str, int], seconds: Mapping[str, float], together: Mapping[str, str]
) -> Rebalance | None:
    """The moves by which as many shards would take more even times; None if there is one shard alone, or none.

    ``seconds`` are those that each table's next load is expected to take. Tables of the same ``together`` stay in one
    shard.
    """
    if len(set(shard_of.values())) <= 1:
        return None
    count = max(shard_of.values()) + 1
    dealt = balance(items(seconds, shard_of, together), count)
    then = {table: number for number, shard in enumerate(dealt) for item in shard for table in item.tables}
    moved = sorted((table for table in then if then[table] != shard_of[table]), key=lambda one: (-seconds[one], one))
    return Rebalance(
        longest_now=_longest(shard_of, seconds),
        longest_then=_longest(then, seconds),
        mean=round(sum(seconds.values()) / count, 1),
        moves=tuple(Move(table, str(shard_of[table]), str(then[table])) for table in moved),
    )


def _longest(shard_of: Mapping[str, int], seconds: Mapping[str, float]) -> float:
    sums: dict[int, float] = {}
    for table, number in shard_of.items():
        sums[number] = sums.get(number, 0.0) + seconds[table]
    return round(max(sums.values()), 1)
