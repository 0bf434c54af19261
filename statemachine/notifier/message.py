"""The message: Block Kit from an outcome, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .links import Console
from .outcome import FailedTable, Outcome, Slow

# Slack's limits (docs.slack.dev/reference/block-kit/blocks): 50 blocks, 3000 characters a text, 2000 a field,
# 150 a header. A message that is over one of them is refused as a whole.
MOST_TEXT = 3000
MOST_FIELD = 2000
MOST_HEADER = 150
MOST_LINES = 20
MOST_ERROR = 300

_MINUTE, _HOUR = 60, 3600
_SAME = 0.05  # a change that is smaller is the night's noise


def message(outcome: Outcome, console: Console) -> dict[str, Any]:
    """Gives the blocks, and the plain text for notifications and screen readers."""
    title = headline(outcome)
    blocks = [
        _header(title),
        *_facts(outcome),
        *_section("*What failed*\n" + quoted(outcome.why) if outcome.why else ""),
        *_section(escaped(outcome.note, MOST_TEXT // 6)),
        *_section(_list("Failed tables", [_failed(failed) for failed in outcome.failed], outcome.failed_count)),
        *_section(_list("Slowest tables", [_slow(slow) for slow in outcome.slowest], len(outcome.slowest))),
        _context(_links(outcome, console)),
    ]
    return {"text": escaped(_plain(outcome, title), MOST_TEXT), "blocks": blocks}


def headline(outcome: Outcome) -> str:
    """Says in one line how a run ended."""
    name = f"nightly-etl {outcome.run_id}"
    if outcome.well:
        counted = f": {outcome.tables:,} tables" if outcome.tables is not None else ""
        return f"✅ {name} is published{counted}"
    if outcome.end:
        return f"❌ {name} {outcome.end}"
    if outcome.status == "published":
        return f"⚠️ {name} is published, but what came after it failed"
    return f"❌ {name} failed: nothing is published" if outcome.status != "unknown" else f"❌ {name} failed"


def escaped(text: str, most: int) -> str:
    """Gives text that Slack shows as it is: no mention, no link, no markup of its own; cut to ``most`` characters."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str, most: int = 200) -> str:
    """Gives text as code, in which Slack reads no markup; what would end the code is replaced."""
    return f"`{escaped(' '.join(text.split()).replace('`', 'ˋ'), most)}`"


def quoted(text: str) -> str:
    """Gives an error as a block of code, its first lines."""
    lines = [line for line in text.replace("`", "ˋ").splitlines() if line.strip()][:10]
    return f"```{escaped(chr(10).join(lines), MOST_TEXT // 6)}```"


def duration(seconds: float) -> str:
    """Gives seconds as people say them."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def size(number: int) -> str:
    """Gives bytes with a decimal prefix."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def change(seconds: float, median: float | None) -> str:
    """Says how a duration compares with the median of the last runs."""
    if not median:
        return "no run before"
    by = seconds / median - 1
    return "as usual" if abs(by) < _SAME else f"{by:+,.0%}".replace("%", " %")


def lines_within(lines: Sequence[str], count: int, most: int) -> str:
    """Gives as many lines as fit, and how many more there are of ``count``."""
    kept: list[str] = []
    room = most - len("… and 1,000,000 more")
    for line in lines[:MOST_LINES]:
        if len(line) + 1 > room:
            break
        kept.append(line)
        room -= len(line) + 1
    left = count - len(kept)
    return "\n".join([*kept, *([f"… and {left:,} more"] if left else [])])


def _facts(outcome: Outcome) -> list[dict[str, Any]]:
    facts: Mapping[str, str | None] = {
        "Run": code(outcome.run_id),
        "Snapshot": _moment(outcome.snapshot_at),
        "Duration": duration(outcome.seconds) if outcome.seconds is not None else None,
        "Rows": f"{outcome.rows:,}" if outcome.rows is not None else None,
        "Data": size(outcome.bytes) if outcome.bytes is not None else None,
        "Ended": _moment(outcome.finished_at),
    }
    fields = [_text(f"*{name}*\n{fact}"[:MOST_FIELD]) for name, fact in facts.items() if fact is not None]
    return [{"type": "section", "fields": fields}]


def _slow(slow: Slow) -> str:
    rows = f", {slow.rows:,} rows" if slow.rows is not None else ""
    return f"• {code(slow.table)} {duration(slow.seconds)} ({change(slow.seconds, slow.median_seconds)}){rows}"


def _failed(failed: FailedTable) -> str:
    first = next((line for line in failed.error.splitlines() if line.strip()), "no error was recorded")
    return f"• {code(failed.table)} {escaped(first, MOST_ERROR)}"


def _list(title: str, lines: Sequence[str], count: int) -> str:
    head = f"*{title}* ({count:,})\n"
    return head + lines_within(lines, count, MOST_TEXT - len(head)) if lines else ""


def _links(outcome: Outcome, console: Console) -> str:
    links = [_link(console.execution_link(), "Execution")]
    if console.log_group:
        logs = console.logs_link(outcome.run_id, outcome.started_at, outcome.finished_at)
        links.append(_link(logs, "Logs Insights"))
    return " · ".join(links)


def _link(url: str, text: str) -> str:
    return f"<{escaped(url, MOST_TEXT)}|{text}>"


def _plain(outcome: Outcome, title: str) -> str:
    said = [title]
    if outcome.rows is not None and outcome.seconds is not None:
        said.append(f"{outcome.rows:,} rows in {duration(outcome.seconds)}")
    if outcome.failed:
        said.append(f"{outcome.failed_count:,} tables failed")
    if outcome.why:
        said.append(outcome.why.splitlines()[0])
    return ". ".join(said)


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else None


def _header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text[:MOST_HEADER], "emoji": True}}


def _section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": _text(text)}] if text else []


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [_text(text)]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}  # verbatim: Slack makes no links or mentions of its own
