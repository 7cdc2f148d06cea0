"""Another limit: the one that would have halved the false alarms of the period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10

import numpy as np

from alerting.alarm_kpis.other_limits import Steps, changes_of_limit, evenly_ranked, first_change
from alerting.deferred import pd
from alerting.definitions.fields.conditions import single_condition
from alerting.definitions.model import Condition, TrainedDefinition
from alerting.definitions.wording.language import Styled, Translatable, Value, translatable
from alerting.detection.problems import find_occurrences
from alerting.episodes.episode import Episode
from alerting.episodes.predictions import alarm_end_of
from alerting.learning.data.point_in_time import point_in_time_view
from alerting.learning.selection.operating_point import (
    evaluate_threshold,
    observe_rows,
)
from alerting.readings.history import History, duration_millis, millis, to_millis
from alerting.reporting.definition.material import Material, outcome_of

LEAST_FALSE_ALARMS = 4
_SAMPLES = 1  # of the bootstrap: only counts are used


@dataclass(frozen=True)
class Retune:
    """A limit that halves the false alarms, computed by evaluating the period again with it.

    `field`: of the definition, or "threshold" of the model; `value`: the new one, `present`: as it
    was. `false_alarms`, `false_alarms_then`: as it was and with the change. `right`, `right_then`:
    of `total` problems those announced in time, for a model; for a condition, of `total` right
    episodes those that remain.
    """

    field: str
    present: float
    value: float
    false_alarms: int
    false_alarms_then: int
    right: int
    right_then: int
    total: int

    @property
    def change(self) -> Translatable:
        """Return the change as text: `above: 4.7`."""
        return translatable("{field}: {value}", field=self.field, value=Styled(self.value, ".4g"))

    @property
    def values(self) -> dict[str, Value]:
        """Return the values of a sentence on what the change does."""
        return {
            "change": self.change,
            "present": Styled(self.present, ".4g"),
            "false_then": self.false_alarms_then,
            "false_alarms": self.false_alarms,
            "right_then": self.right_then,
            "right": self.right,
        }


def compute_retune(m: Material) -> Retune | None:
    """Return the limit that would have halved the false alarms, where there is one."""
    if isinstance(m.definition, TrainedDefinition):
        views = {a: point_in_time_view(h, to_millis(m.as_of)) for a, h in m.histories.items()}
        frames = [
            pd.DataFrame(find_occurrences(m.definition, view).columns(asset))
            for asset, view in views.items()
        ]
        if not frames:
            return None
        return retune_model(
            m.definition,
            m.scores,
            m.problems,
            pd.concat(frames, ignore_index=True),
            m.predicts == "onset",
        )
    condition = single_condition(m.definition)
    # a condition that counts readings cannot be tried on reduced ones
    if condition is not None and not (
        m.reduced and (condition.at_least is not None or condition.frozen_after is not None)
    ):
        return retune_condition(condition, m.histories, m.raised, m.start, m.end)
    return None


def retune_model(
    definition: TrainedDefinition,
    scores: pd.DataFrame,
    problems: pd.DataFrame,
    occurrences: pd.DataFrame,
    is_onset: bool,
) -> Retune | None:
    """Return the smallest threshold that halves the false alarms; None where there are few.

    `scores`, `problems`: as in `Material`; `occurrences`: columns of `Occurrences` by asset. The
    episodes of each threshold are those that live evaluation would have raised on these scores;
    verdicts of operators do not count.
    """
    if scores.empty:
        return None
    rows = scores.sort_values(["asset", "ts"], kind="stable")
    score = rows["score"].to_numpy(np.float64)
    present = float(rows.sort_values("ts", kind="stable")["threshold"].iloc[-1])
    asset = rows["asset"].to_numpy(object)
    stride = definition.stride.total_seconds()
    observed = observe_rows(
        at=millis(pd.DatetimeIndex(rows["ts"])),
        asset=asset,
        measured=rows["label"].notna().to_numpy(np.bool_),
        problems=problems,
        occurrences=occurrences,
        onset=is_onset,
        observed_s={
            str(name): float(count) * stride for name, count in rows["asset"].value_counts().items()
        },
        gap_ms=duration_millis(definition.window.after),
        horizon_ms=duration_millis(definition.window.length),
        alarm_end=alarm_end_of(definition, definition.stride),
    )
    seed = definition.learning.seed
    now = evaluate_threshold(observed, score, present, seed, _SAMPLES)
    if now.n_false_alarms < LEAST_FALSE_ALARMS:
        return None
    above = np.unique(score[score > present])
    for rank in evenly_ranked(len(above)):
        threshold = float(above[rank])
        then = evaluate_threshold(observed, score, threshold, seed, _SAMPLES)
        if 2 * then.n_false_alarms <= now.n_false_alarms:
            return Retune(
                "threshold",
                present,
                threshold,
                now.n_false_alarms,
                then.n_false_alarms,
                now.n_found,
                then.n_found,
                now.n_events,
            )
    return None


def retune_condition(
    definition: Condition,
    histories: Mapping[str, History],
    episodes: Sequence[Episode],
    start: datetime,
    end: datetime,
) -> Retune | None:
    """Return the nearest limit that halves the false alarms; None where there are few.

    `episodes`: those of the period. The readings are evaluated again with each limit; an alarm that
    it raises has the outcome of the episode in whose time it lies. At most thirty limits are tried.
    """
    found = _limit_of(definition)
    n_false = sum(outcome_of(e) == "false_alarm" for e in episodes)
    n_right = sum(_is_right(e) for e in episodes)
    if found is None or n_false < LEAST_FALSE_ALARMS:
        return None
    field, present, sign = found
    peaks = [
        _peak(definition.variable, histories.get(e.asset), e, end, sign)
        for e in episodes
        if outcome_of(e) == "false_alarm"
    ]
    beyond = np.unique(
        [_rounded_up(peak) for peak in peaks if peak is not None and peak > sign * present]
    )

    def episodes_at(steps: Steps) -> list[Episode | None]:
        """Return the episode in whose time each raise lies."""
        return [
            _episode_at(episodes, asset, step.at, end)
            for asset, own in steps.items()
            for step in own
            if step.kind == "raised"
        ]

    def count_false(steps: Steps) -> int:
        return sum(e is None or outcome_of(e) == "false_alarm" for e in episodes_at(steps))

    changed = first_change(
        changes_of_limit(definition, field, sign * beyond),
        histories,
        start,
        end,
        lambda steps: 2 * count_false(steps) <= n_false,
    )
    if changed is None:
        return None
    change, steps = changed
    right_then = {e.id for e in episodes_at(steps) if e is not None and _is_right(e)}
    return Retune(
        field,
        present,
        float(change.fields[field]),
        n_false,
        count_false(steps),
        n_right,
        len(right_then),
        n_right,
    )


def _limit_of(definition: Condition) -> tuple[str, float, int] | None:
    """Return field, value and direction (1: above) of a condition's only limit."""
    others = (
        definition.outside,
        definition.inside,
        definition.equals,
        definition.levels,
        definition.rate_per,
    )
    given = [
        (field, getattr(definition, field), sign) for field, sign in (("above", 1), ("below", -1))
    ]
    limits = [(field, limit, sign) for field, limit, sign in given if limit is not None]
    if (
        any(other is not None for other in others)
        or len(limits) != 1
        or not isinstance(limits[0][1], int | float)
    ):
        return None
    field, limit, sign = limits[0]
    return field, float(limit), sign


