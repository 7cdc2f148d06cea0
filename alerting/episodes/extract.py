"""Extract of an episode for metrics, which count very many episodes at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.definitions.model import Severity
from alerting.episodes.episode import Episode, Outcome, TransitionKind

# transitions without a notification
_OF_ITSELF: tuple[TransitionKind, ...] = (
    "closed",
    "severity",
    "revised",
    "outcome",
)


class EpisodeFields(Protocol):
    """Fields that an episode and its extract share."""

    @property
    def id(self) -> str: ...
    @property
    def definition(self) -> str: ...
    @property
    def asset(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def raised_at(self) -> datetime: ...
    @property
    def closed_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Alarm:
    """Extract of an episode.

    `silent`: no recipient was notified of it (see `was_silent`), or it was raised in maintenance.
    `suppressed`: by design, at some time. `in_maintenance`: raised in it, and so in no figure.
    `withdrawn`: false where late data alone withdrew the episode, because recipients were
    notified of it. `outcome`: None while it is not determined.
    """

    id: str
    definition: str
    asset: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    backfilled: bool
    withdrawn: bool
    silent: bool
    suppressed: bool
    outcome: Outcome | None = None
    in_maintenance: bool = False


def alarm_of(episode: Episode | Alarm) -> Alarm:
    """Return the extract of an episode."""
    if isinstance(episode, Alarm):
        return episode
    transitions = [(t.kind, t.at) for t in episode.transitions]
    return Alarm(
        id=episode.id,
        definition=episode.definition,
        asset=episode.asset,
        severity=episode.severity,
        raised_at=episode.raised_at,
        closed_at=episode.closed_at,
        acknowledged_at=episode.acknowledged.at if episode.acknowledged else None,
        backfilled=episode.backfilled,
        withdrawn=episode.withdrawn and episode.late_data_status is None,
        silent=was_silent(transitions, episode.detected_at),
        suppressed=was_suppressed(transitions),
        outcome=episode.outcome_record.outcome if episode.outcome_record else None,
        in_maintenance=was_in_maintenance(transitions),
    )


def was_silent(
    transitions: Sequence[tuple[TransitionKind, datetime]], detected_at: datetime
) -> bool:
    """Return whether an alarm was muted as soon as it was known, and never notified afterwards; or
    was raised in maintenance, also if it was notified when that ended.

    A mute and suppression do so. An alarm that was notified first, and muted later, is
    not silent.
    """
    if was_in_maintenance(transitions):
        return True
    kinds = [(kind, at) for kind, at in transitions if kind not in _OF_ITSELF]
    if len(kinds) < 2 or any(kind == "unmuted" for kind, _ in kinds):
        return False
    kind, at = kinds[1]
    return kind in ("muted", "suppressed") and at <= detected_at


def was_suppressed(transitions: Sequence[tuple[TransitionKind, datetime]]) -> bool:
    """Return whether an alarm was suppressed by design at some time."""
    return any(kind == "suppressed" for kind, _ in transitions)


def was_in_maintenance(transitions: Sequence[tuple[TransitionKind, datetime]]) -> bool:
    """Return whether an alarm was raised in maintenance."""
    return any(kind == "maintenance" for kind, _ in transitions)
