"""Validators of settings' texts. Each raises ValueError with the fault and the remedy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from pydantic import BeforeValidator, SecretStr

from etl.logs import metrics
from etl.model import limits
from etl.model.wording import did_you_mean

_PROTECTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.", re.DOTALL)
"""What quotes or a backslash keep from a shell."""

_SHELL = re.compile(r"[|&;<>`]|\$[A-Za-z_{(]")

_PATH = re.compile(r"(/[A-Za-z0-9_.-]+){1,15}/?")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"(?!\d+(\.\d+){3}$)[a-z0-9]([a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]", re.ASCII)


class FaultsError(ValueError):
    """Several faults of a setting's text, one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


def jobs(text: Any) -> int:
    """Reads a number of jobs."""
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()) or not 1 <= int(text) <= limits.MOST_JOBS:
        raise ValueError(f"is {text!r}; write a whole number from 1 to {limits.MOST_JOBS}")
    return int(text)


def path(text: Any) -> str:
    """Reads a path of parameters; returns it without a slash at its end."""
    if not isinstance(text, str) or not _PATH.fullmatch(text):
        raise ValueError(f"is {text!r}; write a path such as /nightly-etl/prod")
    return text.rstrip("/")


def job(text: Any) -> str:
    """Returns the name of a job unchanged."""
    if not isinstance(text, str) or not _JOB.fullmatch(text):
        raise ValueError(f"is {text!r}; write 1 to 63 letters, digits, _ and -, beginning with a letter or a digit")
    return text


def bucket(text: Any) -> str:
    """Returns the name of an S3 bucket unchanged."""
    if not isinstance(text, str) or not _BUCKET.fullmatch(text):
        raise ValueError(
            f"is {text!r}; write the bucket's name alone, 3 to 63 lower-case letters, digits, . and -, such as"
            " nightly-etl-reports"
        )
    return text


def deadline(text: Any) -> float:
    """Reads a number of seconds."""
    if not re.fullmatch(r"[0-9]{1,6}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number of seconds, such as 600")
    return float(text)


def index_memory(text: Any) -> int:
    """Reads a size; returns kB."""
    size = re.fullmatch(r"([1-9][0-9]{0,5}) ?(MB|GB)", str(text).strip())
    if size is None:
        raise ValueError(f"is {text!r}; write a size such as 512MB or 4GB")
    return int(size[1]) * {"MB": 1 << 10, "GB": 1 << 20}[size[2]]


def max_age(text: Any) -> float:
    """Reads a number of seconds, 1 or more."""
    if deadline(text) < 1:
        raise ValueError(f"is {text!r}; write a whole number of seconds, 1 or more")
    return float(text)


def shard(text: Any) -> int:
    """Reads the number of a shard."""
    if not re.fullmatch(r"[0-9]{1,4}", str(text).strip()):
        raise ValueError(f"is {text!r}; write a whole number from 0 to 9999")
    return int(text)


def choice(*choices: str) -> BeforeValidator:
    """A validator that accepts one of these words."""

    def check(text: Any) -> Any:
        if text not in choices:
            raise ValueError(f"is {text!r}; write one of {', '.join(choices)}{did_you_mean(str(text), choices)}")
        return text

    return BeforeValidator(check)


def command(text: Any) -> tuple[str, ...]:
    """Splits a command into its words as a shell does, without running a shell."""
    try:
        words = tuple(shlex.split(str(text)))
    except ValueError as error:
        raise ValueError(
            f"cannot be split into words: {str(error).lower()}; close the quote, or write \\' for one"
        ) from None
    if not words:
        raise ValueError("is empty; write a command such as dbt build, or take it out")
    _refuse_shell(str(text), words[0])
    return words


def _refuse_shell(text: str, program: str) -> None:
    """Raises ValueError for what a shell would understand, and a program would get as a word. It may be a secret."""
    if found := _SHELL.search(_PROTECTED.sub("", text)):
        raise ValueError(
            f"has {found[0][0]} outside quotes, which only a shell understands, and none is started; write"
            " sh -c 'dbt build && …', or put the word in quotes"
        )
    if set_first := re.match(r"([A-Za-z_][A-Za-z0-9_]*)=", program):
        raise ValueError(
            f"begins with the variable {set_first[1]}=, which only a shell sets; set the variable beside it, and begin"
            " with the program"
        )


def mask_key(text: str) -> SecretStr:
    """Reads the key for masks; refuses a short key."""
    if len(text) < limits.SHORTEST_MASK_KEY_CHARACTERS:
        raise ValueError(
            f"is shorter than {limits.SHORTEST_MASK_KEY_CHARACTERS} characters; make one with `openssl rand -hex 32`"
        )
    return SecretStr(text)


def dimensions(text: Any) -> Any:
    """Reads CloudWatch's dimensions from a text; the default, a dict, is returned unchanged."""
    return metrics.dimensions(text) if isinstance(text, str) else text
