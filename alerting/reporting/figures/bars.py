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

    def percent_at(self, value: float) -> float:
        """Return the position of a value in percent of the width."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def reasons_waterfall(
    episode: Episode, asset: Asset | None, language: Language = ENGLISH
) -> BarChart | None:
    """Return how the variables lead to the risk: the newest while open, else that of the raise."""
    if not episode.is_prediction:
        return None
    newest = episode.present if episode.condition == "open" else None
    why = newest.contributions if newest else episode.contributions
    score = newest.risk if newest else episode.evaluation.value
    # the reasons are those of the advice that stays
    if newest is not None and newest.advised_at is not None:
        score = newest.recommendation.risk_before
    return waterfall(why, score, episode.evaluation.threshold, titles_of(asset), language)


def titles_of(asset: Asset | None) -> dict[str, str]:
    """Return the titles of variables that have one, by name."""
    declared = asset.variables.items() if asset else ()
    return {name: variable.title for name, variable in declared if variable.title}


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
        title = language.say_count("{number} other", "{number} others", len(others))
        steps.append((title, sum(c.share for c in others)))
    level = usual = score - sum(share for _, share in steps)
    start, end = sorted((0.0, level))
    bars = [Bar(language.say("Usual score"), start, end, "usual", language.share(level))]
    for title, share in steps:
        start, end = sorted((level, level + share))
        text = f"{'+' if share >= 0 else '-'}{language.points(abs(share))}"
        bars.append(Bar(title, start, end, "up" if share >= 0 else "down", text))
        level += share
    bars.append(_level(template("Risk"), score, "risk", language))
    course = (
        template("How the risk rose from {usual} to {risk}")
        if score >= usual
        else template("How the risk fell from {usual} to {risk}")
    )
    title = language.say(course, usual=Styled(usual, "share"), risk=Styled(score, "share"))
    return _chart(title, bars, threshold, language)


def risk_steps(episode: Episode, language: Language = ENGLISH) -> BarChart | None:
    """Return the risk at the raise, now (until the problem has come), and after the advised change;
    None without any."""
    advice = episode.advice if episode.condition == "open" else episode.recommendation
    at_raise = episode.evaluation.value
    if at_raise is None or advice is None or not episode.is_prediction:
        return None
    bars = [_level(template("When the alarm came"), at_raise, "risk", language)]
    # once the problem has come, what a model says is no risk that it will come
    waits = episode.condition == "open" and episode.happening_at is None
    if episode.present is not None and waits:
        bars.append(_level(template("Now"), episode.present.risk, "risk", language))
    if advice.changes and advice.risk_after < advice.risk_before:
        bars.append(_level(template("With this change"), advice.risk_after, "after", language))
    if len(bars) == 1:
        return None
    return _chart(language.say("Risk"), bars, episode.evaluation.threshold, language)


def importance_bars(
    importance: Mapping[str, float], titles: Mapping[str, str], language: Language = ENGLISH
) -> BarChart | None:
    """Return the mean size of each variable's share in a score, the largest first."""
    bars = [
        Bar(titles.get(name, name), 0.0, share, "risk", language.points(share))
        for name, share in sorted(importance.items(), key=lambda item: -item[1])
        if share > 0
    ]
    title = language.say("Mean size of each variable's contribution to the score")
    return _chart(title, bars, None, language) if bars else None


def _level(label: str, value: float, kind: Literal["risk", "after"], language: Language) -> Bar:
    return Bar(language.say(label), 0.0, value, kind, language.share(value))


def _chart(
    title: str, bars: Sequence[Bar], threshold: float | None, language: Language
) -> BarChart:
    values = [value for bar in bars for value in (bar.start, bar.end)]
    alarm = ""
    if threshold is not None:
        values.append(threshold)
        alarm = language.say("alarm at {threshold}", threshold=language.share(threshold))
    low = min(0.0, *values)
    high = max(*values, 1e-6)
    summary = ", ".join(f"{bar.label} {bar.text}" for bar in bars)
    described = f"{title}: {summary}{'; ' if alarm else ''}{alarm}"
    return BarChart(
        title, tuple(bars), low, high + 0.02 * (high - low), threshold, described, alarm
    )
