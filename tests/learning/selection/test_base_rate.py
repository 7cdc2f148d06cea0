"""Another share of problems than in validation: the precision to expect, and the threshold that
would hold, against rows drawn at the new share."""

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.model import OperatingPoint
from alerting.episodes.predictions import AlarmEnd
from alerting.learning.selection.base_rate import (
    BaseRate,
    PrecisionPoint,
    ProblemShare,
    measure_base_rate,
    measure_share,
    scale_precision,
    shift_base_rate,
)
from alerting.learning.selection.operating_point import (
    choose_threshold,
    evaluate_threshold,
    observe_rows,
)

STRIDE = 600_000
ROWS = 4_000
ASKED = 0.8
ONE_ROW = AlarmEnd(None, STRIDE, STRIDE)


def parts(share: float, seed: int):
    """Rows of which this share is bad, one part each; bad ones score 2.2 deviations higher."""
    rng = np.random.default_rng(seed)
    label = rng.random(ROWS) < share
    label[-1] = False
    score = 1 / (1 + np.exp(-(2 * rng.normal(2.2 * label, 1.0) - 4)))
    at = 2 * STRIDE * np.arange(ROWS, dtype=np.int64)
    start = pd.to_datetime(at[label] + 1, unit="ms", utc=True)
    times = dict.fromkeys(("start", "last", "end", "known_at"), start)
    known = dict.fromkeys(
        ("start", "true_at", "known_at", "over_at", "recovered_at"), at[label] + 1
    )
    observed = observe_rows(
        at,
        np.full(ROWS, "a", dtype=object),
        np.ones(ROWS, bool),
        pd.DataFrame({"asset": "a", **times}),
        pd.DataFrame({"asset": "a", **known}),
        True,
        {"a": ROWS * 2 * STRIDE / 1000},
        0,
        STRIDE,
        ONE_ROW,
    )
    return observed, score, label.astype(np.int8)


@pytest.fixture(scope="module")
def validation():
    """A validation period with 8.5 % bad parts, its threshold for the precision asked."""
    observed, score, label = parts(0.085, seed=1)
    choice = choose_threshold(observed, score, OperatingPoint(least_precision=ASKED), seed=0)
    share = measure_share(label, np.arange(ROWS) // 100)
    return observed, score, measure_base_rate(share, choice, ASKED)


@pytest.mark.parametrize("now", [0.02, 0.04])
def test_what_is_expected_at_another_share_is_what_comes(validation, now):
    _, _, before = validation
    shift = shift_base_rate(before, exactly(now))
    came, found, held, still_found = np.mean(
        [at_thresholds(now, seed, before.threshold, shift.keeps.threshold) for seed in range(6)],
        axis=0,
    )
    assert shift.right >= ASKED
    assert came == pytest.approx(shift.expected, abs=0.05)
    assert came < ASKED - 0.1
    assert held == pytest.approx(ASKED, abs=0.05) or held > ASKED
    assert found == pytest.approx(before.chosen.found, abs=0.05)
    assert still_found == pytest.approx(shift.keeps.found, abs=0.05)


def at_thresholds(share, seed, *thresholds):
    """Precision and share found of a later period at two thresholds."""
    observed, score, _ = parts(share, seed=10 + seed)
    met = [evaluate_threshold(observed, score, t, seed=0, samples=1) for t in thresholds]
    return [value for one in met for value in (one.episode_precision, one.event_recall)]


def test_the_precision_to_ask_for_gives_the_threshold_that_holds(validation):
    observed, score, before = validation
    shift = shift_base_rate(before, exactly(0.03))
    asked = OperatingPoint(least_precision=shift.least_precision)
    again = choose_threshold(observed, score, asked, seed=0).threshold
    assert again == pytest.approx(shift.keeps.threshold, abs=0.05)


def exactly(share):
    return ProblemShare(share, 0.0)


def test_the_share_of_a_period_differs_only_beyond_chance():
    days = np.repeat(np.arange(20), 24)
    rare = np.zeros(480, np.int8)
    rare[::48] = 1  # 10 problems in 20 days
    burst = np.zeros(480, np.int8)
    burst[:48] = 1  # nearly five times as many bad rows, all of two days
    often = np.zeros(480, np.int8)
    often[::6] = 1
    share = measure_share(rare, days)
    assert not share.differs(measure_share(rare[::-1], days))
    assert not share.differs(measure_share(burst, days))
    assert share.differs(measure_share(often, days))
    assert measure_share(often[:48], days[:48]) is None  # two days are too few


def test_chance_seldom_makes_a_shift():
    rng = np.random.default_rng(3)
    days = np.repeat(np.arange(30), 48)
    drawn = (rng.random((400, 2, len(days))) < 0.03).astype(np.int8)
    said = sum(measure_share(a, days).differs(measure_share(b, days)) for a, b in drawn)
    assert said <= 12  # one in a hundred, and chance


def test_a_precision_is_scaled_by_odds():
    assert scale_precision(0.8, 0.1, 0.1) == pytest.approx(0.8)
    there = scale_precision(0.8, 0.085, 0.02)
    assert scale_precision(there, 0.02, 0.085) == pytest.approx(0.8)
    assert scale_precision(1.0, 0.085, 0.02) == 1.0
    assert scale_precision(0.8, 0.085, 0.0) == 0.8


def point(threshold, precision, found, alarms=20):
    return PrecisionPoint(threshold, precision, found, alarms)


def test_the_sentence_names_what_to_expect_and_what_would_hold():
    before = BaseRate(exactly(0.085), 0.43, 0.8, (point(0.43, 0.8, 0.66), point(0.71, 0.96, 0.4)))
    assert shift_base_rate(before, exactly(0.02)).describe() == (
        "Problems are rarer in the test period than in validation (2.0% of the rows instead of "
        "8.5%): at the threshold 0.43, 80% of the alarms were right in validation, about 47% are "
        "to be expected now. The threshold 0.71 keeps the 80% asked and finds 40% of the problems "
        "instead of 66%; `operating_point.least_precision: 0.95` asks for it."
    )
    assert "more frequent" in shift_base_rate(before, exactly(0.3)).describe()
    few = BaseRate(
        exactly(0.085), 0.43, 0.8, (point(0.43, 0.8, 0.66), point(0.71, 0.99, 0.1, alarms=4))
    )
    assert "No threshold with at least 5 alarms in validation keeps" in (
        shift_base_rate(few, exactly(0.02)).describe()
    )


def test_nothing_is_said_of_a_shift_that_changes_little_or_cannot_be_known():
    before = BaseRate(exactly(0.085), 0.43, 0.8, (point(0.43, 0.8, 0.66),))
    assert shift_base_rate(before, exactly(0.08)) is None
    assert shift_base_rate(before, exactly(0.0)) is None
    assert shift_base_rate(BaseRate(exactly(0.085), 0.43, 0.8, ()), exactly(0.02)) is None


def test_a_stored_base_rate_is_read_as_it_was():
    before = BaseRate(exactly(0.085), 0.43, None, (point(0.43, 0.8, 0.66),))
    assert BaseRate.from_document(before.to_document()) == before
