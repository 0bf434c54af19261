"""A job that failed, as the state machine tells of it: one shape, whichever service ran the container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_RANGES = 6
"""How many ranges of shards a message names; the others are counted."""

_NO_REASON = ("Essential container in task exited", "Task failed to start", "BUILD FAILED: COMMAND_EXECUTION_ERROR")
"""What the services say of every job that failed, beside the reason."""


@dataclass(frozen=True, slots=True)
class FailedJob:
    """The job of the snapshot's holder, or those of shards that failed alike: the first one's, for ``count`` shards.

    ``error`` is Step Functions', ``code`` the service's status or stop code, ``reason`` what both container and service
    said.
    """

    error: str
    reason: str = ""
    exit: int | None = None
    code: str = ""
    log: str = ""
    id: str = ""
    holder: bool = False
    shards: tuple[int, ...] = ()
    count: int = 1

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> FailedJob:
        """Reads a job out of what the states ShardsFailed and SnapshotFailed tell."""
        texts = {name: str(given.get(name) or "") for name in ("error", "reason", "code", "log", "id")}
        shards = tuple(given.get("shards") or ())
        exit_status = given.get("exit")
        holder = bool(given.get("holder"))
        return cls(exit=exit_status, holder=holder, shards=shards, count=given.get("count") or 1, **texts)

    @property
    def said(self) -> str:
        """The reason without what is said of every job that failed, as long as anything else is known of this one."""
        said = [text for text in self.reason.split("; ") if not text.startswith(_NO_REASON)]
        return "; ".join(said) if said or self.exit is not None else self.reason

    def whose(self, of: int | None) -> str:
        """Says whose job it was, of so many shards."""
        if self.holder:
            return "The container that holds the snapshot"
        names = numbers(self.shards, self.count)
        return f"{'Shard' if self.count == 1 else 'Shards'} {names}{f' of {of}' if of else ''}"


def numbers(shards: Sequence[int], count: int) -> str:
    """Gives shards' numbers as ranges, the first ones of ``count``: ``0–31, 40 and 8 more``."""
    ranges: list[list[int]] = []
    for shard in sorted(shards):
        if ranges and shard == ranges[-1][1] + 1:
            ranges[-1][1] = shard
        else:
            ranges.append([shard, shard])
    told = ranges[:MOST_RANGES]
    left = count - sum(last - first + 1 for first, last in told)
    names = ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in told)
    return f"{names} and {left:,} more" if left else names