def _rounded_up(value: float) -> float:
    """Return the least number of four digits, as which a limit is shown and applied, that is not
    below a value: of one below it an alarm of that value would remain."""
    shown = float(f"{value:.4g}")
    if shown >= value:
        return shown
    unit = 10.0 ** (floor(log10(abs(value))) - 3)
    return float(f"{shown + unit:.4g}")


def _peak(
    variable: str, history: History | None, episode: Episode, end: datetime, sign: int
) -> float | None:
    if history is None or variable not in history.readings:
        return None
    begin = episode.condition_started_at or episode.evaluation.at
    inside = (
        history.readings[variable]
        .loc[min(begin, episode.raised_at) : min(episode.ended_at or end, end)]
        .dropna()
    )
    return float((sign * inside).max()) if len(inside) else None


def _episode_at(
    episodes: Sequence[Episode], asset: str, at: datetime, end: datetime
) -> Episode | None:
    return next(
        (e for e in episodes if e.asset == asset and e.raised_at <= at <= (e.ended_at or end)), None
    )


def _is_right(episode: Episode) -> bool:
    return outcome_of(episode) in ("hit", "avoided")


def describe_retune(retune: Retune, trained: bool) -> Translatable:
    """Say what another limit would have done. `trained`: by a model, which announces problems."""
    if trained:
        return translatable(
            "With {change} instead of {present}, {false_then} of the {false_alarms} false alarms "
            "would have remained, and {right_then} of the {right} announced problems.",
            **retune.values,
        )
    return translatable(
        "With {change} instead of {present}, {false_then} of the {false_alarms} false alarms would "
        "have remained, and {right_then} of the {right} right alarms.",
        **retune.values,
    )
