"""A line whose sensors fall silent: a model's alert is unknown, and says why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.revisions import definition_document
from alerting.definitions.wording.language import language
from alerting.kinds.protocol import NO_MODEL, NOT_ASKED
from alerting.learning.features.plan import UsualCount
from alerting.learning.features.reading_counts import TOO_FEW
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests import small_models
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
SINCE = small_models.START + 20 * HOUR
SILENT = SINCE + 4 * HOUR
QUARTER_MS = 15 * 60_000
USUAL = (UsualCount("humidity", QUARTER_MS, 3),)


@pytest.fixture(params=[()])
def platform(request, monkeypatch):
    """A platform with a champion, whose readings end at SILENT. `param`: the counts that the model
    knows as usual."""
    data = small_models.dataset(hours=60)
    model = small_models.linear_model(
        replace(data.plan, usual=request.param),
        data.rows,
        {"humidity.last": 2.0},
        training_cutoff=SINCE - HOUR,
    )
    monkeypatch.setattr(model_files, "model_from_files", lambda _: model)
    monkeypatch.setattr("alerting.kinds.prediction_kind.advise", lambda *_: None)
    made = in_memory_platform()
    made.assets.store_assets([small_models.line(1).asset])
    written = definition_document(small_models.definition())
    apply(made, [written], "engineer", SINCE - 4 * HOUR, "test")
    register_model(made, "too-moist", "run-1", {"version": b"1"}, {}, {})
    made.decisions.add(
        DecisionRecord(
            "too-moist", SINCE, 1, 1, None, True, True, "promote", "better", {}, "run-1", "platform"
        )
    )
    frame = small_models.line(60).readings.loc[SINCE - 4 * HOUR : SILENT]
    rows = [
        ReadingRow("oven-1", ts.to_pydatetime(), row.dropna().to_dict())
        for ts, row in frame.iterrows()
    ]
    add_readings(made, rows, SILENT)
    return made


def unknown_after(platform, silence):
    platform.clock.instant = SILENT + silence
    return evaluate(platform, None, SILENT + silence).unknown


def test_a_model_without_any_value_in_its_longest_window_says_so(platform):
    assert unknown_after(platform, timedelta(minutes=1)) == {}
    (reason,) = unknown_after(platform, 3 * HOUR).values()
    assert reason == "no readings in the last 1 h, which the model needs"
    assert language("de").translate(reason) == "seit 1 h keine Messwerte, das Modell braucht sie"
    for seconds in (20, 40):  # it stays unknown between two strides
        later = 3 * HOUR + timedelta(seconds=seconds)
        assert [*unknown_after(platform, later).values()] == [reason]


@pytest.mark.parametrize("platform", [USUAL], indirect=True)
def test_a_model_with_too_few_values_says_so_while_it_has_any(platform):
    (reason,) = unknown_after(platform, timedelta(minutes=40)).values()
    assert reason == TOO_FEW
    assert language("fr").translate(reason) == "trop peu de mesures depuis la pause"


def test_after_a_promotion_between_two_strides_it_does_not_say_that_it_has_no_model(platform):
    """It said so until the next stride, beside the page of models with its champion."""
    before = evaluate(platform, None, SINCE - timedelta(seconds=20))
    assert before.unknown == {"too-moist on oven-1": NO_MODEL}
    for seconds in (20, 40):
        found = evaluate(platform, None, SINCE + timedelta(seconds=seconds))
        assert found.unknown == {"too-moist on oven-1": NOT_ASKED}
    asked = evaluate(platform, None, SINCE + small_models.definition().stride)
    assert [*asked.unknown.values()] == ["the problem has already started"]
