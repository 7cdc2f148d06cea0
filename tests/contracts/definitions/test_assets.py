"""Port `Assets`."""

from datetime import timedelta

from alerting.definitions.assets import Asset, EventType, Variable, is_type_open
from tests.builders import oven


def test_an_asset_comes_back_equal(stores):
    asset = oven(
        quality=Variable(delay=timedelta(hours=1), low=0.0),
        recipe=Variable(type="category", carry_forward=timedelta(days=14)),
        running=Variable(type="boolean"),
    ).model_copy(update={"attributes": {"model": "M-3", "age": 12.5, "refitted": True}, "parent": "hall"})
    stores.assets.put([asset])
    assert stores.assets.get("oven-1") == asset
    assert stores.assets.get("oven-2") is None


def test_putting_an_asset_again_replaces_it(stores):
    stores.assets.put([oven(), Asset(name="mixer")])
    stores.assets.put([Asset(name="oven-1", title="Oven")])
    assert stores.assets.all() == [Asset(name="mixer"), Asset(name="oven-1", title="Oven")]


def test_several_assets_are_found_at_once_as_they_are_now(stores):
    stores.assets.put([oven(), Asset(name="mixer")])
    assert stores.assets.get_many(["mixer", "oven-1", "oven-2"]) == {"mixer": Asset(name="mixer"), "oven-1": oven()}
    stores.assets.put([Asset(name="mixer", title="Mixer")])
    assert stores.assets.get_many(["mixer"]) == {"mixer": Asset(name="mixer", title="Mixer")}
    assert stores.assets.get_many([]) == {}


def test_event_types_are_kept_by_name(stores):
    stores.assets.put_event_types([EventType(name="stop", duration="instant"), EventType(name="failure", duration="instant")])
    stores.assets.put_event_types([EventType(name="stop", duration="lasting")])
    assert stores.assets.event_types() == [
        EventType(name="failure", duration="instant"),
        EventType(name="stop", duration="lasting"),
    ]


def test_nothing_put_is_nothing_kept(stores):
    stores.assets.put([])
    stores.assets.put_event_types([])
    assert stores.assets.all() == []
    assert stores.assets.event_types() == []


def test_a_variable_declared_without_a_type_comes_back_without_one(stores):
    stores.assets.put([Asset(name="oven-1", variables={"x": Variable(), "y": Variable(type="number")})])
    variables = stores.assets.get("oven-1").variables
    assert [is_type_open(variables[name]) for name in "xy"] == [True, False]
    assert {variable.type for variable in variables.values()} == {"number"}
