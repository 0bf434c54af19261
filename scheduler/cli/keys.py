"""The keys of a job in the file: what each may be, and what is said of a value that cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from scheduler.cron import BadSchedule, Schedule
from scheduler.job import CatchUp, Notify, Overlap, When
from scheduler.pools import MOST_AT_ONCE

from .problem import meant

LONGEST_WINDOW = timedelta(days=7)

_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+){1,13}")
"""Parameter Store takes .. as a name like any other, so a path with it is never the one that is meant."""

_WINDOW = re.compile(r"(\d{1,5}) ?(minutes?|hours?|days?)")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{4,}|#[a-z0-9_-]{1,80}")
_SERVER = re.compile(r"[A-Za-z0-9._:-]{1,255}")


class Bad(ValueError):
    """A value that cannot be used: what is wrong with it; the remedy."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a job: how its value is read, what it is, and what stands for it where it is absent."""

    read: Callable[[Any], Any]
    about: str
    absent: str = ""


def _text(value: Any, example: str) -> str:
    if not isinstance(value, str):
        raise Bad(f"is {_said(value)}, which is no text; write it in quotes: {example}")
    if not value.strip():
        raise Bad(f"is empty; write {example}, or take it out")
    return value


def cron(value: Any) -> str:
    """A cron expression that some date matches."""
    text = _text(value, '"30 2 * * *"')
    try:
        Schedule.of(text)
    except BadSchedule as error:
        raise Bad(str(error).removeprefix("cron ")) from None
    return " ".join(text.split())


def zone(value: Any) -> str:
    """A time zone that is known."""
    text = _text(value, '"Europe/Berlin"')
    try:
        return Schedule.of("@daily", text).zone
    except BadSchedule as error:
        raise Bad(str(error).removeprefix("zone ")) from None


LONGEST_PATH = 256
"""Characters of a session's tag (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


def path(value: Any) -> str:
    """A path in Parameter Store."""
    text = _text(value, '"/nightly-etl/jobs/acme"')
    if not _PATH.fullmatch(text):
        right = "/" + "/".join(re.sub(r"[^A-Za-z0-9_.-]", "-", part) for part in text.split("/") if part.strip("."))
        raise Bad(f"is {text!r}, which is no path of Parameter Store; write it as {right!r}")
    if len(text) > LONGEST_PATH:
        raise Bad(f"has {len(text)} characters; write at most {LONGEST_PATH}, as a tag of the run's session has them")
    return text


def server(value: Any) -> str:
    """The name of a source's or target's server."""
    text = _text(value, '"db1.example.com"')
    if "://" in text or "password=" in text:  # not shown: who mistakes it for a database's address gives the password
        raise Bad("is a database's address, which is no server's name; write its host alone: 'db1.example.com'")
    if not _SERVER.fullmatch(text):
        raise Bad(
            f"is {text!r}, which has more than letters, digits and . _ : -; write a name such as 'db1.example.com'"
        )
    return text


def yes_or_no(value: Any) -> bool:
    """A switch."""
    if not isinstance(value, bool):
        raise Bad(f"is {_said(value)}; write true or false, without quotes")
    return value


def word(kind: type[StrEnum]) -> Callable[[Any], StrEnum]:
    """A reader of one of some words."""

    def read(value: Any) -> StrEnum:
        words = [each.value for each in kind]
        if value not in words:
            either = " or ".join(f'"{each}"' for each in words)
            raise Bad(f"is {_said(value)}; {meant(str(value), words, f'write {either}')}")
        return kind(value)

    return read


def window(value: Any) -> timedelta:
    """A length of time in words."""
    found = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Bad(f'is {_said(value)}; write a number and its unit: "90 minutes", "6 hours" or "2 days"')
    unit = found[2] if found[2].endswith("s") else f"{found[2]}s"
    length = timedelta(**{unit: int(found[1])})
    if not timedelta(minutes=3) <= length <= LONGEST_WINDOW:
        raise Bad(f'is {value!r}; write 3 minutes at least (a tick may be so late) and 7 days at most: "6 hours"')
    return length


def number(least: int, most: int, why: str = "") -> Callable[[Any], int]:
    """A reader of a whole number."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Bad(f"is {_said(value)}; write a number from {least} to {most:,}{why}, without quotes")
        return value

    return read


