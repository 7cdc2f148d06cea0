"""A training never needs more memory than it may have."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.model import FAMILIES
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.data.memory_budget import FIXED_MIB, Size
from tests import small_models

SIZE = Size(readings=500_000, rows=200_000, training=100_000, columns=30, encoded=60)


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.fixture
def wide(monkeypatch):
    """As if a row took a megabyte: a small table stands for a large one."""
    mib = property(lambda size: FIXED_MIB + 2 * size.rows + 4 * size.training)
    monkeypatch.setattr(Size, "mib", mib)


def within(memory_mib):
    line = small_models.line()
    return build_dataset(small_models.definition(), 1, [line], small_models.as_of(line), memory_mib=memory_mib)


def test_what_fits_is_left_as_it_is(data):
    assert within(4096).hash == data.hash


def test_the_need_grows_with_everything_that_a_training_works_on():
    assert Size(0, 0, 0, 30, 60).mib == FIXED_MIB
    twice = replace(SIZE, readings=1_000_000, rows=400_000, training=200_000)
    assert twice.mib - FIXED_MIB == pytest.approx(2 * (SIZE.mib - FIXED_MIB), abs=1)
    for name in ("rows", "training", "columns", "encoded"):
        assert replace(SIZE, **{name: 2 * getattr(SIZE, name)}).mib > SIZE.mib
    assert replace(SIZE, readings=100_000_000).mib > SIZE.mib


def test_a_training_of_trees_alone_needs_less_than_one_of_all_families():
    trees = replace(SIZE, families=("lightgbm",))
    assert trees.mib < replace(SIZE, families=("random_forest",)).mib
    assert SIZE.mib == max(replace(SIZE, families=(family,)).mib for family in FAMILIES)
    assert replace(trees, encoded=10 * trees.encoded).mib == trees.mib


def test_too_many_training_rows_are_thinned_evenly_and_it_is_said(data, wide):
    train = int((data.part == "train").sum())
    fewer = within(FIXED_MIB + 2 * len(data.label) + 2 * train)
    left = fewer.part == "train"
    assert 0.4 < left.sum() / train < 0.6
    assert (fewer.at[left] % (2 * data.plan.stride_ms) == 0).all()
    for part in ("validation", "test"):
        assert (fewer.at[fewer.part == part] == data.at[data.part == part]).all()
    assert fewer.counts["memory"] == train - left.sum()
    assert any(f"({left.sum()} of {train} rows)" in note for note in fewer.notes)
    assert fewer.hash != data.hash
    assert dataset_from_files(dataset_files(fewer)).hash == fewer.hash


def test_the_rows_that_are_kept_are_those_of_the_whole_dataset_bit_for_bit(data, wide):
    fewer = within(FIXED_MIB + 2 * len(data.label) + 2 * int((data.part == "train").sum()))
    same = np.isin(data.at, fewer.at)
    assert same.sum() == len(fewer.at)
    assert fewer.rows.equals(data.rows[same].reset_index(drop=True))
    assert (fewer.label == data.label[same]).all()


def test_what_can_never_fit_is_refused_with_the_figures_and_what_to_do(wide):
    with pytest.raises(
        UserError, match=r"rows of \d+ columns, .* need about \d+ MiB of memory, and 400 are allowed.*Lengthen features.stride"
    ):
        within(400)
