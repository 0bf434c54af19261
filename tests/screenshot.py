"""``make screenshot``: draws the page of a night for the README, as docs/page-light.png and docs/page-dark.png.

The night is the scene ``shop`` of tests/scenes.py: thirty nights of 24 tables. The newest night is always the same.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser

from servers.postgres import FAST, Server
from tests import browser as harness
from tests.browser import Scheme
from tests.scenes import Scene, Scenes

FOLDER = Path(__file__).parents[1] / "docs"

SCHEMES: tuple[Scheme, ...] = ("light", "dark")

WIDTH, HEIGHT = 1200, 1140

MOST = 200_000
"""Bytes of a picture: a README is read on the way, too."""


def main() -> None:
    """Makes the night, and both pictures."""
    program = harness.chromium()
    if program is None:
        sys.exit(f"screenshot: {harness.NO_CHROMIUM}")
    with ExitStack() as stack:
        operational, reporting = _server(stack), _server(stack)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        scene = Scenes(operational, reporting, Path(folder))["shop"]
        browser = stack.enter_context(harness.started(program))
        for scheme in SCHEMES:
            _draw(browser, scene, scheme)


def _server(stack: ExitStack) -> Server:
    server = Server.start(settings=FAST)
    stack.callback(server.remove)
    return server


def _draw(browser: Browser, scene: Scene, scheme: Scheme) -> None:
    file = FOLDER / f"page-{scheme}.png"
    with harness.opened(browser, scene.file.as_uri(), scheme, WIDTH, HEIGHT) as opened:
        size = len(opened.page.screenshot(path=file))
    print(f"docs/{file.name}: {WIDTH} × {HEIGHT}, {size / 1000:.0f} kB")
    if size > MOST:
        sys.exit(f"screenshot: docs/{file.name} has more than {MOST / 1000:.0f} kB; draw less of the page")


if __name__ == "__main__":
    main()
