"""Which data of a report count: scores, times without a stored one, and decisions."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.ports import DecisionRecord
from alerting.usecases.report_material import (
    decisions_made,
    notifiable_scores,
    raised_unscored,
    unscored_times,
)
from alerting.usecases.scoring.models_in_service import learned_from
from tests.report_material import CLASSIFIER, START, THRESHOLD, H, episode

END = START + 10 * H
STRIDE = timedelta(minutes=30)


def stored(*hours, asset="oven-1"):
    return [{"asset": asset, "ts": START + hour * H, "model_version": 2} for hour in hours]


def unscored(rows, definition=CLASSIFIER):
    frame = pd.DataFrame(rows, columns=["asset", "ts", "model_version"])
    frame["ts"] = frame["ts"].astype("datetime64[ms, UTC]")
    return unscored_times(definition, frame, "oven-1", START, END)


def test_a_model_knows_no_state_where_no_score_is_stored():
    assert unscored(stored(4, 4.5, 5, 7, 7.5)) == (
        (START, START + 4 * H),
        (START + 5 * H + STRIDE, START + 7 * H),
        (START + 8 * H, END),
    )


def test_without_any_score_no_time_is_known_whatever_data_there_are():
    assert unscored([]) == unscored(stored(4, 5, asset="oven-2")) == ((START, END),)
    assert unscored([], THRESHOLD) is None


def test_alarms_before_the_first_stored_score_of_their_asset_are_named():
    early = episode(3)
    first = episode(4)
    late = episode(9)
    other = episode(9, asset="oven-2")
    episodes = [early, first, late, other]
    assert raised_unscored(CLASSIFIER, episodes, stored(4, 5, 6)) == {early.id, other.id}
    assert raised_unscored(CLASSIFIER, episodes, []) == {e.id for e in episodes}
    assert raised_unscored(THRESHOLD, episodes, []) == frozenset()


def test_scores_in_suppressed_times_of_their_asset_do_not_count():
    scores = pd.DataFrame([*stored(1, 2, 3), *stored(2, asset="oven-2")])
    found = notifiable_scores(
        scores, {"oven-1": [SuppressedInterval(START + 2 * H, START + 3 * H, "stop")]}
    )
    assert found.to_dict("records") == [*stored(1, 3), *stored(2, asset="oven-2")]


FIRST = datetime(2026, 1, 1, tzinfo=UTC)
A_DAY = timedelta(days=1)


def decision(day, version, promoted=True, **evidence):
    return DecisionRecord(
        "too-moist",
        FIRST + day * A_DAY,
        1,
        version,
        None,
        promoted,
        False,
        "promote",
        "why",
        evidence,
        "run",
        "platform",
    )


def learned(day):
    return {
        "start": (FIRST + day * A_DAY).isoformat(),
        "end": (FIRST + (day + 30) * A_DAY).isoformat(),
    }


def test_a_report_states_decisions_before_its_end_and_a_promotion_without_metrics_has_ones_before():
    records = [
        decision(1, 1, expected={"ap": 0.7}),
        decision(5, 2),
        decision(6, 3, promoted=False),
        decision(9, 4),
    ]
    found = decisions_made(records, FIRST + 9 * A_DAY)
    assert [(d.version, d.expected) for d in found] == [(1, {"ap": 0.7}), (2, {"ap": 0.7}), (3, {})]


def test_a_report_expects_nothing_of_another_threshold_than_the_fixed_one():
    expected = {"ap": 0.7, "event_recall": 0.9}
    made = [decision(1, 1, expected=expected, threshold=0.4)]
    promised = [
        decisions_made(made, FIRST + A_DAY * 2, cut)[0].expected for cut in (None, 0.4, 0.5)
    ]
    assert promised == [expected, expected, {"ap": 0.7}]


def test_reference_is_what_model_of_the_scores_learned_from_also_if_it_was_promoted_afterwards():
    records = [decision(1, 1, learned=learned(-60)), decision(9, 2, learned=learned(-50))]
    assert learned_from(records, FIRST + 5 * A_DAY, None)[0] == FIRST - 60 * A_DAY
    assert learned_from(records, FIRST + 5 * A_DAY, 2)[0] == FIRST - 50 * A_DAY
    assert learned_from([decision(1, 1)], FIRST + 5 * A_DAY, 1) is None
