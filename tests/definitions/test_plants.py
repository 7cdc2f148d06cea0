"""Which assets belong to which plant."""

from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.assets import Asset, AssetRefused, asset_document, parse_asset
from alerting.definitions.plants import (
    PLATFORM,
    AssetTree,
    Plants,
    budgets_by_position,
    nested_plants,
)
from alerting.definitions.shards import evaluation_dag, task_of, tasks_of_plant
from alerting.definitions.upkeep import AlarmBudget

pytestmark = pytest.mark.fast

NORTH = {"time_zone": "Europe/Berlin", "language": "de"}
TREE = [
    Asset(name="north", title="Nord", plant=NORTH),
    Asset(name="north-line", parent="north"),
    Asset(name="north-oven", parent="north-line", position="oven"),
    Asset(name="south", plant={}),
    Asset(name="south-line", parent="south"),
    Asset(name="loose"),
]
BY_NAME = {asset.name: asset for asset in TREE}


def test_every_asset_below_a_plant_belongs_to_it_and_others_to_none():
    plants = Plants(TREE)
    assert {name: plants.name_for(name) for name in [*BY_NAME, "unknown"]} == {
        "north": "north",
        "north-line": "north",
        "north-oven": "north",
        "south": "south",
        "south-line": "south",
        "loose": "",
        "unknown": "",
    }
    assert list(plants.by_name) == ["north", "south"]


def test_a_plant_has_its_zone_and_language_or_those_of_the_platform():
    usual = ZoneInfo("America/New_York")
    plants = Plants(TREE)
    north = plants.for_asset("north-oven")
    assert (north.title, north.zone(usual).key, north.language("fr")) == (
        "Nord",
        "Europe/Berlin",
        "de",
    )
    for asset in ("south-line", "loose", None):
        plant = plants.for_asset(asset)
        assert (plant.zone(usual), plant.language("fr")) == (usual, "fr")
    assert plants.for_asset("loose") is PLATFORM


def test_assets_without_a_position_share_one_in_each_plant():
    tree = AssetTree(TREE)
    assert {name: tree.position(asset) for name, asset in BY_NAME.items()} == {
        "north": "operators-north",
        "north-line": "operators-north",
        "north-oven": "oven",
        "south": "operators-south",
        "south-line": "operators-south",
        "loose": "operators",
    }


@pytest.mark.parametrize("changed", ["north", "north-line", "inner"])
def test_a_plant_inside_another_is_a_fault_of_whatever_change_makes_it_one(changed):
    assets = [*TREE, Asset(name="inner", parent="north-line", plant={})]
    (fault,) = nested_plants(assets, [changed])
    assert (fault.path, "north" in str(fault)) == ("inner.plant", True)
    assert nested_plants(assets, ["south"]) == []
    assert nested_plants(TREE, BY_NAME) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"time_zone": "Berlin"},
        {"language": "nl"},
        {"report_period": "day"},
        {"alarms_per_day": 0},
        {"flood_above": 0},
        {"currency": "EUR"},
        "yes",
    ],
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(AssetRefused, match="plant"):
        parse_asset({"name": "north", "plant": settings})


def test_a_plant_is_stored_and_read_as_it_is():
    asset = parse_asset({"name": "north", "plant": NORTH})
    assert parse_asset(asset_document(asset)) == asset


def test_plants_share_the_slots_of_a_tick_and_each_has_one():
    assert [tasks_of_plant(8, plants) for plants in (0, 1, 2, 3, 20)] == [8, 8, 4, 2, 1]
    names = [f"hot-{number}" for number in range(200)]
    for slots, tasks in ((8, 3), (40, 7), (2, 1)):
        by_document = {}
        for name in names:  # whose states are stored together
            by_document.setdefault(task_of(name, slots), set()).add(task_of(name, slots, tasks))
        assert all(len(one) == 1 for one in by_document.values())
        assert {t for one in by_document.values() for t in one} == set(range(tasks))


def test_a_dag_is_named_after_its_cadence_and_plant():
    assert evaluation_dag("1m") == "evaluate__1m"
    assert evaluation_dag("1m", "north") == "evaluate__1m__north"


def test_the_budget_of_a_position_is_that_of_its_plant_unless_it_has_its_own():
    usual = AlarmBudget(per_day=144, by_position={"oven": 20}, flood_above=10)
    settings = {"alarms_per_day": 60, "flood_above": 5}
    assets = [
        Asset(name="north", plant=settings),
        Asset(name="mixer", parent="north", position="mixer"),
        Asset(name="oven-1", parent="north", position="oven"),
        Asset(name="south", plant={}),
        Asset(name="mill", parent="south", position="mill"),
        Asset(name="press-1", parent="south", position="press"),
        Asset(name="press-2", parent="north", position="press"),
    ]
    budgets = budgets_by_position(usual, assets)
    found = {name: (one.for_position(name), one.flood_above) for name, one in budgets.items()}
    assert found == {
        "operators-north": (60, 5),
        "mixer": (60, 5),
        "oven": (20, 5),
        "operators-south": (144, 10),
        "mill": (144, 10),
    }
    assert budgets_by_position(usual, [Asset(name="oven")]) == {}
