"""Readings in pieces: nothing is lost or doubled between them, and what is computed of them is what
is computed of the whole."""

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.features.point_in_time import long_view, point_in_time_view
from alerting.readings.history import History, split_instants
from alerting.readings.variable_series import UsualDistance, regular_distance, sampling_ms
from tests.helpers.long_history import in_memory

TS = np.array([1000, 2000, 3000, 9000, 9500, 9600, 20_000, 21_000])
ASSET = Asset(name="fan-1", variables={"a": Variable(low=0, high=50), "b": Variable(delay="5s")})
READINGS = pd.DataFrame(
    {"a": [1.0, np.nan, 3.0, 99.0, 5.0, 6.0, np.nan, 8.0], "b": np.arange(8.0)},
    pd.DatetimeIndex(TS.astype("M8[ms]"), tz="UTC", name="ts"),
)
HISTORY = History(ASSET, READINGS)


def test_pieces_joined_are_the_whole_also_of_what_was_known():
    for rows in (1, 2, 3, 8, 100):
        history = in_memory(HISTORY, rows)
        pieces = [piece.readings for piece in history.pieces()]
        pd.testing.assert_frame_equal(pd.concat(pieces), READINGS)
        assert max(map(len, pieces)) <= rows
        assert list(history.load_interval(2000, 9500, ["b"]).readings["b"]) == [2.0, 3.0, 4.0]
    for until in (999, 3000, 9550, 30_000):
        known = pd.concat(
            [piece.readings for piece in long_view(in_memory(HISTORY, 3), until).pieces()]
        )
        pd.testing.assert_frame_equal(known, point_in_time_view(HISTORY, until).readings)


def test_the_usual_distance_of_values_is_their_median():
    def median(*pieces):
        found = UsualDistance()
        for piece in pieces:
            found.add(np.array(piece, np.int64))
        return found.median()

    for rows in (1, 2, 3, 8):
        assert median(*(TS[first : first + rows] for first in range(0, len(TS), rows))) == 1000
    assert sampling_ms("b", [HISTORY]) == 1000
    assert median([0, 100, 350]) == 175
    assert median([0, 100, 350], [], [360]) == 100
    assert median() is None


def test_values_are_regular_if_half_of_their_distances_are_about_the_median():
    lengths = {
        "hourly": 9 * [60],
        "too few": 8 * [60],
        "a third is missing": 5 * [60, 60, 120],
        "8 and 16 h in turn": 10 * [8, 16],
        "on a change": [540, 1, 530, 2, 400, 3, 60, 700, 5, 90, 30],
    }
    regular = {
        name: regular_distance(np.cumsum([0, *minutes])) for name, minutes in lengths.items()
    }
    assert {name for name, usual in regular.items() if usual} == {"hourly", "a third is missing"}


def test_instants_are_split_at_pieces_and_none_is_lost():
    history = in_memory(HISTORY, 2)
    at = np.arange(500, 30_000, 500)
    parts = [at[part] for part in split_instants(history, at, 0)]
    assert np.array_equal(np.concatenate(parts), at)
    assert [int(part[-1]) for part in parts] == [2000, 9000, 9500, 21_000, 29_500]
    assert [*split_instants(history, at, 10**9)] == [slice(0, len(at))]
    assert [*split_instants(history, at[:0], 0)] == []
