"""The same episodes however the time is cut, for the readings and the limits of a threshold."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np

from alerting.definitions.asset_documents import Variable
from alerting.definitions.threshold_limits import level_delays, severities
from alerting.detection.combined_conditions import (
    all_series,
    evaluate_combination,
    severity_of_missing,
)
from alerting.detection.threshold import evaluate_values
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.stores.database.documents import from_document, to_document
from alerting.stores.states import from_shard, to_shard
from tests.builders import at, history, oven, several, threshold, with_quality

BAD = "bad"


def evaluated(definition, data, carried, start, end):
    """Return the evaluation of one condition, or of several."""
    combination = definition.combination
    if combination is None:
        return evaluate_values(definition, data, carried, start, end)
    series = all_series(combination, data)
    severity = severity_of_missing(definition)
    return evaluate_combination(combination, data.asset, series, carried, start, end, severity)


def stored(state):
    """Return a state as a shard and a checkpoint of a database give it back."""
    table = ConditionTable([("a", "b")])
    table.write_state(0, state)
    found = from_shard(to_shard(table)).state(0)
    assert found == from_document(ConditionState, to_document(state))
    return found


def live(definition, data, instants):
    """Return statuses, steps and state of evaluations at these instants; in between the state is
    stored as in a database."""
    state = ConditionState(at(0))
    statuses = []
    found = []
    for start, end in pairwise(instants):
        judged = evaluated(definition, data, state.carried, at(start), at(end))
        assert judged.intervals[0].start == at(start) + timedelta(milliseconds=1)
        assert all(a.end == b.start for a, b in pairwise(judged.intervals))
        state, steps = advance(
            state,
            judged.intervals,
            definition.hold,
            definition.clear_for,
            severities(definition),
            level_delays(definition),
        )
        found += [
            (
                s,
                judged.reading_at(s.at)
                if definition.combination is None
                else judged.conditions_at(s.at),
            )
            for s in steps
        ]
        for s in judged.intervals:
            if not statuses or statuses[-1][:3] != (s.status, s.severity, s.fact):
                statuses.append((s.status, s.severity, s.fact, s.start))
        state = stored(replace(state, carried=judged.carried))
    return statuses, found, state


def expect_same_however_cut(definition, data, cuts):
    batch = live(definition, data, [0, 240])
    assert live(definition, data, [0, *sorted(set(cuts)), 240]) == batch
    assert live(definition, data, [*range(0, 60, 3), 240]) == batch


def expect_same_for_numbers(readings, cuts, condition, fields):
    """Expect it of readings (minutes since the one before, number or BAD)."""
    if "equals" in condition:
        fields = {k: v for k, v in fields.items() if k != "rate_per"}
    if "rate_per" not in fields:
        fields = {k: v for k, v in fields.items() if k != "counter"}
    definition = threshold(**condition, **fields)
    gaps, values = zip(*readings, strict=True)
    asset = oven(temperature=Variable(low=-50, high=500)).model_copy(
        update={"attributes": {"limit": 211.0}}
    )
    numbers = [np.nan if value is BAD else value for value in values]
    data = history(np.cumsum(gaps).tolist(), asset=asset, temperature=numbers)
    data = with_quality(data, "temperature", [BAD if value is BAD else None for value in values])
    expect_same_however_cut(definition, data, cuts)


def expect_same_for_states(readings, cuts, policy, counted):
    """Expect it of readings (minutes since the one before, category, None or BAD)."""
    fields = {"at_least": {"readings": 2, "of": 3}} if counted else {"for": "3m"}
    definition = threshold(variable="state", above=None, equals="stopped", no_data=policy, **fields)
    gaps, values = zip(*readings, strict=True)
    texts = [None if value is BAD else value for value in values]
    data = history(
        np.cumsum(gaps).tolist(), asset=oven(state=Variable(type="category")), state=texts
    )
    data = with_quality(data, "state", [BAD if value is BAD else None for value in values])
    expect_same_however_cut(definition, data, cuts)


def expect_same_for_several(readings, cuts, conditions, fields):
    """Expect it of readings (minutes since the one before, temperature, moisture and recipe, each a
    value, None or BAD)."""
    gaps, *columns = zip(*readings, strict=True)
    asset = oven(temperature=Variable(low=-50, high=500), recipe=Variable(type="category"))
    names = ("temperature", "moisture", "recipe")
    values = {
        name: [None if value is BAD else value for value in column]
        for name, column in zip(names, columns, strict=True)
    }
    numbers = {name: np.array(values[name], np.float64) for name in names[:2]}
    data = history(
        np.cumsum(gaps).tolist(), asset=asset, **numbers, recipe=np.array(values["recipe"], object)
    )
    for name, column in zip(names, columns, strict=True):
        data = with_more_bad(data, name, [value is BAD for value in column])
    expect_same_however_cut(several(**conditions, **fields), data, cuts)


def with_more_bad(data, variable, bad):
    """Return the same readings with further samples of bad quality."""
    found = with_quality(data, variable, [BAD if one else None for one in bad])
    doubts = replace(found.doubts, bad={**data.doubts.bad, **found.doubts.bad})
    return replace(found, doubts=doubts)
