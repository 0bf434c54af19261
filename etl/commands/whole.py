"""A run that one process does alone: the process takes the snapshot, and another one if the first is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etl.commands.control import Control
from etl.commands.share import Held
from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import SnapshotLost
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redacted
from etl.model.status import RunStatus
from etl.sessions.postgres import Source
from etl.source import snapshot
from etl.source.snapshot import Snapshot
from etl.target import guard

log = get_logger()


@dataclass(frozen=True, slots=True)
class Whole:
    """The share of a process that does all of a run; ``source`` is an idle session for the first snapshot."""

    control: Control
    planned: Sequence[Planned]
    source: Source

    async def begin(self) -> None:
        """Opens the run and its loads in the ledger."""
        settings, session = self.control.settings, self.control.session
        await ledger.open_run(session, settings.run_id, settings.publish, settings.job)
        await ledger.begin_loads(session, settings.run_id, self.planned, settings.shard)

    async def snapshot(self) -> Held:
        """Takes a snapshot, and writes it into the ledger."""
        settings = self.control.settings
        chosen = [table.source for table in self.planned]
        application = guard.application(settings.run_id)
        taken = await snapshot.take(settings.source, application, chosen, settings.options, self.source)
        await ledger.took_snapshot(self.control.session, settings.run_id, taken.id, taken.at)
        return Held(taken, self.planned)

    async def lost(self, held: Snapshot, error: SnapshotLost, attempt: int) -> None:
        """Raises the error when ``limits.SNAPSHOTS_A_RUN`` have been lost."""
        if attempt == limits.SNAPSHOTS_A_RUN:
            raise error
        log.warning("snapshot.lost", attempt=attempt, error=self.control.settings.redact(error))

    async def useless(self) -> list[TargetName]:
        """All tables, because another attempt at the run takes another snapshot."""
        return [table.live for table in self.planned]

    async def close(self, status: RunStatus, reason: Redacted) -> None:
        """Closes the run."""
        await ledger.close_run(self.control.session, self.control.settings.run_id, status, reason)
