"""Lines on which nothing shows the problem before it is there, or nothing tells more than the last
known value: no model is promoted for saying that it is there, the alert at the limit is proposed,
ready to apply, and the last value serves with its reasons and its advice."""

import numpy as np
import pytest
import yaml

from alerting.cli.command import print_lines
from alerting.cli.model_commands import lines_of_proposal
from alerting.definitions.asset_documents import Variable
from alerting.kinds.registry import parse_definition
from alerting.learning.features.point_in_time import build_features
from alerting.learning.selection.choice import find_present
from alerting.learning.selection.decision import threshold_alert
from alerting.learning.selection.decision_rules import explain
from alerting.ports import WantedHistory
from alerting.readings.history import to_millis
from alerting.reporting.definition.decision_text import decision_markdown, proposed_alert
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import load_model
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.run_files import load_dataset
from tests.builders import at, classifier, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.helpers.learning.training import oven_platform, train_document

pytestmark = pytest.mark.models
DAY = 1440
TRAINED = 10 * DAY
END = 11 * DAY
minutes = np.arange(0, END, 5)
SEVERAL = [{"variable": "moisture", "above": 4}, {"variable": "temperature", "below": 9}]
PROBLEM = {"variable": "moisture", "above": 4.5, "predict": "state", "clear": 4.2}


def trained_on(warning):
    """Return a platform and its training; the humidity rises `warning` minutes before each
    problem."""
    random = np.random.default_rng(1)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in np.cumsum(random.integers(200, 420, 50)).tolist():
        moisture[(minutes >= start) & (minutes < start + 60)] += 1.6
        humidity[(minutes >= start - warning) & (minutes < start)] += 8
    platform = oven_platform((minutes, humidity, moisture), TRAINED)
    learning = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}
    features = {"stride": "5m", "windows": ["15m"], "aggregations": ["last", "mean"]}
    document = too_moist(problem=PROBLEM, learning=learning, features=features, severity="high")
    return platform, train_document(platform, document)


@pytest.fixture(scope="module")
def refused():
    return trained_on(warning=0)


def test_a_model_that_knows_the_problem_only_once_it_is_there_is_refused(refused):
    platform, result = refused
    chance = result.evidence["chance"]
    assert chance["ap"] > chance["bound"], "on all rows it is far beyond chance"
    assert chance["onset"]["ap"] <= chance["onset"]["bound"]
    assert (result.verdict, result.promote) == ("no_challenger", False)
    assert result.reason == explain("nothing_to_forecast")
    assert result.details.endswith("The definition of that alert is ready to be applied.")
    assert 0.1 < find_present(load_dataset(platform.runs, result.run_id)).mean() < 0.5


def test_a_model_that_knows_it_before_is_promoted():
    _, result = trained_on(warning=30)
    assert (result.verdict, result.promote) == ("provisional", True)
    assert min(result.test["n_found"], result.test["median_lead_time"]) > 0
    assert proposed_alert(result.evidence) == ""


def test_the_proposed_alert_is_shown_everywhere_and_raises_where_the_problem_begins(
    refused, capsys
):
    platform, result = refused
    proposed = proposed_alert(result.evidence)
    print_lines(lines_of_proposal(result, verbose=False))
    assert capsys.readouterr().out.endswith(f"--verbose\n\n{proposed}")
    print_lines(lines_of_proposal(result, verbose=True))
    assert capsys.readouterr().out.endswith(f"\n\n{proposed}")
    assert decision_markdown(result).endswith(f"```yaml\n{proposed}```\n")
    assert proposed.splitlines()[0] in browser_of(platform).get("/models/too-moist").text
    report = make_report(platform, "too-moist", at(0), at(TRAINED + 1), at(TRAINED + 1))
    assert f"<pre>{proposed}</pre>" in report.page
    apply(platform, [yaml.safe_load(proposed)], "engineer", at(TRAINED), "as proposed")
    platform.clock.instant = at(END)
    evaluate(platform, None, at(END))
    raised = platform.episodes.find("too-moist-at-limit")
    assert len(raised) >= 3
    assert all(e.severity == "high" and e.evaluation.value > 4.5 for e in raised)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ({"variable": "moisture", "above": 4.5}, {"above": 4.5}),
        (
            {"variable": "moisture", "below": 3, "above": 5, "for": "5m", "merge_within": "1h"}
            | {"clear": {"difference": 0.5}},
            {"above": 5, "below": 3, "for": "5m", "clear_for": "1h"}
            | {"clear_above_at": 4.5, "clear_below_at": 3.5},
        ),
        ({"variable": "crew", "equals": "early"}, {"equals": "early"}),
        ({"all": SEVERAL}, {"all": SEVERAL}),
    ],
)
def test_each_problem_by_values_has_a_valid_alert_at_its_limits(problem, expected):
    definition = classifier(problem=problem, tags=["line 1"], guidance={"action": "Slow down"})
    document = yaml.safe_load(threshold_alert(definition))
    assert document.items() >= {"name": "too-moist-at-limit", **expected}.items()
    alert = parse_definition(document)
    assert (alert.tags, alert.guidance.action) == (("line 1",), "Slow down")
    assert threshold_alert(classifier(problem={"event": "failure"})) == ""


