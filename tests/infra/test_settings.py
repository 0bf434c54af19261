"""Secrets that were set by hand: they outlive every change that Terraform makes around them. In moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.deployment import Deployment, deployment, put_parameter
from tests.infra.policies import allowed
from tests.infra.terraform import INFRA, installed, written

pytestmark = [pytest.mark.deploys, pytest.mark.xdist_group("deploys")]

NAME, VALUE = "/nightly-etl/operational/url", "postgresql://etl_reader:secret@shop/shop"
SETTINGS = {
    "source": str(INFRA / "modules" / "settings"),
    "name": "nightly-etl",
    "path": "/nightly-etl",
    "secrets": {"operational/url": "The source."},
    "tags": {"team": "data"},
}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The settings alone, in an account of their own."""
    installed()
    with deployment(tmp_path_factory.mktemp("settings")) as one:
        _written(one)
        one.terraform.init()
        yield one


@pytest.fixture
def made(applied: Deployment) -> Deployment:
    """The settings as they were, and the secret set by hand as infra/README.md says."""
    _written(applied)
    _applied(applied)
    applied.recorder.calls.clear()
    applied.client("ssm").put_parameter(**put_parameter(NAME, VALUE))
    return applied


def _written(made: Deployment, **changed: Any) -> None:
    settings = {**SETTINGS, **changed}
    output = {"read_statements": {"value": "${module.settings.read_statements}"}}
    written(made.terraform.folder, "main.tf.json", {"module": {"settings": settings}, "output": output})


def _applied(made: Deployment) -> str:
    return made.terraform("apply", "-no-color", "-auto-approve", "-input=false").stdout


def _kept(made: Deployment) -> str:
    value: str = made.client("ssm").get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"]
    return value


def test_changed_arguments_leave_the_value_alone(made: Deployment) -> None:
    """The description and the tags: the apply succeeds, the value is as it was set, a second plan has nothing to do."""
    assert made.terraform.changes() == []
    _written(made, secrets={"operational/url": "The shop."}, tags={"team": "shop"})
    assert "Check block assertion failed" not in _applied(made)
    assert (_kept(made), made.terraform.changes()) == (VALUE, [])


def test_a_changed_tier_leaves_the_value_alone(made: Deployment) -> None:
    """Whoever set a value of more than 4 KB chose the advanced tier; Terraform does not take it back."""
    made.client("ssm").put_parameter(**put_parameter(NAME, VALUE), Tier="Advanced")
    assert made.terraform.changes() == []
    _applied(made)
    assert _kept(made) == VALUE


def test_the_job_may_decrypt_what_was_set_as_the_readme_says(made: Deployment) -> None:
    """Without --key-id Parameter Store takes the account's own key; the job may not use it, and the plan says so."""
    made.recorder.add("job", "kms:Decrypt", "/nightly-etl/*")
    statements = made.terraform.outputs()["read_statements"]
    (call,) = made.calls()
    assert allowed(call, statements), call
    named = put_parameter(NAME, VALUE)
    del named["KeyId"]
    made.client("ssm").put_parameter(**named)
    (call,) = made.calls()
    assert not allowed(call, statements), call
    assert f"{NAME} (alias/aws/ssm)" in made.terraform("plan", "-no-color", "-input=false").stdout


def test_a_changed_key_leaves_the_value_alone_and_is_told(made: Deployment) -> None:
    """The value stays under the key that encrypted it; the apply says how to set it with the new one."""
    key = made.client("kms").create_key()["KeyMetadata"]["Arn"]
    _written(made, create_kms_key=False, kms_key_arn=key)
    said = " ".join(_applied(made).replace("│", " ").split())
    assert f"Set it again, with --key-id {key}" in said, said
    assert NAME in said
    assert (_kept(made), made.terraform.changes()) == (VALUE, [])
    made.client("ssm").put_parameter(**put_parameter(NAME, VALUE) | {"KeyId": key})
    assert "Check block assertion failed" not in _applied(made)
