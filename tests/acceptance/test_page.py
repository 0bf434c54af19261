"""The page of ``etl report --output``, opened in Chromium: what it shows of each night, and how it is used.

The nights are those of tests/scenes.py. Each test opens a page of its own. When it closes the page, the console has
neither an error nor a warning, no request has left the page, and no name of a database was executed
(``tests/browser.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import boto3
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demo.parameters import parameter_store
from etl.logs.log import printable
from servers.postgres import Server
from tests import browser as harness
from tests import cloud
from tests.browser import NARROW, WIDE, Opened, Scheme
from tests.harness import CANARY
from tests.integration.test_hostile_names import NAMES
from tests.lambda_runtime import function
from tests.scenes import LONG, MARKUP, ROW, SCENES, SHARDS, TABLES, UNBROKEN, Scene, Scenes

pytestmark = pytest.mark.xdist_group("page")  # one browser, and each scene once

ROWS = "#loads > tbody > tr[data-table]"

Open = Callable[..., AbstractContextManager[Opened]]


@pytest.fixture(scope="module")
def scenes(operational_server: Server, reporting_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """All scenes, each of which is made when a test asks for it."""
    return Scenes(operational_server, reporting_server, tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser. It ends with the module, because no other test may meet its event loop."""
    program = harness.chromium()
    if program is None:
        pytest.skip(harness.NO_CHROMIUM)
    with harness.started(program) as running:
        yield running


@pytest.fixture
def open_page(chromium: Browser) -> Open:
    """Opens the page of a scene."""

    @contextmanager
    def opening(scene: Scene, scheme: Scheme = "light", width: int = WIDE, *, scripts: bool = True) -> Iterator[Opened]:
        with harness.opened(chromium, scene.file.as_uri(), scheme, width, scripts=scripts) as opened:
            if scripts:
                opened.page.locator(ROWS).first.wait_for(state="attached")  # which the page's script has seen
            yield opened

    return opening


def row(page: Page, table: str) -> Locator:
    """The row of a table."""
    return page.locator(f"{ROWS}[data-table={json.dumps(table)}]")


def order(page: Page) -> list[str]:
    """The tables whose rows are shown, from top to bottom."""
    shown: list[str] = page.eval_on_selector_all(
        ROWS, "rows => rows.filter(row => !row.hidden).map(row => row.dataset.table)"
    )
    return shown


def is_wider(page: Page) -> bool:
    """Whether the page itself can be scrolled sideways."""
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider


# What a page says


SENTENCES = {
    "good": r"^All 3 tables as of \d\d:\d\d:\d\d, published \d\d:\d\d \(.*; yesterday \d\d:\d\d\.$",
    "first": r"^All 3 tables as of \d\d:\d\d:\d\d, published .*; no night before to compare with\.$",
    "failed": r"^Failed at \d\d:\d\d after .*: public\.items failed, of 3 tables; readers still see",
    "stopped": r"^Stopped before the publish at \d\d:\d\d.* too few rows.*; readers still see .* let pass until ",
    "running": r"^(Still|Late: still) running after .*; 1 of 3 tables staged, 1 loading, 1 waiting; .*; readers still",
    "dead": r"^Dead: the run began at .*, and its processes are gone.*; readers still see .*`etl abort tonight`\.$",
    "of a job": r"^The table as of \d\d:\d\d:\d\d, published ",
    "sharded": r"^All 8 tables as of \d\d:\d\d:\d\d, published .*; no night before",
    "hostile": rf"^All {len(NAMES) + len(MARKUP)} tables as of ",
    "hostile error": rf"^Failed at .*: public\..{re.escape(MARKUP[0])}. failed, of {len(NAMES) + len(MARKUP)} tables; ",
    "shop": r"^All 24 tables as of 02:00:03, published \d\d:\d\d .*; 2 were slower than usual; yesterday \d\d:\d\d\.$",
    "many": r"^All 1,000 tables as of 02:00:03, published .*; 2 were slower than usual; yesterday ",
    "shards": r"^All 200 tables as of 02:00:03, published ",
    "errors": r"^Failed at 0\d:\d\d after .*: public\.orders, .* and crm\.tickets failed, of 24 tables; readers still ",
}


