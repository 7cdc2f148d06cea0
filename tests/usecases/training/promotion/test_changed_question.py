"""An edit of the question: the revision before answers with its own champion until the new one has
a champion; real learners."""

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.revisions import question_of
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.due import find_due_trainings
from alerting.usecases.training.promote import model_history, rollback
from alerting.usecases.training.train import train
from tests.builders import at
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
LONGER = {"horizon": "45m", "title": "Far ahead"}


@pytest.fixture
def plant():
    """A trained definition; its question is changed a day later."""
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=10), at(0))
    platform.clock.instant = at(6 * DAY)
    apply(platform, [learned_quickly()], "engineer", at(0), "test")
    train(platform, NAME, at(6 * DAY))
    apply(platform, [learned_quickly(**LONGER)], "engineer", at(7 * DAY), "look further ahead")
    platform.clock.instant = at(8 * DAY)
    return platform


def raised_in(platform, start, end):
    return [
        e for e in platform.episodes.find(NAME) if at(start * DAY) < e.raised_at <= at(end * DAY)
    ]


def test_the_revision_before_goes_on_with_its_own_champion_and_words_until_the_new_question_has_one(
    plant,
):
    first, second = plant.definitions.revisions(NAME)
    assert [d.definition for d in find_due_trainings(plant, at(8 * DAY))] == [NAME]
    evaluate(plant, None, at(8 * DAY))

    waiting = raised_in(plant, 7, 8)
    assert waiting
    assert {(e.revision, e.model_version, e.title) for e in waiting} == {
        (1, 1, first.definition.title or NAME)
    }
    assert all(
        "answers revision 1; revision 2 is being trained" in e.evaluation.reason for e in waiting
    )
    assert {
        row["model_version"] for row in plant.scores.for_interval(NAME, at(7 * DAY), at(8 * DAY))
    } == {1}
    assert (
        model_history(plant, NAME)["answers"] == "answers revision 1; revision 2 is being trained"
    )
    assert (
        "answers revision 1; revision 2 is being trained"
        in why(plant, NAME, ASSET, at(7.5 * DAY)).facts
    )

    decided = train(plant, NAME, at(8 * DAY))

    assert (decided.verdict, decided.champion_version) == ("provisional", None), (
        "no champion answers the new question"
    )
    assert (
        plant.decisions.for_definition(NAME)[-1].question
        == question_of(second)
        != question_of(first)
    )
    assert plant.models.version_tags(NAME, 2)["question"] == question_of(second)
    assert plant.models.alias(NAME, "champion") == 2
    assert find_due_trainings(plant, at(8 * DAY)) == []
    plant.clock.instant = at(10 * DAY)
    evaluate(plant, None, at(10 * DAY))
    after = raised_in(plant, 8, 10)
    assert {(e.revision, e.model_version, e.title) for e in after} == {(2, 2, "Far ahead")}
    assert not any("is being trained" in e.evaluation.reason for e in after)
    assert model_history(plant, NAME)["answers"] is None
    with pytest.raises(UserError, match="all of the present question"):
        rollback(plant, NAME, "test", "ann", to=1)


def test_an_old_question_whose_variable_is_gone_is_unknown_with_that_reason(plant):
    oven = humid_oven()
    left = {name: v for name, v in oven.variables.items() if name != "moisture"}
    plant.assets.store_assets([oven.model_copy(update={"variables": left})])
    counts = evaluate(plant, None, at(8 * DAY))
    assert counts.unknown == {
        f"{NAME} on {ASSET}": "until revision 2 is trained, revision 1 answers, which needs "
        "moisture, and humid-oven has no such "
        "variable any more"
    }
    assert raised_in(plant, 7, 8) == []


def test_past_times_are_evaluated_by_the_champion_of_the_named_revisions_question(plant):
    assert evaluate_past(plant, NAME, at(6 * DAY), at(7 * DAY), revision="1").raised
    with pytest.raises(UserError, match="no champion for the question of revision 2"):
        evaluate_past(
            plant,
            NAME,
            at(6 * DAY),
            at(7 * DAY),
            revision=str(require_revision(plant.definitions, NAME).number),
        )
