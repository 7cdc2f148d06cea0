"""Models and their files: read back as they were, explained by their columns, refused in words if
changed or forged; the mean of several boosters."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_equal
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from alerting.deferred import lightgbm
from alerting.definitions.fields.learning import BUILT_IN as FAMILIES
from alerting.learning.features.plan import Columns
from alerting.learning.models.families import lightgbm as family
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.families.lightgbm import BoosterMean, LightGbm
from alerting.learning.models.model_files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import from_millis
from tests import small_models
from tests.helpers.learning.trained import chosen, finished

pytestmark = pytest.mark.models


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_read_from_its_files_scores_the_same_bit_for_bit(data, family):
    model, _ = finished(family)
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    same = {"estimator": model.estimator, "normal": None, "refit": None}
    assert replace(read, **same) == replace(model, **same)
    assert_equal(asdict(read.normal), asdict(model.normal))


def trained(data, **changes):
    return finish_challenger(
        data, chosen("logistic_regression"), small_models.definition(**changes)
    )


def test_training_again_gives_the_same_hash_whatever_the_test_period_and_another_threshold_another(
    data,
):
    model, evidence = finished("logistic_regression")
    test = data.part == "test"
    upside_down = replace(data, label=np.where(test, 1 - data.label, data.label).astype(np.int8))
    other, other_evidence = trained(upside_down)
    assert other.hash == model.hash
    assert other_evidence.rows["test"] != evidence.rows["test"]
    parts = (model.estimator, model.calibration)
    hashes = [model_hash(*parts, threshold, model.plan) for threshold in (model.threshold, 0.9)]
    assert hashes[0] == model.hash != hashes[1]


def test_the_training_cutoff_is_the_end_of_the_last_label_window_of_validation(data):
    model, _ = finished("logistic_regression")
    newest = int(data.at[data.part == "validation"].max())
    assert model.training_cutoff == from_millis(newest) + timedelta(minutes=30)


def test_the_evidence_has_rows_events_curves_and_figures_for_the_registry():
    _, evidence = finished("lightgbm")
    figures = evidence.metrics
    assert figures["test_ap"] > 0.5
    low, high = (figures[f"test_event_recall_{end}"] for end in ("low", "high"))
    assert 0 <= low <= high <= 1
    assert all(isinstance(value, float) for value in figures.values())
    documents = {name: json.loads(content) for name, content in evidence.files.items()}
    assert documents["summary.json"]["n_events"] == evidence.events["test"].n_events
    assert documents["threshold_curve.json"]
    assert next(iter(documents["importance.json"])) in ("humidity", "moisture")


def test_files_that_hold_something_else_or_were_changed_or_lost_are_refused_with_what_to_do():
    files = model_files(finished("logistic_regression")[0])
    meta = json.loads(files[META])
    two = {"weights": [0.4, 0.6], "members": meta["members"] * 2}
    function = FunctionTransformer(func=json.dumps)
    forged = {
        "names untrusted types": {"model.skops": skops.io.dumps(function)},
        r"holds no model for \d+ columns": {
            "model.skops": skops.io.dumps(DecisionTreeClassifier())
        },
        "do not fit their hash": {META: json.dumps(meta | {"threshold": 0.0}).encode()},
        "this version reads format 4": {META: json.dumps(meta | {"format": 2}).encode()},
        "members: Tuple should have at most 1 item.*train the model again": {
            META: json.dumps(meta | two).encode()
        },
    }
    for words, changed in forged.items():
        with pytest.raises(ModelRefused, match=words):
            model_from_files(files | changed)
    for lost in files:
        with pytest.raises(ModelRefused, match=rf"without a readable {lost}"):
            model_from_files({name: data for name, data in files.items() if name != lost})


def test_a_model_that_reads_some_of_its_columns_is_stored_and_explained_with_these_alone(data):
    train = np.flatnonzero(data.part == "train")
    kept = [*train[data.label[train] == 1][:7], *train[data.label[train] == 0][:8]]
    part = np.where(data.part == "train", "purged", data.part)
    part[kept] = "train"
    model, _ = trained(replace(data, part=part))
    assert len(model.plan.columns) > len(kept)
    loaded = model_from_files(model_files(model))
    assert np.array_equal(loaded.score(data.rows), model.score(data.rows))
    row = data.rows.iloc[[100]]
    shares, base = model.estimator.contributions(Columns.from_plan(model.plan).matrix(row))
    assert np.count_nonzero(shares) <= len(kept)
    assert base + shares.sum() == pytest.approx(model.estimator.margin(row)[0])


COLUMNS = Columns(("a", "b", "c", "kind"), {"kind": ("w", "x", "y", "z")})


def rows():
    random = np.random.default_rng(0)
    matrix = np.column_stack([random.normal(size=(400, 3)), random.integers(0, 4, 400)])
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    label = (
        np.nan_to_num(matrix[:, 0]) + random.normal(size=400) + (matrix[:, 3] == 2) > 1
    ).astype(np.int8)
    return LabelledRows(matrix, label)


def final(seed=0):
    return LightGbm().fit_final(
        get_family("lightgbm").defaults | {"rounds": 7}, COLUMNS, rows(), seed
    )


@pytest.fixture(scope="module")
def model():
    return finished("lightgbm")[0]


def test_score_contributions_and_importance_are_the_means_of_three_different_boosters():
    estimator = final()
    matrix = rows().matrix
    boosters = estimator.model.boosters
    assert len({booster.model_to_string() for booster in boosters}) == 3
    assert estimator.margin_of(matrix) == pytest.approx(
        np.mean([b.predict(matrix, raw_score=True) for b in boosters], axis=0)
    )
    shares, base = estimator.contributions(matrix[[5]])
    expected = np.mean([b.predict(matrix[[5]], pred_contrib=True)[0] for b in boosters], axis=0)
    assert [*shares, base] == pytest.approx(expected)
    assert shares.sum() + base == pytest.approx(estimator.margin_of(matrix[[5]])[0])
    gains = np.mean([b.feature_importance("gain") for b in boosters], axis=0)
    assert estimator.importance() == pytest.approx(gains / gains.sum())


def test_a_large_table_has_one_booster(monkeypatch):
    monkeypatch.setattr(family, "SMALL", rows().matrix.size - 1)
    assert len(final().model.boosters) == 1


def test_a_booster_that_is_one_leaf_can_be_averaged():
    stump = lightgbm.train(
        {"objective": "binary", "verbosity": -1},
        lightgbm.Dataset(np.zeros((50, 1)), np.r_[np.ones(10), np.zeros(40)]),
        2,
    )
    one = BoosterMean((stump, stump))
    assert one.margin(np.zeros((1, 1))) == pytest.approx(
        stump.predict(np.zeros((1, 1)), raw_score=True)
    )


def test_the_hash_is_of_all_three_and_of_their_number(model):
    files = model_files(model)
    meta = json.loads(files[META])
    (member,) = meta["members"]
    names = member["files"]
    assert names == ["model-0.txt", "model-1.txt", "model-2.txt"]

    def listing(files):
        return {META: json.dumps(meta | {"members": [member | {"files": files}]}).encode()}

    twice = {"model-2.txt": files["model-1.txt"]}
    for forged in (twice, listing(names[:2]), listing(names[::-1])):
        with pytest.raises(ModelRefused, match="do not fit their hash"):
            model_from_files(files | forged)


def test_a_split_between_missing_and_known_values_is_read_back():
    """LightGBM writes such a split with the limit `inf`."""
    matrix = np.random.default_rng(1).normal(size=(400, 4))
    matrix[:, 3] = 0
    matrix[::3, 0] = np.nan
    label = np.isnan(matrix[:, 0]).astype(np.int8)
    label[:20] = 1 - label[:20]
    params = get_family("lightgbm").defaults | {"rounds": 5}
    estimator = LightGbm().fit_final(params, COLUMNS, LabelledRows(matrix, label), 0)
    files = estimator.model.files()
    lines = [line for data in files.values() for line in data.splitlines()]
    assert any(b"inf" in line for line in lines if line.startswith(b"threshold="))
    read = LightGbm().load(files, 4)
    assert np.array_equal(read.margin(matrix), estimator.margin_of(matrix))


def metas(meta) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions of a model that are no JSON, or in which one field has another value."""
    yield from _no_descriptions()
    (member,) = meta["members"]
    for way, forged in (
        *_forged("", meta, FIELDS | _more_members(meta)),
        *(
            (way, meta | {"members": [one]})
            for way, one in (*_forged("", member, _of_a_member(member)), *_dense(member))
        ),
        *(
            (way, meta | {"plan": plan})
            for way, plan in _forged("plan.", meta["plan"], _of_a_plan(meta["plan"]))
        ),
    ):
        yield way, json.dumps(forged).encode()


