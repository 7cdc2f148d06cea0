"""The earlier episodes that are most similar to an episode, the operators' actions on them, and the
outcomes; and recognising from readings whether advice was followed.

Only a person's answer is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

from alerting.deferred import pd
from alerting.definitions.asset_documents import Asset, Variable
from alerting.episodes.episode import (
    Change,
    Contribution,
    Episode,
    Feedback,
    Outcome,
    Quantity,
    RecommendationResult,
    RecommendationTaken,
    fold_reasons,
    reasons_by_variable,
)

LEAST_ANSWERED = 3
"""Answered episodes below which nothing is said of experience."""
LEAST_USES = 3
"""Uses of an action below which it is a count, never advice."""
_OF_COURSE = 0.5
"""Weight of a quantity (a trend, a spread) beside the level of its variable."""
_OTHER_ASSET = 0.95
_LEAST_SHARE = 2 / 3  # of the uses after which the problem was avoided, for advice
_LEVELS = ("last", "mean", "value", "missing")  # statistics that are no course
FOLLOWED = "recommendation"
"""The action of an operator who followed the recommendation, without a text of their own."""


@dataclass(frozen=True)
class Similar:
    """An earlier episode, and its similarity to the present one: 1 is the same."""

    episode: Episode
    likeness: float


@dataclass(frozen=True)
class ActionRecord:
    """An action in similar episodes: how often it was taken, after how many of these times the
    problem was avoided or came, and by whom. `took`: the usual time from the alarm to its end."""

    action: str
    uses: int
    avoided: int
    came: int
    actors: tuple[str, ...]
    took: timedelta | None

    @property
    def is_advice(self) -> bool:
        """Return whether the action was taken often enough and mostly helped, so that it counts as
        advice."""
        return self.uses >= LEAST_USES and self.avoided >= _LEAST_SHARE * self.uses


@dataclass(frozen=True)
class Experience:
    """Similar earlier episodes, most similar first, and the actions in them, those that helped most
    first.

    `answered`: number of them with an operator's feedback. `contradicts`: in several of them the
    recommendation was followed, and mostly the problem came.
    """

    similar: tuple[Similar, ...]
    answered: int
    actions: tuple[ActionRecord, ...]
    contradicts: bool

    @property
    def is_enough(self) -> bool:
        return self.answered >= LEAST_ANSWERED


def find_similar(episode: Episode, earlier: Iterable[Episode], most: int = 20) -> list[Similar]:
    """Return the episodes of the same definition that are most similar to an episode, the most
    similar first, of equally similar ones the newest first.

    Episodes are similar in which the same variables contributed in the same proportions and left
    their usual ranges as far, in level and trend. An episode without contributions is similar to
    all of its asset.
    """
    candidates = [
        Similar(
            past,
            _likeness(signature(episode, past), signature(past, episode))
            * _asset_factor(episode, past),
        )
        for past in earlier
        if past.id != episode.id
        and past.definition == episode.definition
        and past.raised_at < episode.raised_at
        and not past.withdrawn
    ]
    alike = [past for past in candidates if past.likeness >= 0.5]
    alike.sort(key=lambda s: (-round(s.likeness, 3), -s.episode.raised_at.timestamp()))
    return alike[:most]


def signature(episode: Episode, second: Episode) -> dict[str, float]:
    """Return the numbers by which an episode is compared with another one: shares, levels and
    statistics at the raise.

    Variables that are one reason in either are one in both. The numbers are the shares of the
    contributions by reason and direction (`+` above the usual value, `-` below it, empty if it is
    no number), scaled to length 1; and how far each variable, and the statistic that its reason
    names, lies beyond its usual range: -1 to 1, where 1 is half of the range's width or more, and a
    statistic counts half. A second cause shows in the latter long before its share is large.
    """
    every = (*episode.contributions, *second.contributions)
    named = {contribution.variable for contribution in every if contribution.members}
    folded = fold_reasons(episode.contributions, reasons_by_variable(every), named)
    shares = {
        f"{reason}{_side(contribution)}": max(contribution.share, 0.0)
        for reason, contribution in folded.items()
    }
    length = sqrt(sum(share * share for share in shares.values())) or 1.0
    beyond = {name: share / length for name, share in shares.items()}
    for reason, contribution in folded.items():
        beyond[f"level of {reason}"] = _beyond_usual(contribution)
        if contribution.quantity is not None and contribution.quantity.statistic not in _LEVELS:
            name = f"{contribution.quantity.statistic} of {reason}"
            beyond[name] = _OF_COURSE * _beyond_usual(contribution.quantity)
    return beyond


def _side(contribution: Contribution) -> str:
    if not isinstance(contribution.value, int | float) or not isinstance(
        contribution.usual, int | float
    ):
        return ""
    return "+" if contribution.value >= contribution.usual else "-"


def _beyond_usual(shown: Contribution | Quantity) -> float:
    """Return how far a value lies beyond its usual range, in half widths of the range, at most 1; 0
    without a range."""
    low = shown.usual_low
    high = shown.usual_high
    if not isinstance(shown.value, int | float) or low is None or high is None or high <= low:
        return 0.0
    beyond = max(shown.value - high, 0.0) + min(shown.value - low, 0.0)
    return max(-1.0, min(1.0, 2 * beyond / (high - low)))


def _likeness(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return the cosine between two signatures; 1 if both are empty."""
    if not first and not second:
        return 1.0
    product = sum(share * second.get(name, 0.0) for name, share in first.items())
    lengths = sqrt(sum(v * v for v in first.values()) * sum(v * v for v in second.values()))
    return product / lengths if lengths else 0.0


