"""Learn a detector of anomalies from normal operation, and compare it with the one in service on
unseen time."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from alerting.definitions.faults import TrainingRefused, format_duration
from alerting.definitions.wording.language import spoken_false_alarms, spoken_share, translatable
from alerting.kinds.anomaly.comparison import compare_models
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.detectors import Detector, Threshold, describe_detector
from alerting.kinds.anomaly.model import (
    AnomalyModel,
    ByCategory,
    FittedDetector,
    spread_columns,
    to_files,
    windows_of,
)
from alerting.kinds.anomaly.normal_experiment import (
    NormalExperiment,
    UsedRows,
    are_in,
    choose_family,
    find_threshold,
    known_categories,
)
from alerting.kinds.anomaly.normal_rows import LEAST_ROWS as LEAST_OF_CATEGORY
from alerting.kinds.anomaly.normal_rows import (
    MOST_CELLS,
    NormalRows,
    Spaces,
    around_own_level,
    computed_strides,
    describe_plan,
    far_from_others,
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
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.point_in_time import long_view
from alerting.readings.history import (
    BoolArray,
    LongHistory,
    Positions,
    to_millis,
)
from alerting.readings.variable_series import Labels, WindowCategories

LEAST_ROWS = 100
_MOST_ROWS = 20_000  # to which a detector is fitted
_SHOWN = 20
_WEEK = timedelta(days=7)


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
        share = spoken_share(changes)
        yield f"unknown in {share} of normal time: the {by} changed within the last {window}"


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
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - only a training needs it

        period = data.period
        detectors = dict[str, FittedDetector]()
        notes = list[str]()
        without = dict[str, str]()
        left_out = Counter[str]()
        used = 0
        with threadpool_limits(1):  # so that the number of cores changes no bit
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
                    "nothing can be learned from {start} to {end}: {reasons}; choose another "
                    "normal history, or import readings",
                    reasons=name_reasons(without),
                    start=period.start,
                    end=period.cutoff,
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


class _Selection(NamedTuple):
    """Rows to learn from, one in `every` usable rows."""

    used: UsedRows
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
    selection = _use(definition, computed, rows, normal & ~windows.changes, windows.values)
    stride = computed.stride_ms
    thinned = replace(plan, stride_ms=selection.every * stride)
    learned = known_categories(selection.used, thinned)
    if rows.categories is not None and not learned:
        selection = _use(definition, computed, rows, normal, windows.values)
        thinned = replace(plan, stride_ms=selection.every * stride)
    used = selection.used
    if len(used.at) < LEAST_ROWS:
        return translatable(
            "it has {rows} rows of normal operation, {least} are needed",
            rows=len(used.at),
            least=LEAST_ROWS,
        )
    unsorted = used._replace(categories=np.full(len(used.at), None, object))
    by_category = used.select(are_in(used.categories, learned)) if learned else unsorted
    choice = choose_family(
        definition, thinned, by_category, *_problem_rows(plan, rows, steady, windows, learned)
    )
    fitted, _, together = _fit(definition, plan, thinned, unsorted, choice.family)
    of_each_row = together
    if definition.by is not None and learned:
        detector, spaces, of_each_row = _fit(definition, plan, thinned, by_category, choice.family)
        rows_of_each = Counter(by_category.categories.tolist())
        of_each = {name: spaces[name] for name in sorted(learned)}
        by = ByCategory(definition.by, replace(detector, steady=steady), of_each, rows_of_each)
        fitted = replace(fitted, by=by)
    changes = int((normal & windows.changes).sum())
    left_out = {
        **rows.left_out,
        "without a variable that is nearly always there": int((rows.normal & ~normal).sum()),
        **({f"over a change of {definition.by}": changes} if learned else {}),
        **selection.left_out,
    }
    account = _account(fitted.detector, describe_plan(plan), left_out, selection, of_each_row)
    account += (choice.reason,) if choice.reason else ()
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
) -> _Selection:
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
    return _Selection(UsedRows(at[used], matrix[used], labels[used]), every, left_out)


def _problem_rows(
    plan: FeaturePlan,
    rows: NormalRows,
    steady: Sequence[str],
    windows: WindowCategories,
    learned: Collection[str],
) -> tuple[UsedRows, Positions]:
    """Return the rows within problems of which a score is known, and the number of the problem of
    each. `learned`: the categories that count, if any."""
    usable = rows.enough & has_all(plan, steady, rows.matrix) & ~windows.changes
    if learned:
        usable &= are_in(windows.values, learned)
    inside = [
        np.flatnonzero(usable & (rows.at >= begin) & (rows.at <= end))
        for begin, end in rows.problems
    ]
    inside = [positions for positions in inside if len(positions)]
    chosen = np.concatenate([np.empty(0, np.int64), *inside])
    labels = windows.values if learned else np.full(len(rows.at), None, object)
    number = np.repeat(np.arange(len(inside)), [len(positions) for positions in inside])
    return UsedRows(rows.at, rows.matrix, labels).select(chosen), number


def _fit(
    definition: AnomalyDefinition,
    plan: FeaturePlan,
    thinned: FeaturePlan,
    used: UsedRows,
    family: str,
) -> tuple[FittedDetector, Spaces, Threshold]:
    """Fit a detector of a family to all these rows; return it with its spaces and its threshold, by
    the scores out of fold. `thinned`: the plan with the stride of these rows."""
    experiment = NormalExperiment(thinned, used)
    params = {"family": family}
    scores = experiment.out_of_fold(params)
    threshold = find_threshold(definition, thinned, used.at, scores)
    spaces, detector = experiment.refit(params, np.arange(experiment.rows))
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
    selection: _Selection,
    threshold: Threshold,
) -> tuple[str, ...]:
    expected = threshold.expected
    rate = "" if np.isnan(expected) else f"about {spoken_false_alarms(expected, 1)}"
    rate = threshold.not_reached or rate
    without = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    thinned = (
        f", one in {selection.every} so that they are at most {_MOST_ROWS:,}"
        if selection.every > 1
        else ""
    )
    return (
        f"{describe_detector(detector)}; {plan}; "
        f"{len(selection.used.at):,} rows of normal operation"
        + thinned
        + (f", left out: {', '.join(without)}" if without else ""),
        f"threshold by {threshold.method}, from {spoken_days(threshold.weeks)} that the fits had "
        f"not seen{'; ' * bool(rate)}{rate}",
    )


TRAINING: Estimation[AnomalyDefinition] = AnomalyTraining()
