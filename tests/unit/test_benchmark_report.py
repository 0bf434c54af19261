"""The benchmark's report: ratios, targets, tables, the chart, and how a benchmark continues after an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart, report, results
from benchmarks.measure import Spread
from benchmarks.peers import CURSOR, PEERS
from benchmarks.report import TARGETS, markdown, wall
from benchmarks.results import Outcome, Run
from benchmarks.rounds import Work, missing
from benchmarks.scenarios import SCENARIOS, Case, Way, wanted

SVG = "{http://www.w3.org/2000/svg}"


def run(seconds: float, **more: float) -> Run:
    return Run(seconds, seconds / 2, 50_000_000, 1.0, 1.0, dict(more))


def outcome(*rounds: dict[str, float], scale: float = 1.0) -> Outcome:
    measured = [{name: run(seconds) for name, seconds in one.items()} for one in rounds]
    return Outcome("one job", scale, {"machine": "two cores"}, "18.4", 1000, 10_000, 10**9, rounds=measured)


def target(what: str) -> report.Target:
    (found,) = [one for one in TARGETS if one.what == what]
    return found


def test_a_ratio_is_that_of_the_medians_between_the_extremes_of_single_rounds() -> None:
    """Three rounds: medians 2 and 4; the rounds' own ratios are 0.25, 0.5 and 3."""
    figures = outcome({"etl run": 1, "sling": 4}, {"etl run": 2, "sling": 4}, {"etl run": 9, "sling": 3})
    assert figures.ratio("etl run", "sling", wall) == Spread(0.25, 0.5, 3)


def test_a_ratio_counts_only_rounds_that_have_both() -> None:
    """A round in which one of the two peers failed does not count."""
    figures = outcome({"etl run": 1, "sling": 4}, {"etl run": 50}, {"sling": 90})
    assert figures.ratio("etl run", "sling", wall) == Spread(0.25, 0.25, 0.25)
    assert figures.ratio("etl run", "dlt", wall) is None


def test_time_per_byte_is_compared_across_sizes() -> None:
    """Ten times the bytes in eleven times the seconds is 1.1 times the time per byte."""
    small, large = outcome({"etl run": 2}), replace(outcome({"etl run": 22}), bytes=10 * 10**9)
    spread = target("b: time per byte, 5 GB beside 0.5 GB").measured({"b-0.5": small, "b-5": large})
    assert spread is not None
    assert spread.median == pytest.approx(1.1)


def test_a_tiny_tables_time_is_the_runs_by_the_number_of_tables() -> None:
    """Eight seconds for 1,000 tables are 8 ms each."""
    spread = target("c: a tiny table, of 1,000").measured({"c-1000": outcome({"etl run": 8})})
    assert spread == Spread(8, 8, 8)


def test_the_publish_is_read_from_what_etl_run_logged() -> None:
    """The seconds of run.published, not of the whole run."""
    figures = outcome({"etl run": 8})
    figures.rounds[0]["etl run, again"] = run(9, publish=1.5)
    assert target("c: publish of 1,000 tables over 1,000").measured({"c-1000": figures}) == Spread(1.5, 1.5, 1.5)


@pytest.mark.parametrize(("seconds", "verdict"), [(5.0, "met"), (7.0, "**missed**")])
def test_the_report_says_whether_a_target_is_met(seconds: float, verdict: str) -> None:
    """At most 0.60 of pgcopydb's ten seconds."""
    text = markdown({"a": outcome({"etl run": seconds, "pgcopydb": 10})})
    (line,) = [line for line in text.splitlines() if line.startswith("| a: wall beside pgcopydb")]
    assert line.endswith(f"**{seconds / 10:.2f}** – {seconds / 10:.2f} | {verdict} |")


def test_a_trial_at_less_than_full_size_claims_nothing() -> None:
    """The report says at its head that the trial proves nothing, and no target counts as met or missed."""
    text = markdown({"a": outcome({"etl run": 5, "pgcopydb": 10}, scale=0.1)})
    assert "Not at full size" in text
    assert "| met |" not in text


