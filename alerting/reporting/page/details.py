"""Single episodes and missed problems of a period, as far as a page shows them one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.fields.common import SEVERITIES
from alerting.definitions.fields.conditions import single_condition
from alerting.definitions.model import Condition, Definition
from alerting.definitions.wording.language import ENGLISH, Language
from alerting.episodes.episode import Episode, Outcome, RecommendationTaken
from alerting.readings.history import History, millis, to_millis
from alerting.reporting.base.sentences import last_taken
from alerting.reporting.definition.material import Material, outcome_of
from alerting.reporting.figures.bars import BarChart, titles_of, waterfall
from alerting.reporting.figures.episode_chart import (
    ChartLevel,
    Panel,
    condition_levels,
    levels_by_variable,
    new_panel,
    problem_levels,
)

_LEAST_AROUND = timedelta(hours=1)


@dataclass(frozen=True)
class ExplainedEpisode:
    """An episode with the reasons of its raise, and the advice, if there was any."""

    id: str
    asset: str
    raised_at: datetime
    headline: str
    outcome: Outcome
    waterfall: BarChart | None
    advice: str | None
    taken: RecommendationTaken | None


@dataclass(frozen=True)
class MissedProblem:
    """A problem that came unannounced, with the readings of its variable around it, if any."""

    asset: str
    start: datetime
    end: datetime | None
    panel: Panel | None


def episode_details(
    episodes: Sequence[Episode], histories: Mapping[str, History], language: Language = ENGLISH
) -> tuple[ExplainedEpisode, ...]:
    """Return the most severe episodes, then those furthest beyond their threshold."""
    ranked = sorted(
        episodes,
        key=lambda e: (
            -SEVERITIES.index(e.severity_peak or e.severity),
            -_beyond(e),
            e.raised_at,
            e.id,
        ),
    )
    return tuple(
        ExplainedEpisode(
            id=e.id,
            asset=e.asset,
            raised_at=e.raised_at,
            headline=e.evaluation.reason,
            outcome=outcome_of(e),
            waterfall=waterfall(
                e.contributions,
                e.evaluation.value,
                e.evaluation.threshold,
                titles_of(histories[e.asset].asset if e.asset in histories else None),
                language,
            ),
            advice=e.recommendation.message if e.recommendation else None,
            taken=last_taken(e),
        )
        for e in sorted(ranked[:6], key=lambda e: (e.raised_at, e.id))
    )


def _beyond(episode: Episode) -> float:
    value = episode.evaluation.value
    threshold = episode.evaluation.threshold
    return abs(value - threshold) if value is not None and threshold is not None else 0.0


def missed_details(
    m: Material, missed: Sequence[tuple[str, datetime, datetime | None]]
) -> tuple[MissedProblem, ...]:
    """Return the first missed problems with their variable from well before to their end."""
    return tuple(
        MissedProblem(asset, start, end, _around(m, asset, start, end))
        for asset, start, end in list(missed)[:6]
    )


def _around(m: Material, asset: str, start: datetime, end: datetime | None) -> Panel | None:
    before = max(2 * (m.definition.gap + m.definition.horizon), _LEAST_AROUND)
    last = min(end or start + before, start + 2 * before)
    return panel_of(m, asset, start - before, last + before / 4)


def panel_of(m: Material, asset: str, start: datetime, end: datetime) -> Panel | None:
    """Return the readings of the definition's variable in [start, end]; None without numbers."""
    history = m.histories.get(asset)
    name = variable_of(m.definition)
    if (
        history is None
        or name is None
        or name not in history.readings
        or history.readings[name].dtype == object
    ):
        return None
    at = millis(pd.DatetimeIndex(history.readings.index))
    inside = (at >= to_millis(start)) & (at <= to_millis(end))
    values = history.readings[name].to_numpy(np.float64)[inside]
    declared = history.asset.variables.get(name)
    title, unit = (declared.title or name, declared.unit) if declared else (name, None)
    panel = new_panel(
        Panel(
            title.replace("_", " "), unit, at[inside], values, _levels(m.definition, history.asset)
        )
    )
    if len(panel.at) < 2:
        return None
    found, missing = m.moving_levels(history.asset, start, end)
    return replace(panel, moving=found.get(name, ()), note=missing)


def variable_of(definition: Definition) -> str | None:
    """Return the variable a definition is about, the first of a problem; None of conditions."""
    if definition.problem is not None:
        return next(iter(definition.problem.variables), None)
    condition = single_condition(definition)
    return getattr(definition, "variable", None) if condition is None else condition.variable


def _levels(definition: Definition, asset: Asset) -> tuple[ChartLevel, ...]:
    if (
        definition.problem is not None
        and (combination := definition.problem.combination) is not None
    ):
        return levels_by_variable(combination, asset)[combination.variables[0]]
    if definition.problem is not None:
        return problem_levels(definition.problem)
    return (
        condition_levels(definition, asset)
        if isinstance(definition, Condition) and definition.variable
        else ()
    )
