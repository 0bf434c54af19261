"""The Lambda: from the state machine, or from EventBridge where the machine could not tell, to Slack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3

from .deployment import Deployment
from .links import Console
from .message import message
from .outcome import TOLD, Outcome, from_event, from_machine, is_event
from .slack import destination, post

WORTH_TELLING = ("FAILED", "TIMED_OUT", "ABORTED")
"""The ends of an execution that the machine may not have been able to tell."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, bool]:
    """Posts the outcome of a run; gives ``{"told": false}`` for an event that Slack knows already.

    Takes what the states NotifySuccess and NotifyFailure send, or an EventBridge event "Step Functions Execution
    Status Change". Raises NotTold when Slack did not take the message, NotConfigured when there is no Slack.
    """
    del context
    outcome = _untold(event) if is_event(event) else from_machine(event)
    if outcome is None:
        return {"told": False}
    console = Console.of(outcome.execution, os.environ.get("LOG_GROUP", ""))
    _post(message(outcome, console, Deployment.of(os.environ)))
    return {"told": True}


def _untold(event: Mapping[str, Any]) -> Outcome | None:
    """Gives the outcome of an execution that ended without telling, None for one that has told, or that goes on."""
    detail = event["detail"]
    if detail["status"] not in WORTH_TELLING:
        return None
    if detail["status"] == "FAILED" and not detail.get("error"):
        detail = {**detail, **_described(detail["executionArn"])}
    return None if detail.get("error") == TOLD else from_event(detail)


def _described(execution: str) -> dict[str, Any]:
    """Gives the error and cause of an execution whose event does not hold them."""
    described = boto3.client("stepfunctions").describe_execution(executionArn=execution)
    return {name: described[name] for name in ("error", "cause") if name in described}


def _post(content: Mapping[str, Any]) -> None:
    path = os.environ["SLACK_PARAMETER_PATH"]
    try:
        post(destination(path), content)
    except Exception:
        destination.cache_clear()  # it may have been changed since: the next try reads it again
        raise
