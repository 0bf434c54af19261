"""The option ``split``: whether a table is cut into page ranges, and how large a range is. Pure policy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etl.model import limits
from etl.model.wording import shown

_UNITS = {"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Split:
    """The value of the option ``split``: a number of ranges, or the bytes of each range; both None is the default."""

    ranges: int | None = None
    bytes: int | None = None

    @classmethod
    def parse(cls, value: object) -> Split:
        """Reads the option; raises ValueError with the remedy."""
        match value:
            case Split():
                return value
            case bool():
                return cls() if value else cls(ranges=1)
            case int() if 1 <= value <= limits.SPLIT_MOST_RANGES:
                return cls(ranges=value)
            case str() if (size := re.fullmatch(r"([1-9][0-9]{0,5}) ?(MB|GB|TB)", value.strip())) is not None:
                return cls(bytes=int(size[1]) * _UNITS[size[2]])
        raise ValueError(
            f"is {shown(value)}; write false, a number from 1 to {limits.SPLIT_MOST_RANGES} without quotes, or the"
            ' size of a range, such as "512MB"'
        )

    def size_of(self, whole: int) -> int | None:
        """The bytes of each range of a table of ``whole`` bytes; None if the table is not to be cut."""
        if self.ranges is None and self.bytes is None:
            size = limits.SPLIT_RANGE_BYTES if whole >= limits.SPLIT_FROM_BYTES else whole
        else:
            size = self.bytes or -(-whole // (self.ranges or 1))
        return max(size, whole // limits.SPLIT_MOST_RANGES, 1) if size < whole else None
