"""How much more than chance a threshold finds: with a score that is always high, a random one, and
one that knows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.episodes.predictions import AlarmEnd
from alerting.learning.search.candidates import Trial, assemble, average_precision, usable_folds
from alerting.learning.search.chance import ShiftedLabels
from alerting.learning.selection.choice import ChanceTest, choose
from alerting.learning.selection.decision_table import add_objection, decide
from alerting.learning.selection.found_by_chance import (
    EpisodeChance,
    combine_shares,
    compare_with_chance,
)
from alerting.learning.selection.onset import OnsetTest
from alerting.learning.selection.operating_point import evaluate_threshold, observe_rows
from alerting.readings.history import millis
from tests import small_models

pytestmark = pytest.mark.models

MINUTE = 60_000
STRIDE = 10 * MINUTE
HORIZON = 30 * MINUTE
ROWS = 7 * 24 * 6  # one week, an instant every ten minutes
DEFINITION = small_models.definition()


def week(rows):
    """One asset watched for a week, with problems that are over at once after these rows."""
    at = np.arange(ROWS, dtype=np.int64) * STRIDE
    start = pd.to_datetime(at[rows] + 1, unit="ms", utc=True)
    problems = pd.DataFrame({"asset": "a", "start": start, "last": start, "end": start})
    fields = ("start", "true_at", "known_at", "over_at", "recovered_at")
    occurrences = pd.DataFrame({"asset": "a", **dict.fromkeys(fields, millis(problems["start"]))})
    return observe_rows(
        at=at,
        asset=np.full(ROWS, "a", dtype=object),
        measured=np.ones(ROWS, bool),
        problems=problems,
        occurrences=occurrences,
        onset=True,
        observed_s={"a": 604_800.0},
        gap_ms=0,
        horizon_ms=HORIZON,
        alarm_end=AlarmEnd(None, 2 * STRIDE, 4 * HORIZON),
    )


def scored_by(data, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    chance = ShiftedLabels(data, folds, 0).evaluate(scores)
    return assemble("lightgbm", data, folds, [trial], trial, scores, chance, 1, notes)


def problems(seed):
    random = np.random.default_rng(seed)
    return sorted(random.choice(np.arange(20, ROWS - 10), 12, replace=False).tolist())


def slow_noise(seed, rows=ROWS):
    random = np.random.default_rng([seed, 1])
    values = random.normal(size=rows)
    for row in range(1, rows):
        values[row] = 0.8 * values[row - 1] + 0.6 * values[row]
    return 1 / (1 + np.exp(-values))


def test_a_score_that_is_always_high_finds_all_problems_and_no_more_than_chance():
    observed = week(problems(0))
    always = np.full(ROWS, 0.9)
    metrics = evaluate_threshold(observed, always, 0.5, seed=0)
    assert (metrics.n_found, metrics.n_events) == (12, 12)
    assert metrics.time_in_alarm > 0.9
    found = compare_with_chance(observed, always, 0.5, STRIDE, seed=0)
    assert (found.found, found.by_chance, found.share) == (12, 12.0, 1.0)


@pytest.mark.parametrize("time_in_alarm", [0.2, 0.95])
def test_a_random_score_with_the_same_time_in_alarm_is_seldom_beyond_chance(time_in_alarm):
    passed = 0
    for seed in range(20):
        score = slow_noise(seed)
        threshold = float(np.quantile(score, 1 - time_in_alarm))
        found = compare_with_chance(week(problems(seed)), score, threshold, STRIDE, seed=0)
        passed += found.share <= 0.2
    assert passed <= 6  # of 20 at .2, once in a hundred times more


def test_a_score_that_knows_is_beyond_chance_and_the_same_seed_compares_alike():
    rows = problems(3)
    score = slow_noise(3)
    for row in rows[:8]:
        score[row - 3 : row + 1] = 0.99
    found = compare_with_chance(week(rows), score, 0.98, STRIDE, seed=0)
    assert found.found >= 7  # of eight, two of them in one window
    assert found.by_chance < 3
    assert found.share < 0.01
    assert found == compare_with_chance(week(rows), score, 0.98, STRIDE, seed=0)


def test_problems_at_regular_intervals_are_no_chance_because_some_shifts_meet_them_all():
    rows = list(range(30, ROWS - 30, 12))
    score = np.full(ROWS, 0.1)
    for row in rows[: -len(rows) // 8]:
        score[row - 1 : row + 1] = 0.99
    found = compare_with_chance(week(rows), score, 0.98, STRIDE, seed=0)
    assert found.found > 0.8 * found.problems
    assert found.by_chance > 0.2 * found.problems
    assert found.share < 0.01


def test_a_threshold_that_finds_nothing_is_not_beyond_chance():
    found = compare_with_chance(week([100]), np.full(ROWS, 0.1), 0.5, STRIDE, seed=0)
    assert (found.found, found.problems, found.share) == (0, 1, 1.0)


@pytest.mark.parametrize("name", ["always high", "random"])
def test_a_useless_score_is_refused_by_its_rows_and_waits_for_a_person_by_its_episodes(name):
    data = small_models.dataset()
    rows = len(data.label)
    score = np.full(rows, 0.9) if name == "always high" else slow_noise(5, rows)
    choice = choose(data, DEFINITION, [scored_by(data, score)])
    assert not choice.chance.passed
    facts = {"chance": choice.chance.message, "stays": "", "remedy": ""}
    assert decide({"not_above_chance": True}, facts).verdict == "no_challenger"

    score = np.full(ROWS, 0.9) if name == "always high" else slow_noise(5)
    observed = week(problems(5))
    threshold = float(np.quantile(score, 0.1))
    found = compare_with_chance(observed, score, threshold, STRIDE, seed=0)
    assert evaluate_threshold(observed, score, threshold, 0).time_in_alarm > 0.8
    first = decide({"no_champion": True}, {})
    assert not first.waits(DEFINITION)
    test = ChanceTest(0.4, 0.3, 16, problems=10, share=0.02, found=found)
    assert test.passed
    assert not test.is_confirmed
    assert add_objection(first, "found_by_chance", test.facts).waits(DEFINITION)


def test_two_probabilities_of_noise_together_are_as_seldom_small_as_one():
    random = np.random.default_rng(0)
    together = [combine_shares(*pair) for pair in random.random((20_000, 2))]
    for level in (0.025, 0.2, 0.5):
        assert np.mean(np.array(together) <= level) == pytest.approx(level, rel=0.1)
    assert combine_shares(0.0, 1.0) == 0.0


# 3 of 4 problems, found by chance in 1 of 100 cases
THREE_OF_FOUR = EpisodeChance(3, 4, 0.4, 0.01)


def test_a_figure_a_little_below_its_bound_passes_if_later_problems_are_found():
    test = ChanceTest(0.28, 0.30, 16, problems=10, share=0.05)
    assert (test.is_above, test.may_pass, test.passed) == (False, True, False)
    confirmed = replace(test, found=THREE_OF_FOUR)
    assert confirmed.passed
    assert confirmed.message.endswith(
        "0.300 (labels shifted in time 400 times). But with the 3 of 4 problems that its threshold "
        "finds in the validation period, it comes by chance in 0.4% of the cases (at most 2.5% are "
        "allowed)."
    )
    assert not replace(test, found=EpisodeChance(1, 4, 0.3, 0.3)).passed


@pytest.mark.parametrize(
    "change",
    [{"share": 0.21}, {"problems": 2}, {"onset": OnsetTest(0.1, 0.2, 8)}],
    ids=["far below its bound", "too few problems", "nothing to forecast"],
)
def test_problems_found_later_outweigh_no_other_refusal(change):
    test = ChanceTest(0.28, 0.30, 16, problems=10, share=0.05, found=THREE_OF_FOUR)
    assert test.passed
    assert not replace(test, **change).passed


NONE_OF_FOUR = EpisodeChance(0, 4, 0.2, 1.0)


@pytest.mark.parametrize(
    ("found", "share", "few"),
    [
        (NONE_OF_FOUR, 0.002, True),
        (NONE_OF_FOUR, 0.01, False),
        (replace(NONE_OF_FOUR, problems=9), 0.002, True),
        (replace(NONE_OF_FOUR, problems=10), 0.002, False),
        (replace(NONE_OF_FOUR, by_chance=0.0), 0.002, False),
        (THREE_OF_FOUR, 0.002, False),
        (None, 0.002, False),
    ],
    ids=["few", "not beyond chance", "nine", "ten", "no alarm", "some found", "unknown"],
)
def test_none_found_of_few_problems_says_nothing_against_a_model_beyond_chance(found, share, few):
    test = ChanceTest(0.5, 0.3, 16, problems=10, share=share, found=found)
    assert test.none_of_few is few
