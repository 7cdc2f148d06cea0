"""Evaluation of one target over one interval of event time: from histories to steps of episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.limits import severities
from alerting.definitions.model import Condition, Revision, TrainedDefinition
from alerting.definitions.wording.spoken import spoken_duration
from alerting.detection.carried import ReadingInForce
from alerting.detection.classifier import Scores, inside_problem, is_triggered
from alerting.detection.messages import fact_message
from alerting.detection.problems import BoolArray, find_problems, predicts
from alerting.detection.threshold import Series, evaluate_series, lookback, series_of
from alerting.episodes.lifecycle import ConditionState, Step, advance, advance_predictions
from alerting.learning.data.point_in_time import has_any_value
from alerting.learning.features.build import build_features, grid
from alerting.learning.models.trained import TrainedModel
from alerting.ports import ModelUnavailable, Platform, Readings
from alerting.readings.history import History, Millis, duration_millis, from_millis, millis, to_millis, with_older
from alerting.usecases.definitions.versions import VersionInterval
from alerting.usecases.registry.registration import first_line, load_model

_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Raise:
    """Values at the instant of a raise. `reading` only for thresholds, `row` and `model` only for model kinds."""

    value: float | None
    reading: ReadingInForce | None = None
    row: pd.DataFrame | None = None
    model: TrainedModel | None = None
    model_version: int | None = None


@dataclass(frozen=True)
class ScoredRows:
    """Scores of one asset at evaluated instants (ms); NaN where unknown."""

    at: Millis
    score: Scores
    threshold: float
    model_version: int


@dataclass(frozen=True)
class TargetEvaluation:
    """Result for one target: the state after, the steps on the way, and the values at each raise and change of severity.

    `unreadable`: why the model cannot be read. Evaluation stops there; nothing after it counts as evaluated.
    """

    state: ConditionState
    steps: list[tuple[Step, VersionInterval]] = field(default_factory=list)
    raises: dict[datetime, Raise] = field(default_factory=dict)
    changes: dict[datetime, ReadingInForce] = field(default_factory=dict)
    scores: list[ScoredRows] = field(default_factory=list)
    unknown: str | None = None
    unreadable: str | None = None
    history: History | None = None


class ModelCache:
    """Cache of registered models, each of them loaded once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._models: dict[tuple[str, int], TrainedModel] = {}

    def get(self, definition: str, version: int) -> TrainedModel:
        """Return a registered model. Raises ModelUnavailable, also for damaged files."""
        key = (definition, version)
        if key not in self._models:
            self._models[key] = load_model(self._platform, definition, version)
        return self._models[key]


def evaluate_target(
    platform: Platform,
    models: ModelCache,
    revision: Revision,
    asset: Asset,
    state: ConditionState,
    parts: Sequence[VersionInterval],
    named: bool = False,
) -> TargetEvaluation:
    """Evaluate one target by the revision and champion in force in each part, and store the scores of models.

    `revision`: the newest.
    """
    if revision.definition.kind == "threshold":
        return evaluate_threshold(stored_series(platform.readings, asset), asset, state, parts)
    result = evaluate_classifier(platform, models, asset, state, parts, named)
    for scored in result.scores:
        platform.scores.add(revision.name, asset.name, score_rows(scored))
    return result


# Reads the readings of a threshold's variable after one instant and up to another.
Read = Callable[[Condition, datetime, datetime], Series]


def stored_series(readings: Readings, asset: Asset) -> Read:
    """Return the function that reads readings of an asset from the store."""

    def read(definition: Condition, start: datetime, end: datetime) -> Series:
        return series_of(definition, readings.load(asset, start, end, [definition.variable]))

    return read


def evaluate_threshold(read: Read, asset: Asset, state: ConditionState, parts: Sequence[VersionInterval]) -> TargetEvaluation:
    """Evaluate every reading of the parts, which follow one another from the state's watermark on."""
    result = TargetEvaluation(state)
    for part in parts:
        definition = part.revision.definition if part.revision else None
        if not isinstance(definition, Condition) or definition.state != "active":
            result = replace(result, state=_skip(result.state, part.end), unknown="the definition is not in service")
            continue
        series = read(definition, part.start - lookback(definition), part.end)
        _note_revision(result, part)
        result = evaluate_threshold_interval(definition, asset, series, result, part)
    return result


