"""The alarm budget gate for a definition with a model: its champion judges what it has not learned
from."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.platform_limits import AlarmBudget
from alerting.definitions.revisions import definition_document
from alerting.definitions.wording.language import ENGLISH
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord
from alerting.usecases.alarm_load.budget_gate import forecasts
from alerting.usecases.definitions import revisions_and_evaluation_plan
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests import small_models
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOURS = 60
SINCE = small_models.START + timedelta(hours=20)


@pytest.fixture(scope="module")
def line():
    history = small_models.line(HOURS)
    made = in_memory_platform()
    made.assets.store_assets([history.asset])
    add_readings(made, small_models.rows_of(history.readings), small_models.START)
    revisions_and_evaluation_plan.apply(
        made,
        [definition_document(small_models.definition())],
        "engineer",
        small_models.START,
        "test",
    )
    register_model(made, "too-moist", "run-1", {"version": b"1"}, {}, {})
    made.decisions.add(
        DecisionRecord(
            "too-moist", SINCE, 1, 1, None, True, True, "provisional", "", {}, "run-1", "platform"
        )
    )
    made.clock.instant = small_models.as_of(history)
    return made


def foreseen(line, monkeypatch, training_cutoff, **changes):
    data = small_models.dataset(hours=HOURS)
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0}, threshold=0.5, training_cutoff=training_cutoff
    )
    monkeypatch.setattr(model_files, "model_from_files", lambda files: model)
    platform = replace(line, budget=AlarmBudget("refuse", per_day=1))
    document = definition_document(small_models.definition(severity="high", **changes))
    [forecast] = forecasts(
        platform, revisions_and_evaluation_plan.plan(platform, [document]), platform.clock.now()
    )
    return forecast


def test_the_champion_says_what_it_would_have_raised_since_it_stopped_learning(line, monkeypatch):
    forecast = foreseen(line, monkeypatch, SINCE)
    assert forecast.breaks
    counts = evaluate_past(line, "too-moist", SINCE, line.clock.now(), model="champion")
    days = (line.clock.now() - SINCE) / timedelta(days=1)
    assert forecast.loads[0].expected == pytest.approx(counts.raised / days)
    assert forecast.over == line.clock.now() - SINCE


def test_a_champion_that_has_learned_from_the_last_days_cannot_say(line, monkeypatch):
    seen = line.clock.now() - timedelta(hours=5)
    forecast = foreseen(line, monkeypatch, seen)
    assert not forecast.breaks
    assert forecast.messages == (
        "number of alarms at position operators unknown: the champion has learned from times up "
        f"to {ENGLISH.show(seen)}",
    )
