"""The split: by time, and nothing of one part can be seen from the next."""

from dataclasses import astuple, replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.faults import UserError
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset, dataset_files, dataset_from_files
from alerting.learning.data.dataset_rows import (
    BYTES_PER_CELL,
    PARTS,
    assign_parts,
    count_cells,
    default_max_rows,
    purge_length,
    require_all_parts,
    split_borders,
)
from alerting.learning.data.findings import Finding, describe_findings
from alerting.learning.features.plan import FeaturePlan
from tests import small_models

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


def stamp(day):
    return f"1970-01-{1 + day:02d}T00:00Z"


DATED = {
    "train": {"from": stamp(1), "to": stamp(4)},
    "validation": {"from": stamp(5), "to": stamp(7)},
}


def test_periods_are_shares_lengths_or_dates():
    rows = [
        ({"validation": 0.1, "test": 0.3}, (0, 6, 6, 7, 7, 10)),
        ({"test": "2d"}, (0, 6, 6, 8, 8, 10)),
        ({"test": "2d", "validation": "3d"}, (0, 5, 5, 8, 8, 10)),
        ({"test": "2d", "validation": "3d", "train": "4d"}, (1, 5, 5, 8, 8, 10)),
        ({"train": "30d"}, (0, 6, 6, 8, 8, 10)),
        ({"test": {"from": stamp(9)}}, (0, 7, 7, 9, 9, 10)),
        (DATED, (1, 4, 5, 7, 8, 10)),
        ({"validation": {"from": stamp(5)}, "test": {"from": stamp(7)}}, (0, 5, 5, 7, 7, 10)),
    ]
    found = [split_borders(definition(periods=periods), 0, 10 * DAY) for periods, _ in rows]
    in_days = [tuple(round(border / DAY, 3) for border in astuple(borders)) for borders in found]
    assert in_days == [expected for _, expected in rows]


def test_rows_between_two_dated_periods_belong_to_neither():
    borders = split_borders(definition(periods=DATED), 0, 10 * DAY)
    days = np.array([0.5, 2, 4.5, 6, 7.5, 9])
    parts = assign_parts((days * DAY).astype(np.int64), borders, DAY // 10)
    assert parts.tolist() == ["purged", "train", "purged", "validation", "purged", "test"]


def test_shares_that_leave_no_training_are_refused():
    with pytest.raises(UserError, match=r"0\.5 and periods\.test 0\.5 leave nothing to train on"):
        split_borders(definition(periods={"validation": 0.5, "test": 0.5}), 0, DAY)


def test_the_purge_is_gap_horizon_for_the_longest_window_and_the_longest_lag():
    timed = definition(gap="5m", problem={"variable": "x", "above": 1, "for": "2m"})
    lagged = replace(plan(180 * MINUTE), lags_ms=(20 * MINUTE, 120 * MINUTE), delay_ms=MINUTE)
    assert purge_length(timed, plan(180 * MINUTE)) == (5 + 30 + 2 + 180) * MINUTE
    assert purge_length(timed, lagged) == (5 + 30 + 2 + 180 + 120) * MINUTE
    assert lagged.lookback == timedelta(minutes=180 + 120 + 1)


def test_the_end_of_the_earlier_part_is_purged_and_the_test_keeps_its_whole_span():
    at = np.array([0, 1, 590, 591, 600, 601, 790, 791, 800, 801, 1000, 1001])
    got = assign_parts(at, split_borders(definition(), 0, 1000), 10)
    letters = "".join(part[:2] for part in got)
    assert letters == "pu" + "tr" * 2 + "pu" * 2 + "va" * 2 + "pu" * 2 + "te" * 2 + "pu"


def refused_without(empty):
    borders = split_borders(definition(), -1, 10 * DAY)  # just before the first reading
    part = np.array([p for p in PARTS if p != empty], dtype=object)
    with pytest.raises(UserError) as refused:
        require_all_parts(definition(), part, borders, purge_length(definition(), plan(3 * DAY)))
    return str(refused.value)


def test_an_empty_part_is_refused_with_the_figures_and_what_to_change():
    told = {
        "training": refused_without("train"),
        **{part: refused_without(part) for part in ("validation", "test")},
    }
    rest = (
        "The readings from 1970-01-01 00:00 UTC to 1970-01-11 00:00 UTC leave",
        "the purge takes 3d30m before a border (gap + horizon + for: 30m, longest window: 3d)",
        "Import a longer history, shorten features.windows or the horizon",
    )
    assert [
        (word, part)
        for word, text in told.items()
        for part in (f"the {word} period has no usable row", *rest)
        if part not in text
    ] == []


def dataset_within(max_rows=None, memory_bytes=None):
    line = small_models.line()
    until = small_models.as_of(line)
    limits = {"max_rows": max_rows, "memory_bytes": memory_bytes}
    return build_dataset(small_models.definition(), 1, [line], until, **limits)


def half(data):
    """A limit that leaves about half of the training rows."""
    return len(data.label) - int((data.part == "train").sum()) // 2 + 5


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
    kept = np.isin(data.at, fewer.at)
    assert kept[np.isin(data.part, ("validation", "test"))].all()
    assert fewer.rows.equals(data.rows[kept].reset_index(drop=True)), "bit for bit"
    assert fewer.label.tolist() == data.label[kept].tolist()
    assert fewer.counts["row_limit"] == train - left.sum()
    assert [note for note in fewer.notes if note.startswith("Only every")] == [
        f"Only every 2. instant of the training period was kept ({left.sum():,} of {train:,} "
        "rows): the dataset has "
        f"{len(data.label):,} rows, and {limit:,} are allowed (set by ALERTING_MAX_TRAINING_ROWS)."
    ]
    assert fewer.hash != data.hash == dataset_within(len(data.label)).hash, "what fits stays"
    assert dataset_from_files(dataset_files(fewer)).hash == fewer.hash


def test_a_limit_by_memory_says_the_memory(data):
    cells = half(data) * count_cells(data.plan) + small_models.line().readings.size
    memory = 2 * BYTES_PER_CELL * (cells + 1)
    fewer = dataset_within(None, memory)
    assert fewer.hash == dataset_within(half(data)).hash
    said = f"allowed (half of {memory >> 20} MiB of memory, for "
    assert [said in note for note in fewer.notes if note.startswith("Only every")] == [True]
    assert dataset_within(None, 4 << 30).hash == data.hash


def test_what_can_never_fit_is_refused_with_the_figures_and_what_to_do(data):
    rows = rf"{len(data.label)} rows, \d+ of them outside of the training period, and 50 are "
    with pytest.raises(UserError, match=rows + r"allowed.*Lengthen features"):
        dataset_within(50)


def stuck(name: str, share: float) -> Finding:
    return Finding("flat", name, share, "kept", f"{name} was probably stuck.")


def test_many_findings_of_a_kind_are_one_sentence_with_their_number_and_the_worst_names():
    [sentence] = describe_findings([stuck(f"sensor_{i}", i / 1000) for i in range(351)])
    assert sentence.startswith(
        "351 variables (sensor_350, sensor_349, sensor_348, sensor_347, sensor_346 and 346 more) "
        "repeat"
    )
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
