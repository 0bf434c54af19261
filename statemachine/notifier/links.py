"""Links into the AWS console: the execution, the run's lines in Logs Insights, and the run's page."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

_HOSTS = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
_PLAIN = frozenset(string.ascii_letters + string.digits + "_-.")
_MARGIN = timedelta(minutes=5)  # before the run's row in the ledger, and after its last line

Value = str | int | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Console:
    """The AWS console of an execution's region and partition."""

    execution: str
    partition: str
    region: str
    log_group: str = ""

    @classmethod
    def of(cls, execution: str, log_group: str) -> Console:
        """Takes an execution's ARN and the name of the containers' log group.

        With an empty name there is no link to logs.
        """
        _, partition, _, region, *_ = execution.split(":")
        return cls(execution, partition, region, log_group)

    def execution_link(self) -> str:
        """The URL of the execution."""
        return f"{self._page('states')}#/v2/executions/details/{quote(self.execution, safe=':')}"

    def logs_link(self, run_id: str, start: datetime | None, end: datetime | None) -> str:
        """The URL of a Logs Insights query for a run's tables, slowest and failed tables first."""
        detail: dict[str, Value] = {**_range(start, end), "editorString": query(run_id), "source": [self.log_group]}
        return f"{self._page('cloudwatch')}#logsV2:logs-insights$3FqueryDetail$3D{jsurl(detail)}"

    def stream_link(self, stream: str) -> str:
        """The URL of a container's log stream."""
        group, stream = (_twice(name) for name in (self.log_group, stream))
        return f"{self._page('cloudwatch')}#logsV2:log-groups/log-group/{group}/log-events/{stream}"

    def object_link(self, uri: str) -> str | None:
        """The URL of an object's own page in S3, from which it is opened; None if this is no object's address."""
        # docs/decisions.md, "A page is read with the reader's own AWS sign-in"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not (uri.startswith("s3://") and bucket and key):
            return None
        query = f"region={self.region}&bucketType=general&prefix={quote(key, errors='replace')}"
        return f"{self._host()}/s3/object/{quote(bucket, safe='', errors='replace')}?{query}"

    def _page(self, service: str) -> str:
        return f"{self._host()}/{service}/home?region={self.region}"

    def _host(self) -> str:
        return f"https://{self.region}.{_HOSTS.get(self.partition, 'console.aws.amazon.com')}"


def query(run_id: str) -> str:
    """The query behind the link."""
    name = run_id.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'filter run_id = "{name}" and event in ["table.loaded", "table.failed", "run.published", "run.finished"]\n'
        "| fields @timestamp, event, table, seconds, rows, bytes, error, status\n"
        "| sort seconds desc\n"
        "| limit 200"
    )


def jsurl(value: Value) -> str:
    """Encodes a value as the console does in its URLs: strings as ``~'text``, with ``*xx`` for special characters."""
    if isinstance(value, str):
        return "~'" + "".join(map(_character, value))
    if isinstance(value, Mapping):
        return f"~({'~'.join(f'{_plain(name)}{jsurl(each)}' for name, each in value.items())})"
    if isinstance(value, Sequence):
        return f"~({''.join(map(jsurl, value))})"
    return f"~{value}"


def _range(start: datetime | None, end: datetime | None) -> dict[str, Value]:
    last_day: dict[str, Value] = {"end": 0, "start": -86_400, "timeType": "RELATIVE", "unit": "seconds"}
    if start is None:
        return last_day
    try:
        last = end or start + timedelta(days=1)
        return {"end": _iso(last + _MARGIN), "start": _iso(start - _MARGIN), "timeType": "ABSOLUTE", "tz": "UTC"}
    except OverflowError:  # a moment at the end of the calendar; a message must come all the same
        return last_day


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _twice(name: str) -> str:
    """Encodes a name as the console does in a path: percent-encoded twice, with $ instead of %."""
    return quote(quote(name, safe="", errors="replace"), safe="").replace("%", "$")


def _plain(name: str) -> str:
    return "".join(map(_character, name))


def _character(character: str) -> str:
    if character in _PLAIN:
        return character
    if character == "$":
        return "!"
    if ord(character) < 256:
        return f"*{ord(character):02x}"
    return "".join(f"**{unit.hex()}" for unit in _units(character))


def _units(character: str) -> list[bytes]:
    """A character in JavaScript's units of 16 bits."""
    encoded = character.encode("utf-16-be", "surrogatepass")
    return [encoded[at : at + 2] for at in range(0, len(encoded), 2)]
