"""tests/README.md: the map from what is tested to its tests is complete, and names nothing that is gone."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent

ROWS = re.findall(r"^\| (`.*`) \| (`.*`) \|$", (TESTS / "README.md").read_text(), re.MULTILINE)


def named(column: int) -> set[str]:
    """The paths that a column names."""
    return {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[column])}


def files(folder: Path, pattern: str, start: Path) -> set[str]:
    """The paths of a folder's files, from where the map's column starts."""
    return {str(path.relative_to(start)) for path in folder.rglob(pattern)}


def test_each_module_of_the_runner_has_its_tests() -> None:
    """A new module is in a row, with the tests that are about it."""
    assert files(ROOT / "etl", "*.py", ROOT) - named(0) - files(ROOT / "etl", "__init__.py", ROOT) == set()


def test_each_test_file_is_about_something() -> None:
    """A new test file is in a row."""
    assert files(TESTS, "test_*.py", TESTS) - named(1) == set()


def test_the_map_names_nothing_that_is_gone() -> None:
    """What was moved or deleted is in no row."""
    assert [name for name in named(0) if not (ROOT / name).exists()] == []
    assert [name for name in named(1) if not (TESTS / name).is_file()] == []
