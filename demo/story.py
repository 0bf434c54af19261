"""The demo's story, in five acts. Each prints what it does and why, and raises DemoFailed if it goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
from rich import box
from rich.console import Console
from rich.table import Table as Grid

from demo.reader import Answer, Read, Reader, ask, days
from demo.stage import PARAMETER_PATH, TABLES, Stage

console = Console(highlight=False)

PAGE = Path(__file__).parents[1] / ".demo" / "night.html"
"""The page of the second night; it stays when the servers are gone."""


class DemoFailed(Exception):
    """The demo did not show what it promises."""


def play(stage: Stage, rows: int) -> None:
    """Plays all acts."""
    _make_shop(stage, rows)
    _first_night()
    _proof()
    _second_night(stage)
    _page()


def _make_shop(stage: Stage, rows: int) -> None:
    _heading("A shop's database, and an empty reporting database")
    stage.fill(rows)
    stage.store_urls()
    made = stage.operational.psql("SELECT sum(n_live_tup) FROM pg_stat_user_tables", "shop")
    size = stage.operational.psql("SELECT pg_size_pretty(pg_database_size('shop'))", "shop")
    count = len(TABLES.split(","))
    console.print(
        f"The shop has {int(made):,} rows in {count} tables, {size}. Both databases' URLs are SecureStrings under"
        f" {PARAMETER_PATH} in a local Parameter Store."
    )


def _first_night() -> None:
    _heading("The first night: etl run")
    console.print("As its container starts it: the tables, and where its parameters are.\n")
    console.print(f"TABLES={TABLES}\nETL_PARAMETER_PATH={PARAMETER_PATH}", style="cyan", soft_wrap=True)
    _etl("run")
    if not console.is_terminal:  # on a terminal, `etl run` has just shown the same table
        console.print("\nThe ledger, in the reporting database, keeps what each night did.\n")
        _etl("history", "--limit", "1")


def _proof() -> None:
    _heading("The proof: etl verify")
    console.print("Both servers compute a checksum over every byte of every row.\n")
    _etl("verify")


def _second_night(stage: Stage) -> None:
    _heading("The second night, while someone reads")
    yesterday = _answer(stage.reporting_url)
    stage.change()
    today = _answer(stage.operational_url)
    if today == yesterday:
        raise DemoFailed("the new day changed nothing, so nothing can be shown of it")
    console.print(
        "In the shop, one transaction has raised every price by 5 % and taken new orders. A reader of the reporting"
        " database asks for both in one query, over and over, while the next run replaces all tables.\n"
    )
    with Reader(stage.reporting_url) as reader:
        reader.await_answer(yesterday)
        _etl("run")
        reader.await_answer(today)
    _show(reader.reads, yesterday, today)
    judge(reader, yesterday, today)


def _answer(url: str) -> Answer:
    with psycopg.connect(url) as connection:
        return ask(connection)


def _show(reads: Sequence[Read], yesterday: Answer, today: Answer) -> None:
    grid = Grid(box=box.SIMPLE_HEAD)
    for name in ("the reader saw", "reads", "sum of all prices", "orders"):
        grid.add_column(name, justify="left" if name == "the reader saw" else "right")
    counts = {answer: sum(read.answer == answer for read in reads) for answer in (yesterday, today)}
    between = len(reads) - sum(counts.values())
    for day, answer in (("yesterday", yesterday), ("today", today)):
        grid.add_row(day, f"{counts[answer]:,}", f"{answer.price_list:,}", f"{answer.orders:,}")
        if day == "yesterday":
            grid.add_row("between", f"{between:,}")
    console.print(grid)
    console.print(f"The slowest read took {max(read.seconds for read in reads) * 1000:.0f} ms.")


def judge(reader: Reader, yesterday: Answer, today: Answer) -> None:
    """Prints that all went well; raises DemoFailed if readers saw a mixture, or an error."""
    if reader.error:
        raise DemoFailed(f"a reader got an error: {reader.error}")
    seen = days(reader.reads, yesterday, today)
    if seen != ["yesterday", "today"]:
        raise DemoFailed(f"readers saw {', then '.join(seen)}; they should have seen yesterday, then today")
    console.print("Readers saw all of yesterday, then all of today, and nothing between.", style="bold green")


def _page() -> None:
    _heading("The night on one page: etl report")
    PAGE.parent.mkdir(exist_ok=True)
    _etl("report", "--output", str(PAGE))
    console.print(f"\nOpen {PAGE.as_uri()} in a browser: it is one file, and asks no server.", soft_wrap=True)


def _heading(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


def _etl(*arguments: str) -> None:
    """Runs ``etl`` to its end, in this terminal; raises DemoFailed when it fails."""
    console.print(f"$ etl {' '.join(arguments)}", style="bold cyan")
    process = subprocess.Popen([sys.executable, "-m", "etl", *arguments])
    try:
        status = process.wait()
    except BaseException:  # a signal: etl cleans up, and needs its servers until it has finished
        process.terminate()
        process.wait(timeout=10)
        raise
    if status:
        raise DemoFailed(f"`etl {' '.join(arguments)}` ended with status {status}")
