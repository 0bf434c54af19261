"""``make bench``: measures this tool beside its peers, on two embedded servers, and writes benchmarks/results/."""

from __future__ import annotations

import compileall
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import etl
from benchmarks import chart, report
from benchmarks.results import Outcome, Results, load, save
from benchmarks.rounds import SETTINGS, Work, measured, missing
from benchmarks.scenarios import SCENARIOS, Scenario, wanted
from benchmarks.tools import Unavailable

RESULTS = Path(__file__).parent / "results"

KEYS = sorted({one.key for one in SCENARIOS} | {one.key.partition("-")[0] for one in SCENARIOS})


@click.command()
@click.option("--full", is_flag=True, help="All rows, more rounds: hours. Without it, minutes.")
@click.option("--only", type=click.Choice(KEYS), multiple=True, help="Measure this scenario; the others' results stay.")
@click.option("--peer", multiple=True, help="Measure this peer alone (with `--only`, to try it).")
@click.option("--scale", type=click.FloatRange(0, min_open=True), help="Copy this part of the rows instead.")
@click.option("--rounds", type=click.IntRange(1), help="Measure so many rounds of each instead.")
@click.option("--deadline", default=3600.0, show_default=True, help="Seconds after which one copy is stopped.")
@click.option("--again", is_flag=True, help="Forget what was measured, instead of going on where it stopped.")
@click.option("--name", help="The results' file name; full or quick by default.")
@click.option("--report", "only_report", is_flag=True, help="Measure nothing: write tables and chart from the JSON.")
def main(full: bool, only: tuple[str, ...], name: str | None, only_report: bool, **more: Any) -> None:
    """Measure the same copies by this tool and by its peers, in turns, and write what came out.

    After an interruption, the same command goes on with the copies that are missing.
    """
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # handled like Ctrl-C, so that servers and clients are stopped too
    compileall.compile_dir(str(Path(etl.__file__).parent), quiet=1)  # as in the image
    file = RESULTS / f"{name or ('full' if full else 'quick')}.json"
    results = load(file)
    for scenario in [] if only_report else wanted(only, full):
        _measure(_work(scenario, full, **more), results, file, more["again"])
    _write(results, file)
    if failed := [
        f"{key}: {name}" for key, one in results.items() for name in one.missing if name.startswith("etl run")
    ]:
        raise click.ClickException(f"etl run did not copy everything: {'; '.join(failed)}")


def _work(
    scenario: Scenario, full: bool, peer: tuple[str, ...], scale: float | None, rounds: int | None, **more: Any
) -> Work:
    chosen = replace(scenario, peers=tuple(one for one in scenario.peers if one in peer)) if peer else scenario
    size = 1.0 if full else scenario.quick
    return Work(chosen, scale or size, rounds or (scenario.rounds if full else scenario.quick_rounds), more["deadline"])


def _measure(work: Work, results: Results, file: Path, again: bool) -> None:
    key, title = work.scenario.key, work.scenario.title
    known = results.get(key)
    if again or known is None or known.scale != work.scale:
        known = Outcome(title, work.scale, report.machine(SETTINGS))
    left = sum(len(missing(work, known, number)) for number in range(work.rounds))
    print(f"{key}: {title}; scale {work.scale:g}, {left} copies to measure")
    if not left:
        return
    results[key] = known
    for case in work.scenario.cases:  # a case that failed before is tried again
        known.missing.pop(case.peer, None)
        known.missing.pop(case.name, None)
    try:
        measured(work, known, lambda: save(results, file))
    except Unavailable as error:
        print(f"  {error}")
        known.missing["all"] = str(error)
    save(results, file)


def _write(results: Results, file: Path) -> None:
    text = report.markdown(results)
    file.with_suffix(".md").write_text(text, encoding="utf-8")
    if "a" in results and results["a"].cases:
        file.with_suffix(".svg").write_text(chart.svg(results["a"]), encoding="utf-8")
    print(f"\n{text}\nwritten: {file.with_suffix('.*')}")


if __name__ == "__main__":
    main()
