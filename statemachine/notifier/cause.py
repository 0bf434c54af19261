"""The reasons for a failed run, as a message tells them: each cause once, the first causes in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .job import FailedJob
from .outcome import BAD_INPUT_ERROR, LATE_STATUS, NOT_TOLD, TOO_FEW_ROWS_ERROR, Failure, Outcome
from .remedy import (
    COPY,
    EXECUTION,
    FUNCTION,
    HOLDER,
    INPUT,
    LATE,
    LATE_ENDED,
    NEVER_BEGAN,
    NO_SLACK,
    SETTINGS,
    TOO_FEW_ROWS,
    TRANSFORM,
    UNKNOWN,
    Remedy,
    remedy_of,
)

MOST_CAUSES = 3
"""The number of ways in which jobs failed that a message describes; it only counts the others."""

_OWN_WORDS = (COPY, HOLDER, SETTINGS, UNKNOWN)
"""The remedies for failures that a container may have described in the ledger itself before it ended.

For other failures the ledger only knows the consequence.
"""


_BY_ERROR = {TOO_FEW_ROWS_ERROR: TOO_FEW_ROWS, BAD_INPUT_ERROR: INPUT}
"""The remedies for the machine's own errors that say all there is to say."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: a sentence that says what happened, the service's words, the job if there is one, and the remedy."""

    what: str
    said: str
    remedy: Remedy
    job: FailedJob | None = None


def causes(outcome: Outcome) -> list[Cause]:
    """The causes of a failed run, the first cause first."""
    failure = outcome.failure
    if outcome.end:
        return [_of_execution(outcome, failure)]
    if failure is None:
        return [Cause("The run failed.", outcome.ledger_error, FUNCTION)]
    if failure.jobs:
        return list(_of_jobs(failure, _beside(outcome, failure) if outcome.status != "unknown" else ""))
    if outcome.status == LATE_STATUS:
        return [_of_deadline(failure)]
    if known := _BY_ERROR.get(failure.error):
        return [Cause(known.what, failure.cause, known)]
    remedy = TRANSFORM if failure.state == "Transform" else FUNCTION
    return [Cause(f"{failure.state} failed with {failure.error}.", failure.cause, remedy)]


def ledger_says(outcome: Outcome, told: Sequence[Cause]) -> str:
    """The ledger's error, or why it could not be read, if that says more than the message's causes do."""
    if outcome.failure is None or outcome.end:
        return ""
    said = _beside(outcome, outcome.failure)
    if any(cause.said.startswith(said.removesuffix("…")) for cause in told):
        return ""
    return said


def _beside(outcome: Outcome, failure: Failure) -> str:
    """The ledger's error; empty if it repeats the machine's error or names only a consequence of it."""
    said = " ".join(outcome.ledger_error.split())
    repeats = bool(said) and " ".join(failure.line.split()).startswith(said.removesuffix("…"))
    consequence = bool(failure.jobs) and all(remedy_of(job) not in _OWN_WORDS for job in failure.jobs)
    return "" if repeats or (consequence and outcome.status != "unknown") else said


def _of_jobs(failure: Failure, ledger: str) -> Iterator[Cause]:
    for job in failure.jobs[:MOST_CAUSES]:
        remedy = remedy_of(job)
        yield Cause(remedy.what, job.said or (ledger if remedy in _OWN_WORDS else ""), remedy, job)


def _of_deadline(failure: Failure) -> Cause:
    remedy = LATE if " is RUNNING; " in failure.cause else LATE_ENDED
    remedy = NEVER_BEGAN if failure.cause.startswith("No run of ") else remedy
    return Cause(remedy.what, failure.cause, remedy)


def _of_execution(outcome: Outcome, failure: Failure | None) -> Cause:
    what = {"timed out": "The execution ran into its time limit.", "was aborted": "Somebody stopped the execution."}
    if failure is None:
        return Cause(what.get(outcome.end, "The execution failed."), "", EXECUTION)
    remedy = NO_SLACK if failure.error == NOT_TOLD else EXECUTION
    return Cause(f"The execution {outcome.end} with {failure.error}.", failure.cause, remedy)
