"""Port `Assets`."""

from datetime import timedelta

from alerting.definitions.assets import Asset, EventType, Variable, is_type_open
from tests.builders import oven
from tests.helpers.stores import broken_in_memory


def test_an_asset_comes_back_equal(stores):
    asset = oven(
        quality=Variable(type="number", delay=timedelta(hours=1), low=0.0),
        recipe=Variable(type="category", carry_forward=timedelta(days=14)),
        running=Variable(type="boolean"),
        open=Variable(),
    ).model_copy(
        update={"attributes": {"model": "M-3", "age": 12.5, "refitted": True}, "parent": "hall"}
    )
    stores.assets.store_assets([asset])
    found = stores.assets.get("oven-1")
    assert found == asset
    assert [is_type_open(found.variables[name]) for name in ("open", "quality")] == [True, False]
    assert stores.assets.get("oven-2") is None


def test_assets_are_replaced_by_name_and_found_at_once_as_they_are_now(stores):
    stores.assets.store_assets([oven(), Asset(name="mixer")])
    assert stores.assets.get_many(["mixer", "oven-1", "oven-2"]) == {
        "mixer": Asset(name="mixer"),
        "oven-1": oven(),
    }
    mixer = Asset(name="mixer", title="Mixer")
    stores.assets.store_assets([mixer])
    stores.assets.store_assets([])
    assert stores.assets.get_many(["mixer"]) == {"mixer": mixer}
    assert stores.assets.get_many([]) == {}
    assert stores.assets.all() == [mixer, oven()]


def test_event_types_are_kept_by_name(stores):
    assert stores.assets.event_types() == []
    stores.assets.put_event_types(
        [EventType(name="stop", duration="instant"), EventType(name="failure", duration="instant")]
    )
    stores.assets.put_event_types([EventType(name="stop", duration="lasting")])
    stores.assets.put_event_types([])
    assert stores.assets.event_types() == [
        EventType(name="failure", duration="instant"),
        EventType(name="stop", duration="lasting"),
    ]


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
    patterns = (["oven-*"], ["oven.1", "mix*", "unknown"], ["o*n-1"], [])
    found = [[asset.name for asset in stores.assets.find_matching(of)] for of in patterns]
    assert found == [
        ["hall", "line", "oven-1", "oven-2"],
        ["mixer", "oven.1"],
        ["hall", "line", "oven-1"],
        [],
    ]
    assert stores.assets.find_matching(["*"]) == stores.assets.all()


def test_an_asset_that_matches_has_the_latency_of_its_source(stores):
    stores.sources.store_document({"name": "plc", "kind": "http", "latency": "7m"})
    stores.assets.store_assets([Asset(name="oven-1", variables={"t": Variable(source="plc")})])
    assert stores.assets.find_matching(["oven-*"]) == stores.assets.all()
    found = stores.assets.get_many(["oven-1"])["oven-1"]
    assert found.latency("t", timedelta(0)) == timedelta(minutes=7)


def test_an_asset_edited_in_the_database_is_seen_by_the_next_read(real):
    def names(assets):
        return [asset.name for asset in assets]

    real.assets.store_assets([oven(), Asset(name="mixer"), Asset(name="press")])
    assert names(real.assets.read_all()[0]) == ["mixer", "oven-1", "press"]
    collection = real.database["assets"]
    collection.update_one({"name": "mixer"}, {"$set": {"name": "oven-2"}})
    collection.update_one(
        {"name": "press"}, {"$set": {"relations": "none"}}, bypass_document_validation=True
    )
    valid, faulty = real.assets.read_all()
    assert names(valid) == ["oven-1", "oven-2"]
    assert [(one.collection, one.name) for one in faulty] == [("assets", "press")]
    assert names(real.assets.find_matching(["oven-*", "press"])) == ["oven-1", "oven-2"]


def test_an_asset_of_an_earlier_version_is_read_and_replaced(real):
    real.assets.store_assets([oven()])
    real.database["assets"].update_one(
        {"name": "oven-1"}, {"$set": {"plant": None}}, bypass_document_validation=True
    )
    assert real.assets.get("oven-1") == oven()
    real.assets.store_assets([Asset(name="oven-1", title="Oven")])
    assert real.assets.get("oven-1") == Asset(name="oven-1", title="Oven")


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
