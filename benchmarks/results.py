"""The results of a benchmark, in a JSON file to which later runs add."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Spread


@dataclass(frozen=True, slots=True)
class Run:
    """One copy: the client's usage, the parts of indexes and column types that arrived, and the copy's steps.

    ``wal`` are the bytes of WAL that the target wrote, ``missed`` the rows that differ from the source's by the kind of
    change that was missed; empty if they were not compared.
    """

    wall: float
    cpu: float
    peak: int
    indexes: float
    types: float
    parts: dict[str, float] = field(default_factory=dict)
    wal: float = 0.0
    missed: dict[str, int] = field(default_factory=dict)


Value = Callable[[Run], float]


@dataclass(slots=True)
class Outcome:
    """The rounds of one scenario, each with a run of every case; and the cases that are missing, with the reason."""

    title: str
    scale: float
    machine: dict[str, str]
    postgres: str = ""
    tables: int = 0
    rows: int = 0
    bytes: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rounds: list[dict[str, Run]] = field(default_factory=list)

    @property
    def cases(self) -> list[str]:
        """The measured cases, in the order of the first round."""
        return list(dict.fromkeys(name for one in self.rounds for name in one))

    def met(self, peer: str, version: str) -> None:
        """Records a peer's version after the versions of earlier rounds, if it differs."""
        versions = self.versions[peer].split(" → ") if peer in self.versions else []
        self.versions[peer] = " → ".join(dict.fromkeys([*versions, version]))

    def spread(self, case: str, value: Value) -> Spread | None:
        """A case's figures; None if there are none."""
        values = [value(one[case]) for one in self.rounds if case in one]
        return Spread.of(values) if values else None

    def ratio(self, case: str, beside: str, value: Value) -> Spread | None:
        """The ratio of two cases' figures: that of their medians, and the extremes of single rounds."""
        both = [(value(one[case]), value(one[beside])) for one in self.rounds if case in one and beside in one]
        if not both:
            return None
        ratios = [ours / theirs for ours, theirs in both]
        ours, theirs = (Spread.of(values).median for values in zip(*both, strict=True))
        return Spread(min(ratios), ours / theirs, max(ratios))


Results = dict[str, Outcome]


def load(file: Path) -> Results:
    """Reads results; empty if the file does not exist."""
    if not file.exists():
        return {}
    return {key: _outcome(one) for key, one in json.loads(file.read_text(encoding="utf-8")).items()}


def _outcome(one: dict[str, Any]) -> Outcome:
    rounds = [{name: Run(**run) for name, run in each.items()} for each in one.pop("rounds")]
    return Outcome(**one, rounds=rounds)


def save(results: Results, file: Path) -> None:
    """Writes results atomically, so that a crash never leaves a partial file."""
    fresh = file.with_suffix(".tmp")
    fresh.write_text(
        json.dumps({key: asdict(one) for key, one in sorted(results.items())}, indent=1) + "\n", encoding="utf-8"
    )
    fresh.replace(file)
