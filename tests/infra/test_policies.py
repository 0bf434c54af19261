"""The IAM of the tests: what it allows and denies, so that "every call is allowed" means something."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.policies import Call, actions, allowed

READ = {
    "Effect": "Allow",
    "Action": ["ssm:GetParametersByPath"],
    "Resource": ["arn:aws:ssm:eu-central-1:123456789012:parameter/etl/*"],
}
PASS = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": "*",
    "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
}
NO_ETL = {"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}


def _read(path: str, action: str = "ssm:GetParametersByPath") -> Call:
    return Call("job", action, f"arn:aws:ssm:eu-central-1:123456789012:parameter{path}")


@pytest.mark.parametrize(
    ("call", "statements", "expected"),
    [
        (_read("/etl/prod"), [READ], True),
        (_read("/etl-slack/webhook_url"), [READ], False),
        (_read("/etl/prod", "SSM:getparametersbypath"), [READ], True),
        (_read("/etl/prod", "ssm:PutParameter"), [READ], False),
        (_read("/etl/prod"), [READ, NO_ETL], False),
        (_read("/etl/prod"), [], False),
        (Call("machine", "iam:PassRole", "arn:r", {"iam:PassedToService": "ecs-tasks.amazonaws.com"}), [PASS], True),
        (Call("machine", "iam:PassRole", "arn:r", {"iam:PassedToService": "lambda.amazonaws.com"}), [PASS], False),
        (Call("machine", "iam:PassRole", "arn:r"), [PASS], False),
    ],
)
def test_a_call_is_allowed_as_iam_would(call: Call, statements: list[dict[str, Any]], expected: bool) -> None:
    """Denials win; resources and actions match whole; a condition on what is not known does not hold."""
    assert allowed(call, statements) is expected


def test_a_condition_that_is_not_known_is_an_error() -> None:
    """Nothing passes because this does not understand it."""
    odd = {**READ, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    with pytest.raises(NotImplementedError, match="IpAddress"):
        allowed(_read("/etl/prod"), [odd])


def test_allowed_actions_are_listed_and_denied_ones_are_not() -> None:
    """One or many in a statement."""
    assert actions([READ, PASS, NO_ETL]) == {"ssm:GetParametersByPath", "iam:PassRole"}
