"""What one process does of a run: all of it, or a shard of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from etl.model.errors import SnapshotLost
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted
from etl.model.status import RunStatus
from etl.source.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Held:
    """A snapshot, and the tables that are to be loaded from it."""

    snapshot: Snapshot
    left: Sequence[Planned]


class Share(Protocol):
    """One process's share of a run: the whole run (``whole.py``), or a shard (``shard.py``)."""

    async def begin(self) -> None:
        """Writes into the ledger that the run has begun."""

    async def snapshot(self) -> Held:
        """Takes the run's snapshot, or joins it; tells the tables that are not staged from it yet."""

    async def lost(self, held: Snapshot, error: SnapshotLost, attempt: int) -> None:
        """Raises, unless another snapshot may take the place of one that was lost in the attempt of this number."""

    async def useless(self) -> list[TargetName]:
        """The live tables whose staging tables nobody can use once this process has failed."""

    async def close(self, status: RunStatus, reason: Redacted) -> None:
        """Writes into the ledger how the run ended, where this process decides that."""
