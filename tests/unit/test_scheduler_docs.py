"""docs/scheduler.md says what the code does: the costs, which are computed, and the events."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from textwrap import dedent

import pytest

from docs import scheduler_costs
from docs.scheduler_costs import PRICES, month
from etl.model.name import Relation
from etl.model.shape import Rename
from etl.settings.options import Options
from scheduler.cli.file import read
from scheduler.cli.keys import LONGEST_WINDOW
from scheduler.log import NAMESPACE
from scheduler.tick import Ticked

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "infra" / "modules" / "scheduler"
PAGE = (ROOT / "docs" / "scheduler.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_as_it_is_computed() -> None:
    """``make reference`` writes it."""
    assert scheduler_costs.main(check=True) == 0


def test_the_way_to_three_tenants_nights_has_a_file_that_is_taken(tmp_path: Path) -> None:
    """Whoever follows the page gets three jobs, each with its own settings under the path that the page puts them."""
    file = tmp_path / "jobs.toml"
    way = PAGE.partition("## From nothing to three tenants' nights\n")[2].partition("\n## ")[0]
    found = re.search(r"```toml\n(.*?)```", way, re.DOTALL)
    assert found is not None
    file.write_text(dedent(found[1]))
    jobs = read(file, "/nightly-etl/jobs").jobs
    assert {job: wanted.job.settings_path for job, wanted in jobs.items()} == {
        job: f"/nightly-etl/jobs/{job}" for job in ("acme", "globex", "initech")
    }
    assert re.findall(r"^   \$  put (\w+)/(\S+)", way, re.MULTILINE) == [
        ("acme", name) for name in ("operational/url", "reporting/url", "tables", "options")
    ]
    options = re.search(r"put acme/options '(.*?)'", way, re.DOTALL)
    assert options is not None
    assert Options.parse(dedent(f"   {options[1]}")).of(Relation("public", "orders")).rename == Rename("acme", None)


def test_a_tenfold_of_jobs_costs_at_most_a_tenfold() -> None:
    """What does not depend on the jobs is the tick, the polls, the metrics and the alarms."""
    assert month(0).scheduler == pytest.approx(3.9, abs=0.5)
    assert month(100_000).scheduler < 10 * month(10_000).scheduler


def test_the_text_names_the_least_and_the_most() -> None:
    """Of the table's three rows, in whole dollars."""
    found = re.search(r"which costs (\d+) to (\d+) dollars a month", PAGE)
    assert found is not None
    assert [int(found[1]), int(found[2])] == [round(month(jobs).scheduler) for jobs in (100, 100_000)]


def test_each_price_has_its_page() -> None:
    """One of AWS's own."""
    assert all(price.source.startswith("https://aws.amazon.com/") for price in PRICES.values())


def test_each_event_has_a_row() -> None:
    """And no event that there is not."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "scheduler").glob("*.py"))
    logged = set(re.findall(r"\b(?:line|measured)\(f?\"([^\"{]+)\"", code))
    assert 'line(f"run.{what}"' in code
    logged |= {f"run.{what}" for what in re.findall(r"_left\(.*what=\"(\w+)\"", code)}
    section = PAGE.partition("## What it logs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| (?:tick|runner|ended|, )+ \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == logged


def test_the_metrics_are_named() -> None:
    """Those of a tick are its numbers."""
    section = PAGE.partition("## What it logs\n")[2].partition("\n## ")[0]
    assert all(f"`{field.name}`" in section for field in fields(Ticked))
    assert all(f"`{name}`" in section for name in ("late_seconds", "waits", NAMESPACE, "deployment"))


def test_the_queues_keep_a_due_time_for_longer_than_any_window() -> None:
    """So that the runner starts it, or counts it as missed, however long it did not work."""
    kept = re.findall(r"message_retention_seconds\s*= (\d+)", (MODULE / "main.tf").read_text(encoding="utf-8"))
    assert len(kept) == 3
    assert min(map(int, kept)) > LONGEST_WINDOW.total_seconds()
