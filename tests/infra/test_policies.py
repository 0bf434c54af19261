"""The IAM of the tests: what it allows and denies, so that "every call is allowed" means something."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.policies import Call, actions, allowed, trusted

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


TAGGED = {
    "Effect": "Allow",
    "Action": "ssm:GetParametersByPath",
    "Resource": ["arn:aws:ssm:eu-central-1:123456789012:parameter${aws:PrincipalTag/path}/*"],
}


@pytest.mark.parametrize(
    ("tags", "path", "expected"),
    [
        ({"path": "/jobs/acme"}, "/jobs/acme/operational/url", True),
        ({"path": "/jobs/acme"}, "/jobs/acme2/operational/url", False),
        ({"path": "/jobs/acme*"}, "/jobs/acme2/operational/url", False),
        ({"path": "/jobs/acm?"}, "/jobs/acme/operational/url", False),
        ({"path": ""}, "/jobs/acme/operational/url", True),
        ({}, "/jobs/acme/operational/url", False),
        ({"other": "/jobs/acme"}, "/jobs/acme/operational/url", False),
    ],
)
def test_a_variable_stands_for_what_the_call_has(tags: dict[str, str], path: str, expected: bool) -> None:
    """Character by character, also a star; without it nothing matches."""
    context = {f"aws:PrincipalTag/{name}": value for name, value in tags.items()}
    read = _read(path)
    assert allowed(Call(read.role, read.action, read.resource, context), [TAGGED]) is expected


TRUST = {
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"AWS": ["arn:aws:iam::123456789012:role/job"]},
    "Condition": {"StringLike": {"aws:RequestTag/path": "/jobs/?*"}, "StringNotLike": {"aws:RequestTag/path": "*/"}},
}


@pytest.mark.parametrize(
    ("principal", "context", "expected"),
    [
        ("job", {"aws:RequestTag/path": "/jobs/acme"}, True),
        ("job", {"aws:RequestTag/path": "/jobs/"}, False),
        ("job", {"aws:RequestTag/path": "/jobs/acme/"}, False),
        ("job", {}, False),
        ("another", {"aws:RequestTag/path": "/jobs/acme"}, False),
    ],
)
def test_a_role_is_assumed_as_its_trust_has_it(principal: str, context: dict[str, str], expected: bool) -> None:
    """By a principal that it names, where its conditions hold."""
    call = Call(principal, "sts:AssumeRole", "arn:aws:iam::123456789012:role/settings", context)
    assert trusted(call, f"arn:aws:iam::123456789012:role/{principal}", [TRUST]) is expected


def test_a_condition_that_is_not_known_is_an_error() -> None:
    """Nothing passes because this does not understand it."""
    odd = {**READ, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    with pytest.raises(NotImplementedError, match="IpAddress"):
        allowed(_read("/etl/prod"), [odd])


def test_allowed_actions_are_listed_and_denied_ones_are_not() -> None:
    """One or many in a statement."""
    assert actions([READ, PASS, NO_ETL]) == {"ssm:GetParametersByPath", "iam:PassRole"}
