"""A forecast from a document: trained, put in service, evaluated, explained, drawn; and
beside the values that came: the comparison by CRPS, and intervals that no longer hold."""

from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.wording.language import spoken_duration
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.forecast import verification
from alerting.kinds.forecast.verification import compare_forecasts, coverage_of, share_of_samples
from alerting.learning.selection.decision import decide
from alerting.ports import WantedHistory
from alerting.readings.history import to_millis
from alerting.reporting.variable_charts import episode_plots
from alerting.usecases.definitions.faults_and_platform_alerts import MISCALIBRATED
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import segments
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.explain import why
from alerting.usecases.make_reports import make_report
from alerting.usecases.model_registry import ModelCache, load_model
from alerting.usecases.notification.episode_values import chart_of
from alerting.usecases.scoring.models_in_service import verify_models
from tests.builders import at
from tests.helpers.filter_line import (
    AIR_FILTER,
    DAY,
    END,
    NAME,
    TRAINED,
    filter_platform,
    readings,
    trained_platform,
)
from tests.helpers.kind_life import assert_past_agrees_with_live, evaluated, trained_at

pytestmark = pytest.mark.models

BEGUN = at(TRAINED)


@pytest.fixture(scope="module")
def platform():
    made, decided = trained_platform()
    assert (decided.promote, decided.verdict) == (True, "provisional"), decided.reason
    (error,) = [note for note in decided.test["notes"] if note.startswith("On the test period")]
    assert " times ahead; the median is off by " in error
    assert error.endswith("; a report grades the values of the nearest time alone.")
    evaluated(made, (*range(TRAINED, END, 2 * 470), END))
    return made


def test_episodes_are_raised_before_the_limit_and_come_true(platform):
    model = load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)
    assert model.family == "boosted_trees"
    happened = [e for e in platform.episodes.find(NAME) if e.happening_at is not None]
    assert len(happened) >= 3
    assert all(e.is_prediction and e.raised_at < e.happening_at for e in happened)


def test_why_and_the_page_show_risk_and_limit(platform):
    episode = platform.episodes.find(NAME)[0]
    told = why(platform, NAME, AIR_FILTER, episode.raised_at)
    assert (told.verdict, told.model_version) == ("open", 1)
    assert told.facts[1].startswith("forecast of pressure_drop in 1 h 15 min: ")
    (left,) = [
        fact for fact in told.facts if fact.startswith("the median leaves its limit in about ")
    ]
    assert episode.contributions[0].variable == "pressure_drop"
    risk, drop = chart_of(platform, episode, at(END)).panels
    assert (risk.share, drop.unit, [level.value for level in drop.levels]) == (True, "Pa", [400.0])
    window = platform.definitions.newest_revision(NAME).definition.window
    assert drop.fan.at[-1] == to_millis(episode.raised_at + window.until)
    assert (np.diff([drop.fan.low, drop.fan.middle, drop.fan.high], axis=0) >= 0).all()
    assert to_millis(episode.raised_at) < drop.fan.crossing < to_millis(episode.valid_until)
    minutes = round((drop.fan.crossing - to_millis(episode.raised_at)) / 60_000)
    assert left.removeprefix("the median leaves its limit in about ") == spoken_duration(
        timedelta(minutes=minutes)
    )
    plots = episode_plots(chart_of(platform, episode, at(END)), UTC)
    has_fan = [any(shape.look == "fan" for shape in plot.shapes) for plot in plots]
    assert has_fan == [False, True]
    assert "limit expected" in plots[-1].moments[-1][1]


def test_its_past_agrees_with_live_and_the_same_training_again_keeps_the_champion(platform):
    assert_past_agrees_with_live(platform, NAME, TRAINED, END)
    again = trained_at(platform, NAME, TRAINED)
    assert (again.verdict, again.promote) == ("keep", False)


