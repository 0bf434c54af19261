"""A real browser for the pages that ``etl report --output`` writes: Chromium, driven by Playwright, and axe-core.

Playwright brings no browser (its own would be a download from elsewhere); it drives the Chromium of the machine.
``make browser`` installs what is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, Request, sync_playwright

AXE = Path(__file__).parents[1] / ".axe" / "node_modules" / "axe-core" / "axe.min.js"

NO_CHROMIUM = "no Chromium on PATH; `make browser` installs it, or ETL_TEST_CHROMIUM names one"
NO_AXE = "no axe-core; `make browser` fetches it with npm"

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # without these, the browser itself would ask servers of its maker
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Scheme = Literal["light", "dark"]

WIDE, NARROW = 1280, 400
"""Pixels of a window on a desk, and of a telephone."""


def chromium() -> str | None:
    """The program: the one that ``ETL_TEST_CHROMIUM`` names, or the first one on PATH."""
    named = os.environ.get("ETL_TEST_CHROMIUM")
    return named or next((found for name in _COMMANDS if (found := shutil.which(name))), None)


@contextmanager
def started(program: str) -> Iterator[Browser]:
    """Runs a browser with an empty profile for as long as the block lasts.

    Meanwhile, the thread has a running event loop, Playwright's: no test may begin one of its own
    (https://github.com/microsoft/playwright-pytest/issues/167).
    """
    with sync_playwright() as playwright:
        # Without Chromium's sandbox, which root cannot have, nor anybody where user namespaces are restricted (Ubuntu).
        browser = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS, chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True, slots=True)
class Opened:
    """An open page, and what happened on it so far."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)
    """Errors and warnings of the console, and errors that no script has caught."""
    asked: list[str] = field(default_factory=list)
    """What the browser has requested."""

    def assert_is_quiet(self) -> None:
        """Fails if the console has an error or a warning, if a request has left the page, or if a name was executed."""
        assert self.said == []
        assert [url for url in self.asked if url.partition("#")[0] != self.url] == []
        assert self.page.evaluate("window.hacked ?? null") is None


@contextmanager
def opened(
    browser: Browser, url: str, scheme: Scheme = "light", width: int = WIDE, height: int = 900, *, scripts: bool = True
) -> Iterator[Opened]:
    """Opens a page in a fresh profile. At the block's end, nothing may have gone wrong on it."""
    with browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=scripts,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    ) as context:
        context.set_default_timeout(10_000)
        page = context.new_page()
        seen = Opened(page, url)
        page.on("console", lambda message: _note(seen.said, message.type, message.text))
        page.on("pageerror", lambda error: seen.said.append(f"not caught: {error}"))
        page.on("request", lambda request: seen.asked.append(request.url))
        page.on("requestfailed", lambda request: seen.said.append(_failure(request)))
        page.goto(url)
        yield seen
        seen.assert_is_quiet()


def _note(said: list[str], kind: str, text: str) -> None:
    if kind in {"error", "warning", "assert"}:
        said.append(f"{kind}: {text}")


def _failure(request: Request) -> str:
    return f"failed: {request.url}: {request.failure}"


def faults(page: Page, *rules: str) -> list[str]:
    """What axe-core finds on a page that is serious or critical: the rule, the elements, what is wrong with them.

    By default it tries all its rules.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    options |= {"runOnly": list(rules)} if rules else {}
    found: list[dict[str, Any]] = page.evaluate(
        "async options => (await axe.run(document, options)).violations", options
    )
    return [
        f"{violation['impact']}: {violation['id']}: {violation['help']}: "
        + "; ".join(f"{node['target']} {node['failureSummary']}" for node in violation["nodes"][:5])
        for violation in found
        if violation["impact"] in {"serious", "critical"}
    ]