@pytest.mark.parametrize("name", SCENES)
def test_a_page_says_first_how_the_night_is(scenes: Scenes, open_page: Open, name: str) -> None:
    """The sentence is the night's, and is right for it; every table has a row; the page names the run."""
    scene = scenes[name]
    with open_page(scene) as opened:
        sentence = opened.page.locator("#sentence").inner_text()
        print(sentence)
        assert sentence == " ".join(scene.night["sentence"].split()) or name == "running", "which was read later"
        assert re.search(SENTENCES[name], sentence), sentence
        assert len(order(opened.page)) == len(scene.tables)
        assert scene.report["run_id"] in opened.page.locator("body").inner_text()
        assert opened.page.title()
        ids = opened.page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
        assert len(ids) == len(set(ids))


class Outline(HTMLParser):
    """What a page has, without a browser: addresses, handlers and headings."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.inline: list[str] = []
        self.policies: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects what a tag has."""
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href", "action", "data", "srcset") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]
        self.inline += [tag for name in values if name == "style"]
        if tag == "meta" and (values.get("http-equiv") or "").lower() == "content-security-policy":
            self.policies.append(values["content"] or "")


@pytest.mark.parametrize("name", SCENES)
def test_a_page_is_one_file_that_tells_no_secret_and_no_row(scenes: Scenes, name: str) -> None:
    """It names no address but its own parts, forbids all others, has no handler in an attribute, and is below 1 MB."""
    scene = scenes[name]
    outline = Outline(scene.html)
    assert [address for address in outline.addresses if not address.startswith(("#", "data:"))] == []
    assert outline.handlers == []
    (policy,) = outline.policies
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert CANARY not in scene.html
    assert "s3cr3t" not in scene.html
    assert ROW not in scene.html
    assert "postgresql://" not in scene.html
    assert scene.file.stat().st_size < 1_000_000


def test_a_thousand_tables_of_thirty_nights_are_a_small_file_made_soon(scenes: Scenes) -> None:
    """Below 1 MB; ``pytest -s`` prints the seconds, which are to be below two, with the start of the process."""
    scene = scenes["many"]
    size = scene.file.stat().st_size
    print(f"\netl report --output of {TABLES} tables and 30 nights: {scene.seconds:.2f} s, {size:,} bytes")
    assert len(scene.tables) == TABLES
    assert len(scene.night["before"]) == 29
    assert size < 1_000_000


def test_a_page_tells_of_its_own_job_alone(scenes: Scenes, open_page: Open) -> None:
    """Another job's tables and nights are not there."""
    scene = scenes["of a job"]
    with open_page(scene) as opened:
        assert "acme" in opened.page.locator("body").inner_text()
    assert "globex" not in scene.html
    assert "public.others" not in scene.html


def test_the_time_of_a_dead_night_ends_with_the_last_sign_of_it(scenes: Scenes, open_page: Open) -> None:
    """However long after that the page is made."""
    scene = scenes["dead"]
    (gated,) = (table for name, table in scene.tables.items() if name == "public.gated")
    lasted = scene.night["tonight"]["seconds"]
    made = datetime.fromisoformat(scene.night["at"]) - datetime.fromisoformat(scene.report["started_at"])
    assert 0 < gated["seconds"] <= lasted < made.total_seconds()


def test_a_first_night_says_that_there_is_nothing_to_compare_with(scenes: Scenes, open_page: Open) -> None:
    """It has neither a median nor an empty chart of trends."""
    scene = scenes["first"]
    assert scene.night["before"] == []
    with open_page(scene) as opened:
        text = opened.page.locator("main").inner_text()
        assert "NaN" not in text
        assert "None" not in text
        assert "slower" not in opened.page.locator("#sentence").inner_text()