def test_a_dead_sensor_is_unknown_and_closes_no_open_episode(platform):
    episode = next(e for e in platform.episodes.find(NAME) if e.happening_at is not None)
    begun = episode.raised_at
    rows = [
        row if row.ts <= begun else replace(row, values={"air_flow": row.values["air_flow"]})
        for row in readings()
    ]
    dead = replace(platform, readings=filter_platform(rows).readings)
    told = why(dead, NAME, AIR_FILTER, begun + timedelta(hours=3, minutes=40))
    assert (told.verdict, told.answer) == (
        "unknown",
        "cannot tell: Pressure drop across the air filter is not known: it has no value of the "
        "last 3 h",
    )
    until = episode.valid_until - timedelta(minutes=1)
    steps, _ = evaluated_to(dead, [until], since=begun - timedelta(hours=1))
    assert [step.kind for step in steps] == ["raised"]


def evaluated_to(platform, cuts, since=BEGUN):
    """Return steps and scores of an evaluation that writes nothing, cut at these instants; the
    state is stored between."""
    revisions = platform.definitions.revisions(NAME)
    decisions = platform.decisions.for_definition(NAME)
    models = ModelCache(platform)
    asset = platform.assets.get(AIR_FILTER)
    state = ConditionState(watermark=since)
    steps = []
    scores = []
    for until in cuts:
        found = evaluate_parts(
            platform, models, asset, state, segments(revisions, decisions, state.watermark, until)
        )
        table = ConditionTable([(NAME, AIR_FILTER)])
        table.write_state(0, found.state)
        state = table.state(0)
        steps += [step for step, _ in found.steps]
        scores += [
            pair
            for part in found.scores
            for pair in zip(part.at.tolist(), part.score.tolist(), strict=True)
        ]
    return steps, [pair for pair in scores if pair[1] == pair[1]]


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(TRAINED + 1, TRAINED + 2 * 24 * 60 - 1), max_size=6))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(platform, cuts):
    instants = [at(minute) for minute in (*sorted(cuts), TRAINED + 2 * 24 * 60)]
    steps, scores = evaluated_to(platform, instants[-1:])
    assert {step.kind for step in steps} >= {"raised", "happening"}
    assert evaluated_to(platform, instants) == (steps, scores)


def test_nothing_known_later_is_used(platform):
    known = platform
    later = filter_platform([row for row in readings() if row.ts <= at(TRAINED)])
    trained_at(later, NAME, TRAINED)
    models = [
        load_model(one, one.definitions.newest_revision(NAME).definition, 1)
        for one in (known, later)
    ]
    assert models[0].hash == models[1].hash
    assert models[0].refit.hash == models[1].refit.hash


def hits(share, blocks, alike, seed=0, size=100):
    """Return whether intervals held (of one value each), of which `alike` in a row are the same,
    and the block of each."""
    drawn = np.random.default_rng(seed).random(blocks * size // alike) < share
    held = np.repeat(drawn, alike).astype(np.float64)
    return np.column_stack([held, np.ones(len(held))]), np.repeat(np.arange(blocks), size)


def test_coverage_is_told_from_chance_by_blocks_of_time():
    found = coverage_of(*hits(0.7, 28, 1))
    assert found.share == pytest.approx(0.7, abs=0.03)
    assert (found.is_too_low, found.values, found.blocks) == (True, 2800, 28)
    assert found.low < 0.7 < found.high


def test_values_that_are_alike_are_no_more_evidence_than_their_blocks():
    alarms = [coverage_of(*hits(0.9, 10, 100, seed)) for seed in range(300)]
    assert np.mean([one.is_too_low for one in alarms]) <= 0.03
    assert coverage_of(*hits(0.5, 7, 1)) is None, "seven blocks cannot tell"


def test_missing_values_do_not_count():
    counts, block = hits(1.0, 10, 1)
    counts[::2] = 0.0
    assert (coverage_of(counts, block).values, coverage_of(counts, block).share) == (500, 1.0)


def test_the_share_of_samples_needs_two_blocks():
    assert share_of_samples(np.array([1.0, 1.0]), np.array([0, 1])) == 1.0
    assert share_of_samples(np.array([1.0, np.nan]), np.array([0, 1])) is None


@pytest.fixture(scope="module")
def model(platform):
    return load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)


def off_by(model, shift):
    """Return a model whose quantiles lie so far (Pa) beside its own."""
    forecaster = model.estimator.model
    moved = tuple(tuple(value + shift for value in row) for row in forecaster.shifts)
    estimator = replace(model.estimator, model=replace(forecaster, shifts=moved))
    return replace(model, estimator=estimator, hash=f"{model.hash} {shift}")


