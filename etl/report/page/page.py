"""The night on one page: renders a report as one HTML file, with its style, its script and its data in it."""

# docs/decisions.md, "The night's page is made of SVG and a small script"

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from etl.commands.night import FullReport, Night, NightTable
from etl.commands.outcome import Outcome
from etl.logs.log import printable
from etl.model import limits
from etl.model.errors import refuse_unknown
from etl.report.page import figures
from etl.report.page.charts import charts
from etl.report.page.packed import harmless, packed
from etl.report.page.timeline import STEPS, Timeline

_TITLES = {"stopped": "stopped before the publish", "staged": "staged, not published", "running": "still running"}
"""What a state is called, if not by its own name."""


def render(report: FullReport) -> str:
    """The page; raises ConfigurationError if the run is not in the ledger."""
    night = report.night
    if night is None:
        refuse_unknown(report.run_id)
    style, script = (_own(name) for name in ("night.css", "night.js"))
    timeline = Timeline.of(report, night)
    return _template().render(
        report=report,
        night=night,
        title=_TITLES.get(night.state, night.state),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=packed(night),
        timeline=timeline,
        charts=charts(night),
        steps=STEPS,
        shown=_Shown(night),
        failed=[table for table in night.tables if table.outcome == Outcome.FAILED],
        most=limits.PAGE_ERRORS,
    )


class _Shown:
    """What only some nights have, and what therefore is not always on the page."""

    def __init__(self, night: Night) -> None:
        self.shards = bool(night.shards)
        self.outcomes = any(table.outcome != "published" for table in night.tables)
        self.usual = any(table.usual for table in night.tables)
        self.as_of = sorted({table.as_of for table in night.tables if table.as_of})
        self.several = len({table.as_of for table in night.tables}) > 1
        self.kinds = any(table.load not in {None, "full"} or table.reason for table in night.tables)
        self.drifted = [table for table in night.tables if table.drift]
        self.slow = [table for table in night.tables if table.slow_since]
        self.decisive = next((table for table in night.tables if table.is_decisive), None)
        self.reasons = _reasons(night.tables)
        self.began_of = {one.run_id: one.started_at for one in (*night.before, night.tonight)}


def _reasons(tables: Iterable[NightTable]) -> list[tuple[str, str, list[str]]]:
    """Why loads copied the rows that they did: kind, reason, and the tables of that reason; the commonest first."""
    found: dict[tuple[str, str], list[str]] = {}
    for table in tables:
        if table.reason and not table.error:
            found.setdefault((table.load or "full", table.reason), []).append(table.table)
    return sorted(((*why, names) for why, names in found.items()), key=lambda one: -len(one[2]))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("etl.report.page", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["broken"] = _broken
    said = ("clock", "count", "day", "moment", "ratio", "seconds", "share", "size")
    environment.filters |= {name: getattr(figures, name) for name in said}
    environment.filters["few"] = _few
    return environment.get_template("night.html.j2")


def _broken(name: str) -> Markup:
    """A table's name that may be broken after a dot or an underscore, where a window is narrow."""
    return escape(printable(name)).replace(".", Markup(".<wbr>")).replace("_", Markup("_<wbr>"))


def _few(names: Sequence[str], most: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


@cache
def _own(name: str) -> str:
    """A file beside this one."""
    return files("etl.report.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The text's hash, by which the page's policy allows it and no other style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
