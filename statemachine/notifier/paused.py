"""The message that a job was paused, because it has failed so many times in a row. The scheduler sends it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .blocks import context, header, link, section
from .deployment import Deployment
from .links import Console
from .outcome import Owner
from .remedy import PAUSED
from .text import MOST_TEXT, escaped, quoted

MOST_ERROR = 300

_ARN_PARTS = 8


@dataclass(frozen=True, slots=True)
class Paused:
    """A job that was paused: the number of failures in a row, and the last one's execution and error."""

    owner: Owner
    failures: int
    execution: str = ""
    error: str = ""

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Paused:
        """Reads the scheduler's payload."""
        texts = (str(event.get(name) or "") for name in ("execution", "error"))
        return cls(Owner.read(event), event["failures"], *texts)


def is_pause(event: Mapping[str, Any]) -> bool:
    """Tells whether the scheduler sent this event."""
    return event.get("outcome") == "paused"


def message_of(paused: Paused, deployment: Deployment) -> dict[str, Any]:
    """The blocks, and the plain text for notifications and screen readers."""
    title = f"⏸️ {deployment.name} {paused.owner.job} is paused after {_times(paused.failures)}"
    said = " ".join(paused.error.split())[:MOST_ERROR]
    text = f"{title}. {f'{said} ' if said else ''}It runs again after: {_enable(paused)}"
    return {"text": escaped(text, MOST_TEXT), "blocks": [header(title), *_blocks(paused, deployment)]}


def _times(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures:,} failures in a row"


def _enable(paused: Paused) -> str:
    return f"nightly-jobs enable {shlex.quote(paused.owner.job)}"


def _blocks(paused: Paused, deployment: Deployment) -> Iterator[dict[str, Any]]:
    yield from section("*The job has failed again and again, so its schedule does not start it any more.*")
    yield from section(quoted(paused.error) if paused.error.strip() else "")
    url = deployment.runbook_link(PAUSED.section)
    more = link(url, f"Runbook: {PAUSED.section}") if url else f"(docs/operations.md, “{PAUSED.section}”)"
    yield from section(
        f"*What to do*\n• {PAUSED.todo} {more}\nThen let it run again, from its next time on:"
        f"\n```{escaped(_enable(paused), MOST_TEXT // 6)}```"
    )
    yield from section("*What readers see now*\nReaders see the tables of its last published run.")
    if paused.execution.count(":") + 1 >= _ARN_PARTS:
        yield context(link(Console.of(paused.execution, "").execution_link(), "The last execution"))
