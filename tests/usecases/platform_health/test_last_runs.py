"""Last evaluation and training in lists."""

import pytest

from alerting.definitions.revisions import question_of
from alerting.definitions.wording.language import translatable
from alerting.ports import DecisionRecord, ReadingRow, Training
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.platform_alerts import record_waiting
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.platform_health.last_runs import LastRuns, last_runs
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


def test_before_the_first_evaluation_and_training_there_is_none(platform):
    assert runs(platform) == {
        "too-hot": LastRuns(),
        "too-moist": LastRuns(None, None, "not trained"),
    }


def test_the_last_evaluation_is_that_up_to_which_all_assets_are_evaluated(platform):
    add_readings(platform, [ReadingRow("oven-1", at(5), {"temperature": 200})], at(5))
    platform.clock.instant = at(8)
    evaluate(platform, ["too-hot"], at(8))
    assert runs(platform)["too-hot"] == LastRuns(at(8))
    assert runs(platform)["too-moist"].evaluated_at is None


def decided(verdict, champion=None):
    return DecisionRecord(
        "too-moist",
        at(9),
        1,
        1,
        champion,
        verdict == "promote",
        False,
        verdict,
        "because",
        {},
        "run",
        "platform",
    )


@pytest.mark.parametrize(
    ("ended", "failure", "verdict", "waits", "state"),
    [
        (None, None, None, False, "training"),
        (at(9), "too few problems", None, False, "failed"),
        (at(9), None, None, True, "waiting"),
        (at(9), None, "keep", False, "refused"),
        (at(9), None, "promote", False, "trained"),
        (at(9), None, "refreshed", False, "trained"),
    ],
)
def test_the_state_of_a_model_follows_its_last_training(
    platform, ended, failure, verdict, waits, state
):
    question = question_of(require_revision(platform.definitions, "too-moist"))
    platform.trainings.begin(Training("too-moist", question, "run", 1, at(7), ended, failure))
    if verdict:
        platform.decisions.add(decided(verdict))
    record_waiting(
        platform.platform_alerts,
        "too-moist",
        translatable("it is better") if waits else None,
        at(9),
    )
    assert runs(platform)["too-moist"] == LastRuns(None, ended or at(7), state)


@pytest.mark.parametrize(
    ("verdict", "champion", "state"),
    [("keep", None, "refused"), ("keep", 1, "trained"), ("stale", None, "trained")],
)
def test_a_definition_with_a_model_in_service_is_never_said_to_be_refused(
    platform, verdict, champion, state
):
    """Also after a second training beside the first: its decision is stale."""
    question = question_of(require_revision(platform.definitions, "too-moist"))
    platform.trainings.begin(Training("too-moist", question, "run", 1, at(7), at(9)))
    platform.decisions.add(decided(verdict, champion))
    assert runs(platform)["too-moist"].model == state
