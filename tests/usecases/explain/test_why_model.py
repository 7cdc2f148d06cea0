"""Why, for a definition with a model whose weights are written by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.learning.models import model_files
from alerting.ports import ModelUnavailable
from alerting.usecases.explain import why
from tests import small_models
from tests.helpers.learning.small_plant import decided, serve, small_plant

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
SINCE = small_models.START + 20 * HOUR


@pytest.fixture(scope="module")
def data():
    return small_models.dataset(hours=60)


@pytest.fixture(scope="module")
def model(data):
    return small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0}, threshold=0.5, training_cutoff=SINCE - HOUR
    )


@pytest.fixture(scope="module")
def platform():
    """A platform with a champion; asking why changes nothing of it."""
    return small_plant(60, decided(SINCE))


def test_a_score_is_held_against_its_threshold_and_its_reasons_are_named(
    platform, model, monkeypatch
):
    serve(monkeypatch, {b"1": model})
    found = [
        why(platform, "too-moist", "oven-1", SINCE + hours * HOUR) for hours in range(1, 38, 2)
    ]
    assert {"open", "normal"} <= {a.verdict for a in found}
    known = [a for a in found if a.verdict in ("open", "pending", "normal")]
    assert all((a.score >= a.threshold) == (a.verdict != "normal") for a in known)
    assert {a.model_version for a in known} == {1}
    assert all("air humidity" in a.facts[1] for a in known)
    others = {(a.verdict, a.unknown) for a in found if a not in known}
    assert others <= {("unknown", "the problem has already started")}


def test_a_raise_that_waits_for_a_lower_risk_after_a_problem_is_said(
    platform, data, model, monkeypatch
):
    serve(monkeypatch, {b"1": replace(model, threshold=1e-9)})
    problems = data.problems
    alone = problems["start"].shift(-1) - problems["end"] > HOUR
    over = problems["end"][alone & (problems["start"] > SINCE + HOUR)].iloc[0].to_pydatetime()
    held, again = (
        why(platform, "too-moist", "oven-1", over + minutes * HOUR / 60) for minutes in (20, 41)
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
