"""Port `Assets`."""

from datetime import timedelta

from alerting.definitions.assets import Asset, EventType, Variable, is_type_open
from tests.builders import oven


def test_an_asset_comes_back_equal(stores):
    asset = oven(
        quality=Variable(delay=timedelta(hours=1), low=0.0),
        recipe=Variable(type="category", carry_forward=timedelta(days=14)),
        running=Variable(type="boolean"),
    ).model_copy(
        update={"attributes": {"model": "M-3", "age": 12.5, "refitted": True}, "parent": "hall"}
    )
    stores.assets.store_assets([asset])
    assert stores.assets.get("oven-1") == asset
    assert stores.assets.get("oven-2") is None


def test_putting_an_asset_again_replaces_it(stores):
    stores.assets.store_assets([oven(), Asset(name="mixer")])
    stores.assets.store_assets([Asset(name="oven-1", title="Oven")])
    assert stores.assets.all() == [Asset(name="mixer"), Asset(name="oven-1", title="Oven")]


def test_several_assets_are_found_at_once_as_they_are_now(stores):
    stores.assets.store_assets([oven(), Asset(name="mixer")])
    assert stores.assets.get_many(["mixer", "oven-1", "oven-2"]) == {
        "mixer": Asset(name="mixer"),
        "oven-1": oven(),
    }
    stores.assets.store_assets([Asset(name="mixer", title="Mixer")])
    assert stores.assets.get_many(["mixer"]) == {"mixer": Asset(name="mixer", title="Mixer")}
    assert stores.assets.get_many([]) == {}


def test_event_types_are_kept_by_name(stores):
    stores.assets.put_event_types(
        [EventType(name="stop", duration="instant"), EventType(name="failure", duration="instant")]
    )
    stores.assets.put_event_types([EventType(name="stop", duration="lasting")])
    assert stores.assets.event_types() == [
        EventType(name="failure", duration="instant"),
        EventType(name="stop", duration="lasting"),
    ]


def test_nothing_put_is_nothing_kept(stores):
    stores.assets.store_assets([])
    stores.assets.put_event_types([])
    assert stores.assets.all() == []
    assert stores.assets.event_types() == []


def test_a_variable_declared_without_a_type_comes_back_without_one(stores):
    stores.assets.store_assets(
        [Asset(name="oven-1", variables={"x": Variable(), "y": Variable(type="number")})]
    )
    variables = stores.assets.get("oven-1").variables
    assert [is_type_open(variables[name]) for name in "xy"] == [True, False]
    assert {variable.type for variable in variables.values()} == {"number"}


def test_assets_that_match_come_with_all_that_are_above_them(stores):
    ovens = [Asset(name=f"oven-{number}", parent="line") for number in (2, 1)]
    other = [
        Asset(name="my-oven-1", parent="other"),
        Asset(name="other"),
        Asset(name="oven.1"),
        Asset(name="mixer"),
    ]
    stores.assets.store_assets(
        [*ovens, Asset(name="line", parent="hall"), Asset(name="hall", parent="line"), *other]
    )
    assert [asset.name for asset in stores.assets.find_matching(["oven-*"])] == [
        "hall",
        "line",
        "oven-1",
        "oven-2",
    ]
    assert [asset.name for asset in stores.assets.find_matching(["oven.1", "mix*", "unknown"])] == [
        "mixer",
        "oven.1",
    ]
    assert [asset.name for asset in stores.assets.find_matching(["o*n-1"])] == [
        "hall",
        "line",
        "oven-1",
    ]
    assert stores.assets.find_matching(["*"]) == stores.assets.all()
    assert stores.assets.find_matching([]) == []


def test_an_asset_that_matches_has_the_latency_of_its_source(stores):
    stores.sources.store_document({"name": "plc", "kind": "http", "latency": "7m"})
    stores.assets.store_assets([Asset(name="oven-1", variables={"t": Variable(source="plc")})])
    assert stores.assets.find_matching(["oven-*"]) == stores.assets.all()
    found = stores.assets.get_many(["oven-1"])["oven-1"]
    assert found.latency("t", timedelta(0)) == timedelta(minutes=7)


def test_an_asset_edited_in_the_database_is_seen_by_the_next_read(real):
    real.assets.store_assets([oven(), Asset(name="mixer"), Asset(name="press")])
    assert [asset.name for asset in real.assets.read_all()[0]] == [
        "mixer",
        "oven-1",
        "press",
    ]
    collection = real.database["assets"]
    collection.update_one({"name": "mixer"}, {"$set": {"name": "oven-2"}})
    collection.update_one(
        {"name": "press"}, {"$set": {"relations": "none"}}, bypass_document_validation=True
    )
    valid, faulty = real.assets.read_all()
    assert [asset.name for asset in valid] == ["oven-1", "oven-2"]
    assert [(one.collection, one.name) for one in faulty] == [("assets", "press")]
    assert [asset.name for asset in real.assets.find_matching(["oven-*", "press"])] == [
        "oven-1",
        "oven-2",
    ]


def test_an_asset_of_an_earlier_version_is_read_and_replaced(real):
    real.assets.store_assets([oven()])
    real.database["assets"].update_one(
        {"name": "oven-1"}, {"$set": {"plant": None}}, bypass_document_validation=True
    )
    assert real.assets.get("oven-1") == oven()
    real.assets.store_assets([Asset(name="oven-1", title="Oven")])
    assert real.assets.get("oven-1") == Asset(name="oven-1", title="Oven")