def _forged(prefix, document, changes) -> Iterator[tuple[str, dict]]:
    """Yield a document with each of these values of each of its fields."""
    for name, values in changes.items():
        for value in values:
            yield f"{prefix}{name} = {str(value)[:30]}", document | {name: value}


def _no_descriptions() -> Iterator[tuple[str, bytes]]:
    for rubbish in (
        "[]",
        "null",
        "{}",
        '"text"',
        "1e400",
        "{" * 100_000,
        "[" * 100_000,
        "\x00",
        "9" * 100_000,
        '{"format": 4}',
    ):
        yield rubbish[:20], rubbish.encode()
    yield "no UTF-8", b"\xff\xfe{}"


FIELDS = {
    "horizon_ms": [1e30, 10**30, -1, "30m", None, float("nan")],
    "gap_ms": [1e30, 10**18],
    "threshold": [float("nan"), float("inf"), "high", None, []],
    "training_cutoff": [
        "yesterday",
        "9999-12-31T23:59:59+00:00",
        "2026-01-01T00:00:00",
        5,
        None,
    ],
    "as_of": ["0001-01-01T00:00:00+00:00", None],
    "calibration": [
        [],
        {},
        {"slope": float("inf"), "intercept": 0.0},
        {"slope": 1.0, "intercept": 0.0, "more": 1},
    ],
    "plan": [[], {}, None],
    "weights": [[], [0.5], [1.0, 1.0], [float("nan")], None],
    "family": ["blend", "lightgbm"],
    "format": [1, 3, 5, "4", None],
    "usual": [[], {"no such column": 1.0}],
    "ranges": [{"no such column": [0.0, 1.0]}, {"x": [0.0]}],
    "hash": ["", "0" * 64, None],
    "more": [1],
}


