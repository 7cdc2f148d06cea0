"""A line on which nothing shows the problem before it is there: no model is promoted for saying
that it is there, and the alert at the limit is proposed, ready to apply."""

import numpy as np
import pytest
import yaml

from alerting.cli.models import show_proposal
from alerting.definitions.assets import Variable
from alerting.kinds.validation import parse_definition
from alerting.learning.selection.choice import find_present, threshold_alert
from alerting.ports import ReadingRow
from alerting.reporting.page.decision_text import decision_markdown, proposed_alert
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.run import load_dataset
from alerting.usecases.training.train import train
from tests.builders import at, classifier, oven, too_moist
from tests.helpers.console.episode_page import browser_of
from tests.in_memory_platform import Mailbox, in_memory_platform

pytestmark = pytest.mark.models
EVERY = 5
DAY = 1440
TRAINED = 10 * DAY
SEVERAL = [{"variable": "moisture", "above": 4}, {"variable": "temperature", "below": 9}]
PROBLEM = {"variable": "moisture", "above": 4.5, "predict": "state", "clear": 4.2}


def trained_on(warning):
    """Return a platform and its training; the humidity rises `warning` minutes before each
    problem."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(humidity=Variable(unit="%"))])
    random = np.random.default_rng(1)
    minutes = np.arange(0, TRAINED + DAY, EVERY)
    humidity = 40 + random.normal(0, 1, len(minutes))
    moisture = 3.5 + random.normal(0, 0.1, len(minutes))
    for start in np.cumsum(random.integers(200, 420, 50)).tolist():
        moisture[(minutes >= start) & (minutes < start + 60)] += 1.6
        humidity[(minutes >= start - warning) & (minutes < start)] += 8
    rows = [
        ReadingRow("oven-1", at(int(m)), {"humidity": float(h), "moisture": float(w)})
        for m, h, w in zip(minutes, humidity, moisture, strict=True)
    ]
    add_readings(platform, rows, at(0))
    learning = {"trials": 1, "folds": 2, "candidates": ["logistic_regression"]}
    features = {"stride": "5m", "windows": ["15m"], "aggregations": ["last", "mean"]}
    document = too_moist(problem=PROBLEM, learning=learning, features=features, severity="high")
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(TRAINED)
    return platform, train(platform, "too-moist", at(TRAINED))


@pytest.fixture(scope="module")
def refused():
    return trained_on(warning=0)


def test_a_model_that_knows_the_problem_only_once_it_is_there_is_refused(refused):
    platform, result = refused
    chance = result.evidence["chance"]
    assert chance["ap"] > chance["bound"], "on all rows it is far beyond chance"
    assert chance["onset"]["ap"] <= chance["onset"]["bound"]
    assert (result.verdict, result.promote) == ("no_challenger", False)
    assert result.reason.startswith(
        "There is nothing to forecast here: on the rows at which the problem is not there yet, the "
        "best average precision out of fold, "
    )
    assert result.reason.endswith("its definition is ready for `alerting apply`.")
    data = load_dataset(platform.runs, result.run_id)
    assert 0.1 < find_present(data).mean() < 0.5


def test_a_model_that_knows_it_before_is_promoted():
    _, result = trained_on(warning=30)
    assert (result.verdict, result.promote) == ("provisional", True)
    assert result.test["n_found"] > 0
    assert result.test["median_lead_time"] > 0
    assert proposed_alert(result.evidence) == ""


def test_the_proposed_alert_is_shown_everywhere_and_raises_where_the_problem_begins(
    refused, capsys
):
    platform, result = refused
    proposed = proposed_alert(result.evidence)
    show_proposal(result, verbose=False)
    assert proposed in capsys.readouterr().out
    assert f"```yaml\n{proposed}```" in decision_markdown(result)
    assert proposed.splitlines()[0] in browser_of(platform).get("/models/too-moist").text
    report = make_report(platform, "too-moist", at(0), at(TRAINED + 1), at(TRAINED + 1))
    assert f"<pre>{proposed}</pre>" in report.page
    apply(platform, [yaml.safe_load(proposed)], "engineer", at(TRAINED), "as proposed")
    platform.clock.instant = at(TRAINED + DAY)
    evaluate(platform, None, at(TRAINED + DAY))
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
    assert {key: document[key] for key in expected} == expected
    assert document["name"] == "too-moist-at-limit"
    alert = parse_definition(document)
    assert (alert.tags, alert.guidance.action) == (("line 1",), "Slow down")


def test_events_have_no_alert_at_a_limit():
    assert threshold_alert(classifier(problem={"event": "failure"})) == ""
