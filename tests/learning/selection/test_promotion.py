import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.learning.selection.promotion import (
    compare,
    comparison_start,
    paired_differences,
)
from tests import small_models

pytestmark = pytest.mark.models

HISTORY = small_models.line(400)
AS_OF = small_models.as_of(HISTORY)
SEEN = small_models.START + timedelta(hours=200)


@pytest.fixture(scope="module")
def good(data):
    """Looks at humidity, which decides the moisture to come."""
    return small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 3.0}, intercept=-3.0, training_cutoff=SEEN
    )


@pytest.fixture(scope="module")
def poor(data):
    """Looks at the belt, which decides nothing."""
    return small_models.linear_model(
        data.plan,
        data.rows,
        {"belt.last": 1.0},
        intercept=-3.0,
        training_cutoff=SEEN - timedelta(hours=50),
    )


def decided(challenger, champion, excluded=(), history=HISTORY, as_of=AS_OF, **promotion):
    return compare(
        small_models.definition(promotion=promotion),
        challenger,
        champion,
        [history],
        excluded,
        as_of,
        seed=4,
    )


def test_without_a_champion_the_challenger_serves_provisionally(good):
    decision = decided(good, None)
    assert (decision.verdict, decision.promote, decision.provisional) == ("provisional", True, True)
    assert decision.reason == "It ranks better than chance."


def test_a_better_challenger_replaces_the_champion_with_counts_in_the_reason(good, poor):
    decision = decided(good, poor)
    assert (decision.verdict, decision.promote) == ("promote", True)
    assert "better in 100 % of 500 samples (90 % needed)" in decision.evidence["statistics"]
    events = decision.evidence["events"]
    assert decision.reason == f"It ranked better on {events} problems that neither model had seen."
    met = {model: m["n_found"] for model, m in decision.evidence["at_threshold"].items()}
    assert f") the challenger found {met['challenger']} (" in decision.details
    assert f" and the champion found {met['champion']} (" in decision.details
    rows = decision.evidence["rows"]
    assert rows["challenger"]["ap"] > rows["champion"]["ap"]
    assert json.loads(json.dumps(decision.evidence, allow_nan=False)) == decision.evidence


def test_a_worse_challenger_leaves_the_champion_in_service(good, poor):
    decision = decided(poor, good)
    assert (decision.verdict, decision.promote) == ("keep", False)
    assert decision.reason.startswith("It was no better on ")
    assert "On readings that neither had seen (2026-01-" in decision.details


def test_the_alerts_and_problems_of_every_asset_are_compared(good, poor):
    lines = [HISTORY, small_models.line(400, seed=1, name="oven-2")]
    found = compare(small_models.definition(), good, poor, lines, (), AS_OF, seed=4).evidence
    at_threshold = found["at_threshold"]["challenger"]
    assert (at_threshold["n_assets"], at_threshold["n_events"]) == (2, found["events"])
    assert at_threshold["n_false_alarms"] == 0


def test_the_same_model_is_not_promoted_over_itself(good):
    assert decided(good, good).verdict == "keep"


def test_the_window_begins_after_everything_that_either_has_seen_and_the_purge(good, poor):
    definition = small_models.definition(
        gap="10m", problem={"variable": "moisture", "above": 5.0, "for": "5m"}
    )
    purge = timedelta(minutes=10 + 30 + 5 + 60)  # gap, horizon, for, longest window
    assert comparison_start(definition, poor, good) == SEEN + purge
    assert comparison_start(definition, good, poor) == SEEN + purge
    decision = decided(good, poor)
    assert decision.evidence["window"]["start"] == (SEEN + timedelta(minutes=90)).isoformat()


def test_the_window_ends_where_labels_are_mature_and_nothing_later_is_used(good, poor):
    early = AS_OF - timedelta(hours=100)
    window = decided(good, poor, as_of=early).evidence["window"]
    # the last instant whose 30 minutes had passed by 11:55
    assert window["end"] == "2026-01-13T11:20:00+00:00"
    cut = replace(HISTORY, readings=HISTORY.readings.loc[:early])
    assert (
        decided(good, poor, history=cut, as_of=early).evidence
        == decided(good, poor, as_of=early).evidence
    )


def test_with_too_few_problems_or_without_any_unseen_row_nobody_can_tell(good, poor):
    few = decided(good, poor, least_events=10_000)
    none = decided(replace(good, training_cutoff=AS_OF), poor)
    for decision, words in ((few, "10000 are needed"), (none, "no outcome is known yet after")):
        assert (decision.verdict, decision.promote) == ("cannot_tell", False)
        assert words in decision.reason


def acted_windows(hours):
    """Outcome windows of an hour, one every `hours`."""
    start = SEEN + timedelta(hours=3)
    return [
        ("oven-1", start + timedelta(hours=h), start + timedelta(hours=h + 1))
        for h in range(0, int((AS_OF - start).total_seconds() // 3600), hours)
    ]


def test_rows_of_acted_upon_episodes_are_left_out_and_both_bounds_are_shown(good, poor):
    decision = decided(good, poor, excluded=acted_windows(20))
    assert decision.verdict == "promote"
    assert decision == decided(good, poor, excluded=acted_windows(20)), "by the same seed"
    evidence = decision.evidence
    assert evidence["acted_rows"] > 50
    left = evidence["window"]["rows"] - evidence["acted_rows"]
    assert evidence["rows"]["champion"]["rows"] == left
    ways = ("acted_left_out", "acted_as_positive", "acted_as_negative")
    assert len({evidence[way]["challenger_ap"] for way in ways}) == 3
    elsewhere = [("oven-2", start, end) for _, start, end in acted_windows(20)]
    assert decided(good, poor, excluded=elsewhere).evidence["acted_rows"] == 0


def test_where_the_bounds_of_acted_upon_rows_disagree_nobody_can_tell(data, good):
    """A challenger that also fears the highest set-point is better only if the episodes acted upon
    there were problems."""
    fearful = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 3.0, "setpoint.last": 9.0}, training_cutoff=SEEN
    )
    high = HISTORY.readings["setpoint"] == 225.0
    begins = HISTORY.readings.index[high & ~high.shift(1, fill_value=False)]
    ends = HISTORY.readings.index[high & ~high.shift(-1, fill_value=False)]
    windows = [
        ("oven-1", b.to_pydatetime(), e.to_pydatetime()) for b, e in zip(begins, ends, strict=True)
    ]
    decision = decided(fearful, good, excluded=windows)
    assert (decision.verdict, decision.promote) == ("cannot_tell", False)
    assert (
        decision.evidence["acted_as_positive"]["share_better"]
        > 0.9
        > decision.evidence["acted_as_negative"]["share_better"]
    )
    assert "that depends on whether the alarms" in decision.reason
    assert "% of the samples if they count as problems, in " in decision.evidence["statistics"]


def test_blocks_are_a_day_or_twice_the_prediction_window(good, poor):
    assert decided(good, poor).evidence["block"] == "1d"
    longer = small_models.definition(
        horizon="20h",
        features={"stride": "10m", "windows": ["15m", "1h"], "aggregations": ["last"]},
    )
    decision = compare(longer, good, poor, [HISTORY], [], AS_OF, seed=4)
    assert decision.evidence["block"] == "1d16h"


def test_rows_of_one_class_have_no_difference():
    score = np.arange(9.0)
    block = np.arange(9) // 3
    labels = [np.full(9, label, np.int8) for label in (0, 1)]
    assert [len(paired_differences(label, score, -score, block, 0)) for label in labels] == [0, 0]
