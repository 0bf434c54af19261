"""Values for the definition's placeholders, as a deployment would give them."""

from __future__ import annotations

NAMES = {
    "PlanFunction": "plan",
    "PublishFunction": "publish",
    "AbortFunction": "abort",
    "ReportFunction": "report",
    "NotifierFunction": "notifier",
    "CopyBatchFunction": "copy-batch",
    "StarterFunction": "starter",
    "JobQueue": "nightly-etl",
    "JobDefinition": "nightly-etl:3",
    "Cluster": "nightly-etl",
    "TaskDefinition": "nightly-etl:3",
    "Subnets": "subnet-1,subnet-2",
    "SecurityGroups": "sg-1",
    "Project": "nightly-etl",
}