def evaluate_threshold_interval(
    definition: Condition, asset: Asset, series: Series, result: TargetEvaluation, part: VersionInterval
) -> TargetEvaluation:
    """Evaluate one part under one definition. `series` begins `lookback(definition)` before the part."""
    before = result.state
    carried = before.carried
    if carried is not None and _is_new(part):
        carried = carried.under_another_revision()
    evaluated = evaluate_series(definition, asset, series.ts, series.values, carried, part.start, part.end, series.bad)
    after, steps = advance(before, evaluated.intervals, definition.hold, definition.clear_for, severities(definition))
    result.steps.extend((step, part) for step in steps)
    for step in steps:
        reading = evaluated.reading_at(step.at)
        if step.kind == "raised":
            result.raises[step.at] = Raise(reading.evaluated if reading else None, reading=reading)
        elif step.kind == "severity" and reading is not None:
            result.changes[step.at] = reading
    last = evaluated.intervals[-1]
    reading = evaluated.reading_at(last.start)
    unknown = fact_message(definition, asset, last.fact, reading) if last.fact and last.status == "unknown" else None
    return replace(result, state=replace(after, watermark=part.end, carried=evaluated.carried), unknown=unknown)


def _is_new(part: VersionInterval) -> bool:
    """Return whether a part begins with a later revision of its definition."""
    return part.revision is not None and part.revision.number > 1 and part.revision.at == part.start


def _note_revision(result: TargetEvaluation, part: VersionInterval) -> None:
    """Record on an open episode that a new revision evaluates it from here on. The episode stays open."""
    raised = result.state.raised_at
    if raised is not None and part.revision is not None and _is_new(part):
        reason = f"revision {part.revision.number} evaluates it from here on ({part.revision.reason})"
        result.steps.append((Step("revised", part.start, raised, reason), part))


def _skip(state: ConditionState, until: datetime) -> ConditionState:
    return replace(state, watermark=until, pending_since=None, clearing_since=None, carried=None)


def evaluate_classifier(
    platform: Platform,
    models: ModelCache,
    asset: Asset,
    state: ConditionState,
    parts: Sequence[VersionInterval],
    named: bool = False,
) -> TargetEvaluation:
    """Score every stride of the parts with the champion in force there.

    With a model that cannot be read, evaluation stops before that part with a reason. The next evaluation catches up.
    `named`: a person named the model, for past times. Instants up to its training cutoff are unknown in that case, too.
    """
    result = TargetEvaluation(state)
    for part in parts:
        definition = part.revision.definition if part.revision else None
        if not isinstance(definition, TrainedDefinition) or (definition.state != "active" and not named):
            result = replace(result, state=replace(result.state, watermark=part.end), unknown="the definition is not in service")
            continue
        try:
            model = None if part.model_version is None else models.get(definition.name, part.model_version)
            result = _evaluate_interval(platform, asset, result, part, definition, model)
        except ModelUnavailable as unavailable:
            why = f"the model cannot be read: {unavailable}"
            return replace(result, unknown=why, unreadable=why)
    return result


