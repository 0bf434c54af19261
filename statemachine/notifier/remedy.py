"""The remedy for each way in which a container fails, chosen by the services' texts.

The services document their texts:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html,
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html,
https://docs.aws.amazon.com/codebuild/latest/userguide/troubleshooting.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .job import FailedJob


@dataclass(frozen=True, slots=True)
class Remedy:
    """What happened (``what``), what to do (``todo``), and the section of docs/operations.md with more about it."""

    what: str
    todo: str
    section: str


IMAGE = Remedy(
    "The container's image could not be pulled.",
    "Check that the image's tag or digest is in the registry, and that the role and the subnets allow the pull.",
    "A container's image could not be pulled",
)
SPOT = Remedy(
    "AWS took the host away while the container ran, as it does with Spot capacity.",
    "Nothing is wrong with the copy. If this happens often, do not use Spot.",
    "AWS took a host away",
)
NO_HOST = Remedy(
    "The service found no host for the container in time, so it never began.",
    "Compare the memory and vCPUs that the container asks for with what the compute environment may start.",
    "No host was found for a container",
)
RESOURCES = Remedy(
    "The service could not initialize the container's network interface, secrets or log.",
    "Check the permissions of the execution role, and the subnets' NAT gateway or VPC endpoints.",
    "A container's resources could not be initialized",
)
TIME = Remedy(
    "The container ran into its time limit and was stopped.",
    "Find the table that took so long; give the run more shards, or raise `load_timeout_seconds`.",
    "A container took too long",
)
MEMORY = Remedy(
    "The container ran out of memory, or was killed by the host.",
    "Give the container more memory, or lower `ETL_JOBS`.",
    "A container ran out of memory",
)
STOPPED = Remedy(
    "Somebody or something stopped the container before it was done.",
    "Find out who stopped it: a person, a deployment, or the maintenance of the host.",
    "A container was stopped",
)
SETTINGS = Remedy(
    "The container cannot use its settings, options or table names.",
    "The container's log names each mistake, with the remedy.",
    "A container's settings are wrong",
)
COPY = Remedy(
    "The copy failed.",
    "Fix the errors of the failed tables, or those in the log.",
    "A copy failed",
)
HOLDER = Remedy(
    "The container that holds the snapshot failed.",
    "Fix the error above or in the log; a new run takes a new snapshot.",
    "The snapshot could not be held",
)
NOT_STARTED = Remedy(
    "The service did not take the job.",
    "Check the service's quotas, and the permissions of the state machine's role.",
    "A job was not taken",
)
UNKNOWN = Remedy(
    "The container failed for a reason that this message does not know.",
    "Look at the job and its log.",
    "A container failed for another reason",
)
TOO_FEW_ROWS = Remedy(
    "Tables have too few rows, or would lose too many, so the run was stopped before its publish.",
    "Find out why the rows are gone.",
    "A run was stopped for too few rows",
)
INPUT = Remedy(
    "The execution's input is wrong, so nothing has begun.",
    "Mend what starts the execution: the job's entry, or the input that you gave by hand.",
    "An execution's input is wrong",
)
PAUSED = Remedy(
    "",
    "Find out why, in the messages of its runs, and mend it.",
    "A job is paused",
)
FUNCTION = Remedy(
    "",
    "Find the message in the runbook, and fix its cause.",
    "Messages",
)
TRANSFORM = Remedy(
    "The tables are published. The transform after the publish failed.",
    "Fix the transform, and start its state machine again with the same input. You need not copy again.",
    "The transform failed",
)
LATE = Remedy(
    "The run is not published at its deadline.",
    "Look at the execution and at `etl history`: a container may wait for a host, a table for a lock, the publish for"
    " readers. The run goes on. To give it up, stop the execution.",
    "A night is late",
)
LATE_ENDED = Remedy(
    "The night's last run has ended, and its tables are not published.",
    "Fix the error in the message of that run.",
    "A night is late",
)
NEVER_BEGAN = Remedy(
    "No run was started.",
    "Look at the schedule, and at the queue of undelivered calls.",
    "A night is late",
)
EXECUTION = Remedy(
    "",
    "Look up the run's status with `etl history`.",
    "An execution ended without a word",
)
NO_SLACK = Remedy(
    "",
    "Fix the notifier's access to Slack. The run's status is above.",
    "Slack could not be told",
)

NO_PAGE = Remedy(
    "",
    "",
    "The page of a night is missing",
)

_RULES: Sequence[tuple[str | None, frozenset[int], Remedy]] = (
    (r"CannotPull\w*Error|UNABLE_TO_PULL_IMAGE", frozenset(), IMAGE),
    (r"Host EC2 \(instance|SpotInterruption|Spot Task was interrupted|TerminationNotice", frozenset(), SPOT),
    (r"JobStateTimeLimit|MISCONFIGURATION:|CAPACITY:|Capacity is unavailable|RESOURCE:|QUEUED ", frozenset(), NO_HOST),
    (r"ResourceInitializationError|network interface provision|PROVISIONING ", frozenset(), RESOURCES),
    (r"attempt duration exceeded timeout|States\.Timeout|TIMED_OUT", frozenset(), TIME),
    (r"OutOfMemory|out of memory", frozenset({137}), MEMORY),
    (r"UserInitiated|\bSTOPPED\b", frozenset({143}), STOPPED),
    (None, frozenset({2}), SETTINGS),
    (None, frozenset({1}), COPY),
    (r"^(?:Batch|ECS|AmazonECS|CodeBuild)\.", frozenset(), NOT_STARTED),
)
"""The remedies.

Their order matters: CodeBuild pulls images in the phase PROVISIONING, and a container that reaches its timeout may end
with 137.
"""


def remedy_of(job: FailedJob) -> Remedy:
    """The remedy for a failed job."""
    said = f"{job.error} {job.code} {job.reason}"
    for pattern, exits, remedy in _RULES:
        if job.exit in exits or (pattern is not None and re.search(pattern, said)):
            return HOLDER if job.holder and remedy is COPY else remedy
    return UNKNOWN


def anchor(section: str) -> str:
    """A section's anchor, as GitHub and most Markdown renderers make it."""
    return re.sub(r"[^\w -]", "", section.lower()).replace(" ", "-")
