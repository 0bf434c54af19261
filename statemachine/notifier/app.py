"""The Lambda. It is called by the state machine, or by EventBridge if the machine could not, and posts to Slack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3

from .deployment import Deployment
from .links import Console
from .message import message
from .outcome import TOLD, Outcome, from_event, from_machine, is_event
from .paused import Paused, is_pause, message_of
from .slack import destination, post_to

WORTH_TELLING = ("FAILED", "TIMED_OUT", "ABORTED")
"""The ends of an execution that the machine may not have reported."""


def handler(event: Mapping[str, Any], context: object) -> dict[str, bool]:
    """Posts the outcome of a run; returns ``{"told": false}`` for an event about which Slack needs no message.

    Takes the input that the states NotifySuccess and NotifyFailure send, an EventBridge event "Step Functions Execution
    Status Change", or the scheduler's payload about a job that was paused. What is of a job that has a channel goes
    there. Raises NotTold if Slack did not accept the message, NotConfigured if no Slack is
    configured.
    """
    del context
    if is_pause(event):
        paused = Paused.read(event)
        _post(message_of(paused, Deployment.of(os.environ)), paused.owner.channel)
        return {"told": True}
    outcome = _untold(event) if is_event(event) else from_machine(event)
    if outcome is None:
        return {"told": False}
    console = Console.of(outcome.execution, os.environ.get("LOG_GROUP", ""))
    _post(message(outcome, console, Deployment.of(os.environ)), outcome.owner.channel)
    return {"told": True}


def _untold(event: Mapping[str, Any]) -> Outcome | None:
    """The outcome of an execution that ended without a message; None if it sent one, or still runs."""
    detail = event["detail"]
    if detail["status"] not in WORTH_TELLING:
        return None
    lacks_error = detail["status"] == "FAILED" and not detail.get("error")
    if lacks_error or detail.get("input") is None:
        detail = {**detail, **_described(detail["executionArn"])}
    return None if detail.get("error") == TOLD else from_event(detail)


def _described(execution: str) -> dict[str, Any]:
    """The error, the cause and the input of an execution whose event does not contain them.

    An event lacks an input that would make it too long. https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    described = boto3.client("stepfunctions").describe_execution(executionArn=execution)
    return {name: described[name] for name in ("error", "cause", "input") if name in described}


def _post(content: Mapping[str, Any], channel: str) -> None:
    path = os.environ["SLACK_PARAMETER_PATH"]
    try:
        post_to(destination(path), channel, content)
    except Exception:
        destination.cache_clear()  # the setting may have changed since; the next attempt reads it again
        raise
