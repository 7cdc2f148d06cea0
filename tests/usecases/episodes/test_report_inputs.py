import json
from datetime import UTC, datetime, timedelta

import pytest

from alerting.definitions.fields.alarm import ALARM_RULE
from alerting.learning.selection.base_rate import BaseRate, PrecisionPoint, ProblemShare
from alerting.ports import DecisionRecord
from alerting.usecases.report_material.inputs import (
    decisions_made,
    learned_from,
    serving_base_rate,
)

pytestmark = pytest.mark.fast

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def decision(day, version, promoted=True, **evidence):
    return DecisionRecord(
        "too-moist",
        START + day * DAY,
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
    return {"start": (START + day * DAY).isoformat(), "end": (START + (day + 30) * DAY).isoformat()}


def test_a_report_states_decisions_before_its_end_and_a_promotion_without_metrics_has_ones_before():
    records = [
        decision(1, 1, expected={"ap": 0.7}),
        decision(5, 2),
        decision(6, 3, promoted=False),
        decision(9, 4),
    ]
    found = decisions_made(records, START + 9 * DAY)
    assert [(d.version, d.expected) for d in found] == [(1, {"ap": 0.7}), (2, {"ap": 0.7}), (3, {})]


def test_reference_is_what_model_of_the_scores_learned_from_also_if_it_was_promoted_afterwards():
    records = [decision(1, 1, learned=learned(-60)), decision(9, 2, learned=learned(-50))]
    assert learned_from(records, START + 5 * DAY, None)[0] == START - 60 * DAY
    assert learned_from(records, START + 5 * DAY, 2)[0] == START - 50 * DAY
    assert learned_from([decision(1, 1)], START + 5 * DAY, 1) is None


def test_the_share_of_problems_is_that_of_the_training_whose_threshold_serves():
    rates = [
        BaseRate(ProblemShare(share, 0.01), 0.4, None, (PrecisionPoint(0.4, 0.8, 0.6, 30),))
        for share in (0.1, 0.2)
    ]
    records = [
        decision(
            day,
            day,
            promoted,
            expected={"ap": 0.5},
            alarm_rule=ALARM_RULE,
            base_rate=json.loads(json.dumps(rate.to_document())),
        )
        for day, promoted, rate in ((1, True, rates[0]), (2, False, rates[1]))
    ]
    rolled_back = decision(3, 1)  # without metrics: the last ones
    assert serving_base_rate([*records, rolled_back], START + 9 * DAY) == rates[0]
    assert serving_base_rate(records, START) is None
    earlier = decision(1, 1, expected={"ap": 0.5})  # a promotion of an earlier release
    assert serving_base_rate([earlier], START + 9 * DAY) is None
