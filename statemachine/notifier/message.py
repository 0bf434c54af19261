"""The message in Slack's Block Kit, made from an outcome without any I/O.

The message about a failure has the reason, once; the remedy; the state of the live tables; and the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .blocks import context, header, link, marked, section
from .cause import Cause, causes, ledger_says
from .deployment import Deployment
from .links import Console
from .outcome import LATE_STATUS, REFUSED_STATUS, STOPPED_STATUS, FailedTable, Outcome, Slow
from .remedy import LATE, NO_PAGE, NO_SLACK, TOO_FEW_ROWS, TRANSFORM
from .text import (
    MOST_FIELD,
    MOST_TEXT,
    change,
    code,
    duration,
    escaped,
    lines_within,
    literal,
    plain,
    quoted,
    size,
)

MOST_ERROR = 300
_MOST_NOTE = MOST_TEXT // 6
_MOST_URL = 1000


def message(outcome: Outcome, console: Console, deployment: Deployment) -> dict[str, Any]:
    """The blocks, and the plain text for notifications and screen readers."""
    title = headline(outcome, deployment)
    told = _of_success(outcome) if outcome.well else _of_failure(outcome, console, deployment)
    blocks = [header(title), *told, *_no_page(outcome, deployment), context(_links(outcome, console))]
    return {"text": escaped(_plain(outcome, title), MOST_TEXT), "blocks": blocks}


def headline(outcome: Outcome, deployment: Deployment) -> str:
    """One line that says how a run ended."""
    job = f" of job {outcome.job}" if outcome.job and not outcome.run_id.startswith(f"{outcome.job}-") else ""
    name = f"{deployment.name} {outcome.run_id}{job}"
    if outcome.well:
        counted = f": {outcome.tables:,} tables" if outcome.tables is not None else ""
        return f"✅ {name} is published{counted}"
    if outcome.end:
        return f"❌ {name} {outcome.end}"
    sign, how = _HOW.get(outcome.status, ("❌", "failed: nothing is published"))
    return f"{sign} {name} {how}"


_HOW = {
    "published": ("⚠️", "is published, but the transform failed"),
    STOPPED_STATUS: ("✋", "is stopped: nothing is published"),
    REFUSED_STATUS: ("❌", "is refused: nothing has begun"),
    LATE_STATUS: ("⏰", "is not published at its deadline"),
    "unknown": ("❌", "failed"),
}
"""What a headline says of a run that was not well, by the run's status."""


def _of_success(outcome: Outcome) -> Iterator[dict[str, Any]]:
    saw = outcome.failure.line if outcome.failure else ""
    note = f"The run is published, although the state machine saw this: {literal(saw)}" if saw else ""
    yield _facts(outcome)
    yield from section(note or literal(outcome.ledger_error))
    yield from section(_list("Slowest tables", [_slow(slow) for slow in outcome.slowest], len(outcome.slowest)))


def _of_failure(outcome: Outcome, console: Console, deployment: Deployment) -> Iterator[dict[str, Any]]:
    found = causes(outcome)
    for cause in found:
        yield from section(_cause(cause, outcome, console))
        most = MOST_TEXT - 1000 if cause.remedy is TOO_FEW_ROWS else MOST_TEXT // 6  # it names tables
        yield from section(quoted(cause.said, most) if cause.said.strip() else "")
    told = sum(cause.job.count for cause in found if cause.job)
    left = outcome.failure.failed - told if outcome.failure else 0
    yield from section(f"{left:,} more shards failed for other reasons." if left > 0 else "")
    if said := ledger_says(outcome, found):
        who = "The ledger says: " if outcome.status != "unknown" else ""
        yield from section(f"{who}{literal(said)}")
    held = not any(cause.job and cause.job.holder for cause in found)
    title = "Failed tables" if held else "Tables that failed when the snapshot was gone"
    yield from section(_list(title, [_failed(failed) for failed in outcome.failed], outcome.failed_count))
    yield from section(_what_to_do(outcome, found, deployment))
    yield from section(f"*What readers see now*\n{readers(outcome, literal)}")
    yield _facts(outcome)


def _cause(cause: Cause, outcome: Outcome, console: Console) -> str:
    said, job = f"*{plain(cause.what, _MOST_NOTE)}*", cause.job
    if job is None:
        return said
    whose = job.whose(outcome.failure.of if outcome.failure else None)
    facts = [f"exit status {job.exit}" if job.exit is not None else code(job.error)]
    if job.log:
        facts.append(_log(job.log, console))
    elif job.id:
        facts.append(f"job {code(job.id, 150)}")
    first = "" if job.count == 1 else " (of the first)"
    return f"{said}\n{whose}: {', '.join(facts)}{first if len(facts) > 1 else ''}"


def _log(stream: str, console: Console) -> str:
    url = console.stream_link(stream) if console.log_group else ""
    return link(url, "its log") if 0 < len(url) <= _MOST_URL else f"log stream {code(stream, 150)}"