MOST_SHARDS = 500
"""Of a run: `etl` refuses more, at night (etl/model/limits.py, of which this has nothing but the number)."""

LONGEST_SHARDS = 100_000
"""Characters: an execution's input has 256 KB, the job's item 400 KB; and to read it costs by its length."""


def shards(value: Any) -> Any:
    """The shards of the state machine's input: a number, or lists of tables."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SHARDS
    is_lists = isinstance(value, list) and value and all(_is_shard(each) for each in value)
    if not is_number and not is_lists:
        lists = '[["orders"], ["customers"]]'
        raise Bad(f"is {_said(value)}; write a number from 1 to {MOST_SHARDS}, or lists of tables: {lists}")
    if is_lists and len(value) > MOST_SHARDS:
        raise Bad(f"has {len(value):,} lists; write at most {MOST_SHARDS}, each of more tables")
    if (length := len(json.dumps(value))) > LONGEST_SHARDS:
        raise Bad(f"has {length:,} characters; write at most {LONGEST_SHARDS:,}, or how many shards")
    return value


def _is_shard(value: Any) -> bool:
    tables = value if isinstance(value, list) else [value]
    return bool(tables) and all(isinstance(table, str) and table for table in tables)


def _topic(value: Any) -> str | None:
    if value == "":
        return None
    text = _text(value, '"arn:aws:sns:eu-central-1:123456789012:nights"')
    if not _TOPIC.fullmatch(text):
        raise Bad(f"is {text!r}, which is no topic's ARN; write 'arn:aws:sns:REGION:ACCOUNT:NAME'")
    return text


def _channel(value: Any) -> str | None:
    if value == "":
        return None
    text = _text(value, '"C0123ABCD"')
    if not _CHANNEL.fullmatch(text):
        raise Bad(f"is {text!r}, which is no channel of Slack; write its id, such as 'C0123ABCD', or '#its-name'")
    return text


NOTIFY = {
    "topic": Key(
        _topic,
        "The ARN of an SNS topic that gets a message about each end and about a pause, one of the"
        ' module\'s `notify_topics`; `""` for none.',
    ),
    "slack_channel": Key(_channel, "The channel of Slack for this job's messages; `\"\"` for the deployment's own."),
    "when": Key(word(When), "Which ends the topic gets a message about: `failure` or `always`.", "`failure`"),
}
"""The keys of ``notify``. A job's own keys are put over those of [defaults]."""

JOB = {
    "cron": Key(cron, "When it is due: five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`."),
    "zone": Key(zone, "The time zone of `cron`.", "`UTC`"),
    "settings_path": Key(path, "Where its settings are in Parameter Store.", "the root, and the job's id"),
    "source": Key(server, "The source's server: the pool in which its runs count."),
    "target": Key(server, "The target's server, likewise."),
    "enabled": Key(yes_or_no, "Whether it is started when it is due.", "a new job is, a known one keeps its status"),
    "overlap": Key(word(Overlap), "If its last run is still running: `skip` the due time, or `allow` both.", "`skip`"),
    "catch_up": Key(word(CatchUp), "Of missed due times, start the last `once`, or `none`.", "`once`"),
    "window": Key(window, "How late a due time may start: 3 minutes to 7 days.", "`6 hours`"),
    "pause_after": Key(number(0, 1000, " (0: never)"), "Failures in a row that pause it; 0: none do.", "5"),
    "notify": Key(lambda value: value, "Whom it tells: `{ topic, slack_channel, when }`.", "nobody"),
    "shards": Key(shards, "The input's `shards`: how many (500 at most), or the tables of each.", "the deployment's"),
    "max_concurrency": Key(number(0, 1000), "The input's `max_concurrency`; 0: no limit.", "the deployment's"),
}
"""The keys of a job's section. All but ``settings_path`` may stand in [defaults], too."""

ROOT = Key(path, "The path that all jobs' settings paths are beneath.", "`/NAME/jobs`, of the deployment's name")
"""``settings_root``, a key of [defaults] alone."""

AT_ONCE = Key(number(1, MOST_AT_ONCE), "How many runs may use this server at once.", "the deployment's number")
"""``at_once``, the key of a server's section."""


def notify(values: Mapping[str, Any]) -> Notify:
    """Whom a job tells, from the keys that were read."""
    return Notify(values.get("topic"), values.get("slack_channel"), values.get("when", When.FAILURE))


def _said(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
