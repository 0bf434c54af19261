"""When to do a step again, and how often: pure policy over tenacity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential_jitter,
    wait_random,
)

from etl.model.errors import is_transient

ATTEMPTS = 4
"""Tries of one step, the first included; about 5 seconds of waiting between them in all."""

PAUSE = (0.1, 1.0)
"""Seconds between two attempts, at random, so that two publishes do not meet again and again."""

T = TypeVar("T")


async def retried(
    step: Callable[[], Awaitable[T]],
    clear: Callable[[], Awaitable[None]],
    say: Callable[[int, BaseException], None],
) -> T:
    """Does a step, again where what failed may pass by itself.

    Calls ``clear`` after each failure, the last one too, and ``say`` with the number of the try that failed and the
    error, before the next. Raises what the last try raised.
    """

    async def attempt() -> T:
        try:
            return await step()
        except BaseException:
            await clear()
            raise

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        say(state.attempt_number, error or Exception())

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(initial=0.5, max=10),
        before_sleep=before_sleep,
        reraise=True,
    )
    return await retrying(attempt)


def persistent(again: Callable[[BaseException], bool], deadline: float) -> AsyncRetrying:
    """Attempts, with pauses, while their errors say so, for ``deadline`` seconds; the last error is raised."""
    return AsyncRetrying(
        retry=retry_if_exception(again), stop=stop_after_delay(deadline), wait=wait_random(*PAUSE), reraise=True
    )


async def persistently(
    attempt: Callable[[], Awaitable[T]], again: Callable[[BaseException], bool], deadline: float
) -> T:
    """Makes attempts, with pauses, while their errors say so, for ``deadline`` seconds; raises the last error."""

    async def once() -> T:  # tenacity awaits only what it knows to be a coroutine function, and a lambda is none
        return await attempt()

    return await persistent(again, deadline)(once)
