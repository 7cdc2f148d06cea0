from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from alerting.alarm_kpis import other_limits
from alerting.readings.history import History
from alerting.reporting.definition.retune import retune_condition, retune_model
from tests.builders import oven
from tests.report_material import CLASSIFIER, END, START, THRESHOLD, H, episode, problems

pytestmark = pytest.mark.fast

PEAKS = (216, 217, 218, 219, 240)  # of five alarms, a day apart; the last one is right
NO_OCCURRENCES = pd.DataFrame(
    {"asset": [], "start": [], "true_at": [], "known_at": [], "over_at": [], "recovered_at": []}
)


def alarm(day, verdict):
    given = episode(24 * day + 1, definition=THRESHOLD, said=[(verdict, False, "anna")])
    return replace(given, closed_at=given.raised_at + H)


def readings():
    at = pd.date_range(START, periods=24 * 6, freq="1h", tz="UTC").as_unit("ms")
    values = np.full(len(at), 200.0)
    values[[24 * day + 1 for day in range(5)]] = PEAKS
    return History(oven(), pd.DataFrame({"temperature": values}, index=at.rename("ts")))


def test_the_nearest_limit_that_halves_the_false_alarms_keeps_the_right_one():
    alarms = [alarm(day, "false_alarm") for day in range(4)] + [alarm(4, "true_alarm")]
    found = retune_condition(THRESHOLD, {"oven-1": readings()}, alarms, START - H, END)
    # above 217, the readings of 218 and 219 still raise: two of four
    assert (found.change, found.present, found.false_alarms, found.false_alarms_then) == (
        "above: 217",
        215,
        4,
        2,
    )
    assert (found.right, found.right_then, found.total) == (1, 1, 1)


@pytest.mark.parametrize(("peak", "limit"), [(217.0312, 217.1), (217.0, 217.0), (217.99, 218.0)])
def test_a_limit_is_tried_as_it_is_shown_and_applied_so_that_its_alarm_does_not_remain(peak, limit):
    found = readings()
    found.readings.loc[found.readings["temperature"] == 217, "temperature"] = peak
    alarms = [alarm(day, "false_alarm") for day in range(4)] + [alarm(4, "true_alarm")]
    changed = retune_condition(THRESHOLD, {"oven-1": found}, alarms, START - H, END)
    assert changed.value == float(f"{changed.value:.4g}") == limit


def test_at_most_thirty_limits_are_tried_on_the_readings_of_many_false_alarms(monkeypatch):
    tried = []

    def raise_always(changed, history, start, end):
        tried.append(changed.above)
        return [SimpleNamespace(kind="raised", at=START - H)] * 100

    monkeypatch.setattr(other_limits, "replay", raise_always)
    at = pd.date_range(START, periods=100, freq="1h", tz="UTC").as_unit("ms")
    rising = History(
        oven(), pd.DataFrame({"temperature": 216.0 + np.arange(100)}, index=at.rename("ts"))
    )
    first = alarm(0, "false_alarm")
    alarms = [
        replace(
            first,
            evaluation=replace(first.evaluation, at=START + i * H),
            raised_at=START + i * H,
            closed_at=START + i * H,
        )
        for i in range(100)
    ]
    assert retune_condition(THRESHOLD, {"oven-1": rising}, alarms, START - H, END) is None
    assert (len(tried), tried[0], tried[-1]) == (30, 216, 315)


def test_few_false_alarms_and_conditions_with_two_limits_give_no_other_limit():
    alarms = [alarm(day, "false_alarm") for day in range(3)]
    assert retune_condition(THRESHOLD, {"oven-1": readings()}, alarms, START - H, END) is None
    both = THRESHOLD.model_copy(update={"below": 100})
    assert (
        retune_condition(
            both, {"oven-1": readings()}, [*alarms, alarm(3, "false_alarm")], START - H, END
        )
        is None
    )


def test_the_smallest_threshold_that_halves_the_false_alarms_of_a_model_says_what_it_loses():
    at = [START + timedelta(hours=12 * i) for i in range(8)]
    score = [0.9, 0.55, 0.6, 0.65, 0.7, 0.1, 0.1, 0.8]
    frame = pd.DataFrame(
        {
            "asset": "oven-1",
            "ts": at,
            "score": score,
            "threshold": 0.5,
            "model_version": 1,
            "label": 0.0,
        }
    )
    came = problems(2, 86)  # after the scores 0.9 and 0.8
    found = retune_model(
        CLASSIFIER, frame.astype({"ts": "datetime64[ms, UTC]"}), came, NO_OCCURRENCES, is_onset=True
    )
    # above 0.65, the scores 0.65 and 0.7 still raise: two of the four false alarms; both problems
    # stay announced
    assert (found.value, found.false_alarms, found.false_alarms_then) == (0.65, 4, 2)
    assert (found.right, found.right_then, found.total) == (2, 2, 2)
