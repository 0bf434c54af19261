"""A line of JSON on standard output for each thing that happens; CloudWatch Logs Insights reads its fields."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "NightlyEtl/Scheduler"


def line(event: str, **fields: Any) -> None:
    """Writes a line; fields that are None are left out."""
    _write({"event": event, **fields})


def measured(event: str, units: Mapping[str, str], **fields: Any) -> None:
    """Writes a line of which some fields are metrics, too, each with its unit (CloudWatch's embedded metric format).

    No metric has the job as a dimension: each job would be a custom metric, with its price.
    """
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["deployment"]], "Metrics": metrics}
    deployment = os.environ.get("DEPLOYMENT", "nightly-etl")
    _write(
        {
            "event": event,
            "deployment": deployment,
            **fields,
            "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        }
    )


def _write(fields: Mapping[str, Any]) -> None:
    print(json.dumps({name: value for name, value in fields.items() if value is not None}), flush=True)