@pytest.fixture(scope="module")
def persistent():
    """A platform and its training: moisture wanders slowly around 3.5, humidity tells nothing of
    it."""
    random = np.random.default_rng(0)
    moisture = np.zeros(len(minutes))
    for i, step in enumerate(random.normal(0, 1, len(minutes) - 1)):
        moisture[i + 1] = 0.93 * moisture[i] + np.sqrt(1 - 0.93**2) * step
    line = minutes, random.normal(45, 3, len(minutes)), 3.5 + 0.6 * moisture
    controllable = Variable(unit="%", controllable=True, min=2, max=6, step=0.05)
    platform = oven_platform(line, TRAINED, moisture=controllable)
    document = too_moist(
        problem={"variable": "moisture", "above": 4.2, "predict": "state"},
        learning={"trials": 2, "folds": 3, "candidates": ["random_forest"]},
        features={"stride": "5m"},
    )
    return platform, train_document(platform, document)


def test_a_person_decides_on_the_last_value_with_the_counts_and_the_alert_at_hand(persistent):
    platform, result = persistent
    assert (result.verdict, result.promote, result.waiting) == ("provisional", True, True)
    assert result.objection == "last_value_serves"
    counted = result.test["found_in_validation"]
    words = f"{counted['found']} of {counted['problems']} problems of the validation period"
    assert result.reason.startswith("It ranks better than chance. But ")
    assert "it is the last known value alone" in result.reason
    assert words in result.reason
    assert "can be used" not in result.reason
    assert yaml.safe_load(proposed_alert(result.evidence))["above"] == 4.2
    approved = promote_run(platform, result.run_id, approved_by="ann")
    assert (approved.promote, approved.waiting) == (True, False)


def test_the_last_value_is_calibrated_and_judged_like_any_other_model(persistent):
    platform, result = persistent
    assert platform.models.version_tags("too-moist", 1)["family"] == "persistence"
    assert {c.family: c.trials for c in result.leaderboard}["persistence"] == 1
    assert result.test["brier"] < 0.1
    assert 0 < result.test["threshold"] < 1
    assert {name for name, share in result.importance.items() if share} == {"moisture"}


def test_its_episodes_are_explained_by_the_last_value_alone_and_the_advice_agrees_with_the_score(
    persistent,
):
    platform, _ = persistent
    platform.clock.instant = at(END - 5)
    counts = evaluate(platform, None, at(END - 5))
    assert (counts.unknown, counts.unreadable) == ({}, {})
    episode = platform.episodes.find("too-moist")[-1]
    model = load_model(platform, classifier(), 1).serving(episode.raised_at)
    history = platform.readings.load(WantedHistory(platform.assets.all()[0], None, at(END)))
    row = build_features(model.plan, history, np.array([to_millis(episode.raised_at)]))
    score = pytest.approx(model.score(row)[0])
    advice = episode.recommendation
    assert (episode.evaluation.value, advice.risk_before) == (score, score)
    assert {c.variable for c in episode.contributions if abs(c.share) > 1e-9} == {"moisture"}
    lower = row.assign(**{"moisture.last": advice.changes[0].after})
    assert advice.risk_after == pytest.approx(model.score(lower)[0], abs=1e-6)
