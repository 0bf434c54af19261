"""Slack: reads where to post, posts a message, and makes sure that Slack accepted it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler
from slack_sdk.http_retry.handler import RetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.webhook import WebhookClient

from .blocks import context
from .text import code

TRIES_MORE = 3
LONGEST_WAIT = 15
"""Seconds that the Lambda waits if Slack asks for it.

The state machine does longer waits, because its waits are free.
"""

_SECONDS = 10  # for one request
_PASSING = frozenset({429, 500, 502, 503, 504})
_CHANNEL = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})
"""Errors of a channel to which the bot may not post: https://docs.slack.dev/reference/methods/chat.postMessage."""


class NotTold(Exception):
    """Slack did not accept the message; ``reason`` is Slack's word for it, if it gave one."""

    def __init__(self, said: str, reason: str = "") -> None:
        super().__init__(said)
        self.reason = reason

    @property
    def is_about_the_channel(self) -> bool:
        """Whether another channel may take the message."""
        return self.reason in _CHANNEL


class NotConfigured(Exception):
    """The Parameter Store has no destination for messages."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An incoming webhook; the URL is a secret."""

    url: str


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot's token, and the channel it posts to."""

    token: str
    channel: str


@cache
def destination(path: str) -> Webhook | Bot:
    """Reads the destination from a path of the Parameter Store: ``webhook_url``, or ``bot_token`` and ``channel``.

    The result is cached until ``cache_clear``. Raises NotConfigured.
    """
    pages = boto3.client("ssm").get_paginator("get_parameters_by_path")
    found = {
        parameter["Name"].removeprefix(f"{path}/"): parameter["Value"].strip()
        for page in pages.paginate(Path=path, WithDecryption=True)
        for parameter in page["Parameters"]
    }
    if found.get("webhook_url"):
        return _webhook(found["webhook_url"], path)
    if found.get("bot_token") and found.get("channel"):
        return Bot(found["bot_token"], found["channel"])
    raise NotConfigured(f"{path} holds neither webhook_url nor bot_token and channel; store one or the other")


def _webhook(url: str, path: str) -> Webhook:
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise NotConfigured(f"{path}/webhook_url is no https:// URL; store the one that Slack shows for the webhook")
    return Webhook(url)


def post(where: Webhook | Bot, message: Mapping[str, Any]) -> None:
    """Posts a message. Raises NotTold, whose text contains no secret."""
    if isinstance(where, Webhook):
        _post_to_webhook(where, message)
    else:
        _post_as_bot(where, message)


def post_to(where: Webhook | Bot, channel: str, content: Mapping[str, Any]) -> None:
    """Posts a message to a job's own channel; empty means the destination's.

    Where the channel cannot be had, the message goes to the destination's, and says for which one it was. Raises
    NotTold.
    """
    if not channel:
        post(where, content)
    elif isinstance(where, Webhook):
        reason = "a webhook cannot choose one; store bot_token and channel in its place"
        post(where, _meant_for(channel, reason, content))
    else:
        try:
            post(Bot(where.token, channel), content)
        except NotTold as error:
            if not error.is_about_the_channel:
                raise
            reason = f"the bot cannot post there ({error.reason}); invite it, or mend the job's channel"
            post(where, _meant_for(channel, reason, content))


def _meant_for(channel: str, reason: str, content: Mapping[str, Any]) -> dict[str, Any]:
    note = context(f"This message is for the channel {code(channel)}, but {reason}.")
    return {**content, "blocks": [*content["blocks"], note]}


def _post_to_webhook(webhook: Webhook, message: Mapping[str, Any]) -> None:
    client = WebhookClient(webhook.url, timeout=_SECONDS, retry_handlers=_handlers())
    try:
        answer = client.send_dict({**message, "unfurl_links": False, "unfurl_media": False})
    except OSError as error:
        raise NotTold(f"Slack cannot be reached: {error}") from None
    if answer.status_code != 200 or answer.body.strip() != "ok":
        said = answer.body.strip().replace(webhook.url, "***")[:200]
        raise NotTold(f"Slack's webhook answered {answer.status_code}: {said}")


def _post_as_bot(bot: Bot, message: Mapping[str, Any]) -> None:
    base = os.environ.get("SLACK_API_URL", WebClient.BASE_URL)
    client = WebClient(bot.token, base_url=base, timeout=_SECONDS, retry_handlers=_handlers())
    try:
        client.chat_postMessage(channel=bot.channel, unfurl_links=False, unfurl_media=False, **message)
    except SlackApiError as error:
        reason = _reason(error.response.data)
        raise NotTold(f"Slack answered {error.response.status_code}: {reason}", reason) from None
    except OSError as error:
        raise NotTold(f"Slack cannot be reached: {error}") from None


def _reason(data: object) -> str:
    return str(data.get("error") if isinstance(data, Mapping) else data)[:200]


def _handlers() -> list[RetryHandler]:
    return [ConnectionErrorRetryHandler(TRIES_MORE), Passing(TRIES_MORE)]


class Passing(RetryHandler):
    """Retries temporary errors: 429 after the time that Slack asks for, if it is short, and 5xx.

    slack_sdk's own handlers do not retry 502 and 504, and wait for as long as the server asks.
    """

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        del state, request, error
        return response is not None and response.status_code in _PASSING and _asked(response) <= LONGEST_WAIT

    def prepare_for_next_attempt(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        """Waits for the time that Slack asks for, then for slack_sdk's own backoff."""
        if response is not None:
            time.sleep(_asked(response))
        super().prepare_for_next_attempt(state=state, request=request, response=response, error=error)


def _asked(response: HttpResponse) -> float:
    """The seconds of a Retry-After header, 0 without the header."""
    for name, values in response.headers.items():
        if name.lower() == "retry-after" and values:
            return float(values[0])
    return 0.0
