"""Dataset rows beside their features: labelled for each asset, then joined for all assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.model import TrainedDefinition
from alerting.detection.problems import BoolArray, problem_samples
from alerting.detection.suppression import SuppressedInterval
from alerting.learning.data.labels import (
    LEFT_OUT,
    POSITIVE,
    WEIGHTED,
    Effects,
    FeedbackLabel,
    Labels,
    label_instants,
    persistence,
    relabel,
)
from alerting.learning.data.point_in_time import evaluated_instants, is_known
from alerting.learning.data.split import Borders, Parts, assign_parts
from alerting.learning.features.moments import Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.history import History, Millis, duration_millis, has_data, millis

PROBLEM_COLUMNS = ("asset", "start", "last", "end", "known_at", "uncounted")


def leads_of(definition: TrainedDefinition, plan: FeaturePlan) -> tuple[timedelta, ...]:
    """Return the times ahead that a model of this plan predicts values for, if any."""
    own = next((n.sampling_ms for n in plan.numbers if n.name == definition.problem.variable), None)
    return definition.leads(None if own is None else timedelta(milliseconds=own))


def future_values(
    definition: TrainedDefinition, plan: FeaturePlan, history: History, at: Millis
) -> Floats:
    """Return the problem variable's last value up to each lead (rows x leads), or NaN.

    The first begins after the gap. NaN also where the history ends before the lead, because a later
    value may follow.
    """
    leads = leads_of(definition, plan)
    name = definition.problem.variable
    found = np.full((len(at), len(leads)), np.nan)
    if (
        not leads
        or name is None
        or name not in history.readings
        or not (there := has_data(history, name)).any()
    ):
        return found
    ts = millis(pd.DatetimeIndex(history.readings.index))[there]
    values = history.readings[name].to_numpy(np.float64)[there]
    usual = int(np.median(np.diff(ts))) if len(ts) > 1 else 0
    last = int(ts[-1]) + max(usual - 1, 0)
    after = at + duration_millis(definition.gap)
    for number, lead in enumerate(leads):
        until = at + duration_millis(lead)
        newest = np.searchsorted(ts, until, side="right") - 1
        known = (newest >= 0) & (ts[newest] > after) & (until <= last)
        found[known, number] = values[newest[known]]
        after = until
    return found


@dataclass(frozen=True)
class AssetRows:
    """The rows of an asset; `fit`, `measured`: of `Labels`; `dropped`: why without a label."""

    asset: str
    at: Millis
    label: npt.NDArray[np.int8]
    fit: BoolArray
    measured: BoolArray
    persistence: Floats
    future: Floats
    effect: Effects
    answers: int
    answers_used: int
    dropped: npt.NDArray[np.object_]
    problems: pd.DataFrame
    occurrences: pd.DataFrame


def label_asset(
    definition: TrainedDefinition,
    question: Literal["onset", "state"],
    plan: FeaturePlan,
    history: History,
    borders: Borders,
    until: int,
    answers: Sequence[FeedbackLabel],
    suppressed: Mapping[str, Sequence[SuppressedInterval]],
) -> AssetRows:
    """Label an asset's scored instants. `answers`, `suppressed`: of all assets."""
    name = history.asset.name
    own = [answer for answer in answers if answer.asset == name]
    at = evaluated_instants(definition, plan, history, borders.start, borders.end)
    labels: Labels = label_instants(
        definition, question, history, at, until, suppressed.get(name, ())
    )
    has_value = is_known(definition, plan, history, at)
    reason = np.where(labels.counted & ~has_value, "no_reading", labels.reason)
    in_use = labels.counted & has_value
    ts, bad = problem_samples(definition.problem, history)
    occurred = millis(labels.problems["start"]) if question == "onset" else ts[bad]
    negative = (reason == "") & (labels.label == 0)
    changed = relabel(definition, own, at[in_use], negative[in_use], occurred)
    return AssetRows(
        asset=name,
        at=at[in_use],
        label=labels.label[in_use],
        fit=labels.fit[in_use],
        measured=labels.measured[in_use],
        persistence=persistence(definition, history, at[in_use]),
        future=future_values(definition, plan, history, at[in_use]),
        effect=changed.effect,
        answers=len(own),
        answers_used=changed.used,
        dropped=reason[reason != ""],
        problems=labels.problems.assign(asset=name)[list(PROBLEM_COLUMNS)],
        occurrences=pd.DataFrame(labels.occurrences.columns(name)),
    )


@dataclass(frozen=True)
class JoinedRows:
    """The rows of all assets, by asset and then by time; every field has one value for each row.

    `future` has one for each lead. `label`, `part`, `weight` include the effect of operators'
    feedback; `label_by_data`, `part_by_data` exclude it.
    """

    asset: npt.NDArray[np.object_]
    at: Millis
    label: npt.NDArray[np.int8]
    fit: BoolArray
    measured: BoolArray
    part: Parts
    weight: Floats
    persistence: Floats
    future: Floats
    label_by_data: npt.NDArray[np.int8]
    part_by_data: Parts
    effect: Effects

    def select(self, mask: BoolArray) -> JoinedRows:
        """Return the rows that a mask selects."""
        return JoinedRows(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})


def join_assets(
    definition: TrainedDefinition, assets: Sequence[AssetRows], borders: Borders, purge: int
) -> JoinedRows:
    """Join the rows of all assets, assign their parts, and apply operators' feedback.

    Rows from which no model learns are retained in validation and test alone, where live evaluation
    is repeated.
    """
    at = np.concatenate([rows.at for rows in assets])
    label = np.concatenate([rows.label for rows in assets])
    part = assign_parts(at, borders, purge)
    fit = np.concatenate([rows.fit for rows in assets])
    effect = _applicable(np.concatenate([rows.effect for rows in assets]), part)
    joined = JoinedRows(
        asset=np.repeat(
            np.array([rows.asset for rows in assets], dtype=object),
            [len(rows.at) for rows in assets],
        ),
        at=at,
        label=np.where((effect == POSITIVE) | (effect == WEIGHTED), 1, label).astype(np.int8),
        fit=fit & (effect != LEFT_OUT),
        measured=np.concatenate([rows.measured for rows in assets]),
        part=np.where(effect == LEFT_OUT, "excluded", part).astype(object),
        weight=np.where(effect == WEIGHTED, definition.feedback.weight, 1.0),
        persistence=np.concatenate([rows.persistence for rows in assets]),
        future=np.concatenate([rows.future for rows in assets]),
        label_by_data=label,
        part_by_data=part,
        effect=effect,
    )
    return joined.select(fit | (part == "validation") | (part == "test"))


def _applicable(effect: Effects, part: Parts) -> Effects:
    """Return the feedback effects that apply in each part.

    A problem that the data do not show counts in training alone. Metrics of validation and test
    rest on data, so such rows are excluded there, and among the purged rows, which only a refit
    uses.
    """
    positive = (effect == POSITIVE) | (effect == WEIGHTED)
    return np.where(positive & (part != "train"), LEFT_OUT, effect).astype(np.int8)
