import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, parse_asset
from alerting.definitions.faults import DocumentRefused
from alerting.definitions.wording.language import spoken_share
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.point_in_time import build_features
from alerting.learning.models.model_files import META, model_files, model_from_files
from alerting.learning.models.trained import MOST_NORMAL_ROWS, ModelRefused, sample_normal
from alerting.readings.history import to_millis
from alerting.recommendation.explanation import MARGIN, recommend
from alerting.recommendation.levers import find_levers
from alerting.recommendation.what_if import base_row
from tests import small_models
from tests.helpers.learning.trained import finished

pytestmark = pytest.mark.models

HISTORY = small_models.line()
AT = small_models.START + timedelta(hours=100)
PRESENT = float(HISTORY.readings.loc[:AT, "setpoint"].iloc[-1])


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def model(data, weights, **settings):
    return small_models.linear_model(data.plan, data.rows, weights, **settings)


def risk_with(made, changes):
    """The model's own risk with the changed readings, computed anew from nothing."""
    readings = HISTORY.readings.copy()
    for change in changes:
        recent = (readings.index > AT - timedelta(minutes=30)) & (readings.index <= AT)
        readings.loc[recent & readings[change.variable].notna(), change.variable] = change.after
    changed = replace(HISTORY, readings=readings)
    return float(made.score(build_features(made.plan, changed, np.array([to_millis(AT)])))[0])


def before(made):
    return risk_with(made, [])


def test_the_smallest_change_that_keeps_the_risk_under_the_threshold_is_recommended(data):
    made = model(data, {"setpoint.last": 2.0})
    made = replace(made, threshold=before(made) * 0.9)
    found = recommend(made, HISTORY, AT, max_changes=2)
    assert found.helps
    (change,) = found.changes
    assert (change.variable, change.before, change.unit) == ("setpoint", PRESENT, "°C")
    assert change.after < PRESENT
    assert found.risk_after < MARGIN * made.threshold < made.threshold <= found.risk_before
    assert (found.safety, found.search) == ("aim", "least")
    missed = [risk_with(made, [replace(change, after=change.after + n)]) for n in (1, 2)]
    assert missed[0] < MARGIN * made.threshold <= missed[1], "one step less is not safe"
    risk = f"{spoken_share(found.risk_before)} → {spoken_share(found.risk_after)}"
    order = f"Set oven set-point from {PRESENT:g} to {change.after:g} °C. Risk {risk}."
    assert found.message == order
    assert found.background == "It is not known whether these settings are within normal operation."


def test_the_risk_afterwards_is_that_of_all_features_computed_anew(data):
    weights = {"setpoint.mean.1h": 2.0, "setpoint.std.1h": 0.1, "setpoint.last": 1.0}
    made = model(data, weights | {"humidity.last": 1.0})
    found = recommend(replace(made, threshold=before(made) * 0.8), HISTORY, AT, max_changes=1)
    assert found.changes
    assert found.risk_before == before(made)
    assert found.risk_after == pytest.approx(risk_with(made, found.changes), abs=1e-12)


def test_where_nothing_suffices_the_greatest_reduction_is_given_and_said_not_to_suffice(data):
    made = model(data, {"setpoint.last": 0.5}, intercept=8.0)
    found = recommend(made, HISTORY, AT, max_changes=2)
    assert not found.helps
    assert found.changes
    assert made.threshold < found.risk_after < found.risk_before
    assert found.message.startswith(
        "No permitted change is enough (alarm at 50 %). The largest effect: Set "
    )


def test_where_nothing_lowers_the_risk_no_change_is_given(data):
    rising = model(data, {"humidity.last": 1.0}, intercept=3.0)
    found = recommend(rising, HISTORY, AT, max_changes=2)
    assert (found.helps, found.changes, found.risk_after) == (False, (), found.risk_before)
    assert found.message == "No permitted change lowers the risk (93 %; alarm at 50 %)."


