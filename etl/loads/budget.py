"""The time that the merges of a process's tables may take in the publish. Pure policy."""

from __future__ import annotations

from dataclasses import dataclass, field

from etl.model import limits
from etl.model.name import TargetName


@dataclass(slots=True)
class Budget:
    """So many seconds for the merges of all tables, of which those that are expected are taken."""

    most: float
    _taken: dict[TargetName, float] = field(default_factory=dict)

    def refuses(self, table: TargetName, changed: int, row_seconds: float | None) -> str | None:
        """Why the changed rows of a table, each of which takes so long, are not merged; None if their time is taken."""
        seconds = changed * (row_seconds or limits.MERGE_ROW_SECONDS)
        others = sum(taken for other, taken in self._taken.items() if other != table)
        if others + seconds > self.most:
            return (
                f"{changed:,} rows have changed, whose merge would take about {seconds:,.0f} s; with other tables that"
                f" is more than the {self.most:g} s of ETL_MERGE_MAX"
            )
        self._taken[table] = seconds
        return None

    def give_back(self, table: TargetName) -> None:
        """Frees the time of a table that is loaded whole after all."""
        self._taken.pop(table, None)
