"""A threshold that a person fixes counts at once and with each later model, with its figures."""

import pytest

from alerting.reporting.definition.unseen_text import describe_test
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.document_kinds import document_with_point
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.model_registry import ModelCache, ModelEvidence, load_evidence
from alerting.usecases.training.training_requests import model_report
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers.moist_line import DAY, LINEAR, plant

pytestmark = pytest.mark.models
NAME = "too-moist"
TRAINED = 9 * DAY


def go_on(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))


def thresholds(platform, start, end):
    scores = platform.scores.for_interval(NAME, at(start + 1), at(end - 5))
    return {score["threshold"] for score in scores if score["threshold"] is not None}


def test_it_counts_from_now_on_and_later_models_report_their_figures_at_it():
    line = plant()
    apply(line, [LINEAR], "engineer", at(TRAINED), "test")
    go_on(line, TRAINED)
    train(line, NAME, at(TRAINED))
    go_on(line, TRAINED + DAY)
    evidence = load_evidence(line.models, line.runs, NAME, 1)
    chosen = evidence.test["threshold"]
    told = {
        p["threshold"]: describe_test(evidence.at_threshold(p["threshold"]).test)
        for p in evidence.curve
        if p["n_found"]
    }
    cut = min(t for t, text in told.items() if t > chosen and text != told[chosen])
    before = told[cut]
    document = document_with_point(line, NAME, cut)
    apply(line, [document], "ann", line.clock.now(), "more warning")
    go_on(line, TRAINED + 2 * DAY)
    assert thresholds(line, TRAINED, TRAINED + DAY) == {chosen}, "what was stays"
    assert thresholds(line, TRAINED + DAY, TRAINED + 2 * DAY) == {cut}
    raised = line.episodes.find(NAME, start=at(TRAINED + DAY + 5))
    assert {episode.evaluation.threshold for episode in raised} == {cut}
    report = model_report(line, NAME)
    assert describe_test(report.evidence.test) == before
    assert [p["threshold"] for p in report.evidence.curve if p["chosen"]] == [cut]
    again = train(line, NAME, at(TRAINED))
    assert describe_test(again.test) == before, "the same data, the same figures"
    assert again.test["threshold_reason"].startswith("fixed by the definition")
    assert "without it" in again.test["threshold_reason"]
    assert again.test["threshold"] == cut
    definition = line.definitions.newest_revision(NAME).definition
    trained = ModelCache(line).as_trained(definition, 1)
    assert (trained.threshold, ModelCache(line).get(definition, 1).threshold) == (chosen, cut)


def test_a_threshold_that_was_never_measured_gives_no_figures():
    test = {"threshold": 0.5, "n_events": 3, "n_found": 2}
    evidence = ModelEvidence(1, "run", curve=[{"threshold": 0.5, "chosen": True}], test=test)
    assert evidence.at_threshold(None) == evidence.at_threshold(0.5) == evidence
    elsewhere = evidence.at_threshold(0.123)
    assert (elsewhere.test, elsewhere.curve) == ({}, [{"threshold": 0.5, "chosen": False}])
