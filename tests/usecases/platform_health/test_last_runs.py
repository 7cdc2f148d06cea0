"""Last evaluation and training in lists."""

import pytest

from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import translatable
from alerting.ports import DecisionRecord, ReadingRow, Training
from alerting.usecases.alarm_load.definition_overview import LastRuns, last_runs
from alerting.usecases.definitions.faults_and_platform_alerts import record_waiting
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import in_memory_platform


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(), too_moist()], "engineer", at(0), "test")
    return made


def runs(platform):
    return last_runs(platform, platform.definitions.latest_revisions())


def test_the_last_evaluation_is_that_up_to_which_all_assets_are_evaluated(platform):
    untrained = LastRuns(None, None, "not trained")
    assert runs(platform) == {"too-hot": LastRuns(), "too-moist": untrained}
    add_readings(platform, [ReadingRow("oven-1", at(5), {"temperature": 200})], at(5))
    platform.clock.instant = at(8)
    evaluate(platform, ["too-hot"], at(8))
    assert runs(platform) == {"too-hot": LastRuns(at(8)), "too-moist": untrained}


# A definition with a model in service is never said to be refused, also after a second training
# beside the first: its decision is stale.
@pytest.mark.parametrize(
    ("ended", "failure", "verdict", "champion", "waits", "state"),
    [
        (None, None, None, None, False, "training"),
        (at(9), "too few problems", None, None, False, "failed"),
        (at(9), None, None, None, True, "waiting"),
        (at(9), None, "keep", None, False, "refused"),
        (at(9), None, "keep", 1, False, "trained"),
        (at(9), None, "stale", None, False, "trained"),
        (at(9), None, "promote", None, False, "trained"),
        (at(9), None, "refreshed", None, False, "trained"),
    ],
)
def test_the_state_of_a_model_follows_its_last_training(
    platform, ended, failure, verdict, champion, waits, state
):
    question = question_of(require_revision(platform.definitions, "too-moist"))
    platform.trainings.begin(Training("too-moist", question, "run", 1, at(7), ended, failure))
    if verdict:
        told = (champion, verdict == "promote", False, verdict, "because", {}, "run", "platform")
        platform.decisions.add(DecisionRecord("too-moist", at(9), 1, 1, *told))
    reason = translatable("it is better") if waits else None
    record_waiting(platform.platform_alerts, "too-moist", reason, at(9))
    assert runs(platform)["too-moist"] == LastRuns(None, ended or at(7), state)
