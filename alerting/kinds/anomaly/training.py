"""Learn a detector of anomalies from normal operation, and compare it with the one in service on
unseen time."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.faults import TrainingRefused
from alerting.definitions.wording.language import translatable
from alerting.detection.anomalies.category_space import Spaces, around_own_level, encode, fit_spaces
from alerting.detection.anomalies.fitting import VARIANCE, fit_detector
from alerting.detection.anomalies.normal_space import (
    Floats,
    far_from_others,
    spread_floors,
    take_logarithms,
)
from alerting.detection.anomalies.threshold import Threshold
from alerting.detection.categories import Labels
from alerting.detection.problems import BoolArray
from alerting.kinds.anomaly.by_category import are_in, describe_categories, known_categories
from alerting.kinds.anomaly.comparison import compare_models
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import (
    AnomalyModel,
    ByCategory,
    FittedDetector,
    spread_columns,
    to_files,
    windows_of,
)
from alerting.kinds.anomaly.normal_time import (
    MOST_CELLS,
    NormalRows,
    computed_strides,
    describe_plan,
    has_all,
    plan_of,
    rows_of,
    steady_variables,
)
from alerting.kinds.anomaly.unseen_scores import UnseenScores, score_unseen
from alerting.kinds.normal.training import no_readings, normal_time
from alerting.kinds.protocol.training import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
)
from alerting.learning.data.point_in_time import long_view
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import Millis, to_millis
from alerting.readings.long_history import LongHistory

LEAST_ROWS = 100
_FAMILIES = {
    "pca": "principal components",
    "levels_and_spreads": "principal components of levels and of spreads",
}
_MOST_ROWS = 20_000  # to which a detector is fitted


class AnomalyTraining:
    """Detectors of what is unlike normal operation."""

    in_pieces = True

    def period(self, definition: AnomalyDefinition, source: TrainingSource) -> NormalTime:
        spans = [
            span
            for asset in source.assets
            if (span := source.readings.span(asset.name, source.as_of)) is not None
        ]
        last = min(max((span[1] for span in spans), default=source.as_of), source.as_of)
        first = min((span[0] for span in spans), default=last)
        if not spans or first > last:
            raise no_readings(definition, source, fields=translatable("assets and include"))
        return normal_time(definition, first, last)

    def estimate(
        self, definition: AnomalyDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        period = data.period
        detectors = dict[str, FittedDetector]()
        notes = list[str]()
        without = list[str]()
        left_out = dict[str, int]()
        used = 0
        for history in data.histories:
            name = history.asset.name
            learned = _learn(definition, history, data)
            if learned is None:
                without.append(name)
                continue
            fitted, counts, rows = learned
            detectors[name] = fitted
            used = used + rows
            left_out = {reason: left_out.get(reason, 0) + count for reason, count in counts.items()}
            notes += [f"{name}: {sentence}" for sentence in fitted.account]
        if not detectors:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "{names}: fewer than {least} rows of normal operation from {start} to {end} "
                    "UTC; choose another normal history, or import readings",
                    names=", ".join(without),
                    least=LEAST_ROWS,
                    start=f"{period.start:%Y-%m-%d %H:%M}",
                    end=f"{period.cutoff:%Y-%m-%d %H:%M}",
                ),
            )
        notes += [f"{name}: too little normal history; it has no model" for name in without]
        model = AnomalyModel(family, revision, period.cutoff, detectors)
        params: dict[str, Any] = {
            f"detector {name}": fitted.detector.family for name, fitted in detectors.items()
        }
        metrics = {f"normal weeks {name}": fitted.weeks for name, fitted in detectors.items()}
        return Estimated(model, used, left_out, tuple(notes), params, metrics)

    def compare(
        self,
        definition: AnomalyDefinition,
        data: LearningData,
        candidates: Mapping[str, AnomalyModel],
        champion: AnomalyModel | None,
    ) -> Comparison:
        [(family, challenger)] = candidates.items()
        return compare_models(definition, data, family, challenger, champion)

    save = staticmethod(to_files)


class _UsedRows(NamedTuple):
    """Rows that are learned from: instants (ms), features, and the category of each; one in `every`
    of those that could be."""

    at: Millis
    matrix: Floats
    categories: Labels
    every: int
    left_out: Mapping[str, int]


def _learn(
    definition: AnomalyDefinition, history: LongHistory, data: LearningData
) -> tuple[FittedDetector, Mapping[str, int], int] | None:
    """Return the detector of one asset, rows left out by reason, and rows used; None with too few
    rows."""
    period = data.period
    view = long_view(history, to_millis(data.period.cutoff))
    plan = plan_of(definition, view, period.start, period.cutoff)
    if plan is None:
        return None
    strides = computed_strides(plan, period.start, period.cutoff)
    computed = replace(plan, stride_ms=strides * plan.stride_ms)
    rows = rows_of(definition, plan, view, data, period.start, period.cutoff, strides)
    plan = replace(plan, usual=rows.usual)
    steady = steady_variables(plan, rows.matrix[rows.normal]) if rows.normal.any() else ()
    normal = rows.normal & has_all(plan, steady, rows.matrix)
    windows = windows_of(rows.categories, rows.at, plan)
    used = _use(definition, computed, rows, normal & ~windows.changes, windows.values)
    known = known_categories(used.at, used.categories, plan.longest_window_ms)
    if rows.categories is not None and not known:
        used = _use(definition, computed, rows, normal, windows.values)
    if len(used.at) < LEAST_ROWS:
        return None
    thinned = replace(plan, stride_ms=used.every * computed.stride_ms)
    nothing = np.full(len(used.at), None, object)
    together = score_unseen(definition, thinned, used.at, used.matrix, nothing)
    fitted, _ = _fit(plan, together, used.matrix, nothing)
    of_each_row = together
    if definition.by is not None and known:
        inside = are_in(used.categories, known)
        categories = used.categories[inside]
        matrix = used.matrix[inside]
        of_each_row = score_unseen(definition, thinned, used.at[inside], matrix, categories)
        detector, spaces = _fit(plan, of_each_row, matrix, categories)
        rows_of_each = Counter(categories.tolist())
        of_each = {name: spaces[name] for name in sorted(known)}
        by = ByCategory(definition.by, replace(detector, steady=steady), of_each, rows_of_each)
        fitted = replace(fitted, by=by)
    changes = int((normal & windows.changes).sum())
    left_out = {
        **rows.left_out,
        "without a variable that is nearly always there": int((rows.normal & ~normal).sum()),
        **({f"over a change of {definition.by}": changes} if known else {}),
        **used.left_out,
    }
    account = _account(
        fitted.detector.family, describe_plan(plan), left_out, used, of_each_row.threshold
    )
    if strides > 1:
        account += (_describe_strides(plan, strides),)
    if definition.by is not None:
        share = changes / max(int(normal.sum()), 1)
        account += (
            *describe_categories(
                definition.by, used.categories, known, plan, share, together.threshold
            ),
        )
    return replace(fitted, account=account, steady=steady), left_out, len(used.at)


def _use(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    rows: NormalRows,
    normal: BoolArray,
    categories: Labels,
) -> _UsedRows:
    """Return those of the normal rows that are learned from: none far from the others, of a long
    history one in `every`."""
    at = rows.at[normal]
    matrix = rows.matrix[normal]
    labels = categories[normal]
    compared = take_logarithms(matrix, spread_floors(matrix, spread_columns(plan)))
    if rows.categories is not None:
        compared = around_own_level(compared, labels)
    far = far_from_others(compared, definition.contamination, rows.confirmed_normal[normal])
    at = at[~far]
    matrix = matrix[~far]
    labels = labels[~far]
    every = max(-(-len(at) // _MOST_ROWS), 1)
    used = (at // plan.stride_ms) % every == 0
    left_out = {
        "far from the others": int(far.sum()),
        "between those that were used": int((~used).sum()),
    }
    return _UsedRows(at[used], matrix[used], labels[used], every, left_out)


def _fit(
    plan: FeaturePlan, unseen: UnseenScores, matrix: Floats, categories: Labels
) -> tuple[FittedDetector, Spaces]:
    """Return the detector of rows, each encoded in the space of its own category, and these
    spaces."""
    spreads = spread_columns(plan)
    spaces = fit_spaces(matrix, categories, spreads)
    detector = fit_detector(encode(spaces, matrix, categories), spreads)
    usual = float(np.median(unseen.scores))
    threshold = unseen.threshold
    space = next(iter(spaces.values()))
    limit = max(threshold.value, usual + 1e-9)
    return FittedDetector(
        plan, space, detector, usual, limit, threshold.weeks, threshold.expected, ()
    ), spaces


def _account(
    family: str, plan: str, left_out: Mapping[str, int], used: _UsedRows, threshold: Threshold
) -> tuple[str, ...]:
    expected = threshold.expected
    rate = "" if np.isnan(expected) else f"; about {expected:.2g} false alarms a week"
    without = [f"{count} {reason}" for reason, count in left_out.items() if count]
    thinned = (
        f", one in {used.every} so that they are at most {_MOST_ROWS:,}" if used.every > 1 else ""
    )
    return (
        f"{_FAMILIES[family]} ({VARIANCE:.0%} of the variance); {plan}; "
        f"{len(used.at)} rows of normal operation"
        + thinned
        + (f", left out: {', '.join(without)}" if without else ""),
        f"threshold by {threshold.method}, from {7 * threshold.weeks:.2g} days that the fits had "
        f"not seen{rate}",
    )


def _describe_strides(plan: FeaturePlan, strides: int) -> str:
    return (
        f"of the strides of the normal period only one in {strides} was computed, because the "
        f"{len(plan.columns)} columns may "
        f"have {MOST_CELLS:,} values; nothing was learned from the others: a longer stride or a "
        "shorter period uses all"
    )


TRAINING: Estimation[AnomalyDefinition] = AnomalyTraining()
