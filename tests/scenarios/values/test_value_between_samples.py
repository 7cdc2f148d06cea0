"""A value between two laboratory samples: from a document without a problem to its report."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.revisions import question_hash
from alerting.kinds.registry import parse_definition
from alerting.learning.predicted_and_measured import GradedValues
from alerting.learning.selection.decision_rules import explain
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, check
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.scoring.predict import predict
from alerting.usecases.training.training_steps import train
from alerting.usecases.trend_samples import load_served_values
from tests.builders import at
from tests.helpers.console.episode_page import browser_of
from tests.helpers.lab_line import (
    ASSET,
    DAY,
    END,
    HOUR,
    NAME,
    TRAINED,
    document,
    evaluate_until,
    lab_platform,
    roaster,
    rows,
    trained_platform,
)
from tests.in_memory_platform import in_memory_platform


@pytest.fixture(scope="module")
def line():
    """Return a line that served values for four days, and the proposal of its training."""
    platform, proposal = trained_platform()
    return evaluate_until(platform), proposal


def values_of(platform, start=TRAINED, end=END):
    definition = platform.definitions.newest_revision(NAME).definition
    return load_served_values(
        platform.scores, platform.readings, definition, roaster(), at(start), at(end)
    )


def test_a_document_of_a_value_alone_is_checked_stored_and_read_back():
    platform = in_memory_platform()
    platform.assets.store_assets([roaster()])
    check(platform, [document()])
    apply(platform, [document()], "engineer", at(0), "test")
    stored = platform.definitions.newest_revision(NAME).definition
    written = stored.model_dump(mode="json", by_alias=True)
    assert written["variable"] == "quality"
    assert "problem" not in written
    assert parse_definition(written) == stored
    assert stored.variables_evaluated(roaster()) == {"heat", "quality"}


def test_a_forecast_with_a_problem_keeps_the_question_of_before():
    problem = {"variable": "quality", "below": 341}
    named = {"name": "q", "kind": "forecast", "assets": ["r"], "horizon": "1h"}
    before = parse_definition({**named, "problem": problem})
    assert question_hash(before) == "c51e7c2d20bafd2c"  # as computed before values served alone


def test_its_training_puts_values_into_service_that_beat_the_last_known_one_and_raise_no_alarm(
    line,
):
    platform, proposal = line
    test = proposal.evidence["values"]
    assert (proposal.verdict, proposal.promote) == ("provisional", True)
    assert test["crps"] < 0.6 * test["last_crps"]
    assert test["error"] < 0.6 * test["last_error"]
    assert test["share_better"] >= 0.9
    assert "chance" not in proposal.evidence
    assert proposal.reason == explain("first_values")
    stored = list(platform.scores.for_interval(NAME, at(0), at(END + 1)))
    assert len(stored) == (END - TRAINED) / 20
    [leads, lows, medians, highs] = np.array([row["values"][0] for row in stored]).T
    assert set(leads) == {HOUR * 60_000}
    assert (lows < medians).all()
    assert (medians < highs).all()
    assert {(row["score"], row["threshold"]) for row in stored} == {(None, None)}
    assert platform.episodes.find() == []


def test_each_sample_is_graded_by_what_was_said_before_it_from_the_instant_at_which_it_is_known(
    line,
):
    platform, _ = line
    graded = values_of(platform).graded
    assert len(graded.at) == 95  # one an hour; the one of the last hour is not known yet
    assert (graded.predicted_at == graded.at - 20 * 60_000).all()
    assert graded.error < 0.5 * graded.last_error
    assert 0.8 < graded.coverage < 1
    # the last known value is the sample of two hours before: an hour apart, known after 50 minutes
    assert (graded.last[2:] == graded.value[:-2]).all()
    taken = END - 5 * HOUR
    before, after = (values_of(platform, end=taken + delay).graded.at for delay in (49, 50))
    assert len(after) == len(before) + 1
    assert after[-1] == at(taken).timestamp() * 1000


def test_predict_and_why_answer_with_the_value(line):
    platform, _ = line
    found = predict(platform, ModelCache(platform), NAME, ASSET)
    [value] = found.forecast
    [*_, newest] = platform.scores.for_interval(NAME, at(END), at(END + 1))
    assert [value.low, value.median, value.high] == newest["values"][0][1:]
    assert (found.score, found.threshold, found.would_raise, found.unknown) == (None,) * 4
    answer = why(platform, NAME, ASSET, at(END))
    assert (answer.verdict, answer.unknown) == ("normal", None)
    assert f"forecast of quality in 1 h: {value.median:.4g} points" in answer.answer


WORSE = "The predicted value was worse than the last known value alone."


def test_the_page_draws_the_value_beside_the_samples_and_the_report_grades_it_without_alarms(line):
    platform, _ = line
    page = browser_of(platform).get(f"/models/{NAME}").text
    graded = values_of(platform).graded
    assert "Its values serve, and no alarm is raised." in page
    assert page.count('class="dot sample"') > 40
    assert 'class="fan"' in page
    assert "95 samples since " in page
    assert f": the value was off by {graded.error:.4g} points on average" in page
    assert f"the 90 % interval held {100 * graded.coverage:.0f} %" in page
    explained = f"It explained {100 * graded.explained:.0f} % of the variance; the interval was "
    assert f"{explained}{graded.width:.4g} points wide on average." in page
    assert "problem" not in page[page.index("Predicted value") : page.index("Decisions")]
    assert WORSE not in page
    made = make_report(platform, NAME, at(TRAINED), at(END), at(END))
    assert made.metrics["values"]["total"]["samples"] == len(graded.at)
    assert made.metrics["values"]["total"]["error"] == pytest.approx(graded.error)
    assert made.headline.startswith("Trust it: The predicted value was off by")
    assert 'aria-label="roaster-1: predicted quality with its 90 % interval' in made.page
    alarms = ("False alarms", "Lead time", "problems were predicted")
    assert [word for word in alarms if word in made.page] == []


def test_values_worse_than_the_last_known_one_are_called_so_in_colour(line, monkeypatch):
    platform, _ = line
    graded = values_of(platform).graded
    off = replace(graded, median=graded.median + 9)
    unknown = replace(off, last=np.full(len(graded.at), np.nan))
    assert [one.is_worse_than_last for one in (graded, off, unknown)] == [False, True, False]
    monkeypatch.setattr(GradedValues, "is_worse_than_last", True)
    assert f'<p class="fault">{WORSE}</p>' in browser_of(platform).get(f"/models/{NAME}").text
    report = make_report(platform, NAME, at(TRAINED), at(END), at(END))
    assert f'<p class="doubt">{WORSE}</p>' in report.page


CONSTANT = "The predicted value is a constant."
NO_BETTER = "The predicted value was no better than the mean of the samples."


@pytest.mark.parametrize(
    ("moves", "said", "not_said"), [(0.0, CONSTANT, NO_BETTER), (1.0, NO_BETTER, CONSTANT)]
)
def test_values_that_explain_nothing_are_not_trusted_and_a_constant_is_called_one(
    line, monkeypatch, moves, said, not_said
):
    platform, _ = line
    graded = values_of(platform).graded
    noise = np.random.default_rng(1).normal(size=len(graded.at))
    blind = replace(graded, median=graded.value.mean() + moves * noise)
    for name in ("is_constant", "is_no_better_than_mean", "explained"):
        monkeypatch.setattr(GradedValues, name, getattr(blind, name))
    page = browser_of(platform).get(f"/models/{NAME}").text
    report = make_report(platform, NAME, at(TRAINED), at(END), at(END))
    assert f'<p class="fault">{said}</p>' in page
    assert f'<p class="doubt">{said}</p>' in report.page
    assert not_said not in page + report.page
    assert report.headline.startswith("Do not rely on it")


def test_a_limit_that_is_never_crossed_leaves_the_value_in_service_and_no_alarm():
    limit = {"variable": None, "problem": {"variable": "quality", "above": 500}}
    platform, proposal = trained_platform(**limit)
    assert proposal.promote
    assert "No alarm is raised: 0 problems to learn from are too few" in proposal.details
    evaluate_until(platform, TRAINED + 12 * HOUR)
    [*_, newest] = platform.scores.for_interval(NAME, at(0), at(END))
    assert (newest["score"], len(newest["values"])) == (None, 1)
    assert platform.episodes.find() == []


def test_a_model_without_an_alarm_does_not_end_an_alarm_in_service():
    crossed = {"variable": None, "problem": {"variable": "quality", "above": 116}}
    platform, first = trained_platform(**crossed)
    assert first.promote
    assert "values" not in first.evidence
    few = document(**crossed, periods={"start": at(26 * DAY).isoformat()})
    apply(platform, [few], "engineer", at(TRAINED), "a short history")
    platform.clock.instant = at(TRAINED + HOUR)
    second = train(platform, NAME, at(TRAINED + HOUR))
    assert (second.verdict, second.promote) == ("no_challenger", False)
    assert second.evidence["values"]["passed"]
    assert "they give no alarm, and the model in service may give one" in second.reason
    evaluate_until(platform, TRAINED + 12 * HOUR)
    [*_, newest] = platform.scores.for_interval(NAME, at(0), at(END))
    assert (newest["model_version"], newest["score"] is None) == (1, False)
    assert len(newest["values"]) == 1  # with an alarm the value serves too


def test_values_no_better_than_the_last_known_one_are_refused():
    platform = lab_platform()
    steps = np.random.default_rng(3).normal(size=len(rows())).cumsum()
    unrelated = [
        ReadingRow(ASSET, row.ts, row.values | {"quality": 100 + float(step)})
        for row, step in zip(rows(), steps, strict=True)
        if "quality" in row.values
    ]
    add_readings(platform, unrelated, at(0))
    proposal = train(platform, NAME, at(TRAINED))
    assert (proposal.verdict, proposal.promote) == ("no_challenger", False)
    assert "not clearly better than the last known one and the mean" in proposal.reason
    assert "What may help" in proposal.details
