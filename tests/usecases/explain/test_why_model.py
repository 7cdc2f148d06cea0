"""Why, for a definition with a model whose weights are written by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.revisions import definition_document
from alerting.learning.models import files as model_files
from alerting.ports import DecisionRecord, ModelUnavailable, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.registry.registration import register_model
from tests import small_models
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
SINCE = small_models.START + 20 * HOUR


def decided(at):
    return DecisionRecord(
        "too-moist", at, 1, 1, None, True, True, "provisional", "first", {}, "run-1", "platform"
    )


@pytest.fixture(scope="module")
def material():
    data = small_models.dataset(hours=60)
    history = small_models.line(60)
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0}, threshold=0.5, training_cutoff=SINCE - HOUR
    )
    return history, model


@pytest.fixture(scope="module")
def line(material):
    """A platform with a champion; asking why changes nothing of it."""
    history, _ = material
    made = in_memory_platform()
    made.assets.store_assets([history.asset])
    rows = [
        ReadingRow("oven-1", ts.to_pydatetime(), {k: v for k, v in row.items() if v == v})  # noqa: PLR0124 - NaN is missing
        for ts, row in history.readings.iterrows()
    ]
    add_readings(made, rows, small_models.START)
    apply(
        made,
        [definition_document(small_models.definition())],
        "engineer",
        small_models.START,
        "test",
    )
    register_model(made, "too-moist", "run-1", {"version": b"1"}, {}, {})
    made.decisions.add(decided(SINCE))
    return made


@pytest.fixture
def platform(line, material, monkeypatch):
    monkeypatch.setattr(model_files, "model_from_files", lambda files: material[1])
    return line


def answers(platform):
    return [why(platform, "too-moist", "oven-1", SINCE + hours * HOUR) for hours in range(1, 38, 2)]


def test_a_score_is_held_against_its_threshold_and_its_reasons_are_named(platform):
    found = answers(platform)
    verdicts = {a.verdict for a in found}
    assert {"open", "normal"} <= verdicts <= {"open", "pending", "normal", "unknown"}
    for answer in found:
        if answer.verdict != "unknown":
            assert (answer.score >= answer.threshold) == (answer.verdict in ("open", "pending"))
            assert answer.model_version == 1
            assert "air humidity" in answer.facts[1]
        else:
            assert answer.unknown == "the problem has already started"


def test_a_raise_that_waits_for_a_lower_risk_after_a_problem_is_said(line, material, monkeypatch):
    _, model = material
    always_high = replace(model, threshold=1e-9)
    monkeypatch.setattr(model_files, "model_from_files", lambda files: always_high)
    problems = small_models.dataset(hours=60).problems
    alone = (problems["start"].shift(-1) - problems["end"] > HOUR) & (
        problems["start"] > SINCE + HOUR
    )
    over = problems["end"][alone].iloc[0].to_pydatetime()
    held, again = (
        why(line, "too-moist", "oven-1", over + minutes * HOUR / 60) for minutes in (20, 41)
    )
    assert (held.verdict, held.due_at) == ("pending", over + HOUR / 2)
    assert "it has not been lower than that since the last problem was over" in held.answer
    assert held.score >= held.threshold
    assert again.verdict == "open"


def test_a_model_that_cannot_be_read_is_said(platform, monkeypatch):
    def unreadable(files):
        raise ModelUnavailable("the registry does not answer")

    monkeypatch.setattr(model_files, "model_from_files", unreadable)
    found = why(platform, "too-moist", "oven-1", SINCE + HOUR)
    assert (found.verdict, found.unknown) == (
        "unknown",
        "the model cannot be read: the registry does not answer",
    )
