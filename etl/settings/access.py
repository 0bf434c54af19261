"""How this process may read Parameter Store: by its own role, or by one that it assumes for its path alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from etl.model import limits
from etl.model.errors import ConfigurationError
from etl.settings import values
from etl.settings.found import JOB, PARAMETER_PATH, PARAMETER_ROLE, RUN_ID

TAG = "settings_path"
"""The session tag that holds the path. The role's policy allows what is under it: infra/jobs.tf."""

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", re.ASCII)
_NOT_IN_A_SESSION = re.compile(r"[^\w+=,.@-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Access:
    """A role to assume, the path with which its session is tagged, and the session's name, which CloudTrail shows."""

    role: str
    path: str
    session: str


def access(environment: Mapping[str, str], given: Mapping[str, str]) -> Access | None:
    """The role by which parameters are read; None if it is the process's own.

    ``given`` has the settings of the command line or of an event. Raises ConfigurationError.
    """
    role = environment.get(PARAMETER_ROLE, "").strip()
    if not role:
        return None
    if not _ROLE.fullmatch(role):
        raise ConfigurationError(
            f"{PARAMETER_ROLE} is {role!r}; write a role's ARN, such as arn:aws:iam::123456789012:role/nightly-etl"
        )
    return Access(role, _path(environment), _session(given.get("run_id") or environment.get(RUN_ID, ""), environment))


def _path(environment: Mapping[str, str]) -> str:
    text = environment.get(PARAMETER_PATH, "").strip()
    if not text:
        raise ConfigurationError(
            f"{PARAMETER_ROLE} is set, and {PARAMETER_PATH}, under which that role may read, is not; set it (a"
            " function's event has it as settings_path, beside job)"
        )
    try:
        path = values.path(text)
    except ValueError as error:
        raise ConfigurationError(f"{PARAMETER_PATH} {error}") from None
    if len(path) > limits.MOST_TAG_CHARACTERS:
        raise ConfigurationError(
            f"{PARAMETER_PATH} has {len(path)} characters, and the tag by which {PARAMETER_ROLE} is limited to it takes"
            f" {limits.MOST_TAG_CHARACTERS}; move the settings to a shorter path"
        )
    return path


def _session(run_id: str, environment: Mapping[str, str]) -> str:
    """The end of the run's id, which has the time, or else the job."""
    name = run_id or environment.get(JOB, "").strip() or "nightly-etl"
    return _NOT_IN_A_SESSION.sub("-", name)[-limits.MOST_SESSION_CHARACTERS :].rjust(2, "-")
