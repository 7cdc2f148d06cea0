"""The memory of a training stays within half of what the machine has, measured in a process of its
own."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset
from alerting.learning.data.dataset import build_dataset, dataset_files, dataset_from_files
from alerting.learning.data.dataset_rows import BYTES_PER_CELL, count_cells
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.classifier_search import search_candidate
from alerting.readings.history import History
from benchmarks.helpers.memory import peak_mib
from tests.builders import classifier

pytestmark = [pytest.mark.models, pytest.mark.night]
ROWS = 60_000
VARIABLES = 10


def train_once(memory_mib, families):
    """Train within this memory: MiB added to the process at its peak, rows of training, MiB of all
    cells."""
    import matplotlib  # noqa: F401
    import mlflow  # noqa: F401
    import shap  # noqa: F401

    import alerting.learning.features.compiled  # noqa: F401

    values = np.random.default_rng(0).standard_normal((ROWS, VARIABLES))
    values[:, 0] = np.roll(np.convolve(values[:, 1], np.ones(20) / 4, "same"), 10) + values[:, 0]
    index = pd.date_range("2026-01-01", periods=ROWS, freq="min", tz="UTC", name="ts").as_unit("ms")
    history = History(
        Asset(name="oven-1"),
        pd.DataFrame(values, columns=[f"v{i}" for i in range(VARIABLES)], index=index),
    )
    definition = classifier(
        problem={"variable": "v0", "above": 2.5, "predict": "state"},
        horizon="10m",
        features={"stride": "1m", "windows": ["10m"], "aggregations": ["mean", "std", "last"]},
        learning={"trials": 1, "folds": 2, "candidates": families},
    )
    before = peak_mib()
    memory = None if memory_mib is None else memory_mib << 20
    dataset = build_dataset(
        definition, 1, [history], index[-1].to_pydatetime(), memory_bytes=memory
    )
    training = int((dataset.part == "train").sum())
    cells = history.readings.size + len(dataset.label) * count_cells(dataset.plan)
    dataset = dataset_from_files(dataset_files(dataset))
    for family in families:
        finish_challenger(
            dataset, search_candidate(dataset, definition, family, lambda *_: None), definition
        )
    return peak_mib() - before, training, cells * BYTES_PER_CELL >> 20


def alone(*arguments):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(train_once, *arguments).result()


def test_a_training_stays_within_half_of_the_memory_also_where_that_thins_it():
    families = ["lightgbm", "logistic_regression"]
    added, rows, cells = alone(None, families)
    assert added <= cells
    memory = 2 * cells - 100
    thinned, fewer, fewer_cells = alone(memory, families)
    assert fewer < rows
    assert thinned <= fewer_cells <= memory // 2
