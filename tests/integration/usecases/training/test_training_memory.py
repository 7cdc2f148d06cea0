"""What is reckoned of the memory of a training holds in a process of its own, where all of a step's libraries are loaded."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.data.memory_budget import Size, encoded_columns
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History
from benchmarks.memory import peak_mib
from tests.builders import classifier

pytestmark = pytest.mark.slow
ROWS, VARIABLES = 100_000, 10


def peak_of(memory_mib):
    """Train once within this memory: the peak in MiB, rows of training, and what was reckoned for them."""
    import matplotlib  # noqa: F401
    import mlflow  # noqa: F401
    import shap  # noqa: F401

    random = np.random.default_rng(0)
    values = random.standard_normal((ROWS, VARIABLES))
    values[:, 0] = np.roll(np.convolve(values[:, 1], np.ones(20) / 4, "same"), 10) + values[:, 0]
    index = pd.date_range("2026-01-01", periods=ROWS, freq="min", tz="UTC", name="ts").as_unit("ms")
    history = History(Asset(name="oven-1"), pd.DataFrame(values, columns=[f"v{i}" for i in range(VARIABLES)], index=index))
    definition = classifier(
        problem={"variable": "v0", "above": 2.5, "predict": "state"},
        horizon="10m",
        features={"stride": "1m", "windows": ["10m"], "aggregations": ["mean", "std", "last"]},
        learning={"trials": 1, "folds": 2, "time_budget": "2s", "candidates": ["lightgbm", "logistic_regression"]},
    )
    dataset = build_dataset(definition, 1, [history], index[-1].to_pydatetime(), memory_mib=memory_mib)
    training, plan = int((dataset.part == "train").sum()), dataset.plan
    families = definition.learning.candidates
    size = Size(history.readings.size, len(dataset.label), training, len(plan.columns), encoded_columns(plan), families)
    dataset = dataset_from_files(dataset_files(dataset))
    for family in families:
        found = search_candidate(dataset, definition, family, lambda *_: None, stopwatch=time.process_time)
        finish_challenger(dataset, found, definition)
    return peak_mib(), training, size.mib


def alone(memory_mib):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_of, memory_mib).result()


def test_a_training_stays_within_what_was_reckoned_and_within_a_setting_that_thins_it():
    peak, rows, needed = alone(None)
    assert peak <= needed
    setting = needed - 50
    thinned_peak, fewer, thinned_needed = alone(setting)
    assert fewer < rows
    assert thinned_peak <= thinned_needed <= setting