def test_what_a_peer_does_not_do_stands_beside_its_figure() -> None:
    """For every way, as long as the name of the peer leaves room."""
    figures = outcome({"etl run": 5, "sling": 40})
    (line,) = [line for line in markdown({"a": figures}).splitlines() if line.startswith("| sling |")]
    assert line.endswith("no indexes, types change, no snapshot over tables, no atomic publish, no ANALYZE |")


def test_the_rows_that_a_peer_missed_stand_beside_its_figure() -> None:
    """The most of any round; the limit's were compared, and none was missed. Other scenarios have no such column."""
    figures = outcome({"etl run, changes": 5, "limit": 2, "dlt, incremental": 8}, {"dlt, incremental": 9})
    for number, deleted in enumerate((1200, 1300)):
        one = figures.rounds[number]["dlt, incremental"]
        figures.rounds[number]["dlt, incremental"] = replace(one, missed={"deleted": deleted, "changed": 0, "new": 2})
    figures.rounds[0]["limit"] = replace(figures.rounds[0]["limit"], missed={"deleted": 0, "changed": 0, "new": 0})
    lines = markdown({"night-1": figures}).splitlines()
    (dlt,) = [line for line in lines if line.startswith("| dlt, incremental |")]
    (limit,) = [line for line in lines if line.startswith("| limit |")]
    assert "| 1,300 deleted, 2 new | needs a column `updated_at`" in dlt
    assert "| 0 | no client" in limit
    (head,) = [number for number, line in enumerate(lines) if "rows missed" in line]
    assert {line.count("|") for line in (*lines[head : head + 2], dlt, limit)} == {11}
    assert "rows missed" not in markdown({"a": outcome({"etl run": 5})})


def test_who_could_not_be_measured_is_named_with_the_reason() -> None:
    """The report names a peer that is missing, and the reason."""
    figures = outcome({"etl run": 5})
    figures.missing["psql | psql"] = "stopped after 60 s"
    assert "- psql \\| psql was not measured: stopped after 60 s" in markdown({"a": figures})


def test_the_steps_of_a_copy_are_told_where_it_told_them() -> None:
    """The three steps of the limit, and the publish of etl run."""
    figures = outcome({})
    figures.rounds[0]["limit"] = run(9, out=2, indexes=3)
    assert "- limit, of which out 2.00 – **2.00** – 2.00 s, indexes 3.00 – **3.00** – 3.00 s" in markdown(
        {"a": figures}
    )


def test_results_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    """Reading the results file gives the results that were written; an interrupted benchmark needs this."""
    kept = {"a": outcome({"etl run": 5, "sling": 40}), "b-5": outcome()}
    results.save(kept, tmp_path / "full.json")
    assert results.load(tmp_path / "full.json") == kept
    assert results.load(tmp_path / "none.json") == {}


def test_an_interrupted_round_goes_on_with_the_cases_it_lacks() -> None:
    """The first round has one case, the second none yet."""
    scenario = replace(SCENARIOS[0], peers=("etl run", "sling"))
    work, figures = Work(scenario, 1.0, 2, 60.0), outcome({"etl run": 5})
    assert missing(work, figures, 0) == [Case("sling")]
    assert missing(work, figures, 1) == [Case("etl run"), Case("sling")]


def test_rounds_measured_with_two_versions_say_so() -> None:
    """The report warns when a benchmark continued after a commit, because such rounds cannot be compared."""
    figures = outcome()
    for version in ("0.1.0 (a)", "0.1.0 (b)", "0.1.0 (b)"):
        figures.met("etl run", version)
    assert figures.versions == {"etl run": "0.1.0 (a) → 0.1.0 (b)"}


def test_scenarios_are_chosen_by_key_or_by_letter() -> None:
    """``a`` is one scenario; ``b`` stands for both of its sizes."""
    assert [one.key for one in wanted(("a",), full=True)] == ["a"]
    assert [one.key for one in wanted(("b",), full=True)] == ["b-0.5", "b-5"]
    assert "b-5" not in [one.key for one in wanted((), full=False)]