def _what_to_do(outcome: Outcome, found: Sequence[Cause], deployment: Deployment) -> str:
    remedies = list(dict.fromkeys(cause.remedy for cause in found))
    lines = [f"• {remedy.todo} {_runbook(remedy.section, deployment)}" for remedy in remedies]
    when = "Then" if outcome.status != "unknown" else "Unless `etl history` says that the run ended well,"
    if outcome.status == STOPPED_STATUS and outcome.kept_until:
        command, until = deployment.let_pass(outcome), _moment(outcome.kept_until)
        lines.append(
            "If they are gone for a reason, write it into this command. It publishes the run, until"
            f" {until}:\n```{escaped(command, _MOST_NOTE)}```"
        )
        when = "If they are gone by mistake, mend the source. Then"
    if outcome.status != "published" and not {LATE, NO_SLACK, TRANSFORM} & set(remedies):
        again = deployment.rerun(outcome)
        lines.append(
            f"{when} run {'the job' if outcome.job else 'the night'} again:\n```{escaped(again, _MOST_NOTE)}```"
            if again
            else f"{when} start another execution under a new name."
        )
    return "*What to do*\n" + "\n".join(lines)


def _runbook(section: str, deployment: Deployment) -> str:
    url = deployment.runbook_link(section)
    return link(url, f"Runbook: {section}") if url else f"(docs/operations.md, “{section}”)"


def readers(outcome: Outcome, named: Callable[[str], str] = str) -> str:
    """One sentence that says what the live tables hold now; ``named`` writes the name of a run."""
    if outcome.status == "published":
        return f"Readers see the tables of this run{_as_of(outcome.snapshot_at)}."
    if outcome.end or outcome.status == "unknown":
        return "The ledger could not be read; `etl history` shows what readers see."
    if outcome.status == LATE_STATUS and outcome.last is None:
        return "`etl history` shows what readers see."
    if outcome.status == REFUSED_STATUS:
        return "Readers see what they saw before."
    if outcome.last is None:
        return "No run has been published yet, so readers have no tables."
    return f"Readers see what they saw before: run {named(outcome.last.run_id)}{_as_of(outcome.last.snapshot_at)}."


def _as_of(moment: datetime | None) -> str:
    return f", as of {_moment(moment)}" if moment else ""


def _facts(outcome: Outcome) -> dict[str, Any]:
    published = outcome.status == "published"
    arrived = "" if published else " copied, not published"
    rows, copied = (figure if published or figure else None for figure in (outcome.rows, outcome.bytes))
    facts: Mapping[str, str | None] = {
        "Job": code(outcome.job) if outcome.job else None,
        "Run": code(outcome.run_id),
        "Snapshot": _moment(outcome.snapshot_at),
        "Duration": duration(outcome.seconds) if outcome.seconds is not None else None,
        f"Rows{arrived}": f"{rows:,}" if rows is not None else None,
        f"Data{arrived}": size(copied) if copied is not None else None,
        "Ended": _moment(outcome.finished_at),
    }
    fields = [marked(f"*{name}*\n{fact}"[:MOST_FIELD]) for name, fact in facts.items() if fact is not None]
    return {"type": "section", "fields": fields}


def _slow(slow: Slow) -> str:
    rows = f", {slow.rows:,} rows" if slow.rows is not None else ""
    return f"• {code(slow.table)} {duration(slow.seconds)} ({change(slow.seconds, slow.median_seconds)}){rows}"


def _failed(failed: FailedTable) -> str:
    return f"• {code(failed.table)} {literal(_first_line(failed), MOST_ERROR)}"


def _first_line(failed: FailedTable) -> str:
    return next((line for line in failed.error.splitlines() if line.strip()), "no error was recorded")


def _list(title: str, lines: Sequence[str], count: int) -> str:
    head = f"*{title}* ({count:,})\n"
    return head + lines_within(lines, count, MOST_TEXT - len(head)) if lines else ""


def _links(outcome: Outcome, console: Console) -> str:
    links = [link(console.execution_link(), "Execution")]
    if console.log_group:
        logs = console.logs_link(outcome.run_id, outcome.started_at, outcome.finished_at)
        links.append(link(logs, "Logs Insights"))
    if page := console.object_link(outcome.page):
        links.append(link(page, "The night on one page"))
    return " · ".join(links)


def _no_page(outcome: Outcome, deployment: Deployment) -> Iterator[dict[str, Any]]:
    """One small line, if the page could not be written: the night itself is as the message says."""
    if outcome.page_error:
        said = literal(" ".join(outcome.page_error.split()), _MOST_NOTE)
        yield context(f"The night's page could not be written: {said} {_runbook(NO_PAGE.section, deployment)}")


def _plain(outcome: Outcome, title: str) -> str:
    if outcome.well:
        figures = outcome.rows is not None and outcome.seconds is not None
        return f"{title}. {outcome.rows:,} rows in {duration(outcome.seconds or 0)}" if figures else title
    first, *_ = causes(outcome)
    why = " ".join(first.said.split())[:MOST_ERROR]
    said = [f"{title}.", first.what, f"{why.removesuffix('.')}." if why else ""]
    for table in outcome.failed[:1]:
        others = outcome.failed_count - 1
        said.append(f"Failed: {table.table}: {_first_line(table)}{f', and {others:,} more' if others else ''}.")
    return " ".join([*filter(None, said), readers(outcome)])


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else None