def _evaluate_interval(
    platform: Platform,
    asset: Asset,
    result: TargetEvaluation,
    part: VersionInterval,
    definition: TrainedDefinition,
    model: TrainedModel | None,
) -> TargetEvaluation:
    start = _start(result.state, part, definition, model)
    history = _read_history(platform.readings, asset, start, part.end, definition, model)
    problems = find_problems(definition.problem, history)
    known_at = np.sort(millis(problems["known_at"]))
    at = grid(to_millis(part.start), to_millis(part.end), duration_millis(definition.stride))
    score, rows, unknown = _score(definition, model, history, problems, at)
    threshold = model.threshold if model else np.inf
    state, steps = advance_predictions(
        result.state,
        at,
        is_triggered(score, threshold),
        known_at,
        definition.gap + definition.horizon,
        definition.stride,
        part.end,
    )
    raises = dict(result.raises)
    for step in steps:
        if step.kind == "raised" and rows is not None:
            i = int(np.searchsorted(at, to_millis(step.at)))
            raises[step.at] = Raise(float(score[i]), None, rows.iloc[[i]], model, part.model_version)
    scored = [*result.scores]
    if model is not None and part.model_version is not None:
        scored.append(ScoredRows(at, score, model.threshold, part.model_version))
    return TargetEvaluation(
        replace(state, watermark=part.end),
        [*result.steps, *((s, part) for s in steps)],
        raises,
        result.changes,
        scored,
        unknown,
        history=history,
    )


def _start(state: ConditionState, part: VersionInterval, definition: TrainedDefinition, model: TrainedModel | None) -> datetime:
    """Return the first instant of needed readings: for the features, and for the problem back to the open episode's raise."""
    lookback = model.plan.lookback if model else timedelta(0)
    return min(part.start, state.raised_at or part.start) - lookback - definition.problem.hold - _MOMENT


def _read_history(
    readings: Readings,
    asset: Asset,
    start: datetime,
    end: datetime,
    definition: TrainedDefinition,
    model: TrainedModel | None,
) -> History:
    """Return what the problem and the features of a model need of (start, end]: no other variables, and no older events.

    Before `start` these are the values that may be carried forward into it, the last event of each type, and ongoing events.
    """
    names = {definition.problem.variable, *(model.plan.variables if model else ())}
    history = readings.load(asset, start, end, [name for name in asset.variables if name in names], events_since=start)
    longest = model.plan.carried_longer if model else {}
    since = {name: start - carry for name, carry in longest.items() if name in history.readings}
    return with_older(history, readings.newest(history.asset, since, start)) if since else history


def _score(
    definition: TrainedDefinition, model: TrainedModel | None, history: History, problems: pd.DataFrame, at: Millis
) -> tuple[Scores, pd.DataFrame | None, str | None]:
    """Return scores with NaN where unknown, the feature rows, and the reason if the last instant is unknown."""
    if model is None:
        return np.full(len(at), np.nan), None, "no model is in service yet; train one"
    rows, score = _score_features(model, history, at)
    reasons: list[tuple[BoolArray, str]] = [
        (at <= to_millis(model.training_cutoff), f"the model has learned from times up to {model.training_cutoff.isoformat()}")
    ]
    reasons.append(
        (~has_any_value(model.plan, history, at), f"no values are known of the last {spoken_duration(model.plan.lookback)}")
    )
    if predicts(definition.problem, history.asset) == "onset":
        inside = inside_problem(at, millis(problems["start"]), millis(problems["end"]), millis(problems["known_at"]))
        reasons.append((inside, "the problem has already started"))
    unknown = None
    for mask, reason in reasons:
        score = np.where(mask, np.nan, score)
        if len(at) and mask[-1]:
            unknown = reason
    return score, rows, unknown


def _score_features(model: TrainedModel, history: History, at: Millis) -> tuple[pd.DataFrame, Scores]:
    """Return feature rows and scores.

    Raises ModelUnavailable if a model fails in any way, so that the round continues with the other targets.
    """
    try:
        rows = build_features(model.plan, history, at)
        return rows, np.asarray(model.score(rows), np.float64) if len(at) else np.empty(0)
    except Exception as fault:
        raise ModelUnavailable(f"the model cannot score: {first_line(fault)}") from fault


def score_rows(scored: ScoredRows) -> list[tuple[datetime, float, float, int]]:
    """Return known scores as rows to store: instant, score, threshold, model version."""
    return [
        (from_millis(t), float(p), scored.threshold, scored.model_version)
        for t, p in zip(scored.at.tolist(), scored.score.tolist(), strict=True)
        if p == p  # noqa: PLR0124 - NaN is unknown and not stored
    ]