def levers(made, history, at):
    instant = to_millis(at)
    found = find_levers(made, history, instant, base_row(made, history, instant), {})
    return {lever.name: lever for lever in found}


def with_setpoint(**changes):
    setpoint = small_models.VARIABLES["setpoint"].model_copy(update=changes)
    variables = small_models.VARIABLES | {"setpoint": setpoint}
    return replace(HISTORY, asset=Asset(name="oven-1", variables=variables))


def test_the_present_setting_limits_and_largest_change_bound_the_search(data):
    narrow = with_setpoint(min=PRESENT - 4, max_change=3.0)
    found = levers(model(data, {"setpoint.last": 1.0}), narrow, AT)["setpoint"]
    assert found.present == PRESENT
    assert found.settings == tuple(PRESENT + d for d in (-3, -2, -1, 1, 2, 3))


def test_settings_far_from_anything_seen_are_refused(data):
    wide = with_setpoint(min=0.0, max=1000.0, max_change=None, step=5.0)
    made = replace(model(data, {"setpoint.last": 1.0}), threshold=0.0)
    (change,) = recommend(made, wide, AT, max_changes=1).changes
    assert 214 <= change.after <= 226  # training has seen 215 to 225


def test_if_all_settings_are_far_from_anything_seen_the_model_cannot_tell(data):
    made = replace(model(data, {"setpoint.last": 1.0}), threshold=0.01)
    now = build_features(made.plan, HISTORY, np.array([to_millis(AT)])).iloc[0]
    seen = {name: (now[name], now[name]) for name in made.ranges}
    found = recommend(replace(made, ranges=seen), HISTORY, AT, max_changes=2)
    assert found.changes == ()
    assert "far from the training data of the model" in found.message


def test_what_becomes_known_after_the_instant_changes_nothing(data):
    made = replace(model(data, {"setpoint.mean.1h": 1.0}), threshold=0.4)
    past = replace(HISTORY, readings=HISTORY.readings.loc[:AT])
    assert recommend(made, HISTORY, AT, 2) == recommend(made, past, AT, 2)
    needed = replace(HISTORY, readings=HISTORY.readings.loc[AT - made.plan.lookback : AT])
    assert recommend(made, needed, AT, 2) == recommend(made, past, AT, 2)


def test_of_a_risk_that_is_under_the_threshold_only_the_risk_is_told(data):
    made = replace(model(data, {"setpoint.last": 1.0}), threshold=0.99)
    found = recommend(made, HISTORY, AT, max_changes=2)
    assert (found.helps, found.changes, found.risk_after) == (False, (), found.risk_before)
    assert found.message.startswith("The risk is ")
    assert ", below the alarm at 99 %. Keep an eye on it" in found.message


def test_a_set_point_that_is_older_than_every_window_can_be_changed_while_it_holds():
    setpoint = HISTORY.readings["setpoint"]
    changes = setpoint.where(setpoint.diff() != 0)
    held = replace(HISTORY, readings=HISTORY.readings.assign(setpoint=changes))
    data = build_dataset(small_models.definition(), 1, [held], small_models.as_of(held))
    assert "setpoint" in data.plan.carried_longer
    last = changes[:AT].last_valid_index()
    at = last + timedelta(hours=4)
    made = replace(model(data, {"setpoint.last": 2.0}), threshold=0.01)
    whole = recommend(made, held, at, max_changes=1)
    (change,) = whole.changes
    assert (change.variable, change.before) == ("setpoint", changes[last])
    assert change.after < change.before
    changed = held.readings.copy()
    changed.loc[last, "setpoint"] = change.after
    row = build_features(made.plan, replace(held, readings=changed), np.array([to_millis(at)]))
    assert whole.risk_after == pytest.approx(float(made.score(row)[0]))
    first_hour = changes[: small_models.START + timedelta(hours=1)]
    expired = replace(held, readings=held.readings.assign(setpoint=first_hour))
    assert list(levers(made, expired, at)) == ["belt"]


