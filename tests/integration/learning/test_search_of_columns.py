"""Sets of columns in a search: screening leaks nothing, and a model of few columns is stored, read and explained as any other."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.encoding import Columns
from alerting.learning.models.files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from alerting.learning.search import search
from alerting.learning.search.column_sets import ColumnSets
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History
from alerting.recommendation.contributions import contributions, explain
from tests import small_models
from tests.builders import classifier

ROWS, VARIABLES = 600, 400


def silent(*_):
    pass


@pytest.fixture(scope="module")
def noise():
    """Hourly noise of 400 variables, which tells nothing of the problem."""
    random = np.random.default_rng(0)
    index = pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC", name="ts").as_unit("ms")
    readings = pd.DataFrame(random.standard_normal((ROWS, VARIABLES)), columns=[f"v{i}" for i in range(VARIABLES)], index=index)
    definition = classifier(
        problem={"variable": "v0", "above": 0.8, "predict": "state"},
        horizon="1h",
        features={"stride": "1h", "windows": ["1h"], "aggregations": ["last"]},
        learning={"trials": 2, "folds": 3},
    )
    history = History(Asset(name="oven-1"), readings)
    return definition, build_dataset(definition, 1, [history], index[-1].to_pydatetime())


def screened_ap(definition, data):
    found = search_candidate(data, definition, "logistic_regression", silent, {"columns": "screened"})
    return next(trial.ap for trial in found.tried if trial.params.get("columns") == "screened")


def test_columns_of_noise_chosen_on_all_rows_would_look_good_and_those_chosen_in_the_fold_do_not(noise, monkeypatch):
    definition, data = noise
    train = np.flatnonzero(data.part == "train")
    prevalence = data.label[train].mean()
    honest = screened_ap(definition, data)
    choose = ColumnSets.choose
    monkeypatch.setattr(search.ColumnSets, "choose", lambda self, p, m, _rows, label: choose(self, p, m, train, label))
    leaking = screened_ap(definition, data)
    assert honest < prevalence + 0.06
    assert leaking > honest + 0.15


def trained(columns):
    definition, data = small_models.definition(), small_models.dataset()
    found = search_candidate(data, definition, "lightgbm", silent)
    chosen = replace(found, params=found.params | {"columns": columns})
    return data, finish_challenger(data, chosen, definition)[0]


@pytest.mark.parametrize(("columns", "read"), [("own", {"moisture"}), ("compact", {*small_models.VARIABLES})])
def test_a_model_of_few_columns_is_read_as_it_was_stored_and_explains_with_them_alone(columns, read):
    data, model = trained(columns)
    loaded = model_from_files(model_files(model))
    row = data.rows.iloc[[100]]
    assert np.array_equal(loaded.score(data.rows), model.score(data.rows))
    shares, base = model.estimator.contributions(Columns.from_plan(model.plan).matrix(row))
    assert base + shares.sum() == pytest.approx(model.estimator.margin(row)[0])
    assert {model.plan.source_of(name) for name, s in zip(model.plan.columns, shares, strict=True) if s} <= read
    assert explain(loaded, row).score == pytest.approx(model.score(row)[0])
    assert {c.variable for c in contributions(loaded, row, Asset(name="oven-1"))} <= read


@pytest.mark.parametrize("columns", [[0, 10_000], [1, 0], []])
def test_a_stored_model_that_names_impossible_columns_is_refused(columns):
    files = model_files(trained("own")[1])
    meta = json.loads(files[META])
    meta["members"][0]["columns"] = columns
    with pytest.raises(ModelRefused):
        model_from_files(files | {META: json.dumps(meta).encode()})


def test_a_champion_of_few_columns_lends_them_to_the_next_search():
    definition, data = small_models.definition(learning={"trials": 2, "folds": 2}), small_models.dataset()
    found = search_candidate(data, definition, "logistic_regression", silent, {"C": 0.5, "columns": "own"})
    assert found.tried[1].params == {"C": 0.5, "class_weight": None, "columns": "own"}


def test_a_candidate_says_which_columns_it_uses(noise):
    definition, data = noise
    only_screened = replace(ColumnSets.of_plan(data.plan, ("v0",)), fixed={})
    assert only_screened.describe({"columns": "screened"}) == ["the best parameters use the best 40 of 400 columns (screened)"]
    assert only_screened.describe({}) == []
    found = search_candidate(data, definition, "logistic_regression", silent, {"columns": "own"})
    own = next(trial for trial in found.tried if trial.params.get("columns") == "own")
    assert ("(own)" in " ".join(found.notes)) == (found.params == own.params)
