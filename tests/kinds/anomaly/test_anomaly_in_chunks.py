"""Live in any chunks gives what one batch gives, bit for bit, for any readings and detector; no
later reading changes a score."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable, types_of
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.kinds.anomaly.detectors import fit_detector
from alerting.kinds.anomaly.model import (
    AnomalyModel,
    FittedDetector,
    from_files,
    spread_columns,
    to_files,
)
from alerting.kinds.anomaly.normal_rows import NormalSpace, plan_of, rows_of, spread_floors
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.learning.features.plan import FeaturePlan, NumberSource, UsualCount
from alerting.learning.features.point_in_time import build_features
from alerting.learning.features.reading_counts import TOO_FEW
from alerting.learning.models.trained import ModelRefused
from alerting.ports import ReadingRow
from alerting.readings.history import History, to_millis
from alerting.usecases.training.run_files import ReadingsWriter, stored_history
from tests.builders import at
from tests.helpers.former_detectors import FAMILIES, former_detector
from tests.helpers.kind_in_chunks import evaluated_to, sources_of
from tests.helpers.long_history import in_memory

pytestmark = pytest.mark.models

ASSET = Asset(name="fan-1", variables={name: Variable(low=-50, high=50) for name in "abc"})
PLAN = FeaturePlan(
    60_000,
    (180_000,),
    ("mean", "std"),
    tuple(NumberSource(name, 60_000) for name in "abc"),
    usual=tuple(UsualCount(name, 180_000, 3) for name in "abc"),
)
NOW = {"now": "pca", "network now": "autoencoder", "trees now": "isolation_forest"}
"""Families as a training fits them; earlier models count spreads as they are."""
READINGS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2, 9]),
        st.lists(st.one_of(st.floats(-6, 6), st.just(999.0), st.none()), min_size=3, max_size=3),
    ),
    min_size=5,
    max_size=40,
)
DOCUMENT = {
    "name": "x",
    "kind": "anomaly",
    "assets": ["fan-1"],
    "for": "90s",
    "clear_for": "2m",
    "severity": "low",
    "escalation": [
        {"severity": "medium", "score": 1.5},
        {"severity": "high", "share": 0.5, "over": "4m"},
    ],
}


@cache
def model_with(family):
    random = np.random.default_rng(1)
    load = random.normal(size=(400, 1))
    matrix = np.hstack(
        [
            load + 0.2 * random.normal(size=(400, 3)),
            0.3 + 0.05 * np.abs(random.normal(size=(400, 3))),
        ]
    )
    matrix = matrix[:, [0, 3, 1, 4, 2, 5]]
    floors = spread_floors(matrix, spread_columns(PLAN)) if family in NOW else None
    space = NormalSpace.fit(matrix, floors)
    rows = space.encode(matrix)
    detector = (
        fit_detector(rows, spread_columns(PLAN), NOW[family])
        if family in NOW
        else former_detector(family, rows)
    )
    usual, limit = np.quantile(detector.score(rows), [0.5, 0.99])
    fitted = FittedDetector(PLAN, space, detector, float(usual), float(limit), 1.0, 1.0, ())
    return from_files(to_files(AnomalyModel("detector", 1, at(3), {"fan-1": fitted})))


def evaluated(family, readings, cuts, steady=(), suppressed=()):
    """Evaluate to each cut; the state goes through the table that is stored."""
    minutes = np.cumsum([gap for gap, _ in readings]).tolist()
    values = [dict(zip("abc", row, strict=True)) for _, row in readings]
    rows = [
        ReadingRow(
            "fan-1", at(m), {name: value for name, value in row.items() if value is not None}
        )
        for m, row in zip(minutes, values, strict=True)
    ]
    model = model_with(family)
    model = replace(model, by_asset={"fan-1": replace(model.by_asset["fan-1"], steady=steady)})
    sources = sources_of(ASSET, [row for row in rows if row.values], model, suppressed)
    return evaluated_to(parse_definition(DOCUMENT), sources, cuts)


@pytest.mark.parametrize("family", [*NOW, *FAMILIES])
@settings(max_examples=15, deadline=None)
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(family, readings, cuts):
    end = sum(gap for gap, _ in readings) + 10.0
    assert evaluated(family, readings, [*sorted(c for c in cuts if c < end), end]) == evaluated(
        family, readings, [end]
    )


FAR = (1, [20.0, -20.0, 20.0])


def usual(count, b=1.0):
    return [(1, [level, None if b is None else level, level]) for level in [0.3, -0.3] * count][
        :count
    ]


def test_a_dead_sensor_is_unknown_by_name_and_closes_no_episode():
    silent = [*usual(5), *([FAR] * 5), *usual(25, b=None)]
    steps, scores, _, state, unknown = evaluated("pca", silent, [12.5, 20, 35], steady=("b",))
    assert [step.kind for step in steps if step.kind in ("raised", "closed")] == ["raised"]
    assert state.raised_at is not None
    assert scores[-1][1] == "nan"
    assert unknown == "b has no value in the last 3m"
    assert evaluated("pca", silent, [35])[3].raised_at is None  # a variable that is often absent


def test_after_a_pause_all_is_unknown_until_the_windows_lie_after_it():
    readings = [*usual(10), (60, [0.3] * 3), *usual(5)]
    assert evaluated("pca", readings, [70.5])[4] == TOO_FEW
    assert evaluated("pca", readings, [72.5])[4] == TOO_FEW
    assert evaluated("pca", readings, [73.5])[4] is None


def test_scores_whose_windows_touch_a_suppressed_time_are_unknown():
    readings = [*usual(9), *([FAR] * 8), *usual(13)]
    stop = [SuppressedInterval(at(10), at(18), "stopped")]
    assert evaluated("pca", readings, [30])[0]
    steps, scores, *_, unknown = evaluated("pca", readings, [15, 30], suppressed=stop)
    assert (steps, unknown) == ([], None)
    assert [(instant - to_millis(at(0))) // 60_000 for instant, score in scores if score == "nan"][
        3:
    ] == [*range(10, 22)]
    assert evaluated("pca", readings, [15], suppressed=stop)[-1].startswith("suppressed")


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("left", 0.0),
        ("right", 0.5),
        ("left", 1e6),
        ("column", 99.0),
        ("roots", -1.0),
        ("cut", None),
    ],
)
def test_trees_whose_paths_never_end_or_leave_their_tables_are_refused(table, value):
    model = model_with("isolation_forest")
    fitted = model.by_asset["fan-1"]
    values = getattr(fitted.detector, table).copy()
    values[0] = 0.0 if value is None else value
    changed = replace(
        fitted,
        detector=replace(fitted.detector, **{table: values[:-1] if value is None else values}),
    )
    with pytest.raises(ModelRefused, match="tree"):
        from_files(to_files(replace(model, by_asset={"fan-1": changed})))


def test_what_its_suppression_reads_is_read():
    line = Asset(
        name="fan-1", variables={name: Variable(low=-50, high=50) for name in (*"abc", "speed")}
    )
    when = [{"event": "line-stop"}, {"variable": "speed", "below": 1}]
    definition = parse_definition(DOCUMENT | {"exclude": ["speed"], "suppression": {"when": when}})
    assert definition.variables_read(line) == {*"abc", "speed"}
    assert definition.events_read() == ("line-stop",)


def test_between_two_strides_it_is_neither_normal_nor_is_its_episode_closed():
    """The last score is the state until the next one is due: evaluations that begin and end between
    two strides must not say that an anomaly, or silent sensors, are over."""
    silent = [*usual(5), *([FAR] * 5), *usual(15, b=None)]
    between = [tenths / 10 for tenths in range(5, 260, 3)]
    at_once = evaluated("pca", silent, [26], steady=("b",))
    in_seconds = evaluated("pca", silent, [*between, 26], steady=("b",))
    assert in_seconds == at_once
    for until in (9.3, 9.6):  # the anomaly, in its stride
        steps, _, _, state, unknown = evaluated("pca", silent, [9.1, until])
        assert ([step.kind for step in steps][:1], unknown) == (["raised"], None)
        assert state.raised_at is not None
        assert state.clearing_since is None
    *_, unknown = evaluated("pca", silent, [25.1], steady=("b",))
    assert unknown is not None
    for cuts in ([25.1, 25.3], [25.1, 25.3, 25.6]):
        *_, state, still = evaluated("pca", silent, cuts, steady=("b",))
        assert (still, state.raised_at) == (unknown, at_once[3].raised_at)


FAN_VARIABLES = {
    "a": Variable(low=-50, high=50),
    "b": Variable(delay="2m"),
    "c": Variable(),
    "recipe": Variable(type="category"),
}
FAN = Asset(name="fan-1", variables=FAN_VARIABLES)
FAN_DOCUMENT = {"name": "x", "kind": "anomaly", "assets": ["fan-1"]}
ALL = 10**9


def history_of(distances, seed=1):
    """Readings at these distances (minutes), with missing and impossible values, and a recipe that
    changes now and then."""
    random = np.random.default_rng(seed)
    count = len(distances)
    values = random.normal(size=(count, 1)) + 0.3 * random.normal(size=(count, 3))
    values[random.random(values.shape) < 0.05] = np.nan
    values[random.random(count) < 0.02, 0] = 999.0
    index = pd.DatetimeIndex(
        [at(float(minute)) for minute in np.cumsum(distances)], name="ts"
    ).as_unit("ms")
    recipe = pd.Series(
        [("A", "B")[i // 100 % 2] if i % 50 == 0 else None for i in range(count)], index, object
    )
    return History(FAN, pd.DataFrame(values, index, list("abc")).assign(recipe=recipe))


def stored(history, rows):
    """The history in a file that was written in pieces."""
    file = ReadingsWriter(types_of(FAN, list(FAN_VARIABLES)))
    for first in range(0, len(history.readings), rows):
        file.write(history.readings.iloc[first : first + rows])
    return stored_history(History(FAN), file.content())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from([1, 1, 1, 2, 90]), min_size=20, max_size=120),
    st.integers(1, 60),
    st.sampled_from(["5m", "1h"]),
)
def test_rows_of_pieces_of_any_length_are_those_of_the_whole_to_the_bit(distances, rows, window):
    definition = parse_definition(
        FAN_DOCUMENT
        | {"windows": [window], "stride": "1m", "aggregations": ["mean", "std", "slope"]}
    )
    history = history_of(distances)
    start = at(3)
    end = at(float(sum(distances)) - 2)
    data = LearningData([], {}, NormalTime(start, end, end))
    planned = plan_of(definition, in_memory(history, ALL), start, end)
    plan = planned.features
    assert plan is not None
    for pieces in (in_memory(history, rows), stored(history, rows)):
        assert plan_of(definition, pieces, start, end) == planned
        found = rows_of(definition, plan, pieces, data, start, end)
        assert (
            found.matrix.tobytes()
            == np.ascontiguousarray(build_features(plan, history, found.at)).tobytes()
        )
