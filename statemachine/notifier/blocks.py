"""Blocks of Slack's Block Kit."""

from __future__ import annotations

from typing import Any

from .text import MOST_HEADER, MOST_TEXT, escaped


def header(text: str) -> dict[str, Any]:
    """A header, cut to what Slack takes."""
    return {"type": "header", "text": {"type": "plain_text", "text": text[:MOST_HEADER], "emoji": True}}


def section(text: str) -> list[dict[str, Any]]:
    """A section; none for an empty text."""
    return [{"type": "section", "text": marked(text)}] if text else []


def context(text: str) -> dict[str, Any]:
    """A small line, for instance of links."""
    return {"type": "context", "elements": [marked(text)]}


def marked(text: str) -> dict[str, Any]:
    """A text whose marks Slack reads, and to which it adds no links or mentions."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def link(url: str, text: str) -> str:
    """A link, as a part of a text."""
    return f"<{escaped(url, MOST_TEXT)}|{text}>"
