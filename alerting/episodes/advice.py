"""The present advice of a prediction: kept on its episode beside that of the raise, with the advice that it replaced."""

from dataclasses import replace
from datetime import datetime

from alerting.episodes.episode import Contribution, EarlierAdvice, Episode, PresentAdvice, RecommendationResult

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
) -> Episode:
    """Return the episode with reasons and advice of an evaluated instant after its raise. Idempotent.

    An instant before the one that it holds changes nothing. `since` moves only when the advice is another one.
    """
    present = episode.present
    if at < (episode.raised_at if present is None else present.at):
        return episode
    before, since = episode.advice, episode.raised_at if present is None else present.since
    earlier = () if present is None else present.earlier
    if before is None:
        since = at
    elif asked_settings(before, threshold) != asked_settings(recommendation, threshold):
        risk_before = before.risk_before if present is None else present.risk
        earlier = (*earlier, EarlierAdvice(since, at, risk_before, before.changes, before.message))[-MOST_EARLIER:]
        since = at
    found = PresentAdvice(at, since, risk, threshold, model_version, contributions, recommendation, earlier)
    return episode if found == present else replace(episode, present=found)


def asked_settings(recommendation: RecommendationResult, threshold: float | None) -> tuple[dict[str, float | str], bool, bool]:
    """Return what a recommendation asks for: settings by variable, whether they suffice, and whether any is needed."""
    settings = {change.variable: change.after for change in recommendation.changes}
    return settings, recommendation.helps, threshold is None or recommendation.risk_before >= threshold
