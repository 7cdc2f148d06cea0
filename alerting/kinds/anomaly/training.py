"""Learn a detector of anomalies from normal operation, and compare it with the one in service on unseen time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from alerting.definitions.faults import UserError
from alerting.detection.anomalies.fitting import fit_detector
from alerting.detection.anomalies.normal_space import NormalSpace, far_from_others
from alerting.kinds.anomaly.comparison import compare_models
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector, to_files
from alerting.kinds.anomaly.normal_time import describe_plan, has_all, plan_of, rows_of, steady_variables
from alerting.kinds.anomaly.selection import Tried, choose_setting
from alerting.kinds.training import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
    no_readings,
    normal_time,
)
from alerting.learning.data.point_in_time import point_in_time_view
from alerting.readings.history import History, to_millis

LEAST_ROWS = 100
_MOST_ROWS = 20_000  # from which a detector is chosen
_SHOWN = 5


class AnomalyTraining:
    """Detectors of what is unlike normal operation."""

    def period(self, definition: AnomalyDefinition, source: TrainingSource) -> NormalTime:
        spans = [span for asset in source.assets if (span := source.readings.span(asset.name)) is not None]
        last = min(max((span[1] for span in spans), default=source.as_of), source.as_of)
        first = min((span[0] for span in spans), default=last)
        if not spans or first > last:
            raise no_readings(definition, source, fields="assets and include")
        return normal_time(definition, first, last)

    def estimate(self, definition: AnomalyDefinition, revision: int, family: str, data: LearningData) -> Estimated:
        period = data.period
        detectors, notes, without = dict[str, FittedDetector](), list[str](), list[str]()
        left_out, used, best = dict[str, int](), 0, list[Tried]()
        for history in data.histories:
            name = history.asset.name
            learned = _learn(definition, history, data)
            if learned is None:
                without.append(name)
                continue
            fitted, tried, counts, rows = learned
            detectors[name], used = fitted, used + rows
            best.append(tried)
            left_out = {reason: left_out.get(reason, 0) + count for reason, count in counts.items()}
            notes += [f"{name}: {sentence}" for sentence in fitted.account]
        if not detectors:
            raise UserError(
                f"{definition.name}: {', '.join(without)}: fewer than {LEAST_ROWS} rows of normal operation from "
                f"{period.start:%Y-%m-%d %H:%M} to {period.cutoff:%Y-%m-%d %H:%M} UTC; choose another normal history, or "
                "import readings"
            )
        notes += [f"{name}: too little normal history; it has no model" for name in without]
        model = AnomalyModel(family, revision, period.cutoff, detectors)
        params: dict[str, Any] = {f"detector {name}": one.setting.describe() for name, one in zip(detectors, best, strict=True)}
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


def _learn(
    definition: AnomalyDefinition, history: History, data: LearningData
) -> tuple[FittedDetector, Tried, Mapping[str, int], int] | None:
    """Return the detector of one asset, how it was chosen, rows left out by reason, and rows used; None with too few rows."""
    period, view = data.period, point_in_time_view(history, to_millis(data.period.cutoff))
    plan = plan_of(definition, view, period.start, period.cutoff)
    if plan is None:
        return None
    rows = rows_of(definition, plan, view, data, period.start, period.cutoff)
    steady = steady_variables(plan, rows.matrix[rows.normal]) if rows.normal.any() else ()
    normal = rows.normal & has_all(plan, steady, rows.matrix)
    at, matrix = rows.at[normal], rows.matrix[normal]
    if len(at) < LEAST_ROWS:
        return None
    far = far_from_others(matrix, definition.contamination, rows.confirmed_normal[normal])
    at, matrix = at[~far], matrix[~far]
    every = -(-len(at) // _MOST_ROWS)
    used = (at // plan.stride_ms) % every == 0
    at, matrix = at[used], matrix[used]
    tried = choose_setting(definition, replace(plan, stride_ms=every * plan.stride_ms), view, at, matrix)
    best, space = tried[0], NormalSpace.fit(matrix)
    detector = fit_detector(best.setting, space.encode(matrix), definition.seed)
    usual = float(np.median(best.scores))
    limit = max(best.threshold.value, usual + 1e-9)
    left_out = {
        **rows.left_out,
        "without a variable that is nearly always there": int((rows.normal & ~normal).sum()),
        "far from the others": int(far.sum()),
        "between those that were used": int((~used).sum()),
    }
    account = _account(describe_plan(plan), left_out, len(at), every, tried)
    expected = best.threshold.expected
    fitted = FittedDetector(plan, space, detector, usual, limit, best.threshold.weeks, expected, account, steady)
    return fitted, best, left_out, len(at)


def _account(plan: str, left_out: Mapping[str, int], used: int, every: int, tried: Sequence[Tried]) -> tuple[str, ...]:
    best = tried[0]
    expected = best.threshold.expected
    rate = "" if np.isnan(expected) else f"; about {expected:.2g} false alarms a week"
    without = [f"{count} {reason}" for reason, count in left_out.items() if count]
    thinned = f", one in {every} so that they are at most {_MOST_ROWS:,}" if every > 1 else ""
    return (
        f"{best.setting.describe()} of {len(tried)} settings, chosen without labels; {plan}; {used} rows of normal operation"
        + thinned
        + (f", left out: {', '.join(without)}" if without else ""),
        f"threshold by {best.threshold.method}, from {7 * best.threshold.weeks:.2g} days that the fits had not seen{rate}",
        *(one.describe() for one in tried[:_SHOWN]),
    )


TRAINING: Estimation[AnomalyDefinition] = AnomalyTraining()
