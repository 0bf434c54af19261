"""Fixtures: a copy of the module, initialized, and applied in moto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.terraform import Terraform, installed, workspace


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform, initialized in a copy of the module, with a provider that runs already."""
    installed()
    with Terraform(workspace(tmp_path_factory.mktemp("module"))).init().attached() as attached:
        yield attached
