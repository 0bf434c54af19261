"""The base of a delta: what the ledger records of a published load, so that the next night may copy changed rows alone.

A row of the source that has not changed since the base's snapshot needs not be copied, if the live table still has it.
That can be told exactly, for one uninterrupted history of one database, of a table whose definition is the same, and
for a live table that nobody else has written. Whatever is not provably the same means a full load, never a wrong row.
"""

# docs/how-deltas-work.md

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from etl.model import limits
from etl.model.wording import shown

FORMAT = 3
"""The format of a base in the ledger. It rises when a load may copy other values than an earlier version's."""


NEVER = "never"

_NIGHTS = re.compile(r"([0-9]{1,4}) nights?")


@dataclass(frozen=True, slots=True)
class FullEvery:
    """After how many nights a table is loaded whole again, whatever has changed; None is ``never``."""

    nights: int | None = 30

    @classmethod
    def parse(cls, text: Any) -> FullEvery:
        """Reads ``full_every``; raises ValueError."""
        if isinstance(text, FullEvery):
            return text
        if text == NEVER:
            return cls(None)
        found = _NIGHTS.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None or int(found[1]) == 0:
            raise ValueError(f'is {shown(text)}; write a number of nights such as "30 nights", or "{NEVER}"')
        return cls(int(found[1]))

    def is_due(self, base: Base) -> bool:
        """Whether the load after this base has to be a full one."""
        return self.nights is not None and base.nights + 1 >= self.nights

    def __str__(self) -> str:
        return NEVER if self.nights is None else f"{self.nights} night{'s' if self.nights > 1 else ''}"


def proof_nights(number: Any) -> int:
    """Reads ``proof_nights``; raises ValueError."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 9999:
        raise ValueError(f"is {shown(number)}; write a number of nights from 1 to 9999, or 0 for never, without quotes")
    return number


@dataclass(frozen=True, slots=True)
class History:
    """The history in which a session reads: a row of ``history.sql``.

    ``system`` is the server's identifier, ``started`` the microsecond at which the server was started. ``written`` is
    not compared: it is the end of the WAL.
    """

    system: str
    database: str
    timeline: str
    started: str
    address: str
    in_recovery: bool
    written: str

    def other_than(self, other: History) -> str | None:
        """What shows that the database is another one, in words; None if nothing does."""
        return self._differs(other, _OTHER)

    def doubt(self, other: History) -> str | None:
        """What lets doubt whether the history is still the same one, in words; None if nothing does."""
        return self._differs(other, _DOUBTS)

    def _differs(self, other: History, told: Mapping[str, str]) -> str | None:
        return next((words for name, words in told.items() if getattr(self, name) != getattr(other, name)), None)


_OTHER = {"system": "the source is another server", "database": "the source is another database"}

_DOUBTS = {
    "in_recovery": "the source has become a primary, or a standby",
    "timeline": "the source is on another timeline",
    "address": "the source is another node",
    "started": "the source has been restarted",
}
"""The fields of a history that may differ within one, in the order in which a difference is told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The transactions whose end a snapshot has seen: those below ``xmax`` that are not ``running``. Ids have 64 bits.

    All below ``xmin`` have ended. On a standby, ``running`` is empty, although some below ``xmax`` may run.
    """

    xmin: int
    xmax: int
    running: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Seen:
        """Reads the text of a pg_snapshot."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), tuple(map(int, running.split(","))) if running else ())

    def is_before(self, other: Seen) -> bool:
        """Whether the other snapshot has seen the end of a transaction that this one has not seen."""
        ended = (xid for xid in self.running if xid < other.xmax and xid not in other.running)
        return self.xmin < other.xmin or self.xmax < other.xmax or any(ended)


@dataclass(frozen=True, slots=True)
class Base:
    """What a load has read: the history, what its snapshot has seen, the rows, and the digest of the definition.

    ``nights`` is the number of loads since the last full one. ``xids`` are the target's transactions that wrote the
    rows into the staging table, if they were not merged. ``leaves`` are the partitions whose rows the load has read, by
    oid, each with the digest of its columns; a table that is not partitioned has none. ``in_vain`` is the number of
    full loads in a row before which the rows were counted for nothing, or were not counted for that reason.
    """

    history: History
    seen: Seen
    rows: int
    definition: str
    nights: int = 0
    xids: tuple[int, ...] = ()
    leaves: tuple[tuple[int, str], ...] = ()
    in_vain: int = 0
    format: int = FORMAT

    @property
    def hopeless(self) -> str:
        """Why the next load should not count the rows, after so many nights for nothing; empty if it should."""
        if self.in_vain < limits.NIGHTS_IN_VAIN or self.in_vain % limits.NIGHTS_WITHOUT_COUNT == 0:
            return ""
        again = limits.NIGHTS_WITHOUT_COUNT - self.in_vain % limits.NIGHTS_WITHOUT_COUNT
        return f"its changes could not be used in {self.in_vain} nights; they are counted again in {again}"

    def dumps(self) -> str:
        """The base as JSON, for the ledger."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Base | None:
        """The base that the ledger has; None if there is none, or one of another format."""
        if document is None or document.get("format") != FORMAT or document.keys() != _names(cls):
            return None
        history, seen = document["history"], document["seen"]
        if history.keys() != _names(History) or seen.keys() != _names(Seen):
            return None
        parts = {
            "history": History(**history),
            "seen": Seen(seen["xmin"], seen["xmax"], tuple(seen["running"])),
            "xids": tuple(document["xids"]),
            "leaves": tuple((oid, digest) for oid, digest in document["leaves"]),
        }
        return cls(**{**document, **parts})


@dataclass(frozen=True, slots=True)
class Live:
    """The live table of a published load: ``live_states.sql``.

    ``database`` identifies the target's server and database, ``columns`` the table's columns. ``xmin`` is that of the
    target's snapshot when the load was published, and ``xids`` are the transactions since then that wrote its rows.
    """

    oid: int
    database: str
    columns: str
    xmin: int = 0
    xids: tuple[int, ...] = ()

    def dumps(self) -> str:
        """The live table as JSON, for the ledger."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Live | None:
        """The live table that the ledger has; None if there is none."""
        if document is None or document.keys() != _names(cls):
            return None
        return cls(**{**document, "xids": tuple(document["xids"])})

    def unlike(self, other: Live) -> str | None:
        """What differs from the live table as it is now, in words; None if it is the same table."""
        if self.database != other.database:
            return "the target is another database"
        if self.oid != other.oid:
            return "the live table is another one"
        return "the live table's columns have changed" if self.columns != other.columns else None


@dataclass(frozen=True, slots=True)
class Published:
    """A published load that may be the base of the next one: the run that published it, its base, its live table.

    ``row_seconds`` is how long the last merge of many rows took for one of them, if there was such a merge.
    ``deleted`` is how many live rows its publish has deleted, if it was one of changes.
    """

    run_id: str
    base: Base
    live: Live
    row_seconds: float | None = None
    deleted: int | None = None


def _names(of: type[Any]) -> set[str]:
    return {field.name for field in fields(of)}
