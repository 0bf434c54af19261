"""The night's page as text: what is escaped, what may be loaded, what is drawn, and how large it is."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from etl.commands.night import FullReport, Move, Night, NightShard, NightTable, Past, PastNight, Rebalance, Steps
from etl.commands.usual import usual
from etl.logs.log import printable
from etl.model.errors import ConfigurationError
from etl.report.page import figures
from etl.report.page.charts import charts
from etl.report.page.page import render
from etl.report.page.timeline import Timeline

BEGAN = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)

HOSTILE = [
    "public.<script>window.hacked = 1</script>",
    "public.\"'><img src=x onerror=hacked()>",
    "public.</script><!-- --></style>",
    "public.{{ 7 * 7 }}{% raw %}",
    "public.\u202eevil\u2066\x00\n\t",
    "public.&lt;b&gt;&amp;",
    "public." + "ü" * 63,
    "public.\ud800",
]


def seconds(number: float) -> datetime:
    return BEGAN + timedelta(seconds=number)


def table(name: str = "public.orders", number: int = 0, nights: int = 5, *, outcome: str = "published") -> NightTable:
    """A table that took half a minute, as in the nights before."""
    chosen = random.Random(number)
    took = [round(30 * chosen.uniform(0.8, 1.2), 3) for _ in range(nights)]
    rows = [1_000_000 + chosen.randrange(10_000_000) for _ in range(nights)]
    copied = [chosen.randrange(10_000_000_000) for _ in range(nights)]
    return NightTable(
        table=name,
        shard=str(number % 50),
        outcome=outcome,
        load="delta",
        reason="the base is of yesterday",
        rows=rows[-1] if rows else 1,
        changed=chosen.randrange(100_000),
        bytes=copied[-1] if copied else 1,
        started_at=seconds(number),
        finished_at=seconds(number + 30),
        seconds=30.0,
        steps=Steps(float(number), 18.0, 2.0, 5.0, 3.0, 2.0, 1.5),
        usual=usual(took),
        is_slower=number % 7 == 0,
        slow_since=None,
        slow_before=None,
        slow_after=None,
        is_decisive=False,
        as_of=seconds(3),
        drift="column note is new" if number % 9 == 0 else None,
        note=None,
        error="it went wrong" if outcome == "failed" else None,
        past=Past(
            tuple(took), tuple(rows), tuple(copied), tuple(chosen.randrange(100_000) for _ in took), ("delta",) * nights
        ),
    )


def night(tables: list[NightTable], nights: int = 5, **changes: Any) -> FullReport:
    """A report on a published night of half an hour."""
    before = [
        PastNight(
            f"run-{n}", "published", BEGAN - timedelta(days=n), BEGAN, 1800.0, len(tables), 10**9, 10**10, 5, 0.01
        )
        for n in range(nights, 0, -1)
    ]
    tonight = PastNight("tonight", "published", BEGAN, seconds(1800), 1800.0, len(tables), 10**9, 10**10, 5, 0.01)
    of = Night(
        sentence="All tables.",
        state="published",
        at=seconds(4000),
        job=None,
        publish_way="merge",
        staged_at=seconds(1500),
        publish_seconds=300.0,
        is_published_apart=False,
        is_superseded=False,
        usual=None,
        expected_at=None,
        slower=1,
        tables=tuple(tables),
        shards=tuple(NightShard(str(n), 20, BEGAN, seconds(1500 - n), 1500.0 - n, 3000.0) for n in range(50)),
        rebalance=Rebalance(3000.0, 2900.0, 2800.0, (Move(tables[0].table if tables else "a", "0", "1"),)),
        before=tuple(before),
        tonight=tonight,
    )
    return FullReport(
        run_id="tonight",
        status="published",
        snapshot_at=seconds(3),
        started_at=BEGAN,
        finished_at=seconds(1800),
        seconds=1800.0,
        tables=len(tables),
        rows=10**9,
        bytes=10**10,
        slowest=(),
        failed=(),
        failed_count=0,
        last_published=None,
        error=None,
        kept_until=None,
        night=replace(of, **changes),
    )


class Page(HTMLParser):
    """The elements and the texts of a page; raises if an element is not closed where it should be."""

    VOID = ("wbr", "meta", "link", "input", "rect", "use", "path", "br", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def data_of(page: str) -> dict[str, Any]:
    """What the page's script unpacks."""
    packed = re.search('id="data">([^<]*)<', page)
    assert packed
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_text(name: str) -> None:
    """Wherever a name, an error, a reason or a note stands, no element and no attribute comes of it."""
    of = replace(
        table(name, outcome="failed"),
        error=name,
        reason=name,
        drift=name,
        note=name,
        load=name,
        shard=name,
    )
    report = night([of, table()], job=name, sentence=name)
    assert report.night is not None
    move, shard = Move(name, name, name), replace(report.night.shards[0], shard=name)
    moved = Rebalance(2.0, 1.0, 1.0, (move,))
    hostile = replace(report.night, shards=(shard, *report.night.shards), rebalance=moved, error=name)
    text = render(replace(report, run_id=name, night=hostile, waiting=(name,)))
    page, plain = Page(text), Page(render(night([table("public.a", outcome="failed"), table()])))
    assert {tag for tag, _ in page.found} <= {tag for tag, _ in plain.found} | {"ul", "li", "strong", "section", "pre"}
    assert [tag for tag, _ in page.found].count("script") == 2
    assert not [attrs for _, attrs in page.found if any(key.startswith("on") for key in attrs)]
    assert data_of(text)["columns"]["error"][0] == printable(name)
    text.encode("utf-8")


