"""Learn a detector of anomalies from normal operation, and compare it with the one in service on
unseen time."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.faults import TrainingRefused, format_duration
from alerting.definitions.wording.language import spoken_false_alarms, translatable
from alerting.kinds.anomaly.comparison import compare_models
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.detectors import (
    Detector,
    Threshold,
    describe_detector,
    fit_detector,
    threshold_for_rate,
    threshold_for_share,
)
from alerting.kinds.anomaly.model import (
    AnomalyModel,
    ByCategory,
    FittedDetector,
    spread_columns,
    to_files,
    usual_clear_for,
    windows_of,
)
from alerting.kinds.anomaly.normal_rows import LEAST_ROWS as LEAST_OF_CATEGORY
from alerting.kinds.anomaly.normal_rows import (
    MOST_CELLS,
    NormalRows,
    Spaces,
    around_own_level,
    computed_strides,
    describe_plan,
    encode,
    far_from_others,
    fit_spaces,
    has_all,
    plan_of,
    rows_of,
    spread_floors,
    steady_variables,
    take_logarithms,
)
from alerting.kinds.normal_comparison import spoken_days
from alerting.kinds.normal_operation import (
    describe_unseen,
    measure_spacing,
    no_readings,
    normal_time,
)
from alerting.kinds.reading_spacing import describe_seldom
from alerting.kinds.training_protocol import (
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
    fit_asset,
    name_reasons,
)
from alerting.learning.experiment.experiment import Experiment
from alerting.learning.experiment.folds import Fold, Positions, cut_by_interval
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import long_view
from alerting.readings.history import (
    BoolArray,
    Floats,
    LongHistory,
    Millis,
    duration_millis,
    to_millis,
)
from alerting.readings.variable_series import Labels

LEAST_ROWS = 100
_MOST_ROWS = 20_000  # to which a detector is fitted
_FOLDS = 4
_SHOWN = 20
_WEEK = timedelta(days=7)


class _Normal(NamedTuple):
    """A detector, and the space of each category in which it scores rows."""

    spaces: Spaces
    detector: Detector


class NormalExperiment(Experiment[_Normal]):
    """Rows of normal operation of one asset at increasing instants (ms), each in the space of its
    category; None for rows that are compared with all others.

    Four folds get short intervals in turn. The null of their scores is a rate of false alarms, for
    which a threshold is chosen (`find_threshold`).
    """

    def __init__(self, plan: FeaturePlan, at: Millis, matrix: Floats, categories: Labels) -> None:
        self.rows = len(at)
        self.folds = [*cut_by_interval(at, plan.longest_window_ms, _FOLDS)]
        self._matrix = matrix
        self._categories = categories
        self._spreads = spread_columns(plan)

    def fit(self, params: Mapping[str, Any], fold: Fold) -> _Normal:
        matrix = self._matrix[fold.train]
        categories = self._categories[fold.train]
        spaces = fit_spaces(matrix, categories, self._spreads)
        return _Normal(spaces, fit_detector(encode(spaces, matrix, categories), self._spreads))

    def predict(self, fitted: _Normal, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the raw score of each of these rows."""
        encoded = encode(fitted.spaces, self._matrix[rows], self._categories[rows])
        return fitted.detector.score(encoded)


def find_threshold(
    definition: AnomalyDefinition, plan: FeaturePlan, at: Millis, scores: Floats
) -> Threshold:
    """Return the threshold of raw scores, chosen in the way that the definition states."""
    if definition.threshold.time_in_alarm is not None:
        return threshold_for_share(at, scores, plan.stride_ms, definition.threshold.time_in_alarm)
    apart = (
        usual_clear_for(plan)
        if definition.clear_for is None
        else duration_millis(definition.clear_for)
    )
    hold = duration_millis(definition.hold)
    per_week = definition.false_alarms_per_week
    return threshold_for_rate(
        at, scores, plan.stride_ms, max(apart, plan.stride_ms), hold, per_week
    )


def known_categories(at: Millis, categories: Labels, window_ms: int) -> frozenset[str]:
    """Return the categories with at least `LEAST_OF_CATEGORY` fitted rows in every fold, although a
    fold lacks its unseen time."""
    learned = frozenset(name for name in categories.tolist() if name is not None)
    while learned:
        inside = are_in(categories, learned)
        labels = categories[inside]
        folds = cut_by_interval(at[inside], window_ms, _FOLDS)
        fits = [Counter(labels[fold.train].tolist()) for fold in folds]
        few = {name for name in learned if any(fit[name] < LEAST_OF_CATEGORY for fit in fits)}
        if not few:
            break
        learned -= few
    return learned


