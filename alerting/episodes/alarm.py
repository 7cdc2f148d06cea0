"""What figures need of an episode, and no more: very many of them are counted at once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.definitions.model import Severity
from alerting.episodes.episode import Episode, TransitionKind

_OF_ITSELF: tuple[TransitionKind, ...] = ("closed", "severity", "revised", "outcome")  # what needs nobody to be told


class Spell(Protocol):
    """An episode, whole or in extract."""

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
    """An extract of an episode. `kinds`: of its transitions, in their order. `outdated`: not by late data alone, which withdraw
    what people were told of.
    """

    id: str
    definition: str
    asset: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    historical: bool
    outdated: bool
    kinds: tuple[TransitionKind, ...]


def alarm_of(episode: Episode | Alarm) -> Alarm:
    """The extract of an episode."""
    if isinstance(episode, Alarm):
        return episode
    return Alarm(
        id=episode.id,
        definition=episode.definition,
        asset=episode.asset,
        severity=episode.severity,
        raised_at=episode.raised_at,
        closed_at=episode.closed_at,
        acknowledged_at=episode.acknowledged.at if episode.acknowledged else None,
        historical=episode.historical,
        outdated=episode.outdated and episode.replay_mark is None,
        kinds=tuple(t.kind for t in episode.transitions),
    )


def silent(alarm: Alarm) -> bool:
    """Whether a shelf or suppression muted the alarm from its raise on, and nobody was told after it either."""
    kinds = [kind for kind in alarm.kinds if kind not in _OF_ITSELF]
    return kinds[:2] in (["raised", "muted"], ["raised", "suppressed"]) and "unmuted" not in kinds


def suppressed(alarm: Alarm) -> bool:
    """Whether the alarm was suppressed by design at some time."""
    return "suppressed" in alarm.kinds
