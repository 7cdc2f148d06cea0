"""Values of computed variables: of the last sound values of their parts, however the time is
cut."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Variable, parse_asset
from alerting.definitions.faults import DocumentRefused
from alerting.readings.history import lookback, read_computed, with_computed
from tests.builders import at, history, oven, with_quality

pytestmark = pytest.mark.fast

NONE = np.nan


def plant(**computed):
    """Return an oven with gas, speed and lab, and these computed variables."""
    measured = {
        "gas": Variable(low=0, high=100),
        "speed": Variable(),
        "lab": Variable(delay="1h", latency="5m"),
    }
    return oven(
        **measured,
        **{name: Variable.model_validate({"computed": one}) for name, one in computed.items()},
    )


RATIO = {"kind": "ratio", "of": "gas", "by": "speed", "within": "5m"}


def values(asset, minutes, name="y", **columns):
    found = with_computed(history(minutes, asset, **columns), [name])
    return found.readings[name].tolist()


LONG = {"gas": [10, 20], "speed": [4, 5]}
# computed, minutes, parts, values
TABLE = {
    "a ratio is known where both parts are, and missing where it is divided by zero": (
        RATIO,
        [0, 1, 2, 3, 4],
        {"gas": [10, 20, 30, NONE, 40], "speed": [NONE, 5, 0, 4, NONE]},
        [NONE, 4, NONE, 7.5, 10],
    ),
    "a part counts by its last value within the bound": (
        RATIO,
        [0, 4, 5, 6, 7],
        {"gas": [10, 20, 30, 40, 50], "speed": [2, NONE, NONE, NONE, 5]},
        [5, 10, 15, NONE, 10],
    ),
    "a value that cannot be is none until the next one": (
        RATIO,
        [0, 1, 2, 3],
        {"gas": [10, 999, NONE, 20], "speed": [2, 2, 4, 4]},
        [5, NONE, NONE, 5],
    ),
    "without a part there is no value": (RATIO, [0, 1], {"gas": [1, 2]}, [NONE, NONE]),
    "a difference": ({"kind": "difference", "of": "gas", "minus": "speed"}, [0, 1], LONG, [6, 15]),
    "half a difference": (
        {"kind": "difference", "of": "gas", "minus": "speed", "gain": 0.5},
        [0, 1],
        LONG,
        [3, 7.5],
    ),
    "a multiple": ({"kind": "equal", "of": "gas", "gain": 2}, [0, 1], LONG, [20, 40]),
    "a multiple of a ratio": (
        {"kind": "ratio", "of": "gas", "by": "speed", "gain": 3},
        [0, 1],
        LONG,
        [7.5, 12],
    ),
}


def test_each_kind_computes_its_formula_of_the_last_sound_values():
    found = {
        what: values(plant(y=computed), minutes, **parts)
        for what, (computed, minutes, parts, _) in TABLE.items()
    }
    for what, (*_, expected) in TABLE.items():
        assert found[what] == pytest.approx(expected, nan_ok=True), what
    assert with_computed(history([], plant(y=RATIO)), ["y"]).readings["y"].tolist() == []


def test_bad_and_uncertain_samples_of_a_part_make_the_value_bad_or_uncertain():
    data = history([0, 1, 2], plant(y=RATIO), gas=[10, 20, 30], speed=[2, 2, 3])
    data = with_quality(data, "gas", ["good", "bad", "uncertain"])
    found = with_computed(data, ["y"])
    assert found.readings["y"].tolist() == pytest.approx([5, NONE, 10], nan_ok=True)
    assert found.doubts.bad["y"].tolist() == data.doubts.bad["gas"].tolist()
    assert found.doubts.uncertain["y"].tolist() == data.doubts.uncertain["gas"].tolist()


def test_a_lag_approaches_a_step_by_63_percent_in_its_time_constant():
    asset = plant(y={"kind": "lag", "of": "gas", "time_constant": "10m"})
    found = values(asset, range(121), gas=[0.0] * 60 + [50.0] * 61)
    assert found[60] == 0
    assert found[70] == pytest.approx(50 * (1 - np.exp(-1)), abs=0.3)
    assert found[120] == pytest.approx(50, abs=0.3)


def test_computed_variables_are_computed_of_computed_ones_in_any_order_of_the_document():
    asset = plant(twice={"kind": "equal", "of": "share", "gain": 2}, share=RATIO)
    data = history([0, 1], asset, gas=[10, 20], speed=[2, 5])
    frame, _ = read_computed(
        asset, ["twice"], at(0), lambda names, _: (data.readings[names], data.doubts)
    )
    assert frame.columns.tolist() == ["twice"]
    assert frame["twice"].tolist() == [8.0]
    assert lookback(asset, ["twice"]) == timedelta(minutes=15)


def test_delay_and_latency_are_those_of_the_slowest_part():
    asset = plant(
        y={"kind": "difference", "of": "lab", "minus": "gas"}, z={"kind": "equal", "of": "y"}
    )
    assert asset.delay("z") == timedelta(hours=1)
    assert asset.latency("z", timedelta(seconds=10)) == timedelta(minutes=5)
    assert set(asset.with_parts(["z"])) == {"z", "y", "lab", "gas"}


ROWS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.sampled_from([None, 4.0, 50.0, 999.0]),
        st.sampled_from([None, 0.0, 2.0, 5.0]),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.lists(st.integers(0, 60), max_size=4), st.sampled_from(["ratio", "lag"]))
def test_the_value_is_the_same_however_the_time_is_cut(rows, cuts, kind):
    lagged = {"kind": "lag", "of": "gas", "time_constant": "3m", "within": "5m"}
    asset = plant(y=RATIO if kind == "ratio" else lagged)
    minutes = np.cumsum([gap for gap, *_ in rows]).tolist()
    data = history(minutes, asset, gas=[g for _, g, _ in rows], speed=[s for *_, s in rows])

    def load(start, end):
        def read(names, since):
            index = data.readings.index
            within = (index <= end) if since is None else (index > since) & (index <= end)
            return data.readings.loc[within, names].astype(float), data.doubts

        return read_computed(asset, ["y"], start, read)[0]["y"]

    whole = load(None, at(200))
    edges = [at(minute) for minute in sorted({0, *cuts, 200})]
    parts = [load(start, end) for start, end in pairwise(edges)]
    assert [v.hex() for part in parts for v in part] == [v.hex() for v in whole]


def test_all_faults_of_computed_variables_are_reported_at_once():
    document = {
        "name": "oven-1",
        "variables": {
            "gas": {},
            "lab": {"sampling": "1h"},
            "slow": {"computed": {"kind": "difference", "of": "lab", "minus": "gas"}},
            "recipe": {"type": "category"},
            "a": {"computed": {"kind": "ratio", "of": "gaz", "by": "recipe"}},
            "b": {"computed": {"kind": "equal", "of": "c"}},
            "c": {"computed": {"kind": "equal", "of": "b"}},
        },
        "relations": [{"variable": "a", "kind": "equal", "of": "gas"}],
    }
    with pytest.raises(DocumentRefused) as refused:
        parse_asset(document)
    assert [str(fault) for fault in refused.value.faults] == [
        "variables.slow.computed.within: 10m is shorter than the sampling of 'lab', 1h (lengthen "
        "it)",
        "variables.a.computed: the asset declares no variable 'gaz' (did you mean gas?)",
        "variables.a.computed: 'recipe' is a category; only numbers can be computed with",
        "variables: computed variables depend on each other in a circle: b -> c -> b",
        "relations.0: 'a' is computed, and moves with its parts (name measured variables)",
    ]
    with pytest.raises(DocumentRefused, match="remove delay, controllable"):
        parse_asset(
            {
                "name": "x",
                "variables": {
                    "g": {},
                    "y": {"computed": RATIO, "controllable": True, "delay": "1h"},
                },
            }
        )
    with pytest.raises(DocumentRefused, match="by goes together with kind: ratio"):
        parse_asset(
            {
                "name": "x",
                "variables": {"g": {}, "y": {"computed": {"kind": "equal", "of": "g", "by": "g"}}},
            }
        )