@pytest.mark.parametrize("name", ["failed", "errors", "hostile error"])
def test_a_table_that_failed_stands_out_and_tells_its_error_in_full(scenes: Scenes, open_page: Open, name: str) -> None:
    """Its row is marked; the top of the page and the row's detail have every letter of the error, and the run's."""
    scene = scenes[name]
    failed = {table["table"]: table["error"] for table in scene.tables.values() if table["outcome"] == "failed"}
    assert failed
    with open_page(scene) as opened:
        marked = opened.page.eval_on_selector_all(f"{ROWS}.failed", "rows => rows.map(row => row.dataset.table)")
        assert sorted(marked) == sorted(failed)
        for error in (scene.night["error"], *failed.values()):
            expect(opened.page.locator("#errors")).to_contain_text(" ".join(error.split()))
        for table, error in failed.items():
            row(opened.page, table).locator("button").click()
            detail = opened.page.locator("tr.detail:visible").last
            expect(detail).to_contain_text(" ".join(error.split()))
            expect(detail.get_by_text("Staged", exact=True)).to_have_count(0)
    if name == "errors":
        assert any(UNBROKEN in error for error in failed.values())
        assert any(LONG in error for error in failed.values())


def test_the_table_that_decided_the_end_and_those_that_were_slower_are_marked(scenes: Scenes, open_page: Open) -> None:
    """As the night has them, in words too."""
    scene = scenes["shop"]
    decisive = [table["table"] for table in scene.tables.values() if table["is_decisive"]]
    slower = [table["table"] for table in scene.tables.values() if table["is_slower"]]
    assert sorted(slower) == ["public.customers", "public.events"]
    with open_page(scene) as opened:
        for kind, tables in (("decisive", decisive), ("slower", slower)):
            found = opened.page.eval_on_selector_all(f"{ROWS}.{kind}", "rows => rows.map(row => row.dataset.table)")
            assert sorted(found) == sorted(tables)
        (table,) = decisive
        expect(row(opened.page, table)).to_contain_text("decided the end")


def test_a_slow_table_says_since_when(scenes: Scenes, open_page: Open) -> None:
    """At the top of the page, and in the table's detail: since the fourth night ago, as in the data."""
    scene = scenes["shop"]
    assert scene.tables["public.events"]["slow_since"] == "2026-11-25"
    with open_page(scene) as opened:
        expect(opened.page.locator("#facts")).to_contain_text(re.compile("public.events is slow since .*25 Nov"))
        row(opened.page, "public.events").locator("button").click()
        expect(opened.page.locator("tr.detail:visible")).to_contain_text(
            re.compile("slow since.*25 Nov", re.IGNORECASE)
        )


def test_loads_of_changes_say_what_they_were_and_why(scenes: Scenes, open_page: Open) -> None:
    """A delta, a table without a change, and a full load with its reason."""
    scene = scenes["good"]
    loads = {table: (told["load"], told["reason"]) for table, told in scene.tables.items()}
    assert {load for load, _ in loads.values()} == {"delta", "unchanged", "full"}
    with open_page(scene) as opened:
        for table, (load, reason) in loads.items():
            expect(row(opened.page, table)).to_contain_text(load)
            row(opened.page, table).locator("button").click()
            if reason:
                expect(opened.page.locator("tr.detail:visible").last).to_contain_text(reason)
            row(opened.page, table).locator("button").click()


def test_fifty_shards_stand_beside_one_another(scenes: Scenes, open_page: Open) -> None:
    """Each is named in the section of shards; so is what `etl plan` would change."""
    scene = scenes["shards"]
    assert len(scene.night["shards"]) == SHARDS
    with open_page(scene) as opened:
        section = opened.page.locator("#shards")
        expect(section).to_contain_text("etl plan")
        said = section.inner_text() + " ".join(section.locator("svg[aria-label]").evaluate_all(_LABELS))
        assert {str(shard) for shard in range(SHARDS)} <= set(re.findall(r"\d+", said))


_LABELS = "all => all.map(one => one.getAttribute('aria-label'))"


# How a page is used


def _ratio(table: dict[str, Any]) -> float | None:
    usual, seconds = table["usual"], table["seconds"]
    return seconds / usual["median"] if usual and usual["median"] and seconds is not None else None


KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "table": lambda table: table["table"],
    "shard": lambda table: int(table["shard"]),
    "seconds": lambda table: table["seconds"],
    "ratio": _ratio,
    "rows": lambda table: table["rows"],
    "changed": lambda table: table["changed"],
    "bytes": lambda table: table["bytes"],
    "load": lambda table: table["load"],
}


