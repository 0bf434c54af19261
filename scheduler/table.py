"""Conditional writes of the jobs' table, which are tried again where another write was in their way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError

T = TypeVar("T")

TRIES, PAUSE = 6, 0.05  # seconds, doubled each time

_PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


def changed(client: Any, **update: Any) -> bool:
    """Updates an item; returns False if the update's condition does not hold."""
    return _refused(client.update_item, update) is None


def refused(client: Any, **update: Any) -> Mapping[str, Any] | None:
    """Updates an item; returns the item that the condition does not hold for, or None if it was updated."""
    return _refused(client.update_item, {**update, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})


def _refused(write: Callable[..., Any], given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        _tried(lambda: write(**given))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        response: Mapping[str, Any] = error.response
        found: Mapping[str, Any] = response.get("Item", {})
        return found
    return None


def both(client: Any, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Updates two items together; returns False if a condition does not hold."""
    try:
        _tried(lambda: client.transact_write_items(TransactItems=[{"Update": one}, {"Update": other}]))
    except ClientError as error:
        if "ConditionalCheckFailed" not in _reasons(error):
            raise
        return False
    return True


def removed(client: Any, **deletion: Any) -> bool:
    """Deletes an item; none is no error. Returns False if there is one, and the condition does not hold for it."""
    asked = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if "ConditionExpression" in deletion else {}
    return not _refused(client.delete_item, {**deletion, **asked})


def _tried(call: Callable[[], T]) -> T:
    """Calls again while a transaction is at work on the item.

    boto3 does not: its retries know no such errors
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html).
    """
    for attempt in range(TRIES - 1):
        try:
            return call()
        except ClientError as error:
            if not _is_passing(error):
                raise
        time.sleep(PAUSE * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 keeps those that met apart
    return call()


def _is_passing(error: ClientError) -> bool:
    reasons = _reasons(error)
    is_conflict = error.response["Error"]["Code"] == "TransactionConflictException"
    return is_conflict or (bool(reasons & _PASSING) and "ConditionalCheckFailed" not in reasons)


def _reasons(error: ClientError) -> set[str]:
    return {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
