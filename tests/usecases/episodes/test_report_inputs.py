from datetime import UTC, datetime, timedelta

import pytest

from alerting.ports import DecisionRecord
from alerting.usecases.platform_health.drift import learned_from
from alerting.usecases.report_material.counted import decisions_made

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
