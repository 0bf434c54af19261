"""How a run's tables are to be published. Pure policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from etl.model.name import Planned, TargetName
from etl.model.redaction import Redactor, own_words
from etl.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """How to publish: which tables in place, how long to try, and whether to end who is in the way by then.

    ``without_target_indexes`` are the tables that get no index of the reporting side's; ``hashed`` are those in place
    whose rows are compared by their checksum, too. ``redact`` takes the settings' secrets out of errors.
    """

    in_place: frozenset[TargetName] = frozenset()
    without_target_indexes: frozenset[TargetName] = frozenset()
    hashed: frozenset[TargetName] = frozenset()
    deadline: float = 600.0
    ends_blockers: bool = False
    redact: Redactor = own_words

    @classmethod
    def of(cls, settings: Settings, planned: Iterable[Planned]) -> Policy:
        """Gives what the settings and the tables' options say."""
        options = {one.live: settings.options.of(one.source) for one in planned}
        in_place = frozenset(live for live, own in options.items() if own.publish == "in-place")
        without_target_indexes = frozenset(live for live, own in options.items() if own.without_target_indexes)
        hashed = frozenset(live for live in in_place if (options[live].verify or settings.verify) == "checksum")
        ends_blockers = settings.publish_blockers == "end"
        return cls(in_place, without_target_indexes, hashed, settings.publish_deadline, ends_blockers, settings.redact)
