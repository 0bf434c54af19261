"""Retries of a step, with tenacity: which errors are retried, how often, and after which pauses."""

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

from etl.model import limits
from etl.model.transient import is_transient

T = TypeVar("T")


async def retried(
    step: Callable[[], Awaitable[T]],
    clear: Callable[[], Awaitable[None]],
    say: Callable[[int, BaseException], None],
) -> T:
    """Executes a step, and tries it again after a transient error.

    Calls ``clear`` after each failed attempt, including the last. Calls ``say`` with the number and the error of the
    failed attempt before the next attempt. Raises the error of the last attempt.
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
        stop=stop_after_attempt(limits.STEP_ATTEMPTS),
        wait=wait_exponential_jitter(*limits.STEP_PAUSE_SECONDS),
        before_sleep=before_sleep,
        reraise=True,
    )
    return await retrying(attempt)


def persistent(again: Callable[[BaseException], bool], deadline: float) -> AsyncRetrying:
    """Attempts with pauses, while ``again`` accepts their errors, for ``deadline`` seconds; raises the last error."""
    return AsyncRetrying(
        retry=retry_if_exception(again),
        stop=stop_after_delay(deadline),
        wait=wait_random(*limits.PUBLISH_PAUSE_SECONDS),
        reraise=True,
    )


async def persistently(
    attempt: Callable[[], Awaitable[T]], again: Callable[[BaseException], bool], deadline: float
) -> T:
    """Repeats an attempt with pauses, while ``again`` accepts its error, for ``deadline`` seconds.

    Raises the last error.
    """

    async def once() -> T:  # tenacity awaits coroutine functions only, and ``attempt`` may be a lambda
        return await attempt()

    return await persistent(again, deadline)(once)
