"""What happened, in one sentence, and what to do about it: by what the services say of a container that failed.

The texts of the services are documented: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html,
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
    """What happened, what to do, and the section of docs/operations.md that says more."""

    what: str
    todo: str
    section: str


IMAGE = Remedy(
    "The container's image could not be pulled.",
    "Look whether the image's tag or digest is still in the registry, and whether role and subnets lead there.",
    "A container's image could not be pulled",
)
SPOT = Remedy(
    "AWS took the host away while the container ran, as it does with Spot capacity.",
    "Nothing is wrong with the copy. If this comes often, do without Spot.",
    "AWS took a host away",
)
NO_HOST = Remedy(
    "The service found no host for the container in time, so it never began.",
    "Compare the memory and vCPUs that the container asks for with what the compute environment may start.",
    "No host was found for a container",
)
RESOURCES = Remedy(
    "The service could not initialize what the container needs: its network interface, its secrets or its log.",
    "Look at the permissions of the execution role, and at the ways out of the subnets (NAT gateway, VPC endpoints).",
    "A container's resources could not be initialized",
)
TIME = Remedy(
    "The container took longer than it may, and was stopped.",
    "Look for the table that took so long; give the run more shards, or raise `load_timeout_seconds`.",
    "A container took too long",
)
MEMORY = Remedy(
    "The container ran out of memory, or was killed by the host.",
    "Give the container more memory, or lower `ETL_JOBS`.",
    "A container ran out of memory",
)
STOPPED = Remedy(
    "The container was stopped from outside before it was done.",
    "Look who stopped it: a person, a deployment, the maintenance of the host.",
    "A container was stopped",
)
SETTINGS = Remedy(
    "The container was given settings, options or table names that it cannot use.",
    "Its log names each one, with the remedy.",
    "A container's settings are wrong",
)
COPY = Remedy(
    "The copy failed.",
    "Mend what the failed tables or the log say.",
    "A copy failed",
)
HOLDER = Remedy(
    "The snapshot could not be held.",
    "Mend what is said here or in the log; another run takes another snapshot.",
    "The snapshot could not be held",
)
NOT_STARTED = Remedy(
    "The service did not take the job.",
    "Look at the service's quotas and at the permissions of the state machine's role.",
    "A job was not taken",
)
UNKNOWN = Remedy(
    "The container failed, for a reason that this message has no advice for.",
    "Look at the job and at its log.",
    "A container failed for another reason",
)
FUNCTION = Remedy(
    "",
    "Find the message in the runbook, and mend the cause.",
    "Messages",
)
TRANSFORM = Remedy(
    "The tables are published; what came after them failed.",
    "Mend it, and start its state machine again with the same input. The copy need not be done again.",
    "What came after the publish failed",
)
LATE = Remedy(
    "The run is not published at its deadline.",
    "Look at the execution, and at `etl history`: a container may wait for a host, a table for a lock, the publish for"
    " readers. The run goes on; stop the execution to give it up.",
    "A night is late",
)
LATE_ENDED = Remedy(
    "The night's last run has ended, and its tables are not published.",
    "Mend what the message of that run says.",
    "A night is late",
)
NEVER_BEGAN = Remedy(
    "No run was started.",
    "Look at the schedule, and at the queue of what could not be delivered.",
    "A night is late",
)
EXECUTION = Remedy(
    "",
    "Ask `etl history` what became of the run.",
    "An execution ended without a word",
)
NO_SLACK = Remedy(
    "",
    "Mend what kept the notifier from Slack; what became of the run stands above.",
    "Slack could not be told",
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
"""In this order: an image is pulled while CodeBuild is PROVISIONING, and a container out of time may end with 137."""


def remedy_of(job: FailedJob) -> Remedy:
    """Finds the remedy for a job that failed."""
    said = f"{job.error} {job.code} {job.reason}"
    for pattern, exits, remedy in _RULES:
        if job.exit in exits or (pattern is not None and re.search(pattern, said)):
            return HOLDER if job.holder and remedy is COPY else remedy
    return UNKNOWN


def anchor(section: str) -> str:
    """Gives a section's anchor as GitHub and most renderers of Markdown make it."""
    return re.sub(r"[^\w -]", "", section.lower()).replace(" ", "-")