def assert_is_sorted(scene: Scene, tables: list[str], key: str, *, descending: bool) -> None:
    """Fails unless the tables are in the order of their values; those without one come last."""
    values = [KEYS[key](scene.tables[table]) for table in tables]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=descending)
    assert values[: len(known)] == known, "a table without a value stands before one with a value"


@pytest.mark.parametrize("key", KEYS)
def test_a_column_sorts_the_rows_by_the_values_of_the_data(scenes: Scenes, open_page: Open, key: str) -> None:
    """In one direction and in the other, as aria-sort says; no other column says that it sorts."""
    scene = scenes["shop"]
    with open_page(scene) as opened:
        page = opened.page
        assert_is_sorted(scene, order(page), "seconds", descending=True)
        expect(page.locator("th[data-key=seconds]")).to_have_attribute("aria-sort", "descending")
        directions = set()
        for _ in range(2):
            page.locator(f"th[data-key={key}] > button").click()
            sorting = page.locator("th[data-key][aria-sort]:not([aria-sort=none])")
            expect(sorting).to_have_count(1)
            expect(sorting).to_have_attribute("data-key", key)
            direction = sorting.get_attribute("aria-sort")
            assert_is_sorted(scene, order(page), key, descending=direction == "descending")
            assert len(order(page)) == len(scene.tables)
            directions.add(direction)
        assert directions == {"ascending", "descending"}


def test_search_narrows_the_rows_and_says_so(scenes: Scenes, open_page: Open) -> None:
    """Whatever the case of the letters; what is not found, too; and an empty search shows all again."""
    scene = scenes["many"]
    with open_page(scene) as opened:
        page = opened.page
        search, found = page.get_by_label(re.compile("search|filter|find", re.IGNORECASE)), page.locator("#found")
        assert search.get_attribute("id") == "search"
        for text, wanted in (
            ("ORDER_LINES", ["public.order_lines"]),
            ("archive.events_012", [f"archive.events_012{n}" for n in range(10)]),
            ("no such table", []),
            ("", list(scene.tables)),
        ):
            search.fill(text)
            expect(found).to_have_text(re.compile(rf"^{len(wanted):,} of 1,000 tables"))
            assert sorted(order(page)) == sorted(wanted)
        search.fill("order_lines")
        page.locator("th[data-key=rows] > button").click()
        assert order(page) == ["public.order_lines"]


def test_a_thousand_rows_are_sorted_and_searched_at_once(scenes: Scenes, open_page: Open) -> None:
    """``pytest -s`` prints how long the page takes to load, to sort and to search."""
    timed = "async act => { const t = performance.now(); act(); await new Promise(requestAnimationFrame);"
    timed += " document.body.offsetHeight; return Math.round(performance.now() - t) }"
    with open_page(scenes["many"]) as opened:
        page = opened.page
        loaded = page.evaluate("Math.round(performance.getEntriesByType('navigation')[0].loadEventEnd)")
        clicked = page.evaluate(f"({timed})(() => document.querySelector('th[data-key=rows] > button').click())")
        typed = page.evaluate(
            f"({timed})(() => {{ const field = document.querySelector('#search'); field.value = '99';"
            " field.dispatchEvent(new Event('input', {bubbles: true})) })"
        )
        print(f"\na page of {TABLES} tables: loaded in {loaded} ms, sorted in {clicked} ms, searched in {typed} ms")
        assert 0 < len(order(page)) < TABLES


