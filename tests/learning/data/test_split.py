"""The split: by time, and nothing of one part can be seen from the next."""

from dataclasses import astuple, dataclass, replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.faults import UserError
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.data.findings import Finding, Kind, describe_findings
from alerting.learning.data.row_limit import BYTES_PER_CELL, count_cells, default_max_rows
from alerting.learning.data.split import (
    PARTS,
    assign_parts,
    purge_length,
    require_all_parts,
    split_borders,
    walk_forward_folds,
)
from alerting.learning.features.plan import FeaturePlan
from tests import small_models

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


@pytest.fixture(scope="module")
def data():
    return dataset_within()


def dataset_within(max_rows=None, memory_bytes=None):
    line = small_models.line()
    measured = {
        name: variable.model_copy(update={"controllable": False})
        for name, variable in line.asset.variables.items()
    }
    # no effects of set-points to estimate
    line = replace(line, asset=line.asset.model_copy(update={"variables": measured}))
    return build_dataset(
        small_models.definition(),
        1,
        [line],
        small_models.as_of(line),
        max_rows=max_rows,
        memory_bytes=memory_bytes,
    )


def half(data):
    """A limit that leaves about half of the training rows."""
    return len(data.label) - int((data.part == "train").sum()) // 2 + 5


def test_what_fits_is_left_as_it_is(data):
    assert (
        dataset_within(len(data.label)).hash
        == dataset_within(None, 4 << 30).hash
        == dataset_within().hash
        == data.hash
    )


def test_the_default_is_what_half_of_the_memory_holds_beside_the_readings():
    assert default_max_rows(2 * 1000 * BYTES_PER_CELL, 10, 0) == 100
    assert default_max_rows(2 * 1000 * BYTES_PER_CELL, 10, 400) == 60
    assert default_max_rows(2 * 1000 * BYTES_PER_CELL, 10, 4000) == 0
    assert default_max_rows(4 << 30, 12_000, 600 * 1_500) >= 1_500  # 600 sensors fit into 4 GiB


def test_each_level_of_a_category_counts_as_a_cell(data):
    levels = sum(len(levels) for levels in data.plan.levels.values())
    assert levels
    assert count_cells(data.plan) == len(data.plan.columns) + levels


def test_too_many_training_rows_are_thinned_evenly_and_it_is_said(data):
    train = int((data.part == "train").sum())
    limit = half(data)
    fewer = dataset_within(limit)
    left = fewer.part == "train"
    assert len(fewer.label) <= limit
    assert 0.4 < left.sum() / train < 0.6
    assert (fewer.at[left] % (2 * data.plan.stride_ms) == 0).all()
    for part in ("validation", "test"):
        assert (fewer.at[fewer.part == part] == data.at[data.part == part]).all()
    assert fewer.counts["row_limit"] == train - left.sum()
    assert [note for note in fewer.notes if note.startswith("Only every")] == [
        f"Only every 2. instant of the training period was kept ({left.sum()} of {train} rows): "
        "the dataset has "
        f"{len(data.label)} rows, and {limit} are allowed (set by ALERTING_MAX_TRAINING_ROWS)."
    ]
    assert fewer.hash != data.hash
    assert dataset_from_files(dataset_files(fewer)).hash == fewer.hash == dataset_within(limit).hash


def test_a_limit_by_memory_says_the_memory(data):
    cells = half(data) * count_cells(data.plan) + small_models.line().readings.size
    memory = 2 * BYTES_PER_CELL * (cells + 1)
    fewer = dataset_within(None, memory)
    assert fewer.hash == dataset_within(half(data)).hash
    assert any(
        f"allowed (half of {memory >> 20} MiB of memory, for " in note for note in fewer.notes
    )


def test_the_rows_that_are_kept_are_those_of_the_whole_dataset_bit_for_bit(data):
    fewer = dataset_within(half(data))
    same = np.isin(data.at, fewer.at)
    assert same.sum() == len(fewer.at)
    assert fewer.rows.equals(data.rows[same].reset_index(drop=True))
    assert (fewer.label == data.label[same]).all()


def test_what_can_never_fit_is_refused_with_the_figures_and_what_to_do(data):
    with pytest.raises(
        UserError,
        match=(
            rf"{len(data.label)} rows, \d+ of them outside of the training period, and 50 are "
            rf"allowed.*Lengthen features"
        ),
    ):
        dataset_within(50)


def stuck(name: str, share: float) -> Finding:
    return Finding("flat", name, share, "kept", f"{name} was probably stuck.")


def test_many_findings_of_a_kind_are_one_sentence_with_their_number_and_the_worst_names():
    findings = [stuck(f"sensor_{i}", i / 1000) for i in range(351)]
    [sentence] = describe_findings(findings)
    assert sentence.startswith(
        "351 variables (sensor_350, sensor_349, sensor_348, sensor_347, sensor_346 and 346 more) "
        "repeat"
    )


def test_a_single_finding_keeps_its_message():
    assert describe_findings([stuck("flow", 0.2)]) == ["flow was probably stuck."]


def test_findings_of_one_variable_on_several_assets_are_its_worst_one_and_their_number():
    gaps = [
        Finding("gaps", "flow", share, "kept", f"flow has gaps of {share:.0%}.")
        for share in (0.1, 0.3, 0.2)
    ]
    assert describe_findings(gaps) == ["flow has gaps of 30%. (2 more findings on it.)"]


def test_kinds_stay_apart_and_in_their_order():
    findings = [
        Finding("silent_asset", "oven-1", 0, "left out", "-"),
        Finding("gaps", "oven-2", 0.1, "left out", "-"),
        Finding("silent_asset", "oven-3", 0, "left out", "-"),
        Finding("gaps", "flow", 0.1, "kept", "flow has gaps."),
        Finding("gaps", "oven-4", 0.2, "left out", "-"),
    ]
    silent, of_assets, of_variables = describe_findings(findings)
    assert silent.startswith("2 assets (oven-1, oven-3) have no readings")
    assert of_assets.startswith("2 assets (oven-4, oven-2) have gaps")
    assert of_variables == "flow has gaps."


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_that_names_variables_has_a_sentence_for_several(kind):
    consequences = {"gaps": ("left out", "kept")}.get(
        kind, (CONSEQUENCES[kind],) if kind in CONSEQUENCES else ("kept",)
    )
    for consequence in consequences:
        names = (None, None) if kind in UNIQUE else ("a", "b")
        [sentence] = describe_findings([Finding(kind, name, 1, consequence, "-") for name in names])
        assert kind in UNIQUE or ("(a, b)" in sentence and sentence.startswith(("2 ", "Only few")))


UNIQUE = (
    "answers",
    "bursts",
    "row_limit",
    "derived",
    "unseen_problem",
)  # at most one of a training
CONSEQUENCES = dict.fromkeys(
    (
        "silent_asset",
        "no_value",
        "too_many_levels",
        "out_of_range",
        "bad_quality",
        "unmatched_events",
        "strays",
    ),
    "left out",
)
