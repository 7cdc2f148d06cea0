"""The same seed, data and definition: the same searches, models, figures and decisions, in any
process, on one thread or two."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from alerting.learning.features.encoding import Columns
from alerting.learning.models.estimator import SMALL, Estimator
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.families.lightgbm import LightGbm

pytestmark = pytest.mark.models


def trained_on(threads):
    command = [
        sys.executable,
        "-m",
        "tests.usecases.training.trained_on_threads",
        str(threads),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def runs():
    with ThreadPoolExecutor() as pool:
        return list(pool.map(trained_on, (1, 2, 2)))


@pytest.mark.night
def test_the_processes_have_the_threads_they_were_told(runs):
    assert [run["threads"] for run in runs] == [[1], [2], [2]]


@pytest.mark.parametrize(
    "name",
    [
        "logistic_regression",
        "random_forest",
        "lightgbm",
        "lightgbm with pairs",
        "random_forest with pairs",
    ],
)
def test_search_model_scores_and_figures_are_the_same(runs, name):
    one, two, again = (run["found"][name] for run in runs)
    assert one == two == again


@pytest.mark.parametrize("name", ["first", "next"])
def test_the_decision_and_its_evidence_are_the_same(runs, name):
    one, two, again = (run["found"][name] for run in runs)
    assert one == two == again


def test_the_second_decision_compared_two_models(runs):
    first, second = (json.loads(runs[0]["found"][name][-1]) for name in ("first", "next"))
    assert (first["verdict"], first["promote"]) == ("provisional", True)
    assert second["verdict"] != "provisional"
    assert second["evidence"]


@pytest.mark.parametrize(
    "params", [{}, {"extra_trees": True, "neg_bagging_fraction": 0.25}], ids=["plain", "thinned"]
)
def test_a_large_weighted_table_gives_the_same_trees_on_one_thread_and_on_several(params):
    random = np.random.default_rng(0)
    rows = SMALL // 30 + 1
    columns = Columns(tuple(f"c{i}" for i in range(30)), {})
    matrix = random.standard_normal((rows, 30))
    label = (
        matrix[:, 0] * matrix[:, 1] + matrix[:, 2] + random.standard_normal(rows) > 2.2
    ).astype(np.int8)
    weight = np.where(label == 1, 1.0, 3.7)

    def fitted(threads: int) -> Estimator:
        told = get_family("lightgbm").defaults | {"rounds": 8} | params
        return LightGbm().fit(told, columns, LabelledRows(matrix, label, weight), 1, threads)

    one, two, three = (fitted(threads) for threads in (1, 2, 3))
    assert one.model.files() == two.model.files() == three.model.files()
    assert np.array_equal(one.margin_of(matrix), three.margin_of(matrix))
