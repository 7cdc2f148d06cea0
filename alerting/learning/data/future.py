"""Values ahead: what a forecast is learned from and measured by."""

from datetime import timedelta

import numpy as np

from alerting.deferred import pd
from alerting.definitions.model import TrainedDefinition
from alerting.learning.features.moments import Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.cleaning import has_data
from alerting.readings.history import History, Millis, duration_millis, millis


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
