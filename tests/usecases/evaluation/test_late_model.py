"""Readings that come late to a definition with a model: judged again by the champion in force,
never by one that knew them."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.revisions import definition_document
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from tests import small_models
from tests.helpers.stores import states_of
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
SINCE = small_models.START + 20 * HOUR
SECOND = small_models.START + 26 * HOUR
REFIT_CUTOFF = SECOND + 2.5 * HOUR
END = small_models.START + 32 * HOUR


@pytest.fixture(scope="module")
def models():
    """Two versions: the second has seen until half an hour after it came into service, and its
    refit two hours longer."""
    data = small_models.dataset(hours=60)

    def model(weight, training_cutoff):
        return small_models.linear_model(
            data.plan,
            data.rows,
            {"humidity.last": weight},
            threshold=0.5,
            training_cutoff=training_cutoff,
        )

    second = model(1.5, SECOND + HOUR / 2)
    refit = model(1.7, REFIT_CUTOFF)
    known = {b"1": model(2.0, SINCE - HOUR), b"2": replace(second, refit=refit)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_files, "model_from_files", lambda files: known[files["version"]])
        patch.setattr("alerting.kinds.prediction_kind.advise", lambda *_: None)
        yield SimpleNamespace(training_cutoff={1: SINCE - HOUR, 2: SECOND + HOUR / 2})


def watched():
    platform = in_memory_platform()
    platform.assets.store_assets([small_models.line(1).asset])
    apply(
        platform,
        [definition_document(small_models.definition())],
        "engineer",
        SINCE - 4 * HOUR,
        "test",
    )
    for version, since in ((1, SINCE), (2, SECOND)):
        register_model(
            platform, "too-moist", f"run-{version}", {"version": b"%d" % version}, {}, {}
        )
        made = DecisionRecord(
            "too-moist",
            since,
            1,
            version,
            version - 1 or None,
            True,
            True,
            "promote",
            "better",
            {},
            f"run-{version}",
            "platform",
        )
        platform.decisions.add(made)
    return platform


def run(platform, instant):
    platform.clock.instant = instant
    return evaluate(platform, None, instant)


def condition_intervals(platform):
    found = (e for e in platform.episodes.find() if not e.withdrawn)
    return sorted((e.condition_started_at or e.raised_at, e.closed_at, e.condition) for e in found)


def state(platform):
    return replace(states_of(platform, "too-moist", ["oven-1"])["oven-1"], unknown_count=0)


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([10, 45]))
def test_late_readings_of_a_model_give_its_episodes_in_time_and_no_model_evaluates_what_it_has_seen(
    models, random, every
):
    rows = small_models.rows_of(small_models.line(60).readings.loc[SINCE - 4 * HOUR : END])
    in_time = watched()
    late = watched()
    add_readings(in_time, rows, SINCE)
    run(in_time, END)
    come = [
        (row, row.ts + random.choice([0, 0, 0, 1, 20, 150]) * timedelta(minutes=1)) for row in rows
    ]
    before = SINCE - 5 * HOUR
    now = SINCE - 3 * HOUR
    while before < END:
        add_readings(late, [row for row, at in come if before < at <= now], now)
        run(late, now)
        before = now
        now = min(now + timedelta(minutes=every), END)
    add_readings(late, [row for row, at in come if at > END], END)
    run(in_time, END + HOUR / 6)
    run(late, END + HOUR / 6)
    assert condition_intervals(late) == condition_intervals(in_time)
    assert state(late) == state(in_time)
    for platform in (late, in_time):
        scored = list(platform.scores.for_interval("too-moist", SINCE - 10 * HOUR, END + HOUR))
        assert {s["model_version"] for s in scored} == {1, 2}
        assert all(s["ts"] > models.training_cutoff[s["model_version"]] for s in scored)
        assert all(
            e.raised_at > models.training_cutoff[e.model_version] for e in platform.episodes.find()
        )
        by_refit = [s["ts"] for s in scored if "twin" in s]
        assert by_refit
        assert all(ts > REFIT_CUTOFF for ts in by_refit)
        assert all(
            s["ts"] <= REFIT_CUTOFF for s in scored if s["model_version"] == 2 and "twin" not in s
        )
