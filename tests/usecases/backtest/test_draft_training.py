"""A draft is trained as it would be after it was applied, in memory alone, and shows its past."""

import pytest

from alerting.definitions.faults import UserError
from alerting.reporting.definition.decision_text import unseen_lines
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.draft_training import train_draft
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.training.training_steps import train
from tests.builders import too_hot
from tests.helpers.moist_line import LINEAR, plant

pytestmark = pytest.mark.models
ASSETS = {"name": "unlike", "assets": ["oven-1"]}
LEARNED = {"learned": {"quantile": 0.99, "over": "7d"}}
OF_READINGS = [
    {**ASSETS, "kind": "anomaly"},
    {**ASSETS, "kind": "control_chart", "variable": "temperature"},
    {
        **ASSETS,
        "kind": "threshold",
        "variable": "temperature",
        "above": LEARNED,
    },
]


def trained(platform, document, require_time=lambda: None, **bounds):
    """Return what the training of a draft shows, and its steps."""
    steps = []

    def report(step, done, total):
        steps.append(step)

    subject = written_subject(platform, document)
    now = platform.clock.now()
    return train_draft(platform, subject, now, report, require_time, **bounds), steps


def stored(platform, name):
    return [
        [*platform.models.versions(name)],
        platform.decisions.for_definition(name),
        platform.trainings.for_definitions([name]),
        platform.runs.open_runs(name),
        platform.episodes.find(name),
        platform.platform_alerts.open(),
        platform.definitions.revisions(name),
    ]


def test_a_draft_prints_what_train_prints_shows_those_alarms_and_leaves_nothing():
    platform = plant()
    made, steps = trained(platform, LINEAR)
    assert stored(platform, "too-moist") == [[]] * 7
    assert steps[0] == "building the dataset"
    assert steps[-1] == "evaluating the unseen time"
    apply(platform, [LINEAR], "engineer", platform.clock.now(), "test")
    proposal = train(platform, "too-moist", platform.clock.now())
    assert list(made.trained[:2]) == unseen_lines(proposal.test)
    test = proposal.test
    assert made.episodes == test["n_episodes"] == len(made.drawn.draft)
    assert {panel.name for panel in made.drawn.panels} == {"Risk", "moisture"}
    assert len(made.drawn.problem) >= test["n_events"]
    assert made.since >= proposal.dataset.parts["validation"].end, "not what chose the threshold"


@pytest.mark.parametrize("document", OF_READINGS, ids=lambda document: document["kind"])
def test_a_model_of_readings_alone_shows_the_time_that_it_had_not_seen(document):
    platform = plant()
    made, _ = trained(platform, document)
    assert stored(platform, "unlike") == [[]] * 7
    assert any("Learned from" in line for line in made.trained)
    if document["kind"] == "threshold":
        assert made.drawn is None, "its limits are quantiles of all of the newest readings"
        return
    assert (made.drawn.panels[0].name, made.drawn.problem) == ("Score", ())
    assert made.episodes >= len(made.drawn.draft)


class Stopped(Exception):
    """Raised by a person who no longer waits."""


def test_it_ends_where_it_is_stopped_reads_too_much_or_has_no_model():
    platform = plant()

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        trained(platform, LINEAR, stop)
    with pytest.raises(UserError, match="needs more than 100 readings"):
        trained(platform, LINEAR, most_readings=100)
    with pytest.raises(UserError, match="is a threshold definition; trained are"):
        trained(platform, too_hot(variable="temperature"))
    assert stored(platform, "too-moist") == [[]] * 7
