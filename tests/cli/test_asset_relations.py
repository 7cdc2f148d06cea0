"""`alerting asset relations`: how much history it reads."""

from datetime import timedelta

import pandas as pd
import pytest

from alerting.cli.ingest.relations import load_newest
from alerting.definitions.assets import Asset, Variable
from alerting.readings.history import History
from tests.builders import at

pytestmark = pytest.mark.fast

PUMP = Asset(name="pump-1", variables={"flow": Variable(), "recipe": Variable(type="category")})
DAYS = timedelta(days=30)


class Line:
    """Readings at an interval, without beginning. `read`: the lengths that were read."""

    def __init__(self, every):
        self.every = every
        self.read = []

    def load(self, asset, start, end, variables, events_since):
        self.read.append(end - start)
        assert variables == ["flow"]
        index = pd.date_range(start + self.every, end, freq=self.every, name="ts").as_unit("ms")
        return History(asset, pd.DataFrame({"flow": 1.0}, index=index))


def test_of_a_fast_line_no_more_is_read_than_about_what_is_used():
    line = Line(timedelta(seconds=10))
    found = load_newest(line, PUMP, at(0), DAYS, rows=1000)
    assert (len(found.readings), found.readings.index[-1]) == (1000, at(0))
    assert line.read == [timedelta(hours=1), timedelta(hours=4)]


def test_of_a_slow_line_the_whole_length_is_read():
    line = Line(timedelta(hours=1))
    assert len(load_newest(line, PUMP, at(0), DAYS, rows=1000).readings) == 30 * 24
    assert line.read[-1] == DAYS
