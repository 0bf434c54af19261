"""The policy of a publish: how it publishes each table, and how long it waits. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from etl.model.gate import Rule
from etl.model.name import Planned, TargetName
from etl.model.redaction import Redactor, own_words
from etl.model.way import RunWay
from etl.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    """The tables to publish in place, the seconds to try, and whether to end the sessions that block it after that.

    ``without_target_indexes`` are the tables to which indexes of the reporting side are not added again. ``hashed`` are
    the tables in place whose rows are compared by checksum, too; ``fires`` those whose triggers and rules may fire.
    ``swapped`` are the tables that are not published in place. ``rules`` are the tables' rules at the gate, and
    ``keep_stopped`` the seconds for which it keeps the staging tables of a run that it stops. ``dates`` says that the
    tables' comments say as of when they are. ``redact`` removes the
    settings' secrets from errors. ``waits_for_readers`` says that a transaction that has read a merged table makes the
    publish wait, so that it never sees both nights; ``is_merged``, that changes may be merged. ``decided`` are
    the tables that are in place because the run has decided so: an older snapshot is to see yesterday in all of them.
    """

    in_place: frozenset[TargetName] = frozenset()
    without_target_indexes: frozenset[TargetName] = frozenset()
    hashed: frozenset[TargetName] = frozenset()
    fires: frozenset[TargetName] = frozenset()
    swapped: frozenset[TargetName] = frozenset()
    deadline: float = 600.0
    ends_blockers: bool = False
    waits_for_readers: bool = True
    is_merged: bool = True
    decided: frozenset[TargetName] = frozenset()
    redact: Redactor = own_words
    rules: Mapping[TargetName, Rule] = field(default_factory=dict)
    keep_stopped: float = 0.0
    dates: bool = False

    @classmethod
    def of(cls, settings: Settings, planned: Sequence[Planned], way: RunWay | None = None) -> Policy:
        """The policy that the settings and the tables' options ask for, in a run that goes this way."""
        policy = cls._of(settings.by(way) if way else settings, planned)
        if settings.publish_way != "auto" or way != RunWay.MERGE:
            return policy
        wanted = {table.live for table in planned if settings.options.of(table.source).publish == "in-place"}
        return replace(policy, decided=policy.in_place - wanted)

    @classmethod
    def _of(cls, settings: Settings, planned: Iterable[Planned]) -> Policy:
        options = {table.live: settings.options.of(table.source) for table in planned}
        in_place = frozenset(live for live, option in options.items() if option.publish == "in-place")
        without_target_indexes = frozenset(live for live, option in options.items() if option.without_target_indexes)
        hashed = frozenset(live for live in in_place if (options[live].verify or settings.verify) == "checksum")
        return cls(
            in_place=in_place,
            without_target_indexes=without_target_indexes,
            hashed=hashed,
            fires=frozenset(live for live in in_place if options[live].triggers == "fire"),
            swapped=frozenset(options) - in_place,
            deadline=settings.publish_deadline,
            ends_blockers=settings.publish_blockers == "end",
            waits_for_readers=settings.readers == "transaction",
            is_merged=settings.publish_way != "swap",
            redact=settings.redact,
            rules={live: option.rule for live, option in options.items()},
            keep_stopped=settings.keep_stopped,
            dates=settings.comment_as_of == "on",
        )
