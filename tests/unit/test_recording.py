"""The recorded run in README.md: a small SVG that CSS animates, and that stands still if the reader wants no motion."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from demo.recording import FILE, HOLD, Frame, Run, svg

PROMPT = (Run(0, "$ etl run"),)
DONE = (Run(0, "published", "green", bold=True),)
FRAMES = (Frame(0.0, (PROMPT, ())), Frame(2.0, (PROMPT, DONE)))
SVG = "{http://www.w3.org/2000/svg}"


def test_a_frame_comes_at_the_second_at_which_the_terminal_showed_it() -> None:
    """The keyframe of the second frame stands at its part of the whole duration."""
    share = 100 * 2.0 / (2.0 + HOLD)
    assert f"{share:.2f}%{{transform:translateY(-36px)}}" in svg(FRAMES)


def test_a_line_of_several_frames_is_written_once() -> None:
    """Both frames show the prompt, and both refer to one text."""
    drawn = ElementTree.fromstring(svg(FRAMES))
    assert [text[0].text for text in drawn.iter(f"{SVG}text")] == ["$ etl run", "published"]
    assert [use.get("href") for use in drawn.iter(f"{SVG}use")] == ["#l0", "#l0", "#l1"]


def test_text_of_the_terminal_is_never_markup() -> None:
    """The output of a program is escaped."""
    assert "&lt;script&gt;" in svg((Frame(0.0, ((Run(0, "<script>"),),)),))


def test_without_motion_the_last_frame_stands() -> None:
    """Without animation, the window shows the last frame."""
    style = svg(FRAMES)
    assert ".strip{transform:translateY(-36px);animation:" in style
    assert "@media (prefers-reduced-motion:reduce){.strip{animation:none}}" in style


def test_the_recording_of_the_readme_is_small_and_shows_a_publish() -> None:
    """At most 150 kB, without JavaScript; its text says that the run was published and that both sides agree."""
    recorded = FILE.read_text(encoding="utf-8")
    texts = [tspan.text or "" for tspan in ElementTree.fromstring(recorded).iter(f"{SVG}tspan")]
    assert len(recorded.encode()) < 150_000
    assert not re.search(r"<script|\son\w+=|href=\"(?!#)", recorded)
    assert {"published", "same"} <= set(texts)