def _asset_factor(episode: Episode, earlier: Episode) -> float:
    if episode.asset == earlier.asset:
        return 1.0
    return _OTHER_ASSET if episode.contributions else 0.0


def summarise(similar: Sequence[Similar]) -> Experience:
    """Return the actions in similar episodes, and their outcomes."""
    episodes = [match.episode for match in similar]
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
    """Return the actions of operators on an episode, each once: as they described it, else that
    they followed the recommendation, else an empty text."""
    by_action: dict[str, Feedback] = {}
    for feedback in episode.feedback:
        if not feedback.acted:
            continue
        action = (feedback.action or "").strip()
        if not action and feedback.recommendation_taken in ("yes", "partly"):
            action = FOLLOWED
        wording = next((name for name in by_action if name.casefold() == action.casefold()), action)
        by_action.setdefault(wording, feedback)
    if len(by_action) > 1:
        by_action.pop("", None)
    return by_action


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


Setting = float | str
_SHARE_OF_RANGE = 1 / 40  # tolerance of a variable without a step


@dataclass(frozen=True)
class SettingChange:
    """A set-point that has left its value at the raise: first at `at`, with its newest value."""

    variable: str
    before: Setting
    after: Setting
    at: datetime


@dataclass(frozen=True)
class Recognition:
    """Result of comparing readings with advice: the answer to propose, and the changed
    set-points."""

    taken: RecommendationTaken
    changes: tuple[SettingChange, ...]

    @property
    def proposed(self) -> RecommendationTaken | None:
        """Return the answer to preselect in the feedback form; None if only other set-points, or
        none, have changed."""
        return self.taken if self.taken in ("yes", "partly") else None


def recognise(
    advice: Sequence[RecommendationResult],
    asset: Asset,
    at_raise: Mapping[str, Setting | None],
    readings: pd.DataFrame,
) -> Recognition | None:
    """Return what readings since the raise show of the advice; None without set-point, advice or
    change.

    `advice`: all advice that was given; the piece that was followed best counts. `at_raise`: values
    of controllable variables at the raise. `readings`: of the same variables after it, one row per
    instant. "yes": every advised variable is within its tolerance of the advised value, or beyond
    it; "partly": one of them has moved towards it; "other": other variables have changed, or in the
    other direction; "no": nothing has changed.
    """
    settings = {
        name: value
        for name, value in at_raise.items()
        if value is not None and name in asset.variables
    }
    if not settings:
        return None
    change_by_setting = [
        _change(asset.variables[name], name, value, readings) for name, value in settings.items()
    ]
    changes = tuple(change for change in change_by_setting if change is not None)
    advised_changes = [result.changes for result in advice if result.changes]
    if not changes:
        return Recognition("no", ()) if advised_changes else None
    now = settings | {change.variable: change.after for change in changes}
    taken = [_followed(advised, asset, settings, now) for advised in advised_changes]
    return Recognition(
        max(taken, key=("other", "partly", "yes").index) if taken else "other", changes
    )


def tolerance(variable: Variable) -> float:
    """Return how far a set-point may miss a value: the declared tolerance, else a step, else a
    fortieth of the range."""
    declared = variable.tolerance if variable.tolerance is not None else variable.step
    if declared is not None:
        return declared
    low = variable.min if variable.min is not None else variable.low
    high = variable.max if variable.max is not None else variable.high
    return 0.0 if low is None or high is None else _SHARE_OF_RANGE * (high - low)


def _change(
    variable: Variable, name: str, before: Setting, readings: pd.DataFrame
) -> SettingChange | None:
    values = readings[name].dropna() if name in readings else pd.Series(dtype=object)
    if not len(values):
        return None
    if isinstance(before, str):
        moved = values != before
    else:
        moved = (values.astype(float) - before).abs() >= max(tolerance(variable), 1e-9) * (1 - 1e-6)
    if not moved.iloc[-1]:
        return None
    last = values.iloc[-1]
    after = last if isinstance(last, str) else float(last)
    return SettingChange(name, before, after, moved[moved].index[0].to_pydatetime())


def _followed(
    advised: Sequence[Change],
    asset: Asset,
    before: Mapping[str, Setting],
    now: Mapping[str, Setting],
) -> RecommendationTaken:
    steps = [
        _progress(change, asset.variables.get(change.variable), before, now) for change in advised
    ]
    if all(step == "yes" for step in steps):
        return "yes"
    return "partly" if any(step != "other" for step in steps) else "other"


def _progress(
    change: Change,
    variable: Variable | None,
    before: Mapping[str, Setting],
    now: Mapping[str, Setting],
) -> RecommendationTaken:
    """Return whether a variable has reached its advised value, moved towards it, or neither."""
    start = before.get(change.variable, change.before)
    current = now.get(change.variable)
    target = change.after
    if current is None or variable is None or current == start:
        return "other"
    if isinstance(start, str) or isinstance(current, str) or isinstance(target, str):
        return "yes" if current == target else "other"
    direction = 1.0 if target >= start else -1.0
    if direction * (current - start) <= 0:
        return "other"
    return "yes" if direction * (target - current) <= tolerance(variable) * (1 + 1e-6) else "partly"