@pytest.fixture(scope="module")
def trained():
    return small_models.dataset(), finished("logistic_regression")[0]


def test_a_model_keeps_normal_rows_of_its_training_and_says_how_unusual_a_row_is(trained):
    data, model = trained
    normal = model.normal
    train = data.part == "train"
    assert normal.columns == ("belt.last", "humidity.last", "moisture.last", "setpoint.last")
    assert len(normal.rows) == min(MOST_NORMAL_ROWS, int((train & (data.label == 0)).sum()))
    levels = data.rows.loc[train & (data.label == 0), list(normal.columns)].to_numpy(np.float64)
    unusual = normal.unusual(normal.distance(levels))
    assert 0.2 < np.median(unusual) < 0.6, (
        "normal rows are as unusual as normal rows, each near to itself"
    )
    far = normal.unusual(normal.distance(levels[:1] + 100.0))
    assert far == [1.0]


def test_normal_rows_are_sampled_by_the_seed_and_bounded(trained):
    data, _ = trained
    many = data.rows.loc[np.repeat(np.arange(len(data.rows)), 5)].reset_index(drop=True)
    normal = np.ones(len(many), np.bool_)
    asset = np.array(["a", "b"], object)[np.arange(len(many)) % 2]
    many.iloc[:, 0] = np.where(asset == "a", np.nan, many.iloc[:, 0])
    one, same, other = (sample_normal(data.plan, many, normal, asset, seed) for seed in (1, 1, 2))
    assert len(one.rows) == MOST_NORMAL_ROWS
    assert np.array_equal(one.rows, same.rows, equal_nan=True)
    assert not np.array_equal(one.rows, other.rows, equal_nan=True)
    assert set(one.asset) == {0, 1}
    position = [i for i, name in enumerate(one.columns) if name == many.columns[0]]
    missing = np.isnan(one.rows)
    assert (missing[:, position] == (one.asset == 0)[:, None]).all()
    assert sample_normal(data.plan, many, ~normal, asset, 1) is None


def test_models_without_normal_rows_load_and_forged_ones_are_refused(trained):
    files = model_files(trained[1])
    meta = json.loads(files[META])
    sample = {"centre": [0], "rows": [[0.0]] * 6, "distances": [0.0] * 6}
    forged = {
        "columns that its plan does not have": {"columns": ["nothing"], "scale": [1]},
        "scale must be above 0": {"columns": ["setpoint.last"], "scale": [0]},
    }
    for words, changed in forged.items():
        document = json.dumps(meta | {"normal": sample | changed}).encode()
        with pytest.raises(ModelRefused, match=words):
            model_from_files({**files, META: document})
    del meta["normal"]["asset"]
    old = model_from_files({**files, META: json.dumps(meta).encode()})
    assert old.normal.asset.tolist() == [0] * len(old.normal.rows)
    assert [[*group] for group in old.together] == [[*group] for group in trained[1].together]
    del meta["normal"]
    assert model_from_files({**files, META: json.dumps(meta).encode()}).normal is None


def test_relations_that_cannot_be_are_refused():
    equal = {"variable": "a", "kind": "equal", "of": "b"}
    forged = [
        ([equal | {"of": "a"}], "in a circle"),
        ([equal, {"variable": "b", "kind": "equal", "of": "a"}], "in a circle"),
        ([equal, equal | {"of": "c"}], "two relations"),
        ([equal | {"kind": "lag"}], "time_constant goes together with kind: lag"),
        ([equal | {"time_constant": "5m"}], "time_constant goes together with kind: lag"),
        ([equal | {"kind": "difference"}], "minus goes together with kind: difference"),
    ]
    for relations, fault in forged:
        with pytest.raises(DocumentRefused, match=fault):
            parse_asset({"name": "line", "relations": relations})
