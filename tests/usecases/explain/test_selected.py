"""Statistics of a selected time, and the times at which a condition held."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Variable
from alerting.definitions.faults import NotFound
from alerting.ports import ReadingRow
from alerting.usecases.explain import (
    LimitCondition,
    find_times,
    numeric_variables,
    selected_statistics,
)
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven
from tests.helpers.refusals import assert_refused
from tests.in_memory_platform import in_memory_platform

DAYS = 9


@pytest.fixture(scope="module")
def line():
    """Return nine days of values from 0 to 99, one a minute, and what is impossible among them."""
    made = in_memory_platform()
    made.assets.store_assets([oven(level=Variable(high=1000), recipe=Variable(type="category"))])
    rows = [
        ReadingRow("oven-1", at(m), {"level": 9999.0 if m % 1000 == 999 else float(m % 100)})
        for m in range(1440 * DAYS)
    ]
    add_readings(made, rows, at(1440 * DAYS))
    return made


@pytest.fixture(scope="module")
def asset(line):
    return line.assets.get("oven-1")


def test_statistics_are_those_of_all_possible_values(line, asset):
    (found,) = selected_statistics(
        line.readings, asset, ["level"], at(-1), at(1440 * DAYS)
    ).values()
    values = np.array([m % 100 for m in range(1440 * DAYS) if m % 1000 != 999], np.float64)
    assert (found.count, found.lowest, found.highest) == (len(values), 0, 99)
    moments = found.mean, found.spread, found.low, found.median, found.high
    assert moments == pytest.approx(
        (values.mean(), values.std(ddof=1), *np.percentile(values, (5, 50, 95)))
    )
    assert selected_statistics(line.readings, asset, ["moisture"], at(0), at(60)) == {
        "moisture": None
    }


def test_times_are_found_across_all_parts_that_are_read(line, asset):
    found = find_times(
        line.readings, asset, LimitCondition("level", above=89.5), at(-1), at(1440 * DAYS)
    )
    assert found.number == 1440 * DAYS // 100
    starts = [one.start for one in found.newest]
    assert starts == sorted(starts, reverse=True)
    assert starts[0] == at(1440 * DAYS - 1440 * DAYS % 100 - 10)
    longer = LimitCondition("level", above=89.5, lasting=timedelta(minutes=11))
    assert find_times(line.readings, asset, longer, at(-1), at(1440)).number == 0
    below = LimitCondition("level", below=9.5, above=89.5)
    assert find_times(line.readings, asset, below, at(-1), at(1440)).number == 15


@pytest.mark.parametrize(
    ("condition", "start", "end", "most"),
    [
        (LimitCondition("level"), 0, 60, 1000),
        (LimitCondition("level", above=1, below=2), 0, 60, 1000),
        (LimitCondition("level", above=1), 60, 60, 1000),
        (LimitCondition("level", above=1), 0, 1440 * 400, 1000),
        (LimitCondition("level", above=1), 0, 1440, 1000),
    ],
)
def test_what_is_too_much_or_no_condition_is_refused(line, asset, condition, start, end, most):
    assert_refused("", find_times, line.readings, asset, condition, at(start), at(end), most)


def test_only_numbers_of_a_known_asset_are_selected(line, asset):
    assert_refused("", numeric_variables, None, [], fault=NotFound)
    assert_refused("no variable 'speed'", numeric_variables, asset, ["speed"], fault=NotFound)
    assert_refused("no number", numeric_variables, asset, ["recipe"])
