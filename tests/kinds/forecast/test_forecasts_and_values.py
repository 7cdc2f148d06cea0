"""Forecasts beside the values that came: the comparison by CRPS, and intervals that no longer hold
in service."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.kinds.forecast import verification
from alerting.kinds.forecast.verification import compare_forecasts, coverage_of, share_of_samples
from alerting.learning.selection.decision_table import PromotionDecision
from alerting.usecases.definitions.platform_alerts import MISCALIBRATED
from alerting.usecases.definitions.sync import apply
from alerting.usecases.platform_health.worse_models import verify_models
from alerting.usecases.registry.registration import load_model
from alerting.usecases.reports.make import make_report
from tests.builders import at
from tests.helpers.filter_line import DAY, END, NAME, TRAINED, readings, trained_platform


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
def platform():
    made, decided = trained_platform()
    assert decided.promote, decided.reason
    return made


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
        stays = "The champion stays: its average precision is alike."
        reason = "The challenger replaces the champion: ap." if promote else stays
        warned = PromotionDecision(
            verdict="promote" if promote else "keep",
            reason=reason,
            evidence={"acted_left_out": {"share_better": share_better}},
        )
        monkeypatch.setattr(verification, "compare", lambda *_: warned)
        definition = platform.definitions.newest_revision(NAME).definition
        wanted = definition.promotion.model_copy(update={"confidence": confidence})
        definition = definition.model_copy(update={"promotion": wanted})
        asset = platform.assets.all()[0]
        history = platform.readings.load(asset, at(TRAINED - 3 * DAY), at(END))
        return compare_forecasts(definition, challenger, champion, [history], [], at(END), 0, {})

    return compare


def test_a_challenger_that_warns_better_but_forecasts_worse_stays_out(compared, model):
    decision = compared(off_by(model, 60.0), model, promote=True)
    assert (decision.verdict, decision.promote) == ("keep", False)
    assert "warns better, but forecasts worse: the CRPS of its forecasts is" in decision.reason
    assert decision.evidence["crps"]["challenger"] > decision.evidence["crps"]["champion"]
    assert decision.evidence["decided_by"] == "forecasts"


def test_a_challenger_that_forecasts_better_and_warns_no_worse_goes_into_service(compared, model):
    decision = compared(model, off_by(model, 60.0), promote=False)
    assert (decision.verdict, decision.promote) == ("promote", True)
    assert "It warns no worse: its average precision is alike." in decision.reason
    worse = compared(model, off_by(model, 60.0), promote=False, share_better=0.02)
    assert (worse.verdict, worse.promote) == ("keep", False)
    assert worse.reason.startswith(
        "The champion stays: its average precision is alike. Forecasts: the CRPS"
    )
    assert "decided_by" not in worse.evidence


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
