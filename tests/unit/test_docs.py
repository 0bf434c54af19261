"""Links within the documentation work; decisions and the code that rests on them name each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.model.shape import TableOptions
from statemachine.notifier.remedy import anchor

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "infra", "benchmarks", "etl", "tests", ".github")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
DECISIONS = ROOT / "docs" / "decisions.md"
CODE = [file for folder in ("etl", "scheduler", "statemachine", "infra") for file in (ROOT / folder).rglob("*.*")]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^(`{3,}).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    """The headings of a page."""
    return re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, without those outside the project."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if not link.startswith(("https://", "http://", "mailto:"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """The file exists, and it has the heading after #."""
    for link in links(page):
        name, _, wanted = link.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), link
        assert not wanted or wanted in {anchor(heading.replace("`", "")) for heading in headings(file)}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_path_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    """A page that names ``etl/loads/load.py`` fails the test when the file is moved.

    A path may start at the project's root, or at the page's own folder.
    """
    for path in re.findall(
        r"`((?:etl|scheduler|tests|statemachine|infra|docs|demo|benchmarks)/[\w./-]+\.(?:py|sql|md|tf|json|svg))`",
        prose(page),
    ):
        assert (ROOT / path).exists() or (page.parent / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_marks_of_a_merge(page: Path) -> None:
    """A conflict that was committed."""
    assert not re.search(r"^(<{7} |={7}$|>{7} )", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_each_option_has_a_row_in_the_table_of_options() -> None:
    """And no option that there is not."""
    table = re.search(
        r"^\| option \|.*?\n\n", (ROOT / "docs" / "options.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert table is not None
    rows = re.findall(r"^\| (`.*?) \|", table[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(TableOptions.model_fields)


def test_code_and_decisions_name_each_other() -> None:
    """Every title that code names is a heading, and code names each heading."""
    texts = [file.read_text(encoding="utf-8") for file in CODE if file.suffix in {".py", ".sql", ".tf"}]
    named = {title for text in texts for title in re.findall(r'docs/decisions\.md, "([^"]+)"', text)}
    assert named == set(headings(DECISIONS)[1:])


def test_each_kind_of_obstacle_names_a_test_that_is_there() -> None:
    """The rows of "What stands in the way, by kind" in docs/guarantees.md: files and functions of tests/integration."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    section = text.partition("\n## What stands in the way, by kind\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!kind |---|\*\*)(.*?) \| (.*?) \|$", section, re.MULTILINE)
    assert len(rows) > 25
    for kind, tests in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
        assert named, kind
        for file, function in named:
            code = (ROOT / "tests" / "integration" / file).read_text(encoding="utf-8")
            assert re.search(rf"^def {function}\(", code, re.MULTILINE), f"{kind}: {file} has no {function}"
