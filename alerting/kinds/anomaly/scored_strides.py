"""Evaluate a definition of kind `anomaly` over one interval of event time: every stride is scored
once.

The state between two scores is that of the earlier score. Scores before the interval are computed
again from the readings, so that only the condition state is carried: any chunks give the same bits.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import format_duration
from alerting.definitions.fields.problem import variable_title
from alerting.definitions.wording.language import Styled, Translatable, template, translatable
from alerting.detection.evaluation_results_and_texts import Evaluation, Status, StatusInterval
from alerting.detection.suppressed_intervals import touches
from alerting.episodes.episode import Contribution, Quantity
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.normal_operation import EpisodeRule, advance_part, evaluate_fitted
from alerting.kinds.protocol import (
    NO_MODEL,
    EvaluationSources,
    RaiseEvidence,
    ScoredRows,
    TargetEvaluation,
    VersionInterval,
    carried_reason,
    confine_fault,
)
from alerting.kinds.shared_inputs import SharedInputs
from alerting.learning.features.plan import Column
from alerting.learning.features.point_in_time import grid
from alerting.learning.features.reading_counts import TOO_FEW, has_enough_readings, reach_of_pauses
from alerting.learning.models.trained import TrainedModel
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    from_millis,
    to_millis,
)
from alerting.readings.variable_series import CategoryValues, Labels
from alerting.recommendation.variable_text import column_unit, column_value, describe_column

_LEVELS = ("mean", "max", "min")
_SHARE = template(
    "{what} is {value}, where {expected} would be usual beside the other variables: {share} of the "
    "score"
)
_MOST = 20


class Shown(NamedTuple):
    """A column with its value, and the value that the other variables lead to expect; NaN where
    missing."""

    column: Column
    value: float
    expected: float


class Responsible(NamedTuple):
    """A variable with its share of the abnormality. `strongest`: its column farthest from the
    expected value; `level`: its level column."""

    variable: str
    share: float
    strongest: Shown
    level: Shown


def responsible(fitted: FittedDetector, row: Floats) -> list[Responsible]:
    """Return the variables that make one row of features unlike normal, the most responsible first;
    shares add up to 1."""
    encoded = fitted.space.encode(row[None, :])
    whole = float(fitted.detector.score(encoded)[0])
    drops = dict[str, float]()
    repaired = dict[str, Floats]()
    groups = fitted.columns_by_variable
    for variable, columns in groups.items():
        repaired[variable] = fitted.expect(encoded, columns)
        drops[variable] = max(whole - float(fitted.detector.score(repaired[variable])[0]), 0.0)
    if not any(drops.values()):  # cuts of trees may be so coarse that no sensor changes it
        drops = {
            name: _distance_lost(fitted, encoded - repaired[name], columns)
            for name, columns in groups.items()
        }
    total = sum(drops.values())
    if not total:
        return []
    variables = [
        _responsible(
            fitted,
            variable,
            drop / total,
            row,
            (encoded - repaired[variable])[0],
            fitted.space.decode(repaired[variable])[0],
        )
        for variable, drop in drops.items()
        if drop > 0
    ]
    return sorted(variables, key=lambda v: (-v.share, v.variable))[:_MOST]


def _distance_lost(fitted: FittedDetector, change: Floats, columns: list[int]) -> float:
    """Return by how much the squared Mahalanobis distance falls if these columns have their
    expected values."""
    part = change[0, columns]
    return float(part @ fitted.space.precision[np.ix_(columns, columns)] @ part)


def _responsible(
    fitted: FittedDetector,
    variable: str,
    share: float,
    row: Floats,
    off: Floats,
    expected: Floats,
) -> Responsible:
    layout = fitted.plan.layout
    columns = fitted.columns_by_variable[variable]
    distance = np.where(np.isnan(row), 0.0, np.abs(off))
    strongest = max(columns, key=lambda i: float(distance[i]))
    level = next(
        (i for name in _LEVELS for i in columns if layout[i].aggregation == name), strongest
    )
    shown = [Shown(layout[i], float(row[i]), float(expected[i])) for i in (strongest, level)]
    return Responsible(variable, share, *shown)


def contributions(asset: Asset, variables: list[Responsible]) -> tuple[Contribution, ...]:
    """Return responsible variables as contributions with messages; `usual` is the value that the
    other variables lead to expect."""
    return tuple(
        Contribution(
            variable.variable,
            variable.share,
            number(variable.level.value),
            number(variable.level.expected),
            translatable(
                _SHARE,
                **comparison(asset, variable.strongest),
                share=Styled(variable.share, "share"),
            ),
            quantity=_quantity(asset, variable.strongest),
        )
        for variable in variables
    )


def _quantity(asset: Asset, shown: Shown) -> Quantity:
    column = shown.column
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    value = number(shown.value)
    expected = number(shown.expected)
    return Quantity(
        column.aggregation, window, value, expected, column_unit(asset, column), is_unusual=True
    )


def comparison(asset: Asset, shown: Shown) -> dict[str, str | Styled | Translatable]:
    """Return the values of a sentence that compares a column with its expected value."""
    return {
        "what": describe_column(asset, shown.column),
        "value": column_value(asset, shown.column, number(shown.value)),
        "expected": column_value(asset, shown.column, number(shown.expected)),
    }


def number(value: float) -> float | None:
    """Return a number; None for NaN."""
    return None if np.isnan(value) else value


_SOMETHING = template("The readings together are unlike normal operation")
_NEVER_SEEN = template(
    "{category} {value}: no or too little normal operation of its own, compared with all normal "
    "operation together"
)
_SENSOR = template(
    "Unlike normal operation: {what} is {value}, where {expected} would be usual beside the other "
    "variables"
)


def anomaly_message(asset: Asset, variables: Sequence[Responsible], compared: str = "") -> str:
    """Return why an episode is raised, with the most responsible variable. `compared`: the normal
    operation with which the row is compared."""
    text = (
        translatable(_SENSOR, **comparison(asset, variables[0].strongest))
        if variables
        else translatable(_SOMETHING)
    )
    return translatable("{text} ({compared})", text=text, compared=compared) if compared else text


def compared_with(by: str, category: str | None, named: str | None) -> str:
    """Describe the normal operation with which a row is compared: that of its category `own`, or
    all of it, although the category `named` is in force."""
    name = by.replace("_", " ")
    if category is not None:
        return translatable("normal operation of {category} {value}", category=name, value=category)
    if named is None:
        return translatable(
            "{category} is not known: compared with all normal operation together", category=name
        )
    return translatable(_NEVER_SEEN, category=name, value=named)


_SUPPRESSED = translatable("suppressed, or its windows reach into a suppressed time")
_FEW_VALUES = translatable("fewer than half of the variables have a value in the last windows")
THRESHOLD = 1.0
_SHOWN = 3


class ScoredInterval(NamedTuple):
    """Scores at the instants of an interval and before it: `matrix` of features, `score` (NaN:
    unknown), why it is unknown.

    `category`: category by which each row is scored, None for a row that is compared with all;
    `named`: category in force.
    """

    at: Millis
    matrix: Floats
    score: Floats
    unknown: npt.NDArray[np.object_]
    category: Labels
    named: Labels


def evaluate_part(
    definition: AnomalyDefinition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
) -> TargetEvaluation:
    """Score every stride of a part with the model in force there; a model that cannot be read ends
    the evaluation."""

    def evaluate(model: AnomalyModel, fitted: FittedDetector, version: int) -> TargetEvaluation:
        at, history, muted = _read(definition, sources, fitted, part)
        with confine_fault("the model cannot score"):
            matrix = sources.shared.features(fitted.plan, history, at).matrix
            categories = categories_at(sources.shared, fitted, sources.asset, history, at)
            enough = has_enough_readings(fitted.plan, history, at)
            cutoff = to_millis(model.training_cutoff)
            scored = _score(fitted, at, matrix, categories, enough, muted, cutoff, sources.asset)
        begin, end = (to_millis(time) + 1 for time in (part.start, part.end))
        clear_for = definition.off_delay(fitted.clear_for)
        after = advance_part(
            before,
            part,
            status_intervals(definition, fitted, scored.at, scored.score, begin, end),
            EpisodeRule(definition.hold, clear_for, definition.severities()),
            lambda at: _evidence(sources.asset, fitted, scored, at, version),
        )
        return replace(
            after,
            scores=[*before.scores, _rows(sources.asset, fitted, scored, part, model)],
            unknown=(scored.unknown[-1] or None) if len(scored.at) else carried_reason(before),
            history=history,
        )

    too_little = translatable(
        "no model of {asset}: it had too little normal history", asset=sources.asset.name
    )
    return evaluate_fitted(definition, sources, part, before, evaluate, NO_MODEL, too_little)


def _read(
    definition: AnomalyDefinition,
    sources: EvaluationSources,
    fitted: FittedDetector,
    part: VersionInterval,
) -> tuple[Millis, History, BoolArray]:
    """Return the instants of a part and those before it whose state still counts in it, the
    readings for these, and which of the instants are suppressed."""
    stride = fitted.plan.stride_ms
    back = max(
        [
            stride,
            *(
                duration_millis(step.over) + stride
                for step in definition.escalation
                if step.over is not None
            ),
        ]
    )
    at = grid(max(to_millis(part.start) - back, 0), to_millis(part.end), stride)
    first = from_millis(int(at[0])) if len(at) else part.start
    since = first - fitted.plan.lookback - reach_of_pauses(fitted.plan)
    history = sources.shared.load(sources.asset, since, part.end, fitted.variables)
    return at, history, _suppressed(definition, sources, fitted, at)


def categories_at(
    shared: SharedInputs, fitted: FittedDetector, asset: Asset, history: History, at: Millis
) -> CategoryValues | None:
    """Return the categories by which rows at these instants are scored; None for a category that
    the model does not know."""
    if fitted.by is None or not len(at):
        return None
    return shared.category(
        asset, fitted.by.name, history, [from_millis(int(at[0])) - fitted.plan.lookback]
    )


def _score(
    fitted: FittedDetector,
    at: Millis,
    matrix: Floats,
    categories: CategoryValues | None,
    enough: BoolArray,
    muted: BoolArray,
    cutoff: int,
    asset: Asset,
) -> ScoredInterval:
    windows = fitted.windows(categories, at)
    score = fitted.score(matrix, windows.values)
    unknown = np.full(len(at), "", object)
    unknown[~enough] = TOO_FEW
    for row in np.flatnonzero(np.isnan(score)):
        unknown[row] = _missing(fitted, asset, matrix[row])
    score[~enough] = np.nan
    if fitted.by is not None:
        score[windows.changes] = np.nan
        unknown[windows.changes] = translatable(
            "the {category} changed within the last {duration}",
            category=fitted.by.name,
            duration=format_duration(fitted.plan.lookback),
        )
    score[muted] = np.nan
    unknown[muted] = _SUPPRESSED
    learned = at <= cutoff
    score[learned] = np.nan
    unknown[learned] = translatable(
        "the model has learned from times up to {until}", until=from_millis(cutoff)
    )
    return ScoredInterval(
        at,
        matrix,
        score,
        unknown,
        windows.values,
        windows.values if categories is None else categories.in_force(at),
    )


def _missing(fitted: FittedDetector, asset: Asset, row: Floats) -> str:
    """Return why a row has no score: in the same words for all rows of one silence."""
    silent = fitted.silent(row)
    if not silent:
        return _FEW_VALUES
    duration = format_duration(timedelta(milliseconds=fitted.plan.longest_window_ms))
    names = ", ".join(variable_title(name, asset.variables) for name in silent)
    if len(silent) == 1:
        return translatable(
            "{name} has no value in the last {duration}", name=names, duration=duration
        )
    return translatable(
        "{names} have no value in the last {duration}", names=names, duration=duration
    )


def _suppressed(
    definition: AnomalyDefinition, sources: EvaluationSources, fitted: FittedDetector, at: Millis
) -> BoolArray:
    """Return a mask of the instants whose windows touch a suppressed time, from which no model
    learns either."""
    if not len(at):
        return np.zeros(0, np.bool_)
    window = fitted.plan.longest_window_ms
    intervals = sources.suppressed(
        definition, from_millis(max(int(at[0]) - window - 1, 0)), from_millis(int(at[-1]) + 1)
    )
    return touches(
        [(to_millis(interval.start), to_millis(interval.end)) for interval in intervals],
        at,
        0,
        window,
    )


def status_intervals(
    definition: AnomalyDefinition,
    fitted: FittedDetector,
    at: Millis,
    score: Floats,
    begin: int,
    end: int,
) -> list[StatusInterval]:
    """Return the status intervals from `begin` to `end` (ms) without a hole: the status of a score
    lasts until the next score is due."""
    if begin >= end:
        return []
    severities = severities_of(definition, fitted.plan.stride_ms, score)
    intervals: list[StatusInterval] = []
    until = begin
    for instant, value, severity in zip(at.tolist(), score.tolist(), severities, strict=True):
        start = max(instant, begin)
        stop = min(instant + fitted.plan.stride_ms, end)
        if start >= stop:
            continue
        intervals += [_unknown(until, start)] if until < start else []
        status: Status = "triggered" if severity else "clear"
        if math.isnan(value):
            status = "unknown"
        intervals.append(StatusInterval(from_millis(start), from_millis(stop), status, severity))
        until = stop
    return [*intervals, *([_unknown(until, end)] if until < end else [])]


def _unknown(start: int, end: int) -> StatusInterval:
    return StatusInterval(from_millis(start), from_millis(end), "unknown")


def severities_of(
    definition: AnomalyDefinition, stride_ms: int, scores: Floats
) -> list[Severity | None]:
    """Return the severity at each score: the worst one that it reaches; None if the score is usual
    or unknown."""
    with np.errstate(invalid="ignore"):
        beyond = scores >= THRESHOLD
    order = definition.severities()
    rank = np.where(beyond, 0, -1)
    for step in definition.escalation:
        level = order.index(step.severity)
        if step.score is not None:
            with np.errstate(invalid="ignore"):
                reached = beyond & (scores >= step.score)
        else:
            reached = beyond & (
                _share_beyond(beyond, duration_millis(step.over or timedelta(0)), stride_ms)
                >= (step.share or 0)
            )
        rank = np.where(reached, np.maximum(rank, level), rank)
    return [None if r < 0 else order[r] for r in rank.tolist()]


def _share_beyond(beyond: npt.NDArray[np.bool_], over_ms: int, stride_ms: int) -> Floats:
    """Return, for each instant, the share of the last instants up to it at which the score was
    beyond its threshold."""
    count = max(1, over_ms // stride_ms)
    sums = np.concatenate([np.zeros(count), np.cumsum(beyond.astype(np.float64))])
    return np.asarray((sums[count:] - sums[:-count]) / count)


def _evidence(
    asset: Asset, fitted: FittedDetector, scored: ScoredInterval, at: datetime, version: int
) -> RaiseEvidence:
    """Return the content of an episode that is raised at an instant, from the newest score
    there."""
    row = int(np.searchsorted(scored.at, to_millis(at), side="right")) - 1
    if row < 0:
        return RaiseEvidence(
            Evaluation(at, "triggered", anomaly_message(asset, []), model_version=version)
        )
    variables = responsible(fitted.for_category(scored.category[row]), scored.matrix[row])
    score = float(scored.score[row])
    inputs: dict[str, float | str | None] = {
        variable.variable: number(variable.level.value) for variable in variables[:_SHOWN]
    }
    if fitted.by is not None:
        inputs[fitted.by.name] = scored.named[row]
    message = anomaly_message(asset, variables, _compared(fitted, scored, row))
    evaluation = Evaluation(at, "triggered", message, score, THRESHOLD, version)
    return RaiseEvidence(evaluation, inputs=inputs, contributions=contributions(asset, variables))


def _compared(fitted: FittedDetector, scored: ScoredInterval, row: int) -> str:
    """Describe the normal operation with which a row is compared; empty for a model without
    categories."""
    return (
        ""
        if fitted.by is None
        else compared_with(fitted.by.name, scored.category[row], scored.named[row])
    )


def _rows(
    asset: Asset,
    fitted: FittedDetector,
    scored: ScoredInterval,
    part: VersionInterval,
    model: AnomalyModel,
) -> ScoredRows:
    """Return the scores of the part alone; their facts name the sensors behind the last score."""
    inside = scored.at > to_millis(part.start)
    facts: list[str] = []
    if inside.any() and fitted.by is not None and not scored.unknown[-1]:
        facts.append(_compared(fitted, scored, -1))
    if inside.any() and scored.score[-1] >= THRESHOLD:
        variables = responsible(fitted.for_category(scored.category[-1]), scored.matrix[-1])
        facts += [c.message for c in contributions(asset, variables[:_SHOWN])]
    return ScoredRows(
        scored.at[inside],
        scored.score[inside],
        np.full(int(inside.sum()), np.nan),
        scored.unknown[inside],
        cast("TrainedModel", model),
        part.model_version or 0,
        THRESHOLD,
        tuple(facts),
    )
