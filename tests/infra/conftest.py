"""Fixtures: the module copied, made ready, and applied in moto."""

from __future__ import annotations

import pytest

from tests.infra.terraform import Terraform, installed, workspace


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in a copy of the module, made ready."""
    installed()
    return Terraform(workspace(tmp_path_factory.mktemp("module"))).init()
