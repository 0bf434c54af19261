"""IAM, as far as the module's policies go: would this role be allowed this call?

Explicit denials win, then allowances count, and nothing else is allowed. Actions, resources and the conditions' values
match with * and ?. A variable in them, such as ${aws:PrincipalTag/team}, stands for what AWS knows of the call, as it
is; where AWS knows nothing, nothing matches. A condition that this does not know is an error, not a match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policy_sentry.querying.actions import get_action_data, get_actions_that_support_wildcard_arns_only

Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an API: who, what, on what, what else AWS knows of it, and the request where another call follows."""

    role: str
    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict, hash=False)
    request: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def __str__(self) -> str:
        return f"{self.role}: {self.action} on {self.resource} {dict(self.context) or ''}".rstrip()


def allowed(call: Call, statements: Iterable[Statement]) -> bool:
    """Tells whether a role with these statements may do it."""
    effects = {one["Effect"] for one in statements if _applies(one, call)}
    return "Deny" not in effects and "Allow" in effects


def trusted(call: Call, principal: str, trust: Iterable[Statement]) -> bool:
    """Tells whether a role with this trust policy may be assumed by a principal, as the call asks for it."""
    mine = [one | {"Resource": "*"} for one in map(dict, trust) if principal in many(one["Principal"].get("AWS", []))]
    return allowed(call, mine)


def actions(statements: Iterable[Statement]) -> set[str]:
    """The actions that statements allow, as they are written."""
    return {action for one in statements if one["Effect"] == "Allow" for action in many(one["Action"])}


def needlessly_wide(roles: Mapping[str, Iterable[Statement]]) -> list[str]:
    """The actions allowed on all resources although the API takes one, and the actions that do not exist."""
    wide = []
    for role, statements in roles.items():
        for statement in statements:
            for action in many(statement["Action"]):
                service, _, name = action.partition(":")
                if "*" in many(statement["Resource"]) and statement["Effect"] == "Allow":
                    takes_none = action in get_actions_that_support_wildcard_arns_only(service)
                    wide += [] if takes_none else [f"{role}: {action}"]
                if "*" not in action and not get_action_data(service, name):
                    wide.append(f"{role}: there is no {action}")
    return wide


def many(value: Any) -> list[Any]:
    """A list of values, from a list or a single value."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _applies(statement: Statement, call: Call) -> bool:
    return (
        any(_like(action.lower(), call.action.lower()) for action in many(statement["Action"]))
        and any(_like(resource, call.resource, call.context) for resource in many(statement["Resource"]))
        and all(
            _holds(operator, many(values), call.context.get(key), call.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, values: list[str], actual: str | None, context: Mapping[str, str]) -> bool:
    if operator not in {"StringEquals", "StringLike", "StringNotLike", "ArnEquals", "ArnLike"}:
        raise NotImplementedError(f"the condition {operator} is not known here; add it")
    if actual is None:
        return operator == "StringNotLike"
    if operator == "StringEquals":
        return actual in values
    return any(_like(value, actual, context) for value in values) is (operator != "StringNotLike")


_SPECIAL = re.compile(r"(\$\{[^}]+\}|[*?])")


def _like(pattern: str, text: str, context: Mapping[str, str] | None = None) -> bool:
    known = context or {}
    names = [part[2:-1] for part in _SPECIAL.findall(pattern) if part.startswith("${")]
    if any(name not in known for name in names):
        return False
    parts = (_regular(part, known) for part in _SPECIAL.split(pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _regular(part: str, known: Mapping[str, str]) -> str:
    if part.startswith("${"):
        return re.escape(known[part[2:-1]])
    return {"?": ".", "*": ".*"}.get(part, re.escape(part))
