"""A training that reads its history piece by piece gives the rows, the model and the decision of
one that reads all at once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable, types_of
from alerting.kinds.anomaly.normal_time import plan_of, rows_of
from alerting.kinds.anomaly.training import TRAINING
from alerting.kinds.protocol.training import LearningData, NormalTime
from alerting.kinds.validation import parse_definition
from alerting.learning.features.build import build_features
from alerting.readings.history import History
from alerting.readings.long_history import in_memory
from alerting.usecases.training.readings import ReadingsWriter, stored_history
from tests.builders import at

VARIABLES = {
    "a": Variable(low=-50, high=50),
    "b": Variable(delay="2m"),
    "c": Variable(),
    "recipe": Variable(type="category"),
}
ASSET = Asset(name="fan-1", variables=VARIABLES)
DOCUMENT = {"name": "x", "kind": "anomaly", "assets": ["fan-1"]}
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
    return History(ASSET, pd.DataFrame(values, index, list("abc")).assign(recipe=recipe))


def stored(history, rows):
    """The history in a file that was written in pieces."""
    file = ReadingsWriter(types_of(ASSET, list(VARIABLES)))
    for first in range(0, len(history.readings), rows):
        file.write(history.readings.iloc[first : first + rows])
    return stored_history(History(ASSET), file.content())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from([1, 1, 1, 2, 90]), min_size=20, max_size=120),
    st.integers(1, 60),
    st.sampled_from(["5m", "1h"]),
)
def test_rows_of_pieces_of_any_length_are_those_of_the_whole_to_the_bit(distances, rows, window):
    definition = parse_definition(
        DOCUMENT | {"windows": [window], "stride": "1m", "aggregations": ["mean", "std", "slope"]}
    )
    history = history_of(distances)
    start = at(3)
    end = at(float(sum(distances)) - 2)
    data = LearningData([], {}, NormalTime(start, end, end))
    plan = plan_of(definition, in_memory(history, ALL), start, end)
    assert plan is not None
    for pieces in (in_memory(history, rows), stored(history, rows)):
        assert plan_of(definition, pieces, start, end) == plan
        found = rows_of(definition, plan, pieces, data, start, end)
        assert (
            found.matrix.tobytes()
            == np.ascontiguousarray(build_features(plan, history, found.at)).tobytes()
        )


@pytest.mark.parametrize(
    "fields",
    [{}, {"by": "recipe", "problem": {"variable": "c", "above": 2.8}, "surroundings": "2m"}],
)
def test_model_and_decision_are_those_of_the_whole(fields):
    definition = parse_definition(DOCUMENT | fields)
    history = history_of([1] * 400 + [100] + [1] * 300)
    period = NormalTime(at(0), at(600), at(800))

    def learned(pieces):
        data = LearningData([pieces], {}, period)
        found = TRAINING.estimate(definition, 1, "detector", data)
        compared = TRAINING.compare(definition, data, {"detector": found.model}, None)
        return (
            found.model.hash,
            found.notes,
            found.used,
            found.left_out,
            compared.decision,
            compared.metrics,
        )

    assert learned(in_memory(history, ALL)) == learned(stored(history, 130))