def test_the_page_allows_its_own_style_and_script_and_nothing_else() -> None:
    """By their hashes; it names no server."""
    text = render(night([table()]))
    (policy,) = [str(attrs["content"]) for tag, attrs in Page(text).found if attrs.get("http-equiv")]
    for name in ("style", "script"):
        (own,) = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert f"{name}-src 'sha256-{base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not [attrs for _, attrs in Page(text).found if "style" in attrs]


def test_a_thousand_tables_with_thirty_nights_are_less_than_a_megabyte() -> None:
    """With 50 shards, and figures that compress as badly as random ones do."""
    tables = [table(f"sales_department_{n % 10}.some_table_{n:04}", n, 30) for n in range(1000)]
    text = render(night(tables, 30))
    head, rows = text.partition("<tbody>")[0], text.partition("<tbody>")[2].partition("</tbody>")[0]
    packed = text.partition('id="data">')[2].partition("<")[0]
    print(
        f"{len(text.encode()):,} bytes: {len(head):,} before the rows, {len(rows):,} of rows, {len(packed):,} of data"
    )
    assert len(text.encode()) < 1_000_000


def test_what_readers_see_of_another_year_is_not_taken_for_yesterday_s() -> None:
    """On the page, in its data, and in the list of the nights."""
    old = replace(table(outcome="failed"), as_of=BEGAN - timedelta(days=366))
    report = night([old], 1)
    assert report.night is not None
    before = replace(report.night.before[0], started_at=BEGAN - timedelta(days=366))
    text = render(replace(report, night=replace(report.night, before=(before,))))
    assert data_of(text)["columns"]["as_of"] == ["27 Nov 2025 02:00:00"]
    assert data_of(text)["nights"] == ["27 Nov 2025 02:00"]
    assert "<dt>Readers see</dt><dd>27 Nov 2025 02:00:0" in text


def test_a_slow_table_is_named_with_its_usual_seconds() -> None:
    """Before, and since."""
    slow = replace(table(), seconds=1.0, slow_since="run-2", slow_before=30.5, slow_after=405.0)
    assert "is slow since 26 Nov 02:00:00: 6 min 45 s, before that 30.5 s." in " ".join(
        Page(render(night([slow]))).texts
    )


def test_a_past_load_s_seconds_are_those_that_the_page_shows() -> None:
    """A load of 20 min 34 s was not one of 20 min 30 s."""
    took = (0.1234, 9.876, 45.678, 1234.4, 86_399.0, None)
    of = replace(table(nights=6), past=replace(table(nights=6).past, seconds=took))
    assert data_of(render(night([of], 6)))["past"]["seconds"] == [[0.12, 9.88, 45.7, 1234, 86_399, None]]


def test_a_page_of_the_same_night_is_the_same_text() -> None:
    """So that a file that is written again is no other file."""
    assert render(night([table()])) == render(night([table()]))


def test_a_run_without_tables_has_a_page() -> None:
    """One that failed before it knew them."""
    text = render(night([], 0, shards=(), rebalance=None, staged_at=None, publish_seconds=None, state="failed"))
    assert Page(text).found
    assert data_of(text)["nights"] == data_of(text)["columns"]["rows"] == []


def test_a_run_that_is_unknown_has_none() -> None:
    """The error is that of all commands."""
    with pytest.raises(ConfigurationError, match="tonight is not in the ledger"):
        render(replace(night([]), night=None))


