"""A failed job in the state machine's words, in one shape for all services that can run the container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_RANGES = 6
"""The number of ranges of shards that a message names; it only counts the others."""

_NO_REASON = ("Essential container in task exited", "Task failed to start", "BUILD FAILED: COMMAND_EXECUTION_ERROR")
"""The services' words about every failed job, which carry no information."""


@dataclass(frozen=True, slots=True)
class FailedJob:
    """The failed job of the snapshot's holder, or the first one of ``count`` shards whose jobs failed in the same way.

    ``error`` is Step Functions' error, ``code`` the service's status or stop code, ``reason`` the words of the
    container and of the service.
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
        """Reads a job from the output of the states ShardsFailed and SnapshotFailed."""
        texts = {name: str(given.get(name) or "") for name in ("error", "reason", "code", "log", "id")}
        shards = tuple(given.get("shards") or ())
        exit_status = given.get("exit")
        holder = bool(given.get("holder"))
        return cls(exit=exit_status, holder=holder, shards=shards, count=given.get("count") or 1, **texts)

    @property
    def said(self) -> str:
        """The reason without the words that every failed job has, unless nothing else is known of this job."""
        said = [text for text in self.reason.split("; ") if not text.startswith(_NO_REASON)]
        return "; ".join(said) if said or self.exit is not None else self.reason

    def whose(self, of: int | None) -> str:
        """Names the job: the holder's, or the shards', of ``of`` shards in the run."""
        if self.holder:
            return "The container that holds the snapshot"
        names = numbers(self.shards, self.count)
        return f"{'Shard' if self.count == 1 else 'Shards'} {names}{f' of {of}' if of else ''}"


def numbers(shards: Sequence[int], count: int) -> str:
    """The numbers of the first shards of ``count``, as ranges: ``0–31, 40 and 8 more``."""
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
