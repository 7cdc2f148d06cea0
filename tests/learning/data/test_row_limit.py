"""A training never has more rows than it may: it is thinned evenly and says so, or it is
refused."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.faults import UserError
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.data.row_limit import BYTES_PER_CELL, count_cells, default_max_rows
from tests import small_models

pytestmark = pytest.mark.fast


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
