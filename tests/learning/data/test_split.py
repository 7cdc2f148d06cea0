"""The split: by time, and nothing of one part can be seen from the next."""

from dataclasses import astuple, dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.faults import UserError
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.split import (
    PARTS,
    assign_parts,
    purge_length,
    require_all_parts,
    split_borders,
    walk_forward_folds,
)
from alerting.learning.features.plan import FeaturePlan

pytestmark = pytest.mark.fast

MINUTE = 60_000
DAY = 1440 * MINUTE


def definition(**more):
    base = {
        "name": "d",
        "kind": "classifier",
        "assets": ["oven"],
        "problem": {"event": "failure"},
        "horizon": "30m",
    }
    return ClassifierDefinition.model_validate(base | more)


def plan(longest):
    return FeaturePlan(10 * MINUTE, (longest,), ("mean",))


@dataclass
class Rows:
    at: np.ndarray
    part: np.ndarray
    purge_ms: int


def test_the_newest_share_tests_and_the_share_before_it_validates():
    borders = split_borders(definition(periods={"validation": 0.1, "test": 0.3}), 0, 10 * DAY)
    assert (borders.validation, borders.test, borders.end) == (6 * DAY, 7 * DAY, 10 * DAY)


def stamp(day):
    return f"1970-01-{1 + day:02d}T00:00Z"


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ({"test": "2d"}, (0, 6, 6, 8, 8, 10)),
        ({"test": "2d", "validation": "3d"}, (0, 5, 5, 8, 8, 10)),
        ({"test": "2d", "validation": "3d", "train": "4d"}, (1, 5, 5, 8, 8, 10)),
        ({"train": "30d"}, (0, 6, 6, 8, 8, 10)),
        ({"test": {"from": stamp(9)}}, (0, 7, 7, 9, 9, 10)),
        (
            {
                "train": {"from": stamp(1), "to": stamp(4)},
                "validation": {"from": stamp(5), "to": stamp(7)},
            },
            (1, 4, 5, 7, 8, 10),
        ),
        ({"validation": {"from": stamp(5)}, "test": {"from": stamp(7)}}, (0, 5, 5, 7, 7, 10)),
    ],
)
def test_periods_are_shares_lengths_or_dates(periods, expected):
    borders = split_borders(definition(periods=periods), 0, 10 * DAY)
    assert tuple(round(border / DAY, 3) for border in astuple(borders)) == expected


def test_rows_between_two_dated_periods_belong_to_neither():
    dated = {
        "train": {"from": stamp(1), "to": stamp(4)},
        "validation": {"from": stamp(5), "to": stamp(7)},
    }
    borders = split_borders(definition(periods=dated), 0, 10 * DAY)
    days = np.array([0.5, 2, 4.5, 6, 7.5, 9])
    parts = assign_parts((days * DAY).astype(np.int64), borders, DAY // 10)
    assert parts.tolist() == ["purged", "train", "purged", "validation", "purged", "test"]


def test_shares_that_leave_no_training_are_refused():
    with pytest.raises(UserError, match=r"0\.5 and periods\.test 0\.5 leave nothing to train on"):
        split_borders(definition(periods={"validation": 0.5, "test": 0.5}), 0, DAY)


def test_the_purge_is_gap_horizon_for_and_the_longest_window():
    timed = definition(gap="5m", problem={"variable": "x", "above": 1, "for": "2m"})
    assert purge_length(timed, plan(180 * MINUTE)) == (5 + 30 + 2 + 180) * MINUTE


def test_the_end_of_the_earlier_part_is_purged_and_the_test_keeps_its_whole_span():
    borders = split_borders(definition(), 0, 1000)
    at = np.array([0, 1, 590, 591, 600, 601, 790, 791, 800, 801, 1000, 1001])
    got = assign_parts(at, borders, 10)
    purged = "purged"
    train = "train"
    validation = "validation"
    test = "test"
    assert got.tolist() == [
        purged,
        train,
        train,
        purged,
        purged,
        validation,
        validation,
        purged,
        purged,
        test,
        test,
        purged,
    ]


@given(
    st.integers(1, 5000),
    st.integers(0, 2000),
    st.integers(1, 2000),
    st.integers(1, 60),
    st.floats(0.05, 0.45),
    st.floats(0.05, 0.45),
)
def test_no_label_of_a_part_reaches_into_a_window_of_the_next(
    length, label, window, stride, validation, test
):
    borders = split_borders(definition(periods={"validation": validation, "test": test}), 0, length)
    at = np.arange(0, length + 1, stride)
    part = assign_parts(at, borders, label + window)
    for earlier, later in (("train", "validation"), ("validation", "test"), ("train", "test")):
        before = at[part == earlier]
        after = at[part == later]
        if len(before) and len(after):
            assert before.max() + label <= after.min() - window


@given(st.integers(1, 5000), st.integers(0, 1000), st.integers(1, 10), st.integers(1, 60))
def test_folds_walk_forward_inside_train_with_the_same_purge(length, purge, folds, stride):
    at = np.tile(np.arange(0, length + 1, stride), 2)  # two assets
    part = np.where(at < 0.7 * length, "train", "test").astype(object)
    got = walk_forward_folds(Rows(at, part, purge), folds)
    assert len(got) == folds
    scored = np.concatenate([test for _, test in got])
    assert len(set(scored.tolist())) == len(scored)
    for train, test in got:
        assert (part[train] == "train").all()
        assert (part[test] == "train").all()
        if len(train) and len(test):
            assert at[train].max() + purge <= at[test].min()


def test_folds_grow():
    at = np.arange(400)
    sizes = [
        (len(a), len(b))
        for a, b in walk_forward_folds(Rows(at, np.full(400, "train", dtype=object), 10), 3)
    ]
    assert sizes == [(90, 100), (190, 100), (290, 100)]


@pytest.mark.parametrize("empty", PARTS)
def test_an_empty_part_is_refused_with_the_figures_and_what_to_change(empty):
    borders = split_borders(definition(), -1, 10 * DAY)  # just before the first reading
    part = np.array([p for p in PARTS if p != empty], dtype=object)
    word = "training" if empty == "train" else empty
    with pytest.raises(UserError) as refused:
        require_all_parts(definition(), part, borders, purge_length(definition(), plan(3 * DAY)))
    text = str(refused.value)
    assert f"the {word} period has no usable row" in text
    assert "The readings from 1970-01-01T00:00:00+00:00 to 1970-01-11T00:00:00+00:00 leave" in text
    assert (
        "the purge takes 3d30m before a border (gap + horizon + for: 30m, longest window: 3d)"
        in text
    )
    assert "Import a longer history, shorten features.windows or the horizon" in text
