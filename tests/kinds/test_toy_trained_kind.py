"""A kind with a model of its own, in one folder outside of the package, is trained and served, and
nothing else is touched."""

import pytest

from alerting.kinds.registry import registered, trained_kinds
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, check
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import load_model
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers.kind_life import assert_past_agrees_with_live
from tests.humid_line import ASSET, DAY, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

NAME = "humid"
DOCUMENT = learned_quickly() | {
    "name": NAME,
    "kind": "unlike",
    "watched": "humidity",
    "deviations": 1,
}


@pytest.fixture(scope="module", autouse=True)
def toy_kind():
    with registered("tests.kinds.toy_trained_kind"):
        yield
    assert "unlike" not in trained_kinds()


@pytest.fixture(scope="module")
def platform(toy_kind):
    """Trained on eight days, evaluated live for a day after them. Its own: of a kind of its own."""
    made = in_memory_platform()
    made.assets.store_assets([humid_oven()])
    add_readings(made, line(days=9), at(0))
    check(made, [DOCUMENT])
    apply(made, [DOCUMENT], "engineer", at(0), "test")
    made.clock.instant = at(8 * DAY)
    assert train(made, NAME, at(8 * DAY)).promote
    for minute in (*range(8 * DAY, 9 * DAY, 95), 9 * DAY):
        made.clock.instant = at(minute)
        counts = evaluate(made, None, at(minute))
    assert (counts.unknown, counts.unreadable) == ({}, {})
    return made


def test_its_own_model_is_registered_raises_episodes_and_stays_champion(platform):
    model = load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)
    assert (model.family, model.column) == ("usual_values", "humidity.last")
    assert 40 < model.mean < 50
    assert platform.models.version_tags(NAME, 1)["family"] == "usual_values"
    raised = platform.episodes.find(NAME)
    assert len(raised) > 3
    assert {e.model_version for e in raised} == {1}
    assert raised[0].evaluation.reason.startswith("humidity is ")
    assert why(platform, NAME, ASSET, raised[0].raised_at).verdict == "open"
    again = train(platform, NAME, at(8 * DAY))
    assert (again.verdict, again.promote) == ("keep", False)


def test_its_past_agrees_with_live(platform):
    assert_past_agrees_with_live(platform, NAME, 8 * DAY, 9 * DAY)