def are_in(categories: Labels, names: Collection[str]) -> BoolArray:
    """Return a mask of the rows that are of one of these categories."""
    return np.array([category in names for category in categories.tolist()], np.bool_)


def describe_categories(
    by: str,
    categories: Labels,
    learned: Collection[str],
    plan: FeaturePlan,
    changes: float,
    together: Threshold,
) -> Iterator[str]:
    """Yield sentences on the categories of the rows that were learned from.

    `learned`: categories with a level of their own; `changes`: share of normal rows whose windows
    contain a change of category; `together`: the threshold of the detector of all rows.
    """
    rows = Counter(name for name in categories.tolist() if name is not None)
    window = format_duration(plan.lookback)
    few = [f"{name}: {count} rows" for name, count in sorted(rows.items()) if name not in learned]
    if not learned:
        seen = f" ({_listed(few)})" if few else ""
        yield (
            f"all rows are compared with each other: no {by} is in force throughout windows of "
            f"{window} in {LEAST_OF_CATEGORY} rows of "
            f"every fit{seen}; write a longer normal history, or shorter windows"
        )
        return
    counts = _listed([f"{name} ({rows[name]} rows)" for name in sorted(learned)])
    yield f"rows are compared with those of their own {by}: {counts}"
    others = f"with too little normal time ({_listed(few)}) or never seen" if few else "never seen"
    yield (
        f"a {by} {others} is compared with all rows together: threshold by {together.method}, from "
        f"{spoken_days(together.weeks)}"
    )
    if changes:
        yield f"unknown in {changes:.0%} of normal time: the {by} changed within the last {window}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


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
        weekly = definition.false_alarms_per_week
        return normal_time(definition, source, first, last, lambda time, _: weekly * (time / _WEEK))

    def estimate(
        self, definition: AnomalyDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        period = data.period
        detectors = dict[str, FittedDetector]()
        notes = list[str]()
        without = dict[str, str]()
        left_out = Counter[str]()
        used = 0
        for history in data.histories:
            name = history.asset.name
            learned = fit_asset(name, partial(_learn_detector, definition, history, data))
            if isinstance(learned, str):
                without[name] = learned
                continue
            fitted, counts, rows = learned
            detectors[name] = fitted
            used = used + rows
            left_out.update(counts)
            notes += [f"{name}: {sentence}" for sentence in fitted.account]
        if not detectors:
            raise TrainingRefused(
                definition.name,
                translatable(
                    "nothing can be learned from {start} to {end} UTC: {reasons}; choose another "
                    "normal history, or import readings",
                    reasons=name_reasons(without),
                    start=f"{period.start:%Y-%m-%d %H:%M}",
                    end=f"{period.cutoff:%Y-%m-%d %H:%M}",
                ),
            )
        notes += [f"{name}: {why}; it has no model" for name, why in without.items()]
        notes += describe_unseen(definition, period)
        return Estimated(
            AnomalyModel(
                family, revision, period.cutoff, detectors, measure_spacing(definition, data)
            ),
            used,
            left_out,
            tuple(notes),
            {f"detector {name}": fitted.detector.family for name, fitted in detectors.items()},
            {f"normal weeks {name}": fitted.weeks for name, fitted in detectors.items()},
        )

    compare = staticmethod(compare_models)
    save = staticmethod(to_files)


class _UsedRows(NamedTuple):
    """Rows to learn from: instants (ms), features, and the category of each; one in `every` usable
    rows."""

    at: Millis
    matrix: Floats
    categories: Labels
    every: int
    left_out: Mapping[str, int]


def _learn_detector(
    definition: AnomalyDefinition, history: LongHistory, data: LearningData
) -> tuple[FittedDetector, Mapping[str, int], int] | str:
    """Return the detector of one asset, the number of rows left out by reason, and the number of
    rows used; or what it has instead of enough rows."""
    period = data.period
    view = long_view(history, to_millis(data.period.cutoff))
    planned = plan_of(definition, view, period.start, period.cutoff)
    if planned is None:
        return translatable("no number has a value")
    plan = planned.features
    strides = computed_strides(plan, period.start, period.cutoff)
    computed = replace(plan, stride_ms=strides * plan.stride_ms)
    rows = rows_of(definition, plan, view, data, period.start, period.cutoff, strides)
    plan = replace(plan, usual=rows.usual)
    steady = steady_variables(plan, rows.matrix[rows.normal]) if rows.normal.any() else ()
    normal = rows.normal & has_all(plan, steady, rows.matrix)
    windows = windows_of(rows.categories, rows.at, plan)
    used = _use(definition, computed, rows, normal & ~windows.changes, windows.values)
    learned = known_categories(used.at, used.categories, plan.longest_window_ms)
    if rows.categories is not None and not learned:
        used = _use(definition, computed, rows, normal, windows.values)
    if len(used.at) < LEAST_ROWS:
        return translatable(
            "it has {rows} rows of normal operation, {least} are needed",
            rows=len(used.at),
            least=LEAST_ROWS,
        )
    thinned = replace(plan, stride_ms=used.every * computed.stride_ms)
    nothing = np.full(len(used.at), None, object)
    experiment = NormalExperiment(plan, used.at, used.matrix, nothing)
    fitted, _, together = _fit(definition, plan, thinned, used.at, experiment)
    of_each_row = together
    if definition.by is not None and learned:
        inside = are_in(used.categories, learned)
        categories = used.categories[inside]
        at = used.at[inside]
        experiment = NormalExperiment(plan, at, used.matrix[inside], categories)
        detector, spaces, of_each_row = _fit(definition, plan, thinned, at, experiment)
        rows_of_each = Counter(categories.tolist())
        of_each = {name: spaces[name] for name in sorted(learned)}
        by = ByCategory(definition.by, replace(detector, steady=steady), of_each, rows_of_each)
        fitted = replace(fitted, by=by)
    changes = int((normal & windows.changes).sum())
    left_out = {
        **rows.left_out,
        "without a variable that is nearly always there": int((rows.normal & ~normal).sum()),
        **({f"over a change of {definition.by}": changes} if learned else {}),
        **used.left_out,
    }
    account = _account(fitted.detector, describe_plan(plan), left_out, used, of_each_row)
    window = timedelta(milliseconds=plan.windows_ms[0])
    account += (*describe_seldom(planned.seldom, window, definition.include),)
    if strides > 1:
        account += (
            f"of the strides of the normal period only one in {strides} was computed, because the "
            f"{len(plan.columns)} columns may have {MOST_CELLS:,} values; nothing was learned from "
            "the others: a longer stride or a shorter period uses all",
        )
    if definition.by is not None:
        share = changes / max(int(normal.sum()), 1)
        account += (
            *describe_categories(definition.by, used.categories, learned, plan, share, together),
        )
    return replace(fitted, account=account, steady=steady), left_out, len(used.at)


def _use(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    rows: NormalRows,
    normal: BoolArray,
    categories: Labels,
) -> _UsedRows:
    """Return the normal rows to learn from: without rows far from all others, and of a long history
    one in `every`."""
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
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    thinned: FeaturePlan,
    at: Millis,
    experiment: NormalExperiment,
) -> tuple[FittedDetector, Spaces, Threshold]:
    """Fit a detector to all rows of an experiment; return it with its spaces and its threshold, by
    the scores out of fold. `thinned`: the plan with the stride of these rows."""
    scores = experiment.out_of_fold({})
    threshold = find_threshold(definition, thinned, at, scores)
    spaces, detector = experiment.refit({}, np.arange(experiment.rows))
    usual = float(np.median(scores))
    limit = max(threshold.value, usual + 1e-9)
    space = next(iter(spaces.values()))
    fitted = FittedDetector(
        plan, space, detector, usual, limit, threshold.weeks, threshold.expected, ()
    )
    return fitted, spaces, threshold


def _account(
    detector: Detector,
    plan: str,
    left_out: Mapping[str, int],
    used: _UsedRows,
    threshold: Threshold,
) -> tuple[str, ...]:
    expected = threshold.expected
    rate = "" if np.isnan(expected) else f"about {spoken_false_alarms(expected, 1)}"
    rate = threshold.not_reached or rate
    without = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    thinned = (
        f", one in {used.every} so that they are at most {_MOST_ROWS:,}" if used.every > 1 else ""
    )
    return (
        f"{describe_detector(detector)}; {plan}; "
        f"{len(used.at):,} rows of normal operation"
        + thinned
        + (f", left out: {', '.join(without)}" if without else ""),
        f"threshold by {threshold.method}, from {spoken_days(threshold.weeks)} that the fits had "
        f"not seen{'; ' * bool(rate)}{rate}",
    )


TRAINING: Estimation[AnomalyDefinition] = AnomalyTraining()
