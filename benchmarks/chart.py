"""The chart of one scenario: a bar for each peer's median time, with its spread; the limit is a line."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.measure import Spread
from benchmarks.peers import PEERS
from benchmarks.report import OURS, wall
from benchmarks.results import Outcome

WIDTH, LEFT, RIGHT, ROW, TOP = 780, 210, 140, 26, 58
LIMIT = "limit"

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-size: 14px; font-weight: 600 }
.bar { fill: #a8b3bd } .ours { fill: #2f81f7 } .name-ours { font-weight: 600 }
.spread, .limit { stroke: #57606a; stroke-width: 1 } .limit { stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .bar { fill: #4b535d } .spread, .limit { stroke: #9198a1 }
}
"""


def svg(outcome: Outcome) -> str:
    """The chart of an outcome's wall times, the fastest first."""
    spreads = {case: spread for case in outcome.cases if (spread := outcome.spread(case, wall))}
    limit = spreads.pop(LIMIT, None)
    bars = sorted(spreads.items(), key=lambda each: each[1].median)
    height = TOP + ROW * len(bars) + 24
    most = max([spread.high for spread in spreads.values()] + ([limit.high] if limit else []))
    per_second = (WIDTH - LEFT - RIGHT) / most
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    lines = [head, f"<style>{STYLE}</style>", *_titles(outcome)]
    for number, (name, spread) in enumerate(bars):
        lines += _bar(name, spread, TOP + ROW * number, per_second)
    if limit:
        lines += _limit(limit, height, per_second)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _titles(outcome: Outcome) -> Iterator[str]:
    size = "" if outcome.scale == 1 else f" — at {outcome.scale:g} of its size: a trial, not a result"
    yield f'<text x="8" y="20" class="title">Seconds for {escape(outcome.title)}</text>'
    said = f"PostgreSQL {outcome.postgres.split()[0]}, median and spread of {_rounds(outcome)}, in turns{size}"
    yield f'<text x="8" y="40">{escape(said)}</text>'


def _bar(name: str, spread: Spread, top: int, per_second: float) -> Iterator[str]:
    kind = "ours" if name.startswith(OURS) else "theirs"
    middle = top + ROW / 2
    yield f'<text x="{LEFT - 8}" y="{middle + 4:.0f}" text-anchor="end" class="name-{kind}">{escape(name)}</text>'
    box = f'x="{LEFT}" y="{top + 4}" width="{spread.median * per_second:.1f}" height="{ROW - 8}"'
    yield f'<rect {box} class="bar {kind}"/>'
    without = "" if name not in PEERS or PEERS[name].indexes else ", no indexes"
    low, high = (LEFT + value * per_second for value in (spread.low, spread.high))
    yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" class="spread"/>'
    yield f'<text x="{high + 6:.1f}" y="{middle + 4:.0f}">{_seconds(spread.median)}{without}</text>'


def _limit(limit: Spread, height: int, per_second: float) -> Iterator[str]:
    at = LEFT + limit.median * per_second
    yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 4}" y2="{height - 20}" class="limit"/>'
    yield f'<text x="{at:.1f}" y="{height - 6}" text-anchor="middle">the servers alone: {_seconds(limit.median)}</text>'


def _rounds(outcome: Outcome) -> str:
    number = len(outcome.rounds)
    return f"{number} round{'s' if number > 1 else ''}"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
