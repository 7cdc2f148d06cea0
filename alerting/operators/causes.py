"""Alarms in the order in which people look at them, a flood folded under its cause."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.model import SEVERITIES, Severity
from alerting.episodes.episode import Episode, Phase
from alerting.episodes.first_out import TOGETHER

_LONGEST = timedelta(minutes=10)  # between the first alarm of a flood and its last

Parents = Mapping[str, str | None]
"""The name of the parent by the name of each asset."""


@dataclass(frozen=True)
class Cause:
    """The first of several alarms that came together, and those that followed it.

    `is_first_out`: it came before the others, not at the same instant as one of them.
    """

    first: Episode
    others: tuple[Episode, ...] = ()
    is_first_out: bool = False

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return (self.first, *self.others)

    @property
    def size(self) -> int:
        return len(self.episodes)

    @property
    def severity(self) -> Severity:
        """Return the worst severity of them."""
        return max((e.severity for e in self.episodes), key=SEVERITIES.index)

    @property
    def phase(self) -> Phase:
        """Return `happening` if one of them is."""
        phases = {e.phase for e in self.episodes}
        return next(p for p in ("happening", "expected", "over") if p in phases)

    @property
    def unacknowledged(self) -> tuple[Episode, ...]:
        return tuple(e for e in self.episodes if e.acknowledged is None)


def group_by_cause(episodes: Iterable[Episode], parents: Parents) -> list[Cause]:
    """Return open alarms as causes, urgent first.

    An alarm follows a cause if it came at most a minute after the last one of it, on the same
    asset, on one above or below, or on one with the same parent. Of the same instant the most
    severe is the first.
    """
    ordered = sorted(episodes, key=lambda e: (e.raised_at, -SEVERITIES.index(e.severity), e.id))
    groups: list[list[Episode]] = []
    for episode in ordered:
        group = next(
            (g for g in reversed(groups) if _follows(episode, g, parents)),
            None,
        )
        if group is None:
            groups.append([episode])
        else:
            group.append(episode)
    return sorted((_cause(group) for group in groups), key=_urgency)


def _follows(episode: Episode, group: Sequence[Episode], parents: Parents) -> bool:
    if (
        episode.raised_at - group[-1].raised_at > TOGETHER
        or episode.raised_at - group[0].raised_at > _LONGEST
        or (episode.muted_by is None) != (group[0].muted_by is None)
    ):
        return False
    return any(_are_related(episode.asset, other.asset, parents) for other in group)


def _are_related(one: str, other: str, parents: Parents) -> bool:
    if one == other or parents.get(one) == other or parents.get(other) == one:
        return True
    return parents.get(one) is not None and parents.get(one) == parents.get(other)


def _cause(group: Sequence[Episode]) -> Cause:
    first = group[0]
    others = tuple(sorted(group[1:], key=lambda e: (-SEVERITIES.index(e.severity), e.raised_at)))
    is_first_out = bool(others) and group[1].raised_at > first.raised_at
    return Cause(first, others, is_first_out)


def _urgency(cause: Cause) -> tuple[bool, bool, int, float]:
    """Return the sort key of a cause: not muted, not acknowledged, severe, new."""
    newest = max(e.raised_at for e in cause.episodes)
    return (
        cause.first.muted_by is not None,
        not cause.unacknowledged,
        -SEVERITIES.index(cause.severity),
        -newest.timestamp(),
    )


@dataclass(frozen=True)
class EndedAlarms:
    """Ended alarms of one definition on one asset, newest first."""

    episodes: tuple[Episode, ...]

    @property
    def newest(self) -> Episode:
        return self.episodes[0]

    @property
    def size(self) -> int:
        return len(self.episodes)


def group_ended(episodes: Iterable[Episode]) -> list[EndedAlarms]:
    """Return ended alarms by definition and asset: severe first, then new."""
    found: dict[tuple[str, str], list[Episode]] = {}
    for episode in sorted(episodes, key=lambda e: e.raised_at, reverse=True):
        found.setdefault((episode.definition, episode.asset), []).append(episode)
    return sorted(
        (EndedAlarms(tuple(group)) for group in found.values()),
        key=lambda g: (
            -max(SEVERITIES.index(e.severity) for e in g.episodes),
            -g.newest.raised_at.timestamp(),
        ),
    )


@dataclass(frozen=True)
class DayOfAlarms:
    """Alarms of one definition on one asset that were raised on a day, newest first, with counts
    of their outcomes."""

    episodes: tuple[Episode, ...]
    outcomes: Mapping[str, int]

    @property
    def newest(self) -> Episode:
        return self.episodes[0]

    @property
    def size(self) -> int:
        return len(self.episodes)


def group_by_day(
    episodes: Iterable[Episode], day_of: Mapping[str, str]
) -> dict[str, list[DayOfAlarms]]:
    """Return earlier alarms by day and, in a day, by definition and asset; both newest first.

    `day_of`: the day of the plant by the id of each episode.
    """
    found: dict[str, dict[tuple[str, str], list[Episode]]] = {}
    for episode in episodes:
        of_day = found.setdefault(day_of[episode.id], {})
        of_day.setdefault((episode.definition, episode.asset), []).append(episode)
    return {
        day: [DayOfAlarms(tuple(group), _outcomes(group)) for group in groups.values()]
        for day, groups in found.items()
    }


def _outcomes(episodes: Sequence[Episode]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for episode in episodes:
        record = episode.outcome_record
        if record is not None and record.outcome != "undetermined":
            counts[record.outcome] = counts.get(record.outcome, 0) + 1
    return counts


def is_of(episode: Episode, person: str) -> bool:
    """Return whether a person took an alarm over, or acknowledged it."""
    seen = episode.acknowledged
    return episode.assigned_to == person or (seen is not None and seen.actor == person)


def raised_in(episode: Episode, spans: Iterable[tuple[datetime, datetime]]) -> bool:
    """Return whether an alarm was raised in one of some spans of time."""
    return any(start <= episode.raised_at < end for start, end in spans)
