"""XGBoost as a family of an extra: the scores and contributions of its library, categories split as
such, and a plain refusal where the library is not installed."""

import numpy as np
import pytest
import xgboost

from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.fields import learning
from alerting.kinds.registry import parse_definition
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import LabelledRows, get_family
from tests.builders import classifier

pytestmark = pytest.mark.models

FAMILY = get_family("xgboost")
COLUMNS = Columns(("a", "b", "kind"), {"kind": tuple(map(str, range(8)))})


def rows(count=1500):
    """Return rows with missing values, and labels that follow a number and two of eight levels."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(count, 3))
    matrix[:, 2] = random.integers(0, 8, count)
    risk = matrix[:, 0] + 2 * np.isin(matrix[:, 2], (1, 6)) + 0.3 * random.normal(size=count)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    return LabelledRows(matrix, (risk > 1.5).astype(np.int8))


def fitted(learned, **params):
    return FAMILY.fit({**FAMILY.defaults, "rounds": 20, **params}, COLUMNS, learned, 0)


def test_margins_and_contributions_are_those_of_the_library_for_the_stored_file():
    data = rows()
    model = fitted(data).model
    [(name, stored)] = model.files().items()
    booster = xgboost.Booster(model_file=bytearray(stored))
    matrix = xgboost.DMatrix(data.matrix, feature_types=["q", "q", "c"], enable_categorical=True)
    assert np.array_equal(model.margin(data.matrix), booster.predict(matrix, output_margin=True))
    few = booster.predict(matrix, output_margin=True, iteration_range=(0, 3))
    assert np.array_equal(model.margin(data.matrix, 3), few)
    shares, base = model.contributions(data.matrix[:1])
    expected = booster.predict(matrix, pred_contribs=True)[0]
    assert [*shares, base] == pytest.approx(expected.tolist(), abs=1e-6)
    assert name == "model.ubj"


def test_levels_that_are_no_neighbours_are_split_from_the_others_at_once():
    data = rows()
    only_level = np.full((8, 3), np.nan)
    only_level[:, 2] = np.arange(8)
    alone = LabelledRows(data.matrix * [np.nan, np.nan, 1], data.label)
    margin = fitted(alone, rounds=1, max_depth=1, colsample_bytree=1.0).margin_of(only_level)
    assert {*np.flatnonzero(margin == margin.max())} == {1, 6}


def test_a_fold_keeps_the_trees_after_its_own_best_because_all_folds_choose_the_number():
    data = rows()
    train, later = (LabelledRows(data.matrix[i::2], data.label[i::2]) for i in (0, 1))
    found, curve = FAMILY.fit_with_validation(FAMILY.defaults, COLUMNS, train, later, 0)
    assert len(curve) > np.argmax(curve) + 1
    few = FAMILY.fit({**FAMILY.defaults, "rounds": len(curve)}, COLUMNS, train, 0)
    assert np.array_equal(found.margin_of(later.matrix), few.margin_of(later.matrix))


def test_values_that_32_bits_cannot_hold_stop_no_training():
    data = rows(200)
    data.matrix[:2, 0] = 1e39, -np.inf
    model = fitted(data, rounds=3)
    assert np.isfinite(model.margin_of(data.matrix)).all()
    assert np.isfinite(model.contributions(data.matrix[:1])[0]).all()


def test_where_the_library_is_not_installed_the_fault_says_what_installs_it(monkeypatch):
    document = classifier().model_dump(mode="json", by_alias=True, exclude_none=True)
    document["learning"] = {"candidates": ["xgboost"]}
    assert "xgboost" in parse_definition(document).families
    monkeypatch.setattr(learning, "find_spec", lambda name: None)
    with pytest.raises(
        DocumentRefused,
        match=r"xgboost is not installed here; .*: pip install 'alerting\[xgboost\]'",
    ):
        parse_definition(document)
    document["learning"] = {"candidates": ["xgbost"]}
    with pytest.raises(DocumentRefused, match="families of this platform: ") as refused:
        parse_definition(document)
    assert "xgboost" not in str(refused.value)
    get_family.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'alerting\[xgboost\]'"):
        get_family("xgboost")


def test_a_library_that_cannot_be_loaded_is_named_with_what_to_install(monkeypatch):
    def load(entry):
        raise OSError("libgomp.so.1: cannot open shared object file")

    get_family.cache_clear()
    # of the standard library, or of its backport once some library has imported that
    monkeypatch.setattr(type(learning.find_added("xgboost")), "load", load)
    with pytest.raises(UserError, match=r"package xgboost.*\(OSError: libgomp.so.1.*libgomp1"):
        get_family("xgboost")
