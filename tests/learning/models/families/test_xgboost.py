"""XGBoost as an optional family: the same scores as its library gives, and a plain refusal where it
is not installed."""

import numpy as np
import pytest

from alerting.definitions import families
from alerting.definitions.faults import DefinitionRefused
from alerting.kinds.validation import parse_definition
from alerting.learning.models.families.contract import LabelledRows, get_family
from tests.builders import classifier

pytestmark = pytest.mark.models


def rows(count=1500):
    """Return rows with missing and rounded values, and labels that follow two columns."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(count, 5))
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 3] = np.round(matrix[:, 3])
    risk = np.nan_to_num(matrix[:, 0]) + np.nan_to_num(matrix[:, 3]) + random.normal(size=count)
    return LabelledRows(matrix, (risk > 1).astype(np.int8))


@pytest.fixture
def library():
    return pytest.importorskip("xgboost")


def test_its_trees_give_the_margins_of_the_library_also_at_the_limits_themselves(library):
    from alerting.learning.models.families import xgboost as family

    data = rows()
    booster = family._boost(family.FAMILY.defaults, data, 0, 40)
    found = family.StoredBoosterMean([family.booster_text(booster, data.matrix).encode()])
    limits = booster.trees_to_dataframe()["Split"].dropna().to_numpy()
    at_limits = np.concatenate(
        [np.nextafter(np.float32(limits), np.float32(side)) for side in (-np.inf, np.inf)]
        + [limits]
    )
    at_limits = at_limits[np.abs(at_limits) > 1e-35]  # LightGBM takes smaller values for 0
    for matrix in (data.matrix, np.repeat(at_limits.astype(np.float64)[:, None], 5, axis=1)):
        expected = booster.predict(library.DMatrix(matrix), output_margin=True)
        assert found.margin(matrix) == pytest.approx(expected, abs=1e-5)


def test_values_that_32_bits_cannot_hold_stop_no_training(library):
    data = rows(200)
    data.matrix[:2, 0] = 1e39, -np.inf
    family = get_family("xgboost")
    found = family.fit({**family.defaults, "rounds": 3}, None, data, 0)
    assert np.isfinite(found.model.margin(data.matrix)).all()


def test_a_candidate_that_is_not_installed_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(families, "find_spec", lambda name: None)
    document = classifier().model_dump(mode="json", by_alias=True, exclude_none=True) | {
        "learning": {"candidates": ["xgboost"]}
    }
    with pytest.raises(
        DefinitionRefused,
        match=r"xgboost is not installed here; .* pip install alerting\[xgboost\]",
    ):
        parse_definition(document)