def test_the_bars_of_a_load_follow_one_another_within_the_night() -> None:
    """From its start on, as long as their steps took; the usual end is behind them, the median before them."""
    report = night([table(number=300)])
    assert report.night is not None
    timeline = Timeline.of(report, report.night)
    bars = list(timeline.bars(report.night.tables[0]))
    assert "".join(bar.kind for bar in bars) == "uwcviaomn"
    at = {bar.kind: (float(bar.x[:-1]), float(bar.width[:-1])) for bar in bars}
    assert at["c"] == pytest.approx((100 * 300 / 1800, 100 * 18 / 1800), rel=0.01)
    assert at["v"][0] == pytest.approx(sum(at["c"]), rel=0.01)
    assert at["m"][0] == pytest.approx(100 * 1500 / 1800, rel=0.01)
    assert all(0 <= x <= 100 and 0 < width <= 100 for x, width in at.values())


@pytest.mark.parametrize("span", [0.5, 20, 1800, 7 * 3600, 40 * 3600, 20 * 86_400])
def test_the_axis_has_a_few_round_times(span: float) -> None:
    """Whether the night took a second or days."""
    ticks = Timeline(BEGAN + timedelta(seconds=7.3), span, None).ticks()
    assert len(ticks) <= 6
    assert all(0 <= tick.percent <= 94 for tick in ticks)
    assert len({tick.text for tick in ticks}) == len(ticks)
    assert len(ticks) >= 2 or span < 1


def test_a_bar_is_as_long_as_its_step() -> None:
    """To a tenth of a percent, also a long one."""
    one = replace(table(), steps=Steps(0.0, 0.504 * 1800, 0.0, 0.0, 0.0, 0.4957 * 1800, 0.0), usual=None)
    report = night([one])
    assert report.night is not None
    widths = {bar.kind: bar.width for bar in Timeline.of(report, report.night).bars(one)}
    assert (widths["c"], widths["o"]) == ("50.4%", "49.6%")


def test_a_publish_that_waited_for_its_command_says_so() -> None:
    """Nobody knows when it began."""
    assert "with the wait for it" not in render(night([table()]))
    assert render(night([table()], is_published_apart=True)).count("with the wait for it") == 2


def test_a_page_of_a_night_that_another_has_followed_does_not_say_what_readers_see_now() -> None:
    """It says what they saw then."""
    assert "<dt>Readers see</dt>" in render(night([table()]))
    assert "<dt>Readers saw</dt>" in render(night([table()], is_superseded=True))


def test_each_night_has_a_bar_and_the_median_a_line() -> None:
    """Tonight's is marked; a night that failed, too, and it does not count for the median."""
    report = night([table()], 4)
    assert report.night is not None
    before = [replace(one, seconds=100.0 * (n + 1)) for n, one in enumerate(report.night.before)]
    before[0] = replace(before[0], status="failed", seconds=9.0)
    found = charts(replace(report.night, before=tuple(before)))
    assert [one.name for one in found] == ["Duration", "Rows", "Copied", "Changed rows"]
    duration = found[0]
    assert [bar.kind for bar in duration.columns] == ["bad", "", "", "", "tonight"]
    assert (duration.now, duration.usual) == ("30 min 0 s", "usually 5 min 0 s")
    assert duration.line == pytest.approx(60 * (1 - 300 / 1800), abs=0.1)
    assert duration.columns[0].title == "24 Nov 02:00:00: 9.00 s (failed)"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figures.size(999), "999 B"),
        (figures.size(1_234_567), "1.2 MB"),
        (figures.size(999_600), "1.0 MB"),
        (figures.size(None), "–"),
        (figures.seconds(0.123), "0.12 s"),
        (figures.seconds(59.96), "60.0 s"),
        (figures.seconds(3660), "1 h 1 min"),
        (figures.share(0.012), "1.2 %"),
        (figures.share(1), "100 %"),
        (figures.share(0), "0 %"),
        (figures.ratio(1.84), "1.8 ×"),
        (figures.count(1234.4), "1,234"),
        (figures.moment(BEGAN, BEGAN), "28 Nov 02:00:00"),
        (figures.moment(BEGAN - timedelta(days=365), BEGAN), "28 Nov 2025 02:00:00"),
        (figures.minute(BEGAN - timedelta(days=365), BEGAN), "28 Nov 2025 02:00"),
    ],
)
def test_figures_are_written_for_people(written: str, expected: str) -> None:
    """Short, with their units."""
    assert written == expected
