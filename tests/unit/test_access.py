"""The role by which parameters are read: when one is assumed, for which path, and under which name."""

from __future__ import annotations

import pytest

from etl.model.errors import ConfigurationError
from etl.settings.access import Access, access

ROLE = "arn:aws:iam::123456789012:role/nightly-etl-job-settings"
JOB = {"ETL_PARAMETER_ROLE": ROLE, "ETL_PARAMETER_PATH": "/nightly-etl/jobs/acme/", "ETL_JOB": "acme"}


def test_without_a_role_the_process_reads_by_its_own() -> None:
    """An empty variable counts as not set."""
    assert access({"ETL_PARAMETER_PATH": "/etl"}, {}) is None
    assert access({"ETL_PARAMETER_PATH": "/etl", "ETL_PARAMETER_ROLE": " "}, {}) is None


@pytest.mark.parametrize(
    ("given", "environment", "session"),
    [
        ({}, {}, "acme"),
        ({}, {"ETL_RUN_ID": "acme-20261128T020000Z"}, "acme-20261128T020000Z"),
        ({"run_id": "by:hand"}, {"ETL_RUN_ID": "another"}, "by-hand"),
        ({"run_id": "a" * 63 + "-20261128T020000Z"}, {}, "a" * 47 + "-20261128T020000Z"),
        ({"run_id": "1"}, {}, "-1"),
    ],
)
def test_a_session_is_of_the_path_and_named_after_the_run(
    given: dict[str, str], environment: dict[str, str], session: str
) -> None:
    """The path has no slash at its end; of a long name the end is kept, which has the time."""
    assert access(JOB | environment, given) == Access(ROLE, "/nightly-etl/jobs/acme", session)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ETL_PARAMETER_ROLE": "nightly-etl"}, "ETL_PARAMETER_ROLE is 'nightly-etl'; write a role's ARN"),
        ({"ETL_PARAMETER_ROLE": "arn:aws:iam::123456789012:user/x"}, "write a role's ARN"),
        ({"ETL_PARAMETER_PATH": ""}, "is not; set it (a function's event has it as settings_path, beside job)"),
        ({"ETL_PARAMETER_PATH": "/acme*"}, "ETL_PARAMETER_PATH is '/acme*'; write a path such as"),
        ({"ETL_PARAMETER_PATH": "/" + "a" * 256}, "has 257 characters, and the tag"),
    ],
)
def test_what_could_not_limit_the_role_is_refused(changed: dict[str, str], said: str) -> None:
    """Nothing is read by the process's own role in its place."""
    with pytest.raises(ConfigurationError) as caught:
        access(JOB | changed, {})
    (problem,) = caught.value.problems
    assert said in problem
