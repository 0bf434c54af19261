"""The progress of a run's loads: what the ledger and the log are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import structlog.testing

from etl.loads.loading import Loading
from etl.loads.progress import Progress, Tally
from etl.model.record import Load
from etl.model.table import Table


class Named(SimpleNamespace):
    """What a tally reads of a table: its name, and the catalog's rows and bytes."""

    def __str__(self) -> str:
        return str(self.name)


def table(name: str) -> Table:
    """A table of 100 rows and 1,000 bytes."""
    return cast("Table", Named(name=name, rows=100, bytes=1000))


A, B, C = table("public.a"), table("public.b"), table("public.c")


def tally() -> Tally:
    """A tally of three tables, of which the first has copied a quarter of its bytes."""
    one = Tally(Progress())
    one.surveyed([A, B, C])
    one.started(A)
    one.advanced(A, 250)
    return one


def test_a_load_tells_rows_by_its_part_of_the_bytes() -> None:
    """And all of them when it builds indexes, however many bytes the stream had."""
    one = tally()
    ((name, step, rows, size, expected),) = [
        (seen.table_name, seen.step, seen.rows, seen.bytes, seen.expected) for seen in one.under_way()
    ]
    assert (name, step, rows, size, expected) == ("public.a", "rows", 25, 250, 1000)
    one.advanced(A, 5000)
    one.copied(A)
    assert [(seen.step, seen.rows, seen.bytes) for seen in one.under_way()] == [("indexes", 100, 5250)]


def test_only_what_has_moved_is_told_again() -> None:
    """And what could not be told."""
    one = tally()
    one.started(B)
    news = one.news()
    assert [seen.table_name for seen in news] == ["public.a", "public.b"]
    one.told(news[:1])
    assert [seen.table_name for seen in one.news()] == ["public.b"]
    one.advanced(A, 1)
    assert [seen.table_name for seen in one.news()] == ["public.a", "public.b"]


def test_an_attempt_that_has_failed_counts_no_bytes() -> None:
    """Unless all rows had been copied: then only the step after it is tried again."""
    one = tally()
    one.restarted(A)
    assert one.under_way()[0].bytes == 0
    one.advanced(A, 500)
    one.copied(A)
    one.restarted(A)
    assert one.under_way()[0].bytes == 500


def test_the_log_says_how_far_a_run_is() -> None:
    """The tables that are staged, failed and being loaded; rows and bytes of all of them."""
    one = tally()
    one.started(B)
    one.finished(B)
    one.failed(C)
    loads = [SimpleNamespace(rows=10, bytes=70), SimpleNamespace(rows=None, bytes=None)]
    nothing: Any = None
    loading = Loading(nothing, nothing, nothing, (), one, cast("list[Load]", loads), nothing)
    with structlog.testing.capture_logs() as lines:
        loading._say_progress()
    assert lines == [
        {
            "event": "run.progress",
            "log_level": "info",
            "tables": 3,
            "staged": 1,
            "failed": 1,
            "loading": ["public.a"],
            "rows": 35,
            "bytes": 320,
        }
    ]
