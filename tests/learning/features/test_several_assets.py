"""Features of several assets at one instant: computed together, each is the one that is computed
alone, bit for bit."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.learning.features.plan import (
    CarryForward,
    CategorySource,
    FeaturePlan,
    Lagged,
    NumberSource,
)
from alerting.learning.features.point_in_time import (
    build_features,
    build_features_of_assets,
    declares_numbers_alike,
)
from alerting.readings.history import History, millis

MINUTE = 60_000
AT = 1_700_000_400_000
ALL = ("mean", "std", "min", "max", "last", "slope", "missing", "age")
DECLARED = {
    "x": Variable(low=-50, high=50),
    "y": Variable(delay=timedelta(minutes=7)),
    "z": Variable(),
    "c": Variable(type="category"),
}
PLAN = FeaturePlan(
    stride_ms=10 * MINUTE,
    windows_ms=(10 * MINUTE, 30 * MINUTE),
    aggregations=ALL,
    numbers=tuple(NumberSource(name, MINUTE) for name in "xyz"),
    categories=(CategorySource("c", ("a", "b")),),
    events=("stop",),
    number_attributes=("age",),
    category_attributes=(CategorySource("model", ("m", "n")),),
    lags_ms=(20 * MINUTE,),
    lagged=(Lagged("z", (40 * MINUTE,)),),
    delay_ms=7 * MINUTE,
    carried_forward=(CarryForward("z", 15 * MINUTE),),
)


def history(number, seed):
    """Return readings up to the instant and beyond it, at times of their own, with gaps."""
    random = np.random.default_rng(seed)
    ts = np.unique(AT + random.integers(-150 * MINUTE, 30 * MINUTE, random.integers(0, 300)))
    stamps = ts[random.random(len(ts)) < 0.9].astype("M8[ms]")
    size = len(stamps)
    values = {
        name: np.where(random.random(size) < 0.2, np.nan, random.normal(0, 30, size) * scale)
        for name, scale in (("x", 1), ("y", 1e6), ("z", 1e-6))
    }
    index = pd.DatetimeIndex(stamps, tz="UTC", name="ts")
    crew = np.where(random.random(size) < 0.5, "a", "b").astype(object)
    readings = pd.DataFrame({**values, "c": crew}, index)
    events = pd.DataFrame(
        {"type": pd.Series(["stop"] * min(size, 3), dtype=object), "start": index[:3]}
    ).assign(end=lambda found: found["start"])
    attributes = {"age": float(number), "model": "mn"[number % 2]}
    asset = Asset(name=f"oven-{number}", variables=DECLARED, attributes=attributes)
    lacking = readings.drop(columns=["x"]) if number == 3 else readings
    return History(asset, lacking, events, (EventType(name="stop", duration="instant"),))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(0, 9))
def test_rows_of_several_assets_are_those_of_each_alone(seeds, minutes):
    histories = [history(number, seed) for number, seed in enumerate(seeds)]
    at = np.array([AT + minutes * MINUTE])
    together = build_features_of_assets(PLAN, histories, at)
    for one, found in zip(histories, together, strict=True):
        alone = build_features(PLAN, one, at)
        pd.testing.assert_frame_equal(found, alone, check_exact=True)
        numbers = [name for name in alone if name not in PLAN.levels]
        assert found[numbers].to_numpy().tobytes() == alone[numbers].to_numpy().tobytes()
        assert len(millis(one.readings.index)) == 0 or found["attribute/age"].notna().all()


def test_assets_are_alike_whose_numbers_have_the_same_types_delays_and_ranges():
    first = history(0, 0).asset
    others = {name: one for name, one in DECLARED.items() if name != "x"}
    x = {
        "another title": Variable(low=-50, high=50, title="Temperature of this one", unit="K"),
        "another range": Variable(low=-40, high=50),
        "later": Variable(low=-50, high=50, delay=timedelta(minutes=1)),
        "text": Variable(type="category"),
    }
    declared = {name: {"x": variable, **others} for name, variable in x.items()} | {"none": others}
    made = {
        name: first.model_copy(update={"name": "oven-9", "variables": variables})
        for name, variables in declared.items()
    }
    alike = [name for name, one in made.items() if declares_numbers_alike(PLAN, first, one)]
    assert alike == ["another title"]
    without = replace(PLAN, numbers=PLAN.numbers[1:])
    assert all(declares_numbers_alike(without, first, other) for other in made.values())
