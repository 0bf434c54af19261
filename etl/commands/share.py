"""The share of a run that one process does: the whole run, or a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from etl.model.errors import SnapshotLost
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted
from etl.model.status import RunStatus
from etl.model.way import RunWay
from etl.source.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Held:
    """A snapshot, the tables to load from it, and how they become live, if that is decided.

    ``others`` are the run's other tables.
    """

    snapshot: Snapshot
    left: Sequence[Planned]
    way: RunWay | None = None
    others: Sequence[Planned] = ()


class Share(Protocol):
    """One process's share of a run: the whole run (``whole.py``), or a shard (``shard.py``)."""

    async def begin(self) -> None:
        """Writes into the ledger that the run has begun."""

    async def snapshot(self) -> Held:
        """Takes the run's snapshot, or waits for the holder's; returns it with the tables that are not staged yet."""

    async def lost(self, held: Snapshot, error: SnapshotLost, attempt: int) -> None:
        """Raises SnapshotLost, unless the run may take another snapshot after losing one in this attempt."""

    async def useless(self) -> list[TargetName]:
        """The live tables whose staging tables are of no use after this process has failed."""

    async def close(self, status: RunStatus, reason: Redacted) -> None:
        """Closes the run in the ledger, if this process decides how the run ends."""
