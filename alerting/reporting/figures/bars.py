"""Bars of a risk as numbers, drawn as SVG by pages and as PNG by e-mails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import ENGLISH, Language, Styled, template, translatable
from alerting.episodes.episode import Contribution, Episode

SHOWN = 6
CAVEAT = translatable(
    "Contributions add up from the usual score of the training rows to this score. They say what "
    "the model used, not what caused the problem."
)


@dataclass(frozen=True)
class Bar:
    """One bar between two shares. `kind`: a level of the risk, or a step of it up or down."""

    label: str
    start: float
    end: float
    kind: Literal["usual", "up", "down", "risk", "after"]
    text: str


@dataclass(frozen=True)
class BarChart:
    """Bars below each other on one axis from `low` to `high`.

    `threshold`: where the alarm is raised, None if not known; `alarm`: that in words.
    """

    title: str
    bars: tuple[Bar, ...]
    low: float
    high: float
    threshold: float | None
    description: str
    alarm: str = ""

    def at(self, value: float) -> float:
        """Return the position of a value in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def reasons_waterfall(
    episode: Episode, asset: Asset | None, language: Language = ENGLISH
) -> BarChart | None:
    """Return how the variables lead to the risk: the newest while open, else that of the raise."""
    newest = episode.present if episode.condition == "open" else None
    titles = (
        {name: variable.title for name, variable in asset.variables.items() if variable.title}
        if asset
        else {}
    )
    why, score = (
        (newest.contributions, newest.risk)
        if newest
        else (episode.contributions, episode.evaluation.value)
    )
    if (
        newest is not None and newest.advised_at is not None
    ):  # the reasons are those of the advice that stays
        score = newest.recommendation.risk_before
    return (
        waterfall(why, score, episode.evaluation.threshold, titles, language)
        if episode.is_prediction
        else None
    )


def waterfall(
    contributions: Sequence[Contribution],
    score: float | None,
    threshold: float | None,
    titles: Mapping[str, str],
    language: Language = ENGLISH,
) -> BarChart | None:
    """Return the steps from the usual score to this one. `titles`: of variables, by name."""
    if score is None or not contributions:
        return None
    ranked = sorted(contributions, key=lambda c: -abs(c.share))
    steps = [(titles.get(c.variable, c.variable), c.share) for c in ranked[:SHOWN]]
    if others := ranked[SHOWN:]:
        steps.append(
            (
                language.say_count("{number} other", "{number} others", len(others)),
                sum(c.share for c in others),
            )
        )
    level = usual = score - sum(share for _, share in steps)
    bars = [
        Bar(
            language.say("Usual score"),
            min(0.0, level),
            max(0.0, level),
            "usual",
            language.share(level),
        )
    ]
    for title, share in steps:
        bars.append(
            Bar(
                title,
                min(level, level + share),
                max(level, level + share),
                "up" if share >= 0 else "down",
                f"{'+' if share >= 0 else '-'}{language.points(abs(share))}",
            )
        )
        level += share
    bars.append(Bar(language.say("Risk"), 0.0, score, "risk", language.share(score)))
    summary = ", ".join(f"{bar.label} {bar.text}" for bar in bars)
    course = (
        template("How the risk rose from {usual} to {risk}")
        if score >= usual
        else template("How the risk fell from {usual} to {risk}")
    )
    title = language.say(course, usual=Styled(usual, "share"), risk=Styled(score, "share"))
    return _chart(title, bars, threshold, summary, language)


def risk_steps(episode: Episode, language: Language = ENGLISH) -> BarChart | None:
    """Return the risk at the raise, now, and after the advised change; None without any."""
    advice = episode.advice if episode.condition == "open" else episode.recommendation
    at_raise = episode.evaluation.value
    threshold = episode.evaluation.threshold
    if at_raise is None or advice is None or not episode.is_prediction:
        return None
    bars = [
        Bar(language.say("When the alarm came"), 0.0, at_raise, "risk", language.share(at_raise))
    ]
    if episode.present is not None and episode.condition == "open":
        now = episode.present.risk
        bars.append(Bar(language.say("Now"), 0.0, now, "risk", language.share(now)))
    if advice.changes and advice.risk_after < advice.risk_before:
        after = advice.risk_after
        bars.append(
            Bar(language.say("With this change"), 0.0, after, "after", language.share(after))
        )
    if len(bars) == 1:
        return None
    return _chart(
        language.say("Risk"),
        bars,
        threshold,
        ", ".join(f"{bar.label} {bar.text}" for bar in bars),
        language,
    )


def importance_bars(
    importance: Mapping[str, float], titles: Mapping[str, str], language: Language = ENGLISH
) -> BarChart | None:
    """Return the mean size of each variable's share in a score, the largest first."""
    ranked = sorted(
        ((name, share) for name, share in importance.items() if share > 0),
        key=lambda item: -item[1],
    )
    bars = [
        Bar(titles.get(name, name), 0.0, share, "risk", language.points(share))
        for name, share in ranked
    ]
    summary = ", ".join(f"{bar.label} {bar.text}" for bar in bars)
    title = language.say("Mean size of each variable's contribution to the score")
    return _chart(title, bars, None, summary, language) if bars else None


def _chart(
    title: str, bars: Sequence[Bar], threshold: float | None, summary: str, language: Language
) -> BarChart:
    values = [value for bar in bars for value in (bar.start, bar.end)] + (
        [] if threshold is None else [threshold]
    )
    low = min(0.0, *values)
    high = max(*values, 1e-6)
    alarm = (
        ""
        if threshold is None
        else language.say("alarm at {threshold}", threshold=language.share(threshold))
    )
    described = f"{title}: {summary}{'; ' if alarm else ''}{alarm}"
    return BarChart(
        title, tuple(bars), low, high + 0.02 * (high - low), threshold, described, alarm
    )
