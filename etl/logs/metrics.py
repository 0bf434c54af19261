"""Metrics of each table, in CloudWatch's embedded metric format: CloudWatch Logs reads the metrics from log lines.

This needs no agent and no API call. The lines ``table.loaded`` and ``table.failed`` get a member ``_aws``, which lists
the fields that are metrics (CloudWatch's "Specification: Embedded metric format").
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass

from structlog.typing import EventDict, WrappedLogger

from etl.model import limits

_UNITS = {
    "rows": "Count",
    "bytes": "Bytes",
    "seconds": "Seconds",
    "copy_seconds": "Seconds",
    "index_seconds": "Seconds",
    "analyze_seconds": "Seconds",
    "failures": "Count",
}
_FAILURES = {"table.loaded": 0, "table.failed": 1}
_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9._/#:-]{1,255}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_VALUE = re.compile(r"(?=.*\S)[ -~]{1,1024}")  # CloudWatch takes ASCII alone
_TAKEN = {"timestamp", "level", "event", "run_id", "shard", "error", *_UNITS}
_IN_THE_LINE = ("table", "job")
"""The dimensions whose values each line has."""


def namespace(text: str) -> str:
    """Returns a namespace unchanged; raises ValueError if CloudWatch would refuse it."""
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(f"is {text!r}; write 1 to 255 letters, digits and . _ / # : -, not beginning with AWS/")
    return text


def dimensions(text: str) -> dict[str, str | None]:
    """Reads dimensions: ``table`` and ``job``, whose values the line has (None here), and ``name=value``, added to it.

    Raises ValueError.
    """
    values: dict[str, str | None] = {}
    for part in (each.strip() for each in text.split(",")):
        name, equals, value = part.partition("=")
        if part in _IN_THE_LINE:
            values[name] = None
        elif equals and name not in {*_IN_THE_LINE, *_TAKEN} and _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            values[name] = value
        else:
            raise ValueError(f"has {part!r}; write table, job, and name=value for what is the same on every line")
    if len(values) > limits.MOST_DIMENSIONS:
        raise ValueError(f"has {len(values)} dimensions; CloudWatch takes {limits.MOST_DIMENSIONS}, so take some out")
    return values


@dataclass(frozen=True, slots=True)
class Metrics:
    """A log processor that adds metrics to the line of each table."""

    namespace: str
    dimensions: dict[str, str | None]

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Returns the event; if it is about a table's load, with the member ``_aws``."""
        if event["event"] not in _FAILURES or not _VALUE.fullmatch(str(event["table"])):
            return event
        constants = {name: value for name, value in self.dimensions.items() if value is not None}
        line = {**event, **constants, "failures": _FAILURES[event["event"]]}
        names = [{"Name": name, "Unit": unit} for name, unit in _UNITS.items() if name in line]
        directive = {"Namespace": self.namespace, "Dimensions": [list(self.dimensions)], "Metrics": names}
        line["_aws"] = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
        return (
            line
            if len(json.dumps(line, ensure_ascii=False, default=str).encode()) < limits.METRICS_LINE_BYTES
            else event
        )
