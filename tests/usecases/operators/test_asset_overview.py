"""The overview of an asset: what is open on it and below it, and how often problems come."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.asset_documents import Asset
from alerting.ports import EventRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events
from alerting.usecases.operators.asset_overview import asset_overview, asset_tree
from alerting.usecases.operators.known_plant import read_plant
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform

DAY = 1440


@pytest.fixture
def platform():
    made = in_memory_platform()
    line = Asset(name="line-1")
    made.assets.store_assets([line, oven().model_copy(update={"parent": "line-1"})])
    made.clock.instant = at(30 * DAY)
    return made


def overview(platform, name):
    return asset_overview(platform, read_plant(platform), name, at(30 * DAY), 10, None)


def test_a_line_shows_the_alarms_that_are_open_below_it(platform):
    assert overview(platform, "line-1").open == ()
    platform.episodes.insert(episode(29 * DAY, condition="open"))
    assert [one.asset for one in overview(platform, "line-1").open] == ["oven-1"]
    assert len(overview(platform, "oven-1").open) == 1


def test_the_time_between_problems_has_bounds_that_narrow_with_their_number(platform):
    assert overview(platform, "oven-1").lanes == ()
    between = []
    for days in ([2], [12], range(3, 12)):
        stops = [EventRow("oven-1", "stop", at(d * DAY), at(d * DAY + 5), "test") for d in days]
        add_events(platform, stops, at(0))
        between.append(overview(platform, "oven-1").lanes[0].time_between)
    none, few, many = between
    assert none is None
    assert (few.mean, many.mean) == (timedelta(days=10), timedelta(days=1))
    assert (few.low < timedelta(days=2), few.high > timedelta(days=100)) == (True, True)
    assert timedelta(hours=12) < many.low < many.mean < many.high < timedelta(days=2.2)


def test_the_tree_lists_what_stands_beside_each_other_by_title_in_counting_order(platform):
    presses = [Asset(name=f"p{10 - n}", title=f"Press {n}", parent="line-1") for n in (1, 2, 10)]
    platform.assets.store_assets(presses)
    rows = asset_tree(platform, read_plant(platform), at(0), "", 0, 20).rows
    below = ["Press 1", "Press 2", "Press 10", "oven-1"]
    assert [row.asset.title or row.asset.name for row in rows] == ["line-1", *below]
    assert [one.title or one.name for one in overview(platform, "line-1").below] == below


def test_assets_are_sorted_below_their_parent(platform):
    presses = [Asset(name=f"p{n}", parent="line-1") for n in (1, 2, 3)]
    platform.assets.store_assets([*presses, Asset(name="tool", parent="p1")])
    apply(platform, [too_hot(name="hot-2", assets=["oven-1", "p1"])], "ada", at(0), "test")
    for minute, asset in ((10, "p2"), (20, "p3"), (30, "p3")):
        platform.episodes.insert(episode(29 * DAY + minute, asset))
    platform.episodes.insert(replace(episode(29 * DAY + 40, "p2"), backfilled=True))
    tables = {
        "-raises": ["p3", "p2", "oven-1", "p1", "tool"],
        "last": ["p2", "p3", "oven-1", "p1", "tool"],
        "-alerts": ["oven-1", "p1", "tool", "p2", "p3"],
        "-title": ["p3", "p2", "p1", "tool", "oven-1"],
        "nothing": ["oven-1", "p1", "tool", "p2", "p3"],
    }
    plant = read_plant(platform)
    now = at(30 * DAY)
    trees = {
        order: [row.asset.name for row in asset_tree(platform, plant, now, "", 0, 20, order).rows]
        for order in tables
    }
    assert trees == {order: ["line-1", *names] for order, names in tables.items()}


def test_of_what_watches_an_asset_only_the_alarms_on_it_are_counted(platform):
    platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
    apply(platform, [too_hot(assets=["oven-*"])], "ada", at(0), "test")
    for day, asset in ((20, "oven-1"), (21, "oven-2"), (22, "oven-2")):
        platform.episodes.insert(episode(day * DAY, asset))
    raises = [sum(overview(platform, n).definitions[0].raises) for n in ("oven-1", "oven-2")]
    assert raises == [1, 2]
