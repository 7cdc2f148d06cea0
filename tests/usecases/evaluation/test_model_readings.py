"""A model reads only what its features and its problem need, and says the same as with everything
that is stored."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import EventType
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import VersionInterval
from alerting.learning.features.point_in_time import build_features
from alerting.ports import EventRow, WantedHistory
from alerting.readings.history import millis
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests import small_models
from tests.builders import revision
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
FIRST = small_models.START + 20 * HOUR
LAST = small_models.START + 32 * HOUR
TYPES = (
    EventType(name="stop", duration="lasting"),
    EventType(name="jam", duration="lasting"),
    EventType(name="pin", duration="instant"),
)
PROBLEMS = (
    {"variable": "moisture", "above": 5.0, "for": "10m"},
    {"event": "stop"},
    {"event": "*"},
    {"event": "pin"},
)


class OldReading:
    """Port `Readings`, which gives all variables and all events ever, as models once read."""

    def __init__(self, stored):
        self._stored = stored

    def load(self, request):
        return self._stored.load(WantedHistory(request.asset, request.start, request.end))

    def newest_values(self, *arguments):
        return self._stored.newest_values(*arguments)


class OneModel:
    """The model cache of one model."""

    def __init__(self, model):
        self._model = model

    def get(self, definition, version):
        return self._model


@pytest.fixture(scope="module")
def model():
    """A model of two variables and of the counts and recency of events."""
    history = small_models.line(60)
    plan = replace(small_models.dataset(hours=60).plan, events=("jam", "pin", "stop"))
    plan = replace(
        plan,
        numbers=tuple(n for n in plan.numbers if n.name in ("humidity", "belt")),
        usual=tuple(u for u in plan.usual if u.name in ("humidity", "belt")),
    )
    rows = build_features(plan, history, millis(history.readings.index)[::2])
    weights = {
        "humidity.last": 2.0,
        "event/stop.count.1h": 0.5,
        "event/pin.recency": 0.1,
        "event/jam.recency": -0.2,
    }
    return small_models.linear_model(plan, rows.fillna(0.0), weights, threshold=0.5)


def fill(platform, events):
    history = small_models.line(60)
    platform.assets.store_assets([history.asset])
    platform.assets.put_event_types(TYPES)
    known = history.readings.loc[FIRST - 6 * HOUR : LAST]
    add_readings(platform, small_models.rows_of(known), LAST)
    add_events(platform, events, LAST)
    return history.asset


@st.composite
def some_events(draw):
    """Events from long before the evaluated hours until their end: some of them overlap, and some
    have no end."""
    minutes = st.integers(-20 * 60, 12 * 60)
    found = {}
    for type_ in TYPES:
        for start in draw(st.lists(minutes, max_size=8)):
            length = 0 if type_.duration == "instant" else draw(st.none() | st.integers(1, 15 * 60))
            begun = FIRST + timedelta(minutes=start)
            found[type_.name, start] = EventRow(
                "oven-1",
                type_.name,
                begun,
                None if length is None else begun + timedelta(minutes=length),
                "line",
            )
    return list(found.values())


def say(platform, asset, model, definition, begun):
    """Evaluate from an instant, at which an episode may be open, and return every result in
    comparable form."""
    raised = FIRST - HOUR / 2 if begun else None
    found = evaluate_parts(
        platform,
        OneModel(model),
        asset,
        ConditionState(watermark=FIRST, raised_at=raised),
        [VersionInterval(FIRST, LAST, revision(definition, FIRST - 9 * HOUR), 1)],
    )
    rows = {at: bits(one.row) for at, one in found.raises.items()}
    return found.scores[0].score.tobytes(), found.steps, rows, found.state, found.unknown


def bits(rows):
    return [
        rows[c].cat.codes.tolist() if rows[c].dtype == "category" else rows[c].to_numpy().tobytes()
        for c in rows
    ]


@settings(max_examples=25, deadline=None)
@given(some_events(), st.sampled_from(PROBLEMS), st.booleans())
def test_scores_and_episodes_are_those_of_the_old_reading_bit_for_bit(
    model, events, problem, begun
):
    platform = in_memory_platform()
    asset = fill(platform, events)
    definition = small_models.definition(problem=problem)
    old = replace(platform, readings=OldReading(platform.readings))
    assert say(platform, asset, model, definition, begun) == say(
        old, asset, model, definition, begun
    )
