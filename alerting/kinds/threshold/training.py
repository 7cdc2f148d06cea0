"""Estimate the learned limits of thresholds, and compare them with those in service."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.checks.conditions import MIDDLE
from alerting.definitions.faults import TrainingRefused
from alerting.definitions.fields.conditions import HOUR_OF_DAY, Learned
from alerting.definitions.limits import key_of
from alerting.definitions.wording.language import translatable
from alerting.detection.categories import CategoryValues, category_values, labels_at
from alerting.detection.learned_limits import (
    LearnedLimits,
    LimitTable,
    estimate_limits,
    least_readings,
)
from alerting.detection.problems import problem_intervals
from alerting.detection.suppression import SuppressedInterval, is_covered
from alerting.kinds.normal_training import compared_rows, times_of_readings
from alerting.kinds.protocol.training import (
    Comparison,
    Estimated,
    Estimation,
    LearningData,
    NormalTime,
    TrainingSource,
)
from alerting.kinds.threshold.definition import FAMILY, LearnedThresholdDefinition
from alerting.kinds.threshold.model import FittedLimits, LearnedLimitsModel, to_files
from alerting.learning.selection.decision import decide
from alerting.readings.history import (
    History,
    Millis,
    duration_millis,
    from_millis,
    has_data,
    millis,
    to_millis,
)

MOST_GROUPS = 2_000
_MOMENT = timedelta(milliseconds=1)
# A person decides on new limits where so many times as many readings as expected lay beyond those
# in service, or most of all. Fewer than the last number say nothing.
_MANY_TIMES = 10
_MOST = 0.5
_LEAST_BEYOND = 3
_MOST_TABLES = 20  # of assets and variables, shown to people


class _Used(NamedTuple):
    """Readings to learn limits from: instants (ms), values; `left_out`: others, by reason."""

    at: Millis
    values: npt.NDArray[np.float64]
    left_out: Mapping[str, int]


class LearnedLimitsTraining:
    """Learned limits of thresholds."""

    in_pieces = False

    def period(self, definition: LearnedThresholdDefinition, source: TrainingSource) -> NormalTime:
        names = sorted({variable for variable, _ in definition.learned})
        first, last = times_of_readings(definition, source, *names)
        start = max(first - _MOMENT, last - max(learned.over for _, learned in definition.learned))
        return NormalTime(start, last, last)

    def estimate(
        self, definition: LearnedThresholdDefinition, revision: int, family: str, data: LearningData
    ) -> Estimated:
        fitted = {
            history.asset.name: _fit(definition, history, data) for history in data.whole_histories
        }
        by_asset = {
            name: one
            for name, one in fitted.items()
            if any(table.answering(()) == () for table in one.tables.values())
        }
        if not by_asset:
            raise _too_few(definition, fitted, data)
        notes = [note for name, one in fitted.items() for note in one.describe(name)]
        notes += [
            f"{name}: too few readings; it has no limits"
            for name in sorted(fitted.keys() - by_asset.keys())
        ]
        model = LearnedLimitsModel(family, revision, data.period.cutoff, by_asset)
        used = sum(
            table.groups[()].readings for one in by_asset.values() for table in one.tables.values()
        )
        left_out: dict[str, int] = {}
        for reason, count in (item for one in fitted.values() for item in one.left_out.items()):
            left_out[reason] = left_out.get(reason, 0) + count
        metrics = {f"limit {name} {number}": limit for name, number, limit in _whole_limits(model)}
        groups = sum(
            len(table.groups) for one in by_asset.values() for table in one.tables.values()
        )
        assets = [
            history.asset for history in data.whole_histories if history.asset.name in by_asset
        ]
        shown = [table for asset in assets for table in by_asset[asset.name].list_groups(asset)]
        return Estimated(
            model,
            used,
            left_out,
            tuple(notes),
            {"groups": groups},
            metrics,
            tuple(shown[:_MOST_TABLES]),
        )

    def compare(
        self,
        definition: LearnedThresholdDefinition,
        data: LearningData,
        candidates: Mapping[str, LearnedLimitsModel],
        champion: LearnedLimitsModel | None,
    ) -> Comparison:
        challenger = candidates[FAMILY]
        limits = _whole_limits(challenger)
        old = (
            {}
            if champion is None
            else {(name, number): limit for name, number, limit in _whole_limits(champion)}
        )
        titles = [f"limit {number} of all readings, {name}" for name, number, _ in limits]
        before = [
            f"{old[key]:.6g}" if (key := (name, number)) in old else "-"
            for name, number, _ in limits
        ]
        evidence = {
            "compared": [*compared_rows(titles, [f"{limit:.6g}" for *_, limit in limits], before)]
        }
        moved = [] if champion is None else [*_moved(definition, data, champion)]
        kept = {} if champion is None else _still_in_service(champion, challenger)
        found = "Quantiles of the newest readings; no threshold is chosen by a problem."
        same = champion is not None and champion.hash == challenger.hash
        decision = decide(
            {"same_estimate": same, "moved": bool(moved)},
            {"subject": "limits are", "moved": "; ".join(moved), "new": "new", "found": found},
            found,
            evidence,
            note=f" {', '.join(sorted(kept))}: too few readings for new limits, so those in "
            "service stay."
            if kept
            else "",
        )
        model = replace(challenger, by_asset={**challenger.by_asset, **kept})
        return Comparison(FAMILY, decision, {}, model if kept and not same else None)

    save = staticmethod(to_files)


def _fit(
    definition: LearnedThresholdDefinition, history: History, data: LearningData
) -> FittedLimits:
    left_out = dict[str, int]()
    tables = dict[str, LimitTable]()
    for variable, learned in definition.learned:
        used = _used(definition, history, data, variable)
        start = max(data.period.start, data.period.cutoff - learned.over)
        inside = used.at > to_millis(start)
        labels = labels_at(
            learned.by, _categories(history, learned), definition.schedule.timezone, used.at[inside]
        )
        tables[key_of(variable, learned)] = estimate_limits(
            learned, used.values[inside], labels, start, data.period.cutoff, MOST_GROUPS
        )
        for reason, count in used.left_out.items():
            left_out[f"{variable}, {reason}"] = count
    return FittedLimits(tables, left_out)


def _categories(history: History, learned: Learned) -> dict[str, CategoryValues]:
    return {
        name: category_values(history.asset, name, [history.readings])
        for name in learned.by
        if name != HOUR_OF_DAY
    }


def _used(
    definition: LearnedThresholdDefinition, history: History, data: LearningData, variable: str
) -> _Used:
    """Return the possible values of the period, without suppressed times and problems."""
    if variable not in history.readings:
        return _Used(np.empty(0, np.int64), np.empty(0), {})
    at = millis(pd.DatetimeIndex(history.readings.index))
    values = history.readings[variable].to_numpy(np.float64)
    there = has_data(history, variable)
    suppressed = is_covered(data.suppressed.get(history.asset.name, ()), at)
    before = duration_millis(definition.gap + definition.horizon)
    found = [] if definition.problem is None else problem_intervals(definition.problem, history)
    of_asset = (
        one
        for one in data.verdicts
        if one.asset == history.asset.name and one.verdict == "true_alarm"
    )
    intervals = [
        SuppressedInterval(from_millis(max(start - before, 0)), from_millis(end + 1), "")
        for start, end in found
    ]
    in_problem = is_covered(
        [*intervals, *(SuppressedInterval(one.start, one.end + _MOMENT, "") for one in of_asset)],
        at,
    )
    left_out = {
        "outside of the engineering range": int((~there & ~np.isnan(values)).sum()),
        "in suppressed times": int((there & suppressed).sum()),
        "in problems and the time before them": int((there & in_problem & ~suppressed).sum()),
    }
    used = there & ~suppressed & ~in_problem
    return _Used(at[used], values[used], left_out)


def _too_few(
    definition: LearnedThresholdDefinition, fitted: Mapping[str, FittedLimits], data: LearningData
) -> TrainingRefused:
    most = max(
        (table.groups[()].readings for one in fitted.values() for table in one.tables.values()),
        default=0,
    )
    least = min(least_readings(learned.quantile) for _, learned in definition.learned)
    return TrainingRefused(
        definition.name,
        translatable(
            "too few readings to learn a limit: at most {most} on one asset from {start} to {end} "
            "UTC, {least} are needed; choose a quantile nearer to 0.5, a longer `over`, or import "
            "readings",
            most=most,
            start=f"{data.period.start:%Y-%m-%d %H:%M}",
            end=f"{data.period.cutoff:%Y-%m-%d %H:%M}",
            least=least,
        ),
    )


def _whole_limits(model: LearnedLimitsModel) -> list[tuple[str, int, float]]:
    found = []
    for name, fitted in sorted(model.by_asset.items()):
        for number, (_, table) in enumerate(sorted(fitted.tables.items()), start=1):
            limit = table.groups[()].limit
            found += [] if limit is None else [(name, number, limit)]
    return found


def _still_in_service(
    champion: LearnedLimitsModel, challenger: LearnedLimitsModel
) -> dict[str, FittedLimits]:
    """Return the assets that keep their limits, for want of readings for new ones."""
    found = {}
    for name, old in champion.by_asset.items():
        new = challenger.by_asset.get(name)
        if new is None:
            found[name] = old
            continue
        few = [key for key, one in new.tables.items() if one.answering(()) is None]
        stay = {
            key: old.tables[key]
            for key in few
            if key in old.tables and old.tables[key].answering(()) is not None
        }
        if stay:
            found[name] = FittedLimits({**new.tables, **stay}, new.left_out)
    return found


def _moved(
    definition: LearnedThresholdDefinition, data: LearningData, champion: LearnedLimitsModel
) -> Sequence[str]:
    """Return a sentence for each variable beyond its limits far more often than expected."""
    found = []
    for history in data.whole_histories:
        fitted = champion.by_asset.get(history.asset.name)
        for variable, learned in definition.learned if fitted else ():
            key = key_of(variable, learned)
            table = fitted.tables.get(key) if fitted else None
            whole = None if table is None else table.groups[()].limit
            if table is None or whole is None:
                continue
            used = _used(definition, history, data, variable)
            new = used.at > to_millis(table.end)
            in_service = LearnedLimits(
                {key: table}, definition.schedule.timezone, "", _categories(history, learned)
            )
            values = used.values[new]
            limits = in_service.limit_at(variable, learned, used.at[new]).values
            upper = learned.quantile > MIDDLE
            expected = 1 - learned.quantile if upper else learned.quantile
            beyond = int(np.sum(values > limits if upper else values < limits))
            if beyond >= _LEAST_BEYOND and beyond > min(_MANY_TIMES * expected, _MOST) * len(
                values
            ):
                of = (
                    f"the limits of their groups (of all readings {whole:.6g})"
                    if table.by
                    else f"the limit in service, {whole:.6g}"
                )
                found.append(
                    f"On {history.asset.name} {beyond / len(values):.2%} of the readings of "
                    f"{variable} since the last estimate "
                    f"lie beyond {of}; {expected:.2%} were expected"
                )
    return found


TRAINING: Estimation[LearnedThresholdDefinition] = LearnedLimitsTraining()
