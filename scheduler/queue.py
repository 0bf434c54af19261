"""The queue between the scheduler and the runner: messages that are delivered when they are due, to the second."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from .message import Message

BATCH = 10
"""Messages of one request, at most; so many, too, is what the runner gets at once."""

LONGEST_DELAY = timedelta(minutes=15)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html"""

TRIES, PAUSE = 4, 0.2  # seconds, doubled each time


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of SQS."""

    client: Any
    url: str

    def send(self, messages: Sequence[Message], now: datetime) -> set[Message]:
        """Sends messages, each to be delivered when it is due; returns those that the queue has not accepted."""
        lost: set[Message] = set()
        for batch in _batches(messages):
            lost |= self._sent(dict(enumerate(batch)), [message.due for message in batch], now)
        return lost

    def put_back(self, message: Message, delay: timedelta, now: datetime) -> bool:
        """Sends a message again, to be delivered after a delay; returns whether the queue has accepted it."""
        return not self._sent({0: message.again()}, [now + delay], now)

    def _sent(self, batch: dict[int, Message], when: Sequence[datetime], now: datetime) -> set[Message]:
        """A request may fail in part, so each message is looked at (SendMessageBatch, ``Failed``)."""
        left = dict(batch)
        for attempt in range(TRIES):
            answer = self.client.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(key), "MessageBody": left[key].text(), "DelaySeconds": _seconds(when[key] - now)}
                    for key in left
                ],
            )
            for accepted in answer.get("Successful", []):
                left.pop(int(accepted["Id"]), None)
            if not left or all(failed["SenderFault"] for failed in answer.get("Failed", [])):
                break
            time.sleep(PAUSE * 2**attempt)
        return set(left.values())


def _seconds(delay: timedelta) -> int:
    """Whole seconds, rounded up: a job never starts before it is due."""
    return max(0, math.ceil(min(delay, LONGEST_DELAY).total_seconds()))


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    remaining = iter(messages)
    while batch := list(islice(remaining, BATCH)):
        yield batch
