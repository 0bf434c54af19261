"""Claims: a live table is that job's which has published it last, and no other job may replace its rows.

Jobs may share a reporting database. A job that has no ``rename``, or another's, would otherwise put its tenant's rows
under the names where the readers of another tenant look, and nothing would look wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from etl.model.errors import ConfigurationError
from etl.model.name import TargetName, arrays
from etl.sessions.postgres import Target
from etl.sessions.query import rows, target_query

_SHOWN = 3
"""The tables that a line names; without its ``rename``, a job has all of its tables in the wrong place."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A live table that another job has published (ledger/claimed.sql)."""

    job: str
    schema: str
    name: str


async def refuse(target: Target, tables: Sequence[TargetName], job: str | None) -> None:
    """Raises ConfigurationError, with a line for each other job that has published some of these live tables."""
    if not job or not tables:
        return
    found = await rows(target, _Claimed, target_query("ledger/claimed"), {**arrays(tables), "job": job})
    if found:
        raise ConfigurationError(list(_problems(found, job)))


def _problems(found: Sequence[_Claimed], job: str) -> Iterator[str]:
    for other, claimed in groupby(found, key=lambda one: one.job):
        names = [str(TargetName(one.schema, one.name)) for one in claimed]
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        yield (
            f"job {other} has published {', '.join(names[:_SHOWN])}{more} of the target, whose readers would see rows"
            f" of job {job}; give these tables a schema of their own with rename, or, if {other} is what this job was"
            f" called before, set etl.runs.job of its runs to {job}"
        )
