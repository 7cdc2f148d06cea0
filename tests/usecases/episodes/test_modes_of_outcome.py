"""The modes of an outcome: those that came in the whole window, whenever it was determined; and
when an outcome will be known."""

import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.episodes.outcomes import determine_due_outcomes
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_moist
from tests.helpers.episodes import episode
from tests.in_memory_platform import in_memory_platform

MODES = {
    "wet": {"variable": "moisture", "above": 4.5},
    "hot": {"variable": "temperature", "above": 240.0},
}


@pytest.mark.parametrize("rounds", [(12, 20, 32, 120), (120,)])
def test_live_and_after_a_catch_up_the_same_modes_came(rounds):
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist(modes=MODES, problem=None)], "engineer", at(0), "test")
    predicted = {"kind": "classifier", "is_prediction": True, "valid_until": at(30)}
    raised = episode(0, "too-moist", **predicted, outcome_due_at=at(0))
    platform.episodes.insert(raised)
    arrived = 0
    for minute in rounds:
        rows = [
            ReadingRow(
                "oven-1",
                at(m),
                {"moisture": 4.0 + (m == 10), "temperature": 200.0 + 50 * (m == 25)},
            )
            for m in range(arrived, minute)
        ]
        add_readings(platform, rows, at(minute))
        arrived = minute
        determine_due_outcomes(platform, at(minute))
    record = platform.episodes.get(raised.id).outcome_record
    assert (record.outcome, record.problem_at, record.modes) == ("hit", at(10), ("wet", "hot"))


def test_an_outcome_that_is_to_come_says_when_as_a_fact():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(0), "test")
    predicted = {"kind": "classifier", "is_prediction": True, "valid_until": at(30)}
    raised = episode(0, "too-moist", **predicted, outcome_due_at=at(0))
    platform.episodes.insert(raised)
    determine_due_outcomes(platform, at(5))
    waiting = platform.episodes.get(raised.id)
    assert waiting.outcome_record.known_at == waiting.outcome_due_at > at(30)
    determine_due_outcomes(platform, waiting.outcome_due_at)
    assert platform.episodes.get(raised.id).outcome_record.known_at is None
