"""Large training periods are searched on a sample: as good a model, honest figures, the same every
time."""

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset
from alerting.definitions.families import BUILT_IN as FAMILIES
from alerting.learning.data.dataset import build_dataset
from alerting.learning.models.families.lightgbm import LightGbm
from alerting.learning.search import sample
from alerting.learning.search.candidates import usable_folds
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.promotion import DAY_MS, paired_differences
from alerting.readings.history import History
from tests.builders import classifier

pytestmark = pytest.mark.models
ROWS = 16_000
SEARCHED = 3_000


def line():
    """Ten variables, a reading a minute; the first leaves its limit ten minutes after the second
    has been high for a while."""
    random = np.random.default_rng(4)
    values = random.standard_normal((ROWS, 10))
    slow = 4 * np.convolve(values[:, 1], np.ones(30) / 30)[:ROWS]
    values[:, 1] = slow + 0.1 * values[:, 1]
    values[10:, 0] = slow[:-10] + 0.7 * values[10:, 0]
    index = pd.date_range("2026-01-01", periods=ROWS, freq="min", tz="UTC", name="ts").as_unit("ms")
    return History(
        Asset(name="oven-1"),
        pd.DataFrame(values, columns=[f"v{i}" for i in range(10)], index=index),
    )


def definition(family, **learning):
    return classifier(
        problem={"variable": "v0", "above": 2.5, "predict": "state"},
        horizon="10m",
        features={"stride": "1m", "windows": ["10m"], "aggregations": ["mean", "std", "last"]},
        learning={"trials": 3, "folds": 2, "candidates": [family], **learning},
    )


@pytest.fixture(scope="module")
def data():
    history = line()
    return build_dataset(
        definition("lightgbm"), 1, [history], history.readings.index[-1].to_pydatetime()
    )


@pytest.fixture
def sampled(monkeypatch):
    """As if a search of three thousand rows were a long one: a small table stands for a large
    one."""
    monkeypatch.setattr(sample, "MOST_SEARCHED", SEARCHED)


def silent(*_):
    pass


def searched(data, family, progress=silent, read_time=None, **learning):
    return search_candidate(data, definition(family, **learning), family, progress, None, read_time)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.night
def test_the_model_is_not_worse_than_that_of_a_search_of_all_rows_and_the_figures_are_of_all_rows(
    data, monkeypatch, family
):
    whole = searched(data, family)
    monkeypatch.setattr(sample, "MOST_SEARCHED", SEARCHED)
    found = searched(data, family)
    test = data.part == "test"
    scores = [
        finish_challenger(data, c, definition(family))[0].score(data.rows[test])
        for c in (found, whole)
    ]
    _, hours = np.unique(data.at[test] // (DAY_MS // 6), return_inverse=True)
    difference = paired_differences(data.label[test], *scores, hours, seed=0)
    assert np.quantile(difference, 0.975) >= 0
    assert difference.mean() > -0.02

    train = int((data.part == "train").sum())
    assert found.notes[0].startswith(f"searched on 3,000 of {train:,} training rows (all ")
    assert whole.notes == ()
    assert (np.isfinite(found.oof) == np.isfinite(whole.oof)).all()
    assert found.metrics["prevalence"] == whole.metrics["prevalence"]
    assert found.metrics["ap"] > whole.metrics["ap"] - 0.03
    best = next(trial for trial in found.tried if trial.params == found.params)
    # without weights it would be three times as high
    assert best.ap == pytest.approx(found.metrics["ap"], abs=0.03)


def test_every_fold_is_fitted_and_tried_on_its_part_of_the_sample_alone(data, sampled, monkeypatch):
    fitted = []
    tried = []
    fit = LightGbm.fit_with_validation

    def fit_and_count(self, params, columns, rows, watched, seed):
        fitted.append((len(rows.matrix), rows.weight.sum()))
        tried.append((len(watched.matrix), watched.weight.sum()))
        return fit(self, params, columns, rows, watched, seed)

    monkeypatch.setattr(LightGbm, "fit_with_validation", fit_and_count)
    searched(data, "lightgbm", trials=1)
    folds, _ = usable_folds(data, 2)
    assert max(rows for rows, _ in fitted) < SEARCHED
    assert [weight for _, weight in fitted] == pytest.approx(
        [len(f.train) for f in folds], rel=0.02
    )
    assert [weight for _, weight in tried] == pytest.approx([len(f.test) for f in folds], rel=0.02)