def _more_members(meta) -> dict[str, list]:
    return {"members": [[], None, meta["members"] * 2, meta["members"] * 1000]}


def _of_a_member(member) -> dict[str, list]:
    return {
        "family": ["blend", "pickle", "os", "../lightgbm", None, []],
        "files": [
            [],
            [META],
            ["../model.json"],
            ["none.txt"],
            member["files"] * 2,
            member["files"] * 1000,
            "model-0.txt",
            None,
        ],
        "pairs": [[[0, 10**9]], [[0]], [[-1, 0]], [[0, 1]] * 100_000, None],
        "boosters": [3],
    }


def _of_a_plan(plan) -> dict[str, list]:
    return {
        "windows_ms": [[], [10**30], list(range(1, 200_000)), [60_000, 60_000], [-5]],
        "lags_ms": [list(range(100_000))],
        "stride_ms": [0, -1, 10**30],
        "aggregations": [["mean"] * 100_000, ["no_such"], [["mean"]]],
        "numbers": [
            plan["numbers"] * 100_000,
            [{"name": "x"}],
            [{"name": "x", "sampling_ms": 1, "more": 1}],
        ],
        "categories": [[{"name": "x", "levels": ["a"] * 1_000_000}]],
        "delay_ms": [10**30],
    }


def _dense(member) -> Iterator[tuple[str, dict]]:
    """Yield the member without its dense encoding, or with a wrong one."""
    dense = member["dense"]
    fields = ("numbers", "medians", "flagged", "categories", "mean", "scale")
    if dense is None:
        yield "dense", member | {"dense": {field: [] for field in fields}}
        return
    forged = {
        "numbers": [10**6],
        "medians": [],
        "flagged": [-1],
        "scale": [0.0] * max(len(dense["scale"]), 1),
        "mean": [0.0],
        "categories": [[0, 10**9]],
    }
    for name, value in forged.items():
        yield f"dense.{name}", member | {"dense": dense | {name: value}}
    yield "dense", member | {"dense": None}


def test_a_forged_description_is_refused_in_words():
    files = model_files(finished("logistic_regression")[0])
    for way, forged in metas(json.loads(files[META])):
        with pytest.raises(ModelRefused):
            model_from_files(files | {META: forged})
            pytest.fail(f"{way} was read")
