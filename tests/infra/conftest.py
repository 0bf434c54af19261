"""Fixtures: a copy of the module, initialized, and applied in moto."""

from __future__ import annotations

import pytest

from tests.infra.terraform import Terraform, installed, workspace


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform, initialized in a copy of the module."""
    installed()
    return Terraform(workspace(tmp_path_factory.mktemp("module"))).init()
