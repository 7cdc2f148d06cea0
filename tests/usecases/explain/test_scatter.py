"""Two variables against each other: which values stand beside each other, what colours them, how
many are shown."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.episodes.episode import OutcomeRecord
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.usecases.explain import scatter
from alerting.usecases.explain.scatter import find_scatter
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.labels.marking import mark_interval
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

OVEN = Asset(
    name="oven-1",
    variables={"temperature": Variable(), "speed": Variable(), "moisture": Variable()},
)


@pytest.fixture
def platform():
    """Return an oven whose temperature is the minute; its moisture is measured each 10 minutes,
    half a minute later, and high from minute 50 to 60."""
    made = in_memory_platform()
    made.assets.store_assets([OVEN])
    rows = [ReadingRow("oven-1", at(n), {"temperature": n, "speed": 2 * n}) for n in range(100)]
    rows += [
        ReadingRow("oven-1", at(10 * n + 0.5), {"moisture": 5 if n in (5, 6) else 3})
        for n in range(10)
    ]
    add_readings(made, rows, at(100))
    made.clock.instant = at(100)
    return made


def points(platform, x="speed", y="temperature", start=-1, end=100, **more):
    found = find_scatter(platform, OVEN, x, y, at(start), at(end), **more)
    return {
        cloud.kind: list(zip(cloud.x.tolist(), cloud.y.tolist(), strict=True))
        for cloud in found.clouds
    }


def test_values_of_one_instant_stand_beside_each_other(platform):
    assert points(platform) == {"other": [(2.0 * n, float(n)) for n in range(100)]}


@pytest.mark.parametrize("is_across", [True, False])
def test_the_variable_with_fewer_values_stands_beside_the_last_one_of_the_other(
    platform, is_across
):
    names = ("moisture", "temperature") if is_across else ("temperature", "moisture")
    (found,) = points(platform, *names).values()
    expected = [(5.0 if n in (5, 6) else 3.0, 10.0 * n) for n in range(10)]
    assert found == (expected if is_across else [pair[::-1] for pair in expected])


def test_a_value_stands_beside_nothing_that_is_too_old(platform):
    add_readings(platform, [ReadingRow("oven-1", at(200), {"moisture": 9.0})], at(200))
    (found,) = points(platform, "moisture", end=300).values()
    assert len(found) == 10


def test_points_are_coloured_by_the_problem_and_the_time_before_it(platform):
    definition = parse_definition(too_moist(horizon="10m"))
    found = points(platform, definition=definition)
    assert [y for _, y in found["problem"]] == [float(n) for n in range(51, 71)]
    assert [y for _, y in found["before"]] == [float(n) for n in range(41, 51)]
    assert len(found["other"]) == 70


def test_points_are_coloured_by_what_came_of_alarms(platform):
    definition = parse_definition(too_hot())
    for minute, outcome in ((10, "hit"), (30, "false_alarm"), (50, None)):
        made = episode(minute, "oven-1", "closed", definition="too-hot")
        record = outcome and OutcomeRecord(outcome, "", None, None, False, False, 1)
        made = replace(made, closed_at=at(minute + 5), outcome_record=record)
        assert platform.episodes.insert(made)
    found = points(platform, definition=definition, by_episodes=True)
    shown = {kind: [y for _, y in pairs] for kind, pairs in found.items()}
    assert shown["right"] == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    assert shown["wrong"] == [30.0, 31.0, 32.0, 33.0, 34.0, 35.0]
    assert shown["undetermined"] == [50.0, 51.0, 52.0, 53.0, 54.0, 55.0]
    assert len(shown["other"]) == 82


def test_few_points_are_shown_evenly_and_all_are_counted(platform, monkeypatch):
    monkeypatch.setattr(scatter, "MOST_POINTS", 30)
    monkeypatch.setattr(scatter, "_RARE", 5)
    definition = parse_definition(too_moist(horizon="10m"))
    found = find_scatter(
        platform, OVEN, "speed", "temperature", at(-1), at(100), definition=definition
    )
    assert (found.number, found.shown) == (100, 30)
    by_kind = {cloud.kind: cloud for cloud in found.clouds}
    assert {kind: (cloud.number, len(cloud.x)) for kind, cloud in by_kind.items()} == {
        "other": (70, 20),
        "before": (10, 5),
        "problem": (20, 5),
    }
    shown = by_kind["other"].y
    assert (shown[0], shown[-1]) == (0.0, 99.0)
    assert np.diff(shown).max() <= 35


def test_what_is_marked_as_bad_is_left_out(platform):
    mark_interval(
        platform, platform.audit, "oven-1", ("speed",), at(0), at(90), "bad", "x", "anna", at(100)
    )
    assert len(points(platform)["other"]) == 10


def test_a_time_without_values_has_no_point_and_too_many_readings_are_refused(platform):
    assert points(platform, start=500, end=600) == {}
    with pytest.raises(UserError, match="more than 50"):
        points(platform, most=50)
