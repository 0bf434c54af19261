"""A question to the person at the terminal, before something is done that cannot be undone."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from etl.logs.log import printable


def may_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()


async def assumed(_: Any) -> bool:
    """The answer of somebody who has agreed before."""
    return True


async def agrees(what: Any) -> bool:
    """Asks whether to drop something; only y or yes agrees.

    The event loop waits for the answer, so that a signal ends the program at once. The question is on standard error,
    because standard output may be JSON.
    """
    sys.stderr.write(printable(f"Drop {what}? [y/N] "))
    sys.stderr.flush()
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