def test_a_case_is_named_by_its_peer_and_its_way() -> None:
    """The name leaves out the direct way."""
    assert Case("etl run").name == "etl run"
    assert Case("etl run", Way.TLS).name == "etl run, TLS"


def test_every_scenario_names_peers_that_there_are() -> None:
    """Every scenario also has this tool among its peers, and a unique key."""
    for scenario in SCENARIOS:
        assert set(scenario.peers) <= set(PEERS)
        assert {"etl run", "the stream alone", "etl run, changes"} & set(scenario.peers)
    assert len({one.key for one in SCENARIOS}) == len(SCENARIOS)


def test_a_night_compares_all_rows_and_gives_each_change_its_time() -> None:
    """Tools with a cursor need ``updated_at``: every statement that changes or adds rows of a day maintains it."""
    nights = wanted(("night",), full=True)
    assert {one.key for one in nights} == {"night-0", "night-1", "night-10", "night-5gb-0", "night-5gb-1"}
    for night in nights:
        assert night.compare
        assert {"sling, incremental", "dlt, incremental"} <= set(night.peers)
        assert all("ADD updated_at timestamptz" in table.made(1) for table in night.tables)
        day = night.change.replace("{night}", "3")
        assert "{" not in day
        assert day.count("updated_at = timestamptz") == day.count("UPDATE ")
        assert day.count("* interval '1 microsecond' FROM") == day.count("INSERT INTO ")


def test_a_peer_that_may_miss_rows_says_that_it_needs_a_cursor() -> None:
    """No other peer may miss rows."""
    assert [name for name, one in PEERS.items() if one.incremental] == ["sling, incremental", "dlt, incremental"]
    assert all(CURSOR in one.lacks for one in PEERS.values() if one.incremental)


def test_the_charts_bars_are_as_long_as_their_medians() -> None:
    """The fastest bar comes first, this tool's bar is marked, and the peer's name is not changed."""
    figures = outcome({"psql | psql": 10, "etl run": 5, "a <b>": 20, "limit": 4})
    root = ElementTree.fromstring(chart.svg(figures))
    bars = [(one.get("class"), float(str(one.get("width")))) for one in root.iter(f"{SVG}rect")]
    assert [kind for kind, _ in bars] == ["bar ours", "bar theirs", "bar theirs"]
    assert bars[1][1] == pytest.approx(2 * bars[0][1], abs=0.2)
    assert bars[2][1] == pytest.approx(4 * bars[0][1], abs=0.2)
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert [words.index(name) for name in ("etl run", "psql | psql", "a <b>")] == sorted(
        words.index(name) for name in ("etl run", "psql | psql", "a <b>")
    )
    assert "the servers alone: 4.00 s" in words


def test_the_chart_says_whose_bar_has_no_indexes_in_it() -> None:
    """The chart says which peers copy no indexes, because they do less work."""
    words = [
        one.text for one in ElementTree.fromstring(chart.svg(outcome({"etl run": 5, "dlt": 20}))).iter(f"{SVG}text")
    ]
    assert "20.0 s, no indexes" in words
    assert "5.00 s" in words


def test_a_chart_of_a_trial_says_that_it_is_one() -> None:
    """Otherwise readers could take the trial for a result."""
    assert "a trial, not a result" in chart.svg(outcome({"etl run": 5}, scale=0.01))
    assert "a trial" not in chart.svg(outcome({"etl run": 5}))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.5, 1.25, 2), "0.50 – **1.25** – 2.00"),
        ((9, 12.34, 20), "9.0 – **12.3** – 20.0"),
        ((1, 100, 250), "1 – **100** – 250"),
    ],
)
def test_figures_have_three_digits(values: tuple[float, float, float], shown: str) -> None:
    """More digits would claim more precision than the measurement has."""
    assert report.show(Spread(*values)) == shown
