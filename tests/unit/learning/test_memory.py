"""A training never needs more memory than it may have."""

import pytest

from alerting.definitions.faults import Refused
from alerting.learning.dataset import dataset_files, dataset_from_files
from alerting.learning.memory import FIXED_MIB, needed_mib, within_memory
from tests.unit.learning import small


@pytest.fixture(scope="module")
def data():
    return small.dataset()


@pytest.fixture
def wide(monkeypatch):
    """As if a row took a megabyte: a small table stands for a large one."""
    monkeypatch.setattr(
        "alerting.learning.memory.needed_mib", lambda rows, training, columns: FIXED_MIB + 2 * rows + 4 * training
    )


def test_what_fits_is_left_as_it_is(data):
    assert within_memory(data, needed_mib(len(data.label), len(data.label), len(data.plan.columns))) is data


def test_the_estimate_grows_with_rows_and_columns_and_doubles_with_both():
    assert needed_mib(0, 0, 10) == FIXED_MIB
    assert needed_mib(200_000, 100_000, 60) - FIXED_MIB == pytest.approx(2 * (needed_mib(100_000, 50_000, 60) - FIXED_MIB), abs=1)


def test_too_many_training_rows_are_thinned_evenly_and_it_is_said(data, wide):
    train = int((data.part == "train").sum())
    fewer = within_memory(data, FIXED_MIB + 2 * len(data.label) + 2 * train)
    left = fewer.part == "train"
    assert 0.4 < left.sum() / train < 0.6
    assert (fewer.at[left] % (2 * data.plan.stride_ms) == 0).all()
    for part in ("validation", "test"):
        assert (fewer.at[fewer.part == part] == data.at[data.part == part]).all()
    assert fewer.counts["memory"] == train - left.sum()
    assert f"({left.sum()} of {train} rows)" in fewer.notes[-1]
    assert fewer.hash != data.hash
    assert dataset_from_files(dataset_files(fewer)).hash == fewer.hash


def test_what_can_never_fit_is_refused_with_the_figures_and_what_to_do(data, wide):
    with pytest.raises(
        Refused, match=r"rows of \d+ columns need about \d+ MiB of memory, and 400 are allowed.*Lengthen features.stride"
    ):
        within_memory(data, 400)
