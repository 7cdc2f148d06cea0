"""Models on one asset share what they read and compute, and each says the same, bit for bit, as
alone."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import EventType
from alerting.definitions.faults import UserError
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds import shared_inputs
from alerting.kinds.protocol import VersionInterval
from alerting.kinds.shared_inputs import SharedInputs, score_matrix
from alerting.learning.features.point_in_time import build_features, grid
from alerting.ports import EventRow, ReadingRow, WantedHistory
from alerting.readings.history import millis, to_millis
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests import small_models
from tests.builders import revision
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
FIRST = small_models.START + 20 * HOUR
LAST = small_models.START + 24 * HOUR
TYPES = (EventType(name="stop", duration="lasting"), EventType(name="pin", duration="instant"))
PROBLEMS = (
    {"variable": "moisture", "above": 5.0, "for": "10m"},
    {"variable": "humidity", "above": 10.0},
    {"event": "stop"},
)
ASSETS = ("oven-1", "oven-2")


@pytest.fixture(scope="module")
def models():
    """Models of different variables and windows; the last has a refit, which serves from the middle
    of the hours on."""
    history = small_models.line(60)
    plan = small_models.dataset(hours=60).plan
    some = tuple(n for n in plan.numbers if n.name in ("humidity", "belt"))
    others = tuple(n for n in plan.numbers if n.name != "belt")
    plans = [
        replace(plan, numbers=some, events=("pin", "stop")),
        replace(plan, numbers=others, windows_ms=(900_000, 7_200_000)),
        plan,
    ]

    def model(p, weight, **more):
        rows = build_features(p, history, millis(history.readings.index)[::2]).fillna(0.0)
        return small_models.linear_model(p, rows, {"humidity.last": weight}, threshold=0.6, **more)

    refit = model(plan, 1.5, training_cutoff=FIRST + 2 * HOUR)
    found = [model(p, 2.0) for p in plans]
    return [*found, replace(found[-1], refit=refit)]


@pytest.fixture(scope="module")
def platform():
    platform = in_memory_platform()
    platform.assets.put_event_types(TYPES)
    for number, name in enumerate(ASSETS):
        history = small_models.line(60, seed=number, name=name)
        platform.assets.store_assets([history.asset])
        part = history.readings.loc[FIRST - 8 * HOUR : LAST]
        rows = [(ts, {k: v for k, v in row.items() if v == v}) for ts, row in part.iterrows()]  # noqa: PLR0124 - NaN is missing
        add_readings(
            platform, [ReadingRow(name, ts.to_pydatetime(), values) for ts, values in rows], LAST
        )
        ends = [(-30, -1), (-10, None), (-3, 9), (1, 2)] if number else [(-9, -8), (2, 3)]
        lasting = [
            EventRow(
                name, "stop", FIRST + a * HOUR, None if b is None else FIRST + b * HOUR, "line"
            )
            for a, b in ends
        ]
        pins = [
            EventRow(name, "pin", FIRST + minute * HOUR / 60, None, "line")
            for minute in (-2000, -90, 5, 5 * 60)
        ]
        add_events(platform, [*lasting, *pins], LAST)
    return platform


def say(platform, asked, shared):
    """Evaluate a question from an instant, and return every result in comparable form."""
    asset, model, definition, hours = asked
    found = evaluate_parts(
        platform,
        SimpleNamespace(get=lambda *_: model),
        asset,
        ConditionState(
            watermark=FIRST + hours * HOUR, raised_at=FIRST - HOUR / 2 if hours else None
        ),
        [
            VersionInterval(
                FIRST + hours * HOUR,
                LAST - hours * HOUR / 2,
                revision(definition, FIRST - 9 * HOUR),
                1,
            )
        ],
        shared=shared,
    )
    rows = {
        at: bits(one.row)
        for at, one in (found.raises | {at: r.values for at, r in found.refreshes.items()}).items()
    }
    return (
        [(s.score.tobytes(), s.twin.tobytes()) for s in found.scores],
        found.steps,
        rows,
        found.state,
        found.unknown,
    )


def bits(rows):
    return [
        rows[c].cat.codes.tolist() if rows[c].dtype == "category" else rows[c].to_numpy().tobytes()
        for c in rows
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, n) for n in (1, 3, 2, 2, 1)]), min_size=2, max_size=8))
def test_shared_is_alone_bit_for_bit(platform, models, asked):
    assets = [platform.assets.get(name) for name in ASSETS]
    questions = [
        (
            assets[asset],
            models[model],
            small_models.definition(problem=PROBLEMS[problem], horizon=["30m", "2h"][long]),
            hours,
        )
        for asset, model, problem, hours, long in asked
    ]
    alone = [say(platform, one, None) for one in questions]
    spans = {}
    for most_values in (10**6, 600):  # the second time also with parts that are given up
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_inputs, "MOST_VALUES", most_values)
            patch.setattr(shared_inputs, "MOST_VALUES", most_values)
            shared = SharedInputs(platform.readings, spans)
            shared.expect(assets, LAST)
            assert [say(platform, one, shared) for one in questions] == alone


def test_scores_are_the_same_without_those_of_twins(platform, models):
    asset = platform.assets.get("oven-1")
    both, alone = (SharedInputs(platform.readings, with_twins=twins) for twins in (True, False))
    for model in models:
        for first, last in ((20, 22), (22, 24), (20, 24)):
            start, end = (small_models.START + hour * HOUR for hour in (first, last))
            at = grid(to_millis(start), to_millis(end), 600_000)
            history = platform.readings.load(WantedHistory(asset, start - 8 * HOUR, end))
            (_, expected), (_, found) = (one.score(model, history, at) for one in (both, alone))
            assert found.score.tobytes() == expected.score.tobytes()
            assert pd.isna(found.twin).all()
            assert pd.notna(expected.twin).any() == (model.refit is not None and last > 22)


def test_scores_of_assets_that_are_alike_are_computed_together_and_are_those_of_each_alone(
    platform, models, monkeypatch
):
    assets = [platform.assets.get(name) for name in ASSETS]
    assets.append(assets[1].model_copy(update={"name": "oven-3"}))  # without readings
    at = np.array([to_millis(LAST - HOUR)])
    computed = []

    def note(model, matrix, *others):
        computed.append(len(matrix))
        return score_matrix(model, matrix, *others)

    def score(shared, asset, model, at):
        names = frozenset(asset.variables)
        history = shared.load(asset, FIRST - 8 * HOUR, LAST - HOUR, names)
        rows, scored = shared.score(model, history, at)
        return bits(rows.frame), rows.matrix.tobytes(), scored.score.tobytes(), scored.twin

    monkeypatch.setattr(shared_inputs, "score_matrix", note)
    for model in models:
        spans = {}
        alone = [score(SharedInputs(platform.readings, spans), one, model, at) for one in assets]
        shared = SharedInputs(platform.readings, spans)
        shared.expect(assets, LAST - HOUR, are_alike=True)
        computed.clear()
        np.testing.assert_equal([score(shared, one, model, at) for one in assets], alone)
        assert computed == [3]
        score(shared, assets[1], model, at - 600_000)  # nothing of it is computed together
        assert computed == [3, 1]


def test_a_value_of_a_wrong_type_stops_only_those_that_need_it():
    platform = in_memory_platform()
    asset = small_models.line(1).asset
    platform.assets.store_assets([asset])
    platform.readings.insert(
        [ReadingRow("oven-1", FIRST + HOUR, {"humidity": "wet", "belt": 2.0})], LAST
    )
    shared = SharedInputs(platform.readings)
    assert shared.load(asset, FIRST, LAST, ["belt"]).readings["belt"].tolist() == [2.0]
    with pytest.raises(UserError, match="humidity"):
        shared.load(asset, FIRST, LAST, ["humidity"])
    assert shared.load(asset, FIRST, LAST, ["belt"]).readings["belt"].tolist() == [2.0]
    assert shared.load(asset, FIRST - HOUR, LAST, ["belt", "moisture"]).readings[
        "belt"
    ].tolist() == [2.0]
