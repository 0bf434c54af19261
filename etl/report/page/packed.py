"""What the page's script needs: the figures of each table and of its nights, compressed."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from etl.commands.night import Night, Steps, Usual
from etl.logs.log import printable
from etl.report.page import figures


def harmless(value: object) -> object:
    """A text of the ledger without characters that would act on the page: control characters, and turns of writing."""
    return printable(value) if type(value) is str else value  # a Markup is a str, too, and is the page's own


def packed(night: Night) -> str:
    """What the script needs, compressed: of 1,000 tables and 30 nights it is a fifth of its JSON.

    Each figure is a column of all tables, because figures of the same kind compress better beside one another.
    """
    tables = night.tables
    began = {one.run_id: one.started_at for one in (*night.before, night.tonight)}
    data = {
        "nights": [figures.minute(one.started_at, night.tonight.started_at) for one in night.before],
        "columns": {name: [harmless(getattr(table, name)) for table in tables] for name in _COLUMNS}
        | {name: [_moment(getattr(table, name), night) for table in tables] for name in _MOMENTS}
        | {"as_of_at": [table.as_of.timestamp() if table.as_of else None for table in tables]}
        | {"slow_since": [_moment(began.get(table.slow_since or ""), night) for table in tables]}
        | {"steps": [list(_named(table.steps).values()) for table in tables]}
        | {"usual": [_named(table.usual) if table.usual else None for table in tables]},
        "past": {name: [_rounded(getattr(table.past, name)) for table in tables] for name in _COUNTS}
        | {"seconds": [_shown(table.past.seconds) for table in tables]}
        | {"loads": [table.past.loads for table in tables]},
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


_COLUMNS = (
    "shard",
    "outcome",
    "load",
    "reason",
    "rows",
    "changed",
    "bytes",
    "seconds",
    "slow_before",
    "slow_after",
    "drift",
    "note",
    "error",
)
_MOMENTS = ("started_at", "finished_at", "as_of")

_COUNTS = ("rows", "bytes", "changed")

_DIGITS = 3
"""The figures of the nights before have as many digits as the page shows. All digits would be half of its size."""


def _moment(at: datetime | None, night: Night) -> str | None:
    return None if at is None else figures.moment(at, night.tonight.started_at)


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    """The values with three significant digits, each as a whole number where it is one."""
    return [None if value is None else _shorter(float(f"{value:.{_DIGITS}g}")) for value in values]


def _shown(seconds: Sequence[float | None]) -> list[float | None]:
    """Durations with the digits that the page shows: of one of a minute or more, each second."""
    digits = [0 if one is None or one >= 60 else 1 if one >= 10 else 2 for one in seconds]
    return [None if one is None else _shorter(round(one, places)) for one, places in zip(seconds, digits, strict=True)]


def _shorter(value: float) -> float:
    return int(value) if value.is_integer() else value


def _named(one: Usual | Steps) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
