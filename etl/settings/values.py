"""Settings' values, read from their texts: each raises ValueError with what is wrong and what to write instead."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BeforeValidator, SecretStr

from etl.logs import metrics
from etl.model import mask

MAX_JOBS = 64
"""More pairs of connections than this would only wait for each other."""


def jobs(text: Any) -> int:
    """A number of jobs."""
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()) or not 1 <= int(text) <= MAX_JOBS:
        raise ValueError(f"is {text!r}; write a whole number from 1 to {MAX_JOBS}")
    return int(text)


def deadline(text: Any) -> float:
    """A number of seconds."""
    if not re.fullmatch(r"[0-9]{1,6}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number of seconds")
    return float(text)


def index_memory(text: Any) -> int:
    """A size, in kB."""
    found = re.fullmatch(r"([1-9][0-9]{0,5}) ?(MB|GB)", str(text).strip())
    if found is None:
        raise ValueError(f"is {text!r}; write a size such as 512MB or 4GB")
    return int(found[1]) * {"MB": 1 << 10, "GB": 1 << 20}[found[2]]


def max_age(text: Any) -> float:
    """A number of seconds, one or more."""
    if deadline(text) < 1:
        raise ValueError(f"is {text!r}; write a whole number of seconds, 1 or more")
    return float(text)


def shard(text: Any) -> int:
    """A shard's number."""
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number from 0 to 9999")
    return int(text)


def choice(*choices: str) -> BeforeValidator:
    """One of some words."""

    def check(text: Any) -> Any:
        if text not in choices:
            raise ValueError(f"is {text!r}; write one of {', '.join(choices)}")
        return text

    return BeforeValidator(check)


def mask_key(text: str) -> SecretStr:
    """The key of masks, long enough to be one."""
    if len(text) < mask.SHORTEST_KEY:
        raise ValueError(f"is shorter than {mask.SHORTEST_KEY} characters; make one with `openssl rand -hex 32`")
    return SecretStr(text)


def dimensions(text: Any) -> Any:
    """CloudWatch's dimensions, from a text or as they are."""
    return metrics.dimensions(text) if isinstance(text, str) else text
