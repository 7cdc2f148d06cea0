"""The present advice of a prediction, stored on its episode beside the advice of the raise and the
advice that it replaced; and open alerts of one asset with opposite advice.

Only other advice replaces advice. If an instant gives no advice, because the risk is low or no
change lowers it, the episode takes the risk of that instant, while reasons and advice, with their
time, are those of the raise. So they follow from the data alone, and not from how often the
platform has evaluated.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import combinations

from alerting.definitions.wording.language import Styled, template, translatable
from alerting.episodes.episode import (
    Contribution,
    EarlierAdvice,
    Episode,
    PresentAdvice,
    RecommendationResult,
)
from alerting.episodes.remaining_life import RemainingLife

REASONS_SHOWN = 3
MOST_EARLIER = 10
"""Replaced advice that an episode keeps: the newest."""


def with_present_advice(
    episode: Episode,
    at: datetime,
    risk: float,
    threshold: float | None,
    model_version: int | None,
    contributions: tuple[Contribution, ...],
    recommendation: RecommendationResult,
    life: RemainingLife | None = None,
) -> Episode:
    """Return the episode with reasons and advice of an evaluated instant after its raise.
    Idempotent.

    An instant before the stored one changes nothing. `since` moves only when the advice changes. An
    instant without advice removes no advice.
    """
    present = episode.present
    if at < (episode.raised_at if present is None else present.at):
        return episode
    before = episode.advice
    since = episode.raised_at if present is None else present.since
    earlier = () if present is None else present.earlier
    advised_at = None
    if (
        not recommendation.changes
        and episode.recommendation is not None
        and episode.recommendation.changes
    ):
        contributions = episode.contributions
        recommendation = episode.recommendation
        advised_at = episode.raised_at
    elif (
        not recommendation.changes and before is not None and present is not None and before.changes
    ):
        contributions = present.contributions
        recommendation = before
        advised_at = episode.advised_at
    if before is None:
        since = at
    elif asked_settings(before, threshold) != asked_settings(recommendation, threshold):
        risk_before = before.risk_before if present is None else present.risk
        earlier = (*earlier, EarlierAdvice(since, at, risk_before, before.changes, before.message))[
            -MOST_EARLIER:
        ]
        since = at
    advice = PresentAdvice(
        at,
        since,
        risk,
        threshold,
        model_version,
        contributions,
        recommendation,
        earlier,
        advised_at,
        life,
    )
    return episode if advice == present else replace(episode, present=advice)


def asked_settings(
    recommendation: RecommendationResult, threshold: float | None
) -> tuple[dict[str, float | str], bool, bool]:
    """Return the content of a recommendation: settings by variable, whether they suffice, and
    whether any change is needed."""
    return (
        {change.variable: change.after for change in recommendation.changes},
        recommendation.helps,
        threshold is None or recommendation.risk_before >= threshold,
    )


def describe_low_risk(risk: float, threshold: float) -> str:
    """Return the advice of an instant whose risk needs no change."""
    return translatable(
        "The risk is {risk}, below the alarm at {threshold}. Keep an eye on it until the predicted "
        "time has passed.",
        risk=Styled(risk, "share"),
        threshold=Styled(threshold, "share"),
    )


def low_risk(episode: Episode) -> str | None:
    """Return the text that the risk is low again if the advice of an open episode is from before
    that; None otherwise, and once the problem has come."""
    now = episode.present
    if episode.condition != "open" or episode.happening_at is not None or now is None:
        return None
    if now.threshold is None or now.risk >= now.threshold or now.advised_at in (None, now.at):
        return None
    return describe_low_risk(now.risk, now.threshold)


def split_reasons(
    contributions: Sequence[Contribution],
) -> tuple[Sequence[Contribution], Sequence[Contribution]]:
    """Return three reasons to show first, and the others.

    A quantity within its usual range raises the risk only by its combination with others, so it
    comes after quantities that moved, unless none moved or those that moved hardly count: less
    than a tenth of the largest.
    """
    ranked = sorted(contributions, key=lambda c: -abs(c.share))
    least = 0.1 * max((abs(c.share) for c in ranked), default=0.0)
    moved = [
        c
        for c in ranked
        if (c.quantity is None or c.quantity.is_unusual or c.share < 0) and abs(c.share) >= least
    ]
    others = [c for c in ranked if c not in moved]
    first = ([*moved, *others] if any(c.share > 0 for c in moved) else ranked)[:REASONS_SHOWN]
    return first, [c for c in ranked if c not in first]


_OPPOSITES = (
    template(
        "Opposite advice: this alert says lower {variable}, “{other}” says raise it. Decide which "
        "matters more."
    ),
    template(
        "Opposite advice: this alert says raise {variable}, “{other}” says lower it. Decide which "
        "matters more."
    ),
)


def opposite_advice(episodes: Sequence[Episode]) -> dict[str, list[str]]:
    """Return, by episode id, a sentence for each other open alert that advises the opposite."""
    sentences: dict[str, list[str]] = {}
    for first, second in combinations(
        [e for e in episodes if e.condition == "open" and e.advice is not None and e.advice.helps],
        2,
    ):
        if first.asset == second.asset:
            directions = _directions(first)
            others = _directions(second)
            for variable in sorted(directions.keys() & others.keys()):
                if directions[variable] != others[variable]:
                    sentences.setdefault(first.id, []).append(
                        _sentence(variable, directions[variable], second)
                    )
                    sentences.setdefault(second.id, []).append(
                        _sentence(variable, others[variable], first)
                    )
    return sentences


def _directions(episode: Episode) -> dict[str, bool]:
    return {
        change.variable: change.after > change.before
        for change in (episode.advice.changes if episode.advice else ())
        if not isinstance(change.after, str) and not isinstance(change.before, str)
    }


def _sentence(variable: str, raises: bool, opposite: Episode) -> str:
    return translatable(_OPPOSITES[raises], variable=variable, other=opposite.title)
