"""A reader that queries the reporting database all the time, also during a publish."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

import psycopg

PAUSE = 0.02
"""Seconds between two reads."""

PATIENCE = 30.0
"""Seconds that the demo waits for an answer before it gives up."""


class Answer(NamedTuple):
    """One query's result from two tables. If both values are of one day, the reader saw that day whole."""

    price_list: Decimal
    orders: int


QUESTION = "SELECT (SELECT sum(price) FROM products) AS price_list, (SELECT count(*) FROM orders) AS orders"
"""One query over two tables; the demo's new day changes both."""


def ask(connection: psycopg.Connection[tuple[Decimal, int]]) -> Answer:
    """Runs the query once."""
    row = connection.execute(QUESTION).fetchone()
    assert row is not None
    return Answer(*row)


@dataclass(frozen=True, slots=True)
class Read:
    """One read: the answer, and the seconds it took."""

    answer: Answer
    seconds: float


class Reader:
    """Runs the query again and again, in a thread, for as long as a ``with`` block lasts."""

    def __init__(self, url: str) -> None:
        self.reads: list[Read] = []
        self.error: Exception | None = None
        self._url = url
        self._told = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_on, name="reader")

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._thread.join()

    def await_answer(self, answer: Answer) -> None:
        """Waits until the last read gave this answer; returns early when the reader has failed.

        Raises TimeoutError when the answer does not come within PATIENCE.
        """
        with self._told:
            if not self._told.wait_for(lambda: self.error or self._last() == answer, PATIENCE):
                raise TimeoutError(f"after {PATIENCE:g} s readers still see {self._last()}, not {answer}")

    def _last(self) -> Answer | None:
        return self.reads[-1].answer if self.reads else None

    def _read_on(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while not self._stopping.wait(PAUSE):
                    began = time.perf_counter()
                    answer = ask(connection)
                    self._tell(Read(answer, time.perf_counter() - began))
        except psycopg.Error as error:
            self._tell(error)

    def _tell(self, news: Read | Exception) -> None:
        with self._told:
            if isinstance(news, Read):
                self.reads.append(news)
            else:
                self.error = news
            self._told.notify_all()


def days(reads: Sequence[Read], yesterday: Answer, today: Answer) -> list[str]:
    """The days that the reads saw, in order and without repetition; ``["yesterday", "today"]`` if all is well."""
    names = {yesterday: "yesterday", today: "today"}
    return [day for day, _ in groupby(reads, key=lambda read: names.get(read.answer, "a mixture"))]
