"""Escaped texts for Slack, and figures in readable form."""

from __future__ import annotations

from collections.abc import Sequence

# Slack's limits (docs.slack.dev/reference/block-kit/blocks): 50 blocks, 3000 characters a text, 2000 a field,
# 150 a header. Slack refuses a whole message that is over one of these limits.
MOST_TEXT = 3000
MOST_FIELD = 2000
MOST_HEADER = 150
MOST_LINES = 20

_MINUTE, _HOUR = 60, 3600
_SAME = 0.05  # a smaller change is normal variation between nights


def escaped(text: str, most: int) -> str:
    """Text without mentions and links, cut to ``most`` characters; ``*bold*`` and its like keep their meaning."""
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_LOOKALIKES = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"})
"""Slack has no escapes for the characters by which it marks text up."""


def plain(text: str, most: int) -> str:
    """Text for a sentence that is marked up itself: characters that look alike replace Slack's marks."""
    return escaped(text.translate(_LOOKALIKES), most)


def literal(text: str, most: int = MOST_TEXT // 6) -> str:
    """Text from outside, as it is, or as code if Slack would read a mark in it."""
    return code(text, most) if set("*_~`").intersection(text) else escaped(text, most)


def code(text: str, most: int = 200) -> str:
    """Text as inline code, in which Slack reads no markup; characters that would end the code are replaced."""
    return f"`{escaped(' '.join(text.split()).replace('`', 'ˋ'), most)}`"


def quoted(text: str, most: int = MOST_TEXT // 6) -> str:
    """The first lines of an error as a block of code, of at most ``most`` characters."""
    lines = [line for line in text.replace("`", "ˋ").splitlines() if line.strip()][:10]
    return f"```{escaped(chr(10).join(lines), most)}```"


def duration(seconds: float) -> str:
    """A duration in readable form."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def size(number: int) -> str:
    """A number of bytes with a decimal prefix."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def change(seconds: float, median: float | None) -> str:
    """Compares a duration with the median of the last runs, in words."""
    if not median:
        return "no run before"
    by = seconds / median - 1
    return "as usual" if abs(by) < _SAME else f"{by:+,.0%}".replace("%", " %")


def lines_within(lines: Sequence[str], count: int, most: int) -> str:
    """The first lines that fit into ``most`` characters, and the number of the others of ``count``."""
    kept: list[str] = []
    room = most - len("… and 1,000,000 more")
    for line in lines[:MOST_LINES]:
        if len(line) + 1 > room:
            break
        kept.append(line)
        room -= len(line) + 1
    left = count - len(kept)
    return "\n".join([*kept, *([f"… and {left:,} more"] if left else [])])
