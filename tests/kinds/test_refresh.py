"""Reasons of a target with a model between two strides."""

import numpy as np
import pytest

from alerting.detection.problem_occurrences import no_occurrences
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.prediction_rule import AlarmEnd, PredictionRule
from alerting.kinds.anomaly.comparison import share_interval
from alerting.kinds.normal_comparison import UnseenEvidence
from alerting.kinds.normal_operation import compared_rows
from alerting.kinds.prediction_evaluation import refreshed_rows
from alerting.kinds.protocol import (
    NO_MODEL,
    NOT_ASKED,
    OUT_OF_SERVICE,
    TargetEvaluation,
    carried_reason,
)
from tests.builders import at

pytestmark = pytest.mark.fast

RULE = PredictionRule(no_occurrences(), 1_800_000, 1_800_000, AlarmEnd(0.3, 60_000, 60_000))
END = int(at(60).timestamp() * 1000)


def instants(minutes):
    return np.array([int(at(minute).timestamp() * 1000) for minute in minutes])


def row_of(stride_s, until, raised=0.0, unknown=()):
    """The refreshed row of a prediction by scores at each stride up to a minute."""
    found = instants(np.arange(stride_s, until * 60 + 1, stride_s) / 60)
    score = np.where(np.isin(found, instants(unknown)), np.nan, 0.7)
    rows = refreshed_rows({at(raised): END}, found, score, RULE, stride_s * 1000)
    return [(int(found[row]) - instants([0])[0]) / 60_000 for row in rows.values()]


def test_a_row_is_refreshed_at_the_first_instant_of_each_minute_after_a_raise():
    found = [
        row_of(5, 3.9),
        row_of(5, 4),
        row_of(7, 3.9),  # 26 strides of 7 s
        # a stride of a minute or more: at each instant
        row_of(60, 3),
        row_of(90, 5),
        # nothing before the next minute after a raise
        row_of(5, 0.9),
        row_of(5, 2.5, raised=2),
        # a minute whose first score is unknown is left out
        row_of(5, 3.9, unknown=[3]),
    ]
    assert found == [[3], [4], [pytest.approx(3 + 2 / 60)], [3], [4.5], [], [], [2]]


def test_how_many_evaluations_there_were_changes_nothing():
    found = instants(np.arange(5, 241, 5) / 60)
    score = np.full(len(found), 0.7)
    whole = refreshed_rows({at(0): END}, found, score, RULE, 5000)
    for split in np.searchsorted(found, instants([0.5, 1, 1.75, 3]), "right").tolist():
        late = refreshed_rows({at(0): END}, found[split:], score[split:], RULE, 5000)
        assert {k: v + split for k, v in late.items()} == whole


SILENT = "no readings in the last 1 h, which the model needs"
ROWS = [object()]


REASONS = [
    (None, {}, None),
    (SILENT, {}, SILENT),
    # of the evaluations before, and of the part before in the same one
    (None, {"scores": ROWS, "unknown": SILENT}, SILENT),
    (SILENT, {"scores": ROWS}, None),
    # without a definition in service, or a model, nothing was asked
    (NO_MODEL, {}, NOT_ASKED),
    (OUT_OF_SERVICE, {}, NOT_ASKED),
    (None, {"unknown": OUT_OF_SERVICE, "has_model": False}, NOT_ASKED),
    (SILENT, {"scores": ROWS, "unknown": NO_MODEL, "has_model": False}, NOT_ASKED),
]


def test_the_reason_stays_unless_it_was_that_nothing_could_be_asked():
    found = [
        carried_reason(
            TargetEvaluation(ConditionState(watermark=at(0), unknown_reason=stored), **changes)
        )
        for stored, changes, _ in REASONS
    ]
    assert found == [said for *_, said in REASONS]


FALSE_ALARMS = [
    (0, 0.0, 0.0, False),
    (3, 1.0, 0.0, False),  # three or more of one: 8 %
    (4, 1.0, 0.0, True),  # 1.9 %
    (1, 1.0, 0.2, False),
    # one alarm that lasts for a fifth of the time counts once, and is too long
    (
        1,
        1.0,
        0.21,
        True,
    ),
]


def test_false_alarms_are_too_many_beyond_chance_or_when_they_last():
    found = [
        UnseenEvidence(alarms, 1.0, allowed, lasting).is_too_many
        for alarms, allowed, lasting, _ in FALSE_ALARMS
    ]
    assert found == [expected for *_, expected in FALSE_ALARMS]


def test_without_a_champion_its_side_of_the_table_is_a_dash():
    assert [*compared_rows(("a",), ("1",), None)] == [
        {"title": "a", "champion": "-", "challenger": "1"}
    ]


def test_alarms_that_come_together_count_as_fewer_instants():
    apart = share_interval(0.01, 0.01 * 0.99 / 10_000, 14)
    together = share_interval(0.01, 0.01 * 0.99 / 200, 14)
    assert together[0] < apart[0] < 0.01 < apart[1] < together[1]
    assert apart == pytest.approx((0.0082, 0.0122), abs=1e-4)  # Wilson, 100 of 10,000
    assert share_interval(0.0, 0.0, 14) == pytest.approx((0.0, 0.215), abs=1e-3)
