"""Learn a detector of anomalies from normal operation, and compare it with the one in service on
unseen time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.faults import UserError
from alerting.detection.anomalies.category_space import Spaces, around_own_level, encode, fit_spaces
from alerting.detection.anomalies.fitting import fit_detector
from alerting.detection.anomalies.normal_space import Floats, far_from_others
from alerting.detection.categories import Labels
from alerting.detection.problems import BoolArray
from alerting.kinds.anomaly.by_category import are_in, describe_categories, known_categories
from alerting.kinds.anomaly.comparison import compare_models
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import (
    AnomalyModel,
    ByCategory,
    FittedDetector,
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
from alerting.kinds.anomaly.selection import (
    Categories,
    Tried,
    choose_setting,
    try_alone,
    without_categories,
)
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
_MOST_ROWS = 20_000  # from which a detector is chosen
_SHOWN = 5


class AnomalyTraining:
    """Detectors of what is unlike normal operation."""

    in_pieces = True

    def period(self, definition: AnomalyDefinition, source: TrainingSource) -> NormalTime:
        spans = [
            span
            for asset in source.assets
            if (span := source.readings.span(asset.name)) is not None
        ]
        last = min(max((span[1] for span in spans), default=source.as_of), source.as_of)
        first = min((span[0] for span in spans), default=last)
        if not spans or first > last:
            raise no_readings(definition, source, fields="assets and include")
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
        best = list[Tried]()
        for history in data.histories:
            name = history.asset.name
            learned = _learn(definition, history, data)
            if learned is None:
                without.append(name)
                continue
            fitted, tried, counts, rows = learned
            detectors[name] = fitted
            used = used + rows
            best.append(tried)
            left_out = {reason: left_out.get(reason, 0) + count for reason, count in counts.items()}
            notes += [f"{name}: {sentence}" for sentence in fitted.account]
        if not detectors:
            raise UserError(
                f"{definition.name}: {', '.join(without)}: fewer than {LEAST_ROWS} rows of normal "
                "operation from "
                f"{period.start:%Y-%m-%d %H:%M} to {period.cutoff:%Y-%m-%d %H:%M} UTC; choose "
                "another normal history, or "
                "import readings"
            )
        notes += [f"{name}: too little normal history; it has no model" for name in without]
        model = AnomalyModel(family, revision, period.cutoff, detectors)
        params: dict[str, Any] = {
            f"detector {name}": one.setting.describe()
            for name, one in zip(detectors, best, strict=True)
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
) -> tuple[FittedDetector, Tried, Mapping[str, int], int] | None:
    """Return the detector of one asset, how it was chosen, rows left out by reason, and rows used;
    None with too few rows."""
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
    inside = are_in(used.categories, known) if known else np.ones(len(used.at), np.bool_)
    categories = (
        Categories(used.categories[inside], rows.categories)
        if known
        else without_categories(used.at)
    )
    tried = choose_setting(
        definition, thinned, view, used.at[inside], used.matrix[inside], categories
    )
    together = (
        try_alone(definition, thinned, tried[0].setting, used.at, used.matrix)
        if known
        else tried[0]
    )
    fitted, _ = _fit(definition, plan, together, used.matrix, without_categories(used.at).of_rows)
    if definition.by is not None and known:
        detector, spaces = _fit(definition, plan, tried[0], used.matrix[inside], categories.of_rows)
        rows_of_each = Counter(categories.of_rows.tolist())
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
    account = _account(describe_plan(plan), left_out, len(used.at), used.every, tried)
    if strides > 1:
        account += (_describe_strides(plan, strides),)
    if definition.by is not None:
        share = changes / max(int(normal.sum()), 1)
        account += (
            *describe_categories(
                definition.by, used.categories, known, plan, share, together.threshold
            ),
        )
    return replace(fitted, account=account, steady=steady), tried[0], left_out, len(used.at)


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
    compared = matrix if rows.categories is None else around_own_level(matrix, labels)
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
    tried: Tried,
    matrix: Floats,
    categories: Labels,
) -> tuple[FittedDetector, Spaces]:
    """Return the detector of rows, each encoded in the space of its own category, and these
    spaces."""
    spaces = fit_spaces(matrix, categories)
    detector = fit_detector(tried.setting, encode(spaces, matrix, categories), definition.seed)
    usual = float(np.median(tried.scores))
    threshold = tried.threshold
    space = next(iter(spaces.values()))
    limit = max(threshold.value, usual + 1e-9)
    return FittedDetector(
        plan, space, detector, usual, limit, threshold.weeks, threshold.expected, ()
    ), spaces


def _account(
    plan: str, left_out: Mapping[str, int], used: int, every: int, tried: Sequence[Tried]
) -> tuple[str, ...]:
    best = tried[0]
    expected = best.threshold.expected
    rate = "" if np.isnan(expected) else f"; about {expected:.2g} false alarms a week"
    without = [f"{count} {reason}" for reason, count in left_out.items() if count]
    thinned = f", one in {every} so that they are at most {_MOST_ROWS:,}" if every > 1 else ""
    return (
        f"{best.setting.describe()} of {len(tried)} settings, chosen without labels; {plan}; "
        f"{used} rows of normal operation"
        + thinned
        + (f", left out: {', '.join(without)}" if without else ""),
        f"threshold by {best.threshold.method}, from {7 * best.threshold.weeks:.2g} days that the "
        f"fits had not seen{rate}",
        *(one.describe() for one in tried[:_SHOWN]),
    )


def _describe_strides(plan: FeaturePlan, strides: int) -> str:
    return (
        f"of the strides of the normal period only one in {strides} was computed, because the "
        f"{len(plan.columns)} columns may "
        f"have {MOST_CELLS:,} values; nothing was learned from the others: a longer stride or a "
        "shorter period uses all"
    )


TRAINING: Estimation[AnomalyDefinition] = AnomalyTraining()