def test_a_click_opens_a_table_s_trends_and_another_closes_them(scenes: Scenes, open_page: Open) -> None:
    """The detail follows its row, has a chart with words for those who do not see it, and a row for each night."""
    scene = scenes["shop"]
    with open_page(scene) as opened:
        page = opened.page
        button = row(page, "sales.invoices").locator("th button")
        expect(button).to_have_attribute("aria-expanded", "false")
        expect(button).to_have_text("sales.invoices")
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        detail = page.locator("tr.detail:visible")
        expect(detail).to_have_count(1)
        assert row(page, "sales.invoices").evaluate("row => row.nextElementSibling.matches('tr.detail')")
        assert all(detail.locator("svg[role=img]").evaluate_all(_LABELS))
        expect(detail.locator("table tbody tr")).to_have_count(30)
        expect(detail.locator("table tbody tr").first).to_contain_text("tonight")
        expect(detail.locator("table tbody tr").last).to_contain_text("30 Oct")
        page.locator("th[data-key=table] > button").click()
        assert row(page, "sales.invoices").evaluate("row => row.nextElementSibling.matches('tr.detail')")
        button.click()
        expect(button).to_have_attribute("aria-expanded", "false")
        expect(page.locator("tr.detail:visible")).to_have_count(0)


def test_the_keyboard_alone_reaches_and_opens_everything(scenes: Scenes, open_page: Open) -> None:
    """Tab first offers to skip to the tables; from there it leads to the search, the columns and the rows."""
    scene = scenes["shop"]
    with open_page(scene) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        expect(page.locator("a.skip")).to_be_focused()
        expect(page.locator("a.skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("#tables")).to_be_in_viewport()
        seen = list(_tabbed(page, until=f"{ROWS} th button"))
        assert "search" in seen
        assert [name for name in seen if name in KEYS] == list(KEYS)
        button = page.locator(f"{ROWS} th button").first
        expect(button).to_be_focused()
        assert has_outline(button), "the focus shows"
        tip = page.locator("#tip")
        expect(tip).to_be_visible()
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(page.locator("tr.detail:visible")).to_have_count(1)
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("tr.detail:visible")).to_have_count(0)
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
        expect(page.locator("th[data-key=load]")).to_have_attribute("aria-sort", re.compile("ascending|descending"))


def _tabbed(page: Page, until: str) -> Iterator[str]:
    """Presses Tab until an element has the focus; yields the ids or keys of the elements on the way."""
    where = "element => [element.matches(until), element.id || element.parentElement.dataset.key || element.tagName]"
    for _ in range(60):
        page.keyboard.press("Tab")
        is_there, name = page.evaluate(f"until => ({where})(document.activeElement)", until)
        if is_there:
            return
        yield name
    pytest.fail(f"Tab does not lead to {until}")


def has_outline(element: Locator) -> bool:
    """Whether an element that has the focus looks otherwise than the others."""
    script = "element => { const s = getComputedStyle(element); return [s.outlineStyle, s.boxShadow] }"
    style: list[str] = element.evaluate(script)
    return style != ["none", "none"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("place", ["first", "last"])
def test_hover_shows_the_numbers_of_a_row(scenes: Scenes, open_page: Open, width: int, place: str) -> None:
    """Within the window, also at the last row; it goes when the pointer leaves, and by Escape."""
    scene = scenes["shop"]
    with open_page(scene, width=width) as opened:
        page = opened.page
        bars = getattr(page.locator(f"{ROWS} svg.bars"), place)
        tip = page.locator("#tip")
        expect(tip).to_be_hidden()
        for end in ("Escape", "leave"):
            bars.scroll_into_view_if_needed()
            bars.hover()
            expect(tip).to_be_visible()
            expect(tip).to_contain_text("copy")
            assert is_within(page, tip)
            page.keyboard.press("Escape") if end == "Escape" else None
            page.locator("h1").hover()
            expect(tip).to_be_hidden()


@pytest.mark.parametrize("place", ["first", "last"])
def test_the_numbers_of_a_row_do_not_hide_the_name_that_has_the_focus(
    scenes: Scenes, open_page: Open, place: str
) -> None:
    """Nor where the name stands at the window's end."""
    with open_page(scenes["shop"]) as opened:
        page = opened.page
        button = getattr(page.locator(f"{ROWS} th button"), place)
        button.evaluate("(name, place) => name.scrollIntoView({ block: place === 'last' ? 'end' : 'center' })", place)
        button.evaluate("name => name.focus({ preventScroll: true })")
        tip, name = page.locator("#tip").bounding_box(), button.bounding_box()
        assert tip is not None
        assert name is not None
        assert tip["y"] >= name["y"] + name["height"] or tip["y"] + tip["height"] <= name["y"]
        assert is_within(page, page.locator("#tip"))


def is_within(page: Page, element: Locator) -> bool:
    """Whether an element stands within the window."""
    box, size = element.bounding_box(), page.viewport_size
    assert box is not None
    assert size is not None
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return min(box["x"], box["y"]) >= 0 and right <= size["width"] and bottom <= size["height"]


# For whom a page is


LOOKED_AT = ["good", "first", "failed", "stopped", "running", "hostile", "shop", "shards", "errors"]


@pytest.mark.parametrize("name", LOOKED_AT)
def test_axe_finds_nothing_serious(scenes: Scenes, open_page: Open, name: str) -> None:
    """Neither on the page nor in a table's detail, on a desk, on a telephone, and where pages are dark."""
    if not harness.AXE.exists():
        pytest.skip(harness.NO_AXE)
    with open_page(scenes[name]) as opened:
        page = opened.page
        page.locator(f"{ROWS} th button").first.click()
        expect(page.locator("tr.detail:visible")).to_have_count(1)
        assert harness.faults(page) == []
        page.emulate_media(color_scheme="dark")
        assert harness.faults(page, "color-contrast") == []
        page.set_viewport_size({"width": NARROW, "height": 800})
        assert harness.faults(page) == []
        assert not is_wider(page)


@pytest.mark.parametrize("name", SCENES)
def test_a_telephone_scrolls_a_page_down_and_never_sideways(scenes: Scenes, open_page: Open, name: str) -> None:
    """With the details of forty tables open, too; and the seconds of a table stand within the window."""
    with open_page(scenes[name], width=NARROW) as opened:
        page = opened.page
        assert not is_wider(page)
        took = page.locator("th[data-key=seconds]").bounding_box()
        assert took is not None
        assert took["x"] + took["width"] <= NARROW
        page.locator(f"{ROWS} th button").evaluate_all("all => all.slice(0, 40).forEach(button => button.click())")
        expect(page.locator("tr.detail")).to_have_count(min(40, len(scenes[name].tables)))
        assert not is_wider(page)


def test_the_columns_of_a_long_page_keep_their_names(scenes: Scenes, open_page: Open) -> None:
    """On a desk, the header stays in the window when a person scrolls to the last row."""
    with open_page(scenes["many"]) as opened:
        opened.page.locator(ROWS).last.scroll_into_view_if_needed()
        assert is_within(opened.page, opened.page.locator("th[data-key=seconds]"))


CLIPPED = """
row => {
    for (let around = row; around !== document.documentElement; around = around.parentElement) {
        const style = getComputedStyle(around)
        if (style.overflowY !== 'visible' && around.scrollHeight > around.clientHeight + 1) return around.tagName
        if (style.overflowX !== 'visible' && around.scrollWidth > around.clientWidth + 1) return around.tagName
    }
    return null
}
"""


@pytest.mark.parametrize("name", ["shop", "many"])
def test_a_printed_page_has_all_rows(scenes: Scenes, open_page: Open, name: str) -> None:
    """None is hidden or cut off; what only a screen can use is not printed; dark pages print on white, too."""
    scene = scenes[name]
    with open_page(scene, "dark", 1000) as opened:
        page = opened.page
        page.emulate_media(media="print", color_scheme="light")
        shown = page.locator(ROWS).evaluate_all("rows => rows.filter(row => row.getClientRects().length).length")
        assert shown == len(scene.tables)
        assert page.locator(ROWS).last.evaluate(CLIPPED) is None
        expect(page.locator("#search")).to_be_hidden()
        expect(page.locator("a.skip")).to_be_hidden()
        if name == "shop":
            assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("name", ["good", "shop", "failed", "hostile"])
def test_a_page_without_scripts_has_all_there_is_to_read(scenes: Scenes, open_page: Open, name: str) -> None:
    """The sentence, every row, and its bars; and no search that would do nothing."""
    scene = scenes[name]
    with open_page(scene, scripts=False) as opened:
        page = opened.page
        expect(page.locator("#sentence")).to_have_text(" ".join(scene.night["sentence"].split()))
        rows = page.locator("#loads > tbody > tr")
        names = rows.locator("th button").all_text_contents()
        assert names == [printable(table["table"]) for table in scene.night["tables"]]
        for one in rows.all()[:5]:
            expect(one.locator("svg.bars")).to_be_visible()
        expect(page.locator("#search")).to_be_hidden()


def test_a_browser_that_cannot_unpack_the_data_says_so(scenes: Scenes, chromium: Browser) -> None:
    """Whatever it lacks: the rows and bars are there, and no search that would do nothing."""
    with chromium.new_context() as context:
        page = context.new_page()
        page.add_init_script("delete window.DecompressionStream")
        page.goto(scenes["first"].file.as_uri())
        expect(page.locator("#unable")).to_contain_text("cannot unpack")
        expect(page.locator("#search")).to_be_hidden()
        expect(page.locator("#loads svg.bars").first).to_be_visible()


def test_the_keyboard_opens_and_closes_a_table_while_text_is_selected(scenes: Scenes, open_page: Open) -> None:
    """Enter on its name opens it, Escape closes it from within its detail, too."""
    with open_page(scenes["shop"]) as opened:
        page = opened.page
        button = page.locator(f"{ROWS} th button").first
        button.focus()
        page.keyboard.press("Control+A")
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Tab")
        expect(page.locator("tr.detail .inner")).to_be_focused()
        page.keyboard.press("Escape")
        expect(button).to_have_attribute("aria-expanded", "false")
        expect(button).to_be_focused()


# What nobody may do with a page


@pytest.mark.parametrize("name", ["hostile", "hostile error"])
def test_names_that_look_like_scripts_are_shown_as_they_are(scenes: Scenes, open_page: Open, name: str) -> None:
    """Each letter of them, and escaped what turns text around or moves a cursor; nothing of it runs, whatever a person
    opens, points at or searches for."""
    scene = scenes[name]
    with open_page(scene) as opened:
        page = opened.page
        labels = page.locator(f"{ROWS} th button").evaluate_all("all => all.map(one => one.textContent)")
        assert sorted(labels) == sorted(map(printable, scene.tables))
        assert sum(printable(markup).replace('"', '""') in label for label in labels for markup in MARKUP) >= len(
            MARKUP
        )
        for button in page.locator(f"{ROWS} th button").all():
            button.hover()
            button.click()
        for text in (MARKUP[0], "\u00dcbersicht"):  # the latter in one letter, as a keyboard writes it
            page.locator("#search").fill(text)
            expect(page.locator("#found")).to_have_text(re.compile(r"^1 of \d+ tables"))
        assert page.locator("main script, main img, main iframe, main a[href^=javascript]").count() == 0


# From a bucket


BUCKET = "nightly-etl-pages"


def test_a_page_in_a_bucket_is_the_same_page(scenes: Scenes, chromium: Browser) -> None:
    """The Lambda `report` writes it; a signed link opens it, and it is searched and sorted as a file is."""
    stage = scenes.stage("bucket")
    stage.databases.operational.execute("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE items AS SELECT 2 AS id")
    stage.run()
    with parameter_store() as endpoint:  # moto's server has all of AWS
        s3 = boto3.Session("test", "test", region_name=cloud.REGION).client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
        variables = {"ETL_REPORTING_URL": stage.etl.environment["ETL_REPORTING_URL"], "ETL_REPORT_BUCKET": BUCKET}
        with function("etl.functions.report", cloud.account(endpoint) | variables) as report:
            answer = report.invoke({"run_id": "tonight"})
        assert (answer["page"], answer["page_error"]) == (f"s3://{BUCKET}/nights/tonight.html", None)
        for key in ("nights/tonight.html", "nights/latest.html"):
            put = s3.head_object(Bucket=BUCKET, Key=key)
            assert (put["ContentType"], put["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
            link = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}, ExpiresIn=60)
            with harness.opened(chromium, link) as opened:
                page = opened.page
                expect(page.locator("#sentence")).to_have_text(re.compile("^All 2 tables as of "))
                page.locator("#search").fill("items")
                expect(page.locator("#found")).to_have_text(re.compile("^1 of 2 tables"))
                page.locator("th[data-key=rows] > button").click()
                assert order(page) == ["public.items"]
