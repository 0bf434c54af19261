"""What the page's script needs: the figures of each table and of its nights, compressed."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
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
        "nights": [[figures.minute(one.started_at), one.run_id, one.status] for one in night.before],
        "columns": {name: [harmless(getattr(table, name)) for table in tables] for name in _COLUMNS}
        | {name: [_moment(getattr(table, name)) for table in tables] for name in _MOMENTS}
        | {"as_of_at": [table.as_of.timestamp() if table.as_of else None for table in tables]}
        | {"slow_since": [_moment(began.get(table.slow_since or "")) for table in tables]}
        | {"steps": [list(_named(table.steps).values()) for table in tables]}
        | {"usual": [_named(table.usual) if table.usual else None for table in tables]},
        "past": {name: [_rounded(getattr(table.past, name), digits) for table in tables] for name, digits in _PAST}
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
    "drift",
    "note",
    "error",
)
_MOMENTS = ("started_at", "finished_at", "as_of")

_PAST = (("seconds", 3), ("rows", 3), ("bytes", 3), ("changed", 3))
"""The figures of the nights before, with as many digits as the page shows. All digits would be half of its size."""


def _moment(at: datetime | None) -> str | None:
    return None if at is None else figures.moment(at)


def _rounded(values: Iterable[float | None], digits: int) -> list[float | None]:
    """The values with so many significant digits, each as a whole number where it is one."""
    return [None if value is None else _shorter(float(f"{value:.{digits}g}")) for value in values]


def _shorter(value: float) -> float:
    return int(value) if value.is_integer() else value


def _named(one: Usual | Steps) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
