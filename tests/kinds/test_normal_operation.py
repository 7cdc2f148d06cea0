"""Where normal operation ends, and the horizon that the spacing of a problem's values gives."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.normal_operation import (
    NormalModel,
    describe_unseen,
    last_break,
    measure_spacing,
    normal_time,
    propose_end,
)
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime, TrainingSource
from alerting.ports import ReadingRow
from alerting.readings.history import History
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at
from tests.helpers.long_history import in_memory
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60
HOUR = timedelta(hours=1)
BAD = {"any": [{"variable": "p", "above": 1}, {"variable": "q", "above": 1}]}


def definition(**changes):
    document = {"name": "x", "kind": "anomaly", "assets": ["line"], "problem": BAD} | changes
    return parse_definition(document)


def line(**sampling):
    variables = {name: Variable(sampling=sampling.get(name)) for name in ("p", "q", "temp")}
    return Asset(name="line", variables=variables)


def learning_data(minutes, period, asset=None):
    """Return the data of a training with values of each variable at these minutes."""
    every = sorted({minute for of_variable in minutes.values() for minute in of_variable})
    index = pd.DatetimeIndex([at(minute) for minute in every], name="ts").as_unit("ms")
    values = {
        name: np.where(np.isin(every, of_variable), 0.0, np.nan)
        for name, of_variable in minutes.items()
    }
    history = History(asset or line(), pd.DataFrame(values, index))
    return LearningData([in_memory(history)], {}, period)


NORMAL = NormalTime(at(0), at(22 * DAY), at(28 * DAY))
ON_CHANGE = [0, 9 * DAY, 9 * DAY + 144, 18 * DAY, 18 * DAY + 144, 26 * DAY]
# minutes of the values of q, and the default horizon in hours
SPACINGS = {
    "every hour": (range(0, 28 * DAY, 60), 1),
    "on a change": (ON_CHANGE, 0.5),
    "on many changes, for 2 h and 22 h in turn": (
        [day * DAY + minute for day in range(28) for minute in (0, 120)],
        0.5,
    ),
    "about each shift": ([480 * i + (i * 37) % 60 for i in range(84)], 8),
    "every two days": (range(0, 28 * DAY, 2 * DAY), 24),
    "a week apart": (range(0, 28 * DAY, 7 * DAY), 0.5),
}


@pytest.mark.parametrize(("minutes", "hours"), SPACINGS.values(), ids=SPACINGS)
def test_only_regular_values_lengthen_the_horizon_and_by_a_day_at_most(minutes, hours):
    data = learning_data({"temp": range(0, 28 * DAY, 10), "q": minutes}, NORMAL)
    model = NormalModel("x", 1, at(0), {}, measure_spacing(definition(), data))
    horizon = model.with_measured_horizon(definition(), [line()]).horizon
    assert horizon / HOUR == pytest.approx(hours, rel=0.05)


def test_the_longest_of_declared_and_measured_spacing_counts_and_a_written_horizon_stays():
    model = NormalModel("x", 1, at(0), {}, {"line": 12 * 3_600_000})
    hourly = line(p=HOUR)
    plain = definition()
    # a report has the definition with the declared sampling already
    found = [plain, plain.for_assets([hourly]), definition(horizon="1h"), definition(horizon="30m")]
    assert [model.with_measured_horizon(d, [hourly]).horizon / HOUR for d in found] == [
        12,
        12,
        1,
        0.5,
    ]


ZURICH = ZoneInfo("Europe/Zurich")
# seconds after the minute at which each variable comes
AT_ONCE = {"p": 0, "q": 0, "temp": 0}
IN_TURN = {"p": 0, "q": 1, "temp": 2}


@pytest.mark.parametrize("seconds", [AT_ONCE, IN_TURN])
def test_variables_that_come_in_turn_have_no_gap_between_them(seconds):
    platform = in_memory_platform()
    platform.assets.store_assets([line()])
    rows = [
        ReadingRow("line", at(minute) + timedelta(seconds=after), {name: 0.0})
        for minute in range(10 * DAY)
        if not 8 * DAY <= minute < 9 * DAY
        for name, after in seconds.items()
    ]
    add_readings(platform, rows, at(0))
    dates = [at(day * DAY).astimezone(ZURICH).isoformat() for day in (0, 4)]
    stated = definition(normal={"from": dates[0], "to": dates[1]})
    source = TrainingSource([line()], platform.readings, at(10 * DAY))
    week = timedelta(days=7)
    period = normal_time(stated, source, at(0), at(10 * DAY), lambda time, _: time / week)
    assert period.cutoff == at(4 * DAY)
    assert period.normal_end - at(8 * DAY - 1) == timedelta(seconds=max(seconds.values()))
    last = "23:59:02" if seconds is IN_TURN else "23:59"
    times = f"{at(4 * DAY):%Y-%m-%d} 00:00 UTC to {at(8 * DAY - 1):%Y-%m-%d} {last} UTC"
    assert times in describe_unseen(stated, period)[0]


# days of a gap and of a problem, and whether an earlier end can leave enough unseen time; the
# normal period of 14 days needs about 3.4 of them
BREAKS = [
    (None, None, True),
    ((16, 18), None, True),
    (None, 16, True),
    ((12, 13), None, False),
    (None, 12, False),
]


@pytest.mark.parametrize(("gap", "problem", "helps"), BREAKS)
def test_only_breaks_within_normal_operation_stand_against_an_earlier_end(gap, problem, helps):
    begin, end = (0, 0) if gap is None else (gap[0] * DAY, gap[1] * DAY)
    minutes = [m for m in range(0, 28 * DAY, 10) if not begin < m < end]
    period = NormalTime(at(0), at(11 * DAY), at(28 * DAY), normal_end=at(14 * DAY))
    data = learning_data({"p": minutes, "q": minutes}, period)
    if problem is not None:
        history = data.histories[0].load_all()
        history.readings.loc[at(problem * DAY) : at(problem * DAY + 60), "p"] = 2.0
        data = LearningData([in_memory(history)], {}, period)
    found = propose_end(period, 0.43, None, last_break(definition(), data))
    assert ("the platform decides" in found, "of readings" in found) == (helps, False)
