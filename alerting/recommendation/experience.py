"""Earlier episodes most like one, and what became of what was done about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

from alerting.episodes.episode import Contribution, Episode, Feedback, Outcome, Quantity

MOST_SIMILAR = 20
LEAST_ANSWERED = 3
"""Answered episodes below which nothing is said of experience."""
LEAST_USES = 3
"""Uses of an action below which it is a count, never advice."""
_LEAST_LIKENESS = 0.5
_OF_COURSE = 0.5
"""Weight of a quantity (a trend, a spread) beside the level of its variable."""
_OTHER_ASSET = 0.95
_LEAST_SHARE = 2 / 3  # of the uses after which the problem was avoided, for advice
_LEVELS = ("last", "mean", "value", "missing")  # statistics that are no course
FOLLOWED = "recommendation"
"""The action of an operator who followed the recommendation, without a text of their own."""


@dataclass(frozen=True)
class Similar:
    """An earlier episode, and how much it is like the one at hand: 1 is the same."""

    episode: Episode
    likeness: float


@dataclass(frozen=True)
class ActionRecord:
    """An action in similar episodes: how often it was taken, after how many of these the problem
    was avoided or came, and by whom. `took`: the usual time from the alarm to its end."""

    action: str
    uses: int
    avoided: int
    came: int
    actors: tuple[str, ...]
    took: timedelta | None

    @property
    def is_advice(self) -> bool:
        """Return whether it was taken often enough, and mostly helped."""
        return self.uses >= LEAST_USES and self.avoided >= _LEAST_SHARE * self.uses


@dataclass(frozen=True)
class Experience:
    """Similar earlier episodes, most similar first, and the actions in them, those that helped most
    first.

    `answered`: how many of them an operator answered. `contradicts`: the recommendation was
    followed in several of them, and the problem came mostly.
    """

    similar: tuple[Similar, ...]
    answered: int
    actions: tuple[ActionRecord, ...]
    contradicts: bool

    @property
    def is_enough(self) -> bool:
        return self.answered >= LEAST_ANSWERED


def find_similar(
    episode: Episode, earlier: Iterable[Episode], most: int = MOST_SIMILAR
) -> list[Similar]:
    """Return the episodes of the same definition that are most like one, the most similar first,
    of equal ones the newest.

    Alike are those in which the same variables contributed in the same proportions, and left their
    usual ranges as far, in level and course. Without contributions all of the same asset are.
    """
    own = signature(episode)
    found = [
        Similar(one, _likeness(own, signature(one)) * _of_asset(episode, one))
        for one in earlier
        if one.id != episode.id
        and one.definition == episode.definition
        and one.raised_at < episode.raised_at
        and not one.withdrawn
    ]
    alike = [one for one in found if one.likeness >= _LEAST_LIKENESS]
    alike.sort(key=lambda s: (-round(s.likeness, 3), -s.episode.raised_at.timestamp()))
    return alike[:most]


def signature(episode: Episode) -> dict[str, float]:
    """Return what an episode is compared by: shares, levels and courses at its raise.

    Shares of the contributions by variable and direction (`+` above the usual value, `-` below it,
    empty for what is no number), together of length 1. How far each variable, and the statistic
    that its reason names, lies beyond its usual range: -1 to 1, where 1 is half of the range's
    width or more; a statistic counts half. A second cause shows there long before its share is
    large.
    """
    shares = {_with_side(one): max(one.share, 0.0) for one in episode.contributions}
    length = sqrt(sum(share * share for share in shares.values())) or 1.0
    found = {name: share / length for name, share in shares.items()}
    for one in episode.contributions:
        found[f"level of {one.variable}"] = _beyond_usual(one)
        if one.quantity is not None and one.quantity.statistic not in _LEVELS:
            name = f"{one.quantity.statistic} of {one.variable}"
            found[name] = _OF_COURSE * _beyond_usual(one.quantity)
    return found


def _with_side(one: Contribution) -> str:
    if not isinstance(one.value, int | float) or not isinstance(one.usual, int | float):
        return one.variable
    return one.variable + ("+" if one.value >= one.usual else "-")


def _beyond_usual(one: Contribution | Quantity) -> float:
    """Return how far a value lies beyond its usual range, in half widths, at most 1; 0 for what has
    no range."""
    low = one.usual_low
    high = one.usual_high
    if not isinstance(one.value, int | float) or low is None or high is None or high <= low:
        return 0.0
    beyond = max(one.value - high, 0.0) + min(one.value - low, 0.0)
    return max(-1.0, min(1.0, 2 * beyond / (high - low)))


def _likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the cosine of two signatures; 1 if both are empty."""
    if not one and not other:
        return 1.0
    product = sum(share * other.get(name, 0.0) for name, share in one.items())
    lengths = sqrt(sum(v * v for v in one.values()) * sum(v * v for v in other.values()))
    return product / lengths if lengths else 0.0


def _of_asset(episode: Episode, other: Episode) -> float:
    if episode.asset == other.asset:
        return 1.0
    return _OTHER_ASSET if episode.contributions else 0.0


def summarise(similar: Sequence[Similar]) -> Experience:
    """Return what was done in similar episodes, and what came of it."""
    episodes = [one.episode for one in similar]
    records: dict[str, list[tuple[Episode, Feedback]]] = {}
    for episode in episodes:
        for action, feedback in actions_of(episode).items():
            records.setdefault(action, []).append((episode, feedback))
    actions = [_record(action, taken) for action, taken in records.items()]
    actions.sort(key=lambda a: (-a.avoided, a.came, -a.uses, a.action))
    followed = next((a for a in actions if a.action == FOLLOWED), None)
    return Experience(
        tuple(similar),
        sum(bool(e.feedback) for e in episodes),
        tuple(actions),
        followed is not None
        and followed.uses >= LEAST_USES
        and followed.came > followed.uses * (1 - _LEAST_SHARE)
        and followed.came > followed.avoided,
    )


def actions_of(episode: Episode) -> dict[str, Feedback]:
    """Return what operators did about an episode, each action once: their own words, else that
    they followed the recommendation, else an empty text."""
    found: dict[str, Feedback] = {}
    for feedback in episode.feedback:
        if not feedback.acted:
            continue
        action = (feedback.action or "").strip()
        if not action and feedback.recommendation_taken in ("yes", "partly"):
            action = FOLLOWED
        known = next((name for name in found if name.casefold() == action.casefold()), action)
        found.setdefault(known, feedback)
    if len(found) > 1:
        found.pop("", None)
    return found


def outcome_of(episode: Episode) -> Outcome | None:
    """Return the outcome of an episode; None while it is unknown."""
    record = episode.outcome_record
    return None if record is None or record.outcome == "undetermined" else record.outcome


def _record(action: str, taken: Sequence[tuple[Episode, Feedback]]) -> ActionRecord:
    lasted = sorted(e.closed_at - e.raised_at for e, _ in taken if e.closed_at is not None)
    return ActionRecord(
        action,
        len(taken),
        sum(outcome_of(e) == "avoided" for e, _ in taken),
        sum(outcome_of(e) == "hit" for e, _ in taken),
        tuple(dict.fromkeys(f.actor for _, f in taken)),
        lasted[len(lasted) // 2] if lasted else None,
    )
