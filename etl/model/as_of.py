"""The line of a live table's comment that says as of when its rows are. Pure policy.

It is the comment's last line, after an empty one, so that what the source or the reporting side says of the table
stays.
``sql/attachments/comments.sql`` knows the line by the same pattern.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_LINE = re.compile(
    r"(?:\A|\n\n)As of [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} UTC \(nightly-etl\)\Z", re.DOTALL
)


def undated(comment: str | None) -> str | None:
    """A comment without the line; None if nothing is left of it."""
    return _LINE.sub("", comment) or None if comment is not None else None


def dated(comment: str | None, at: datetime | None) -> str | None:
    """A comment with the line in place of that of an earlier night; without it if there is no time."""
    said = undated(comment)
    if at is None:
        return said
    line = f"As of {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC (nightly-etl)"
    return f"{said}\n\n{line}" if said else line
