"""Times of a model's report without a stored score, and the alarms that were raised in them."""

from datetime import timedelta

import pandas as pd

from alerting.usecases.report_material.counted import raised_unscored, unscored_times
from tests.report_material import CLASSIFIER, START, THRESHOLD, H, episode

END = START + 10 * H
STRIDE = timedelta(minutes=30)


def stored(*hours, asset="oven-1"):
    return [{"asset": asset, "ts": START + hour * H, "model_version": 2} for hour in hours]


def unscored(rows, definition=CLASSIFIER):
    frame = pd.DataFrame(rows, columns=["asset", "ts", "model_version"])
    frame["ts"] = frame["ts"].astype("datetime64[ms, UTC]")
    return unscored_times(definition, frame, "oven-1", START, END)


def test_a_model_knows_no_state_where_no_score_is_stored():
    assert unscored(stored(4, 4.5, 5, 7, 7.5)) == (
        (START, START + 4 * H),
        (START + 5 * H + STRIDE, START + 7 * H),
        (START + 8 * H, END),
    )


def test_without_any_score_no_time_is_known_whatever_data_there_are():
    assert unscored([]) == unscored(stored(4, 5, asset="oven-2")) == ((START, END),)
    assert unscored([], THRESHOLD) is None


def test_alarms_before_the_first_stored_score_of_their_asset_are_named():
    early = episode(3)
    first = episode(4)
    late = episode(9)
    other = episode(9, asset="oven-2")
    episodes = [early, first, late, other]
    found = raised_unscored(CLASSIFIER, episodes, stored(4, 5, 6))
    assert found == {early.id, other.id}
    assert raised_unscored(CLASSIFIER, episodes, []) == {e.id for e in episodes}
    assert raised_unscored(THRESHOLD, episodes, []) == frozenset()