@pytest.fixture
def compared(monkeypatch, platform):
    def compare(challenger, champion, promote, share_better=0.5, confidence=0.8):
        """Return the decision after that on warnings."""
        evidence = {"acted_left_out": {"share_better": share_better}, "statistics": "Precision."}
        warned = decide({"not_better": not promote}, {"number": 4}, evidence=evidence)
        monkeypatch.setattr(verification, "compare", lambda *_: warned)
        definition = platform.definitions.newest_revision(NAME).definition
        wanted = definition.promotion.model_copy(update={"confidence": confidence})
        definition = definition.model_copy(update={"promotion": wanted})
        asset = platform.assets.all()[0]
        history = platform.readings.load(WantedHistory(asset, at(TRAINED - 3 * DAY), at(END)))
        return compare_forecasts(definition, challenger, champion, [history], [], at(END), 0, {})

    return compare


def test_a_challenger_that_warns_better_but_forecasts_worse_stays_out(compared, model):
    decision = compared(off_by(model, 60.0), model, promote=True)
    assert (decision.verdict, decision.promote) == ("keep", False)
    assert decision.reason == "Its warnings were better, but its forecasts worse."
    assert decision.evidence["statistics"].startswith("Precision. The CRPS of its forecasts is ")
    assert decision.evidence["crps"]["challenger"] > decision.evidence["crps"]["champion"]


def test_a_challenger_that_forecasts_better_and_warns_no_worse_goes_into_service(compared, model):
    decision = compared(model, off_by(model, 60.0), promote=False)
    assert (decision.verdict, decision.promote) == ("promote", True)
    assert decision.reason == "Its forecasts were better, and its warnings no worse."
    worse = compared(model, off_by(model, 60.0), promote=False, share_better=0.02)
    assert (worse.verdict, worse.promote) == ("keep", False)
    assert worse.reason.startswith("It was no better on 4 problems")
    assert "The CRPS of its forecasts is " in worse.evidence["statistics"]


def test_forecasts_are_better_from_the_confidence_on_that_is_asked(compared, model, monkeypatch):
    found = {"challenger": 1.0, "champion": 1.1, "share_better": 0.85}
    monkeypatch.setattr(verification, "_crps_of_both", lambda *_: found)
    promoted = [
        compared(model, model, promote=False, confidence=asked).promote for asked in (0.8, 0.9)
    ]
    assert promoted == [True, False]


def test_intervals_that_hold_raise_nothing_and_the_report_states_them():
    made, _ = trained_platform(readings(TRAINED // DAY + 12))
    now = at(TRAINED + 12 * DAY)
    said = verify_models(made, now)
    assert said[NAME].startswith("its 90 % intervals held ")
    assert [alert for alert in made.platform_alerts.open() if alert.kind == MISCALIBRATED] == []
    report = make_report(made, NAME, at(TRAINED), now, now)
    assert "its 90 % intervals held" in report.metrics["model"]["verification"]
    assert "its 90 % intervals held" in report.page


def test_intervals_that_no_longer_hold_raise_a_platform_alert_that_is_resolved_when_they_do():
    shaken = np.random.default_rng(0)
    rows = [
        row
        if row.ts <= at(TRAINED)
        else replace(
            row,
            values={
                **row.values,
                "pressure_drop": row.values["pressure_drop"] + float(shaken.normal(0, 40)),
            },
        )
        for row in readings(TRAINED // DAY + 12)
    ]
    made, _ = trained_platform(rows)
    now = at(TRAINED + 12 * DAY)
    made.clock.instant = now
    verify_models(made, now)
    (alert,) = [alert for alert in made.platform_alerts.open() if alert.kind == MISCALIBRATED]
    assert alert.subject == NAME
    assert "too narrow beyond chance; train again" in alert.reason
    retired = made.definitions.newest_revision(NAME).definition.model_copy(
        update={"state": "retired"}
    )
    apply(
        made,
        [retired.model_dump(mode="json", by_alias=True, exclude_none=True)],
        "engineer",
        now,
        "test",
    )
    verify_models(made, now)
    assert [alert for alert in made.platform_alerts.open() if alert.kind == MISCALIBRATED] == []
