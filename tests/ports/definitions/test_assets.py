"""Port `Assets`."""

from datetime import timedelta

from alerting.definitions.asset_documents import Asset, EventType, Variable, is_type_open
from tests.builders import oven
from tests.helpers.contracts import each, step
from tests.helpers.stores import broken_in_memory

FULL = oven(
    quality=Variable(delay=timedelta(hours=1), low=0.0),
    recipe=Variable(type="category", carry_forward=timedelta(days=14)),
    running=Variable(type="boolean"),
).model_copy(
    update={"attributes": {"model": "M-3", "age": 12.5, "refitted": True}, "parent": "hall"}
)
MIXER = Asset(name="mixer")
TITLED = Asset(name="mixer", title="Mixer")
PLANT = [
    Asset(name="oven-2", parent="line"),
    Asset(name="oven-1", parent="line"),
    Asset(name="line", parent="hall"),
    Asset(name="hall", parent="line"),
    Asset(name="my-oven-1", parent="other"),
    Asset(name="other"),
    Asset(name="oven.1"),
    MIXER,
]
INSTANT_STOP = EventType(name="stop", duration="instant")
LASTING_STOP = EventType(name="stop", duration="lasting")
FAILURE = EventType(name="failure", duration="instant")
CLAIMS = {
    "an asset comes back equal": [
        step("assets.store_assets", [FULL]),
        step("assets.get", "oven-1", gives=FULL),
        step("assets.get", "oven-2", gives=None),
    ],
    "assets are replaced by name, and found at once as they are now": [
        step("assets.store_assets", [oven(), MIXER]),
        step(
            "assets.get_many",
            ["mixer", "oven-1", "oven-2"],
            gives={"mixer": MIXER, "oven-1": oven()},
        ),
        step("assets.store_assets", [TITLED]),
        step("assets.store_assets", []),
        step("assets.get_many", ["mixer"], gives={"mixer": TITLED}),
        step("assets.get_many", [], gives={}),
        step("assets.all", gives=[TITLED, oven()]),
    ],
    "event types are kept by name": [
        step("assets.event_types", gives=[]),
        *(
            step("assets.put_event_types", types)
            for types in ([INSTANT_STOP, FAILURE], [LASTING_STOP], [])
        ),
        step("assets.event_types", gives=[FAILURE, LASTING_STOP]),
    ],
    "assets that match come with all that are above them": [
        step("assets.store_assets", PLANT),
        *(
            step("assets.find_matching", patterns, gives=each(name=names))
            for patterns, names in (
                (["oven-*"], ["hall", "line", "oven-1", "oven-2"]),
                (["oven.1", "mix*", "unknown"], ["mixer", "oven.1"]),
                (["o*n-1"], ["hall", "line", "oven-1"]),
                (["*"], sorted(asset.name for asset in PLANT)),
                ([], []),
            )
        ),
    ],
}


def test_the_stores_of_assets_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_an_asset_comes_with_the_latency_of_its_source_and_without_a_type_that_nobody_declared(
    stores,
):
    stores.sources.store_document({"name": "plc", "kind": "http", "latency": "7m"})
    declared = {"t": Variable(source="plc"), "y": Variable(type="number")}
    stores.assets.store_assets([Asset(name="oven-1", variables=declared)])
    assert stores.assets.find_matching(["oven-*"]) == stores.assets.all()
    found = stores.assets.get_many(["oven-1"])["oven-1"]
    assert found.latency("t", timedelta(0)) == timedelta(minutes=7)
    assert [is_type_open(found.variables[name]) for name in "ty"] == [True, False]
    assert {variable.type for variable in found.variables.values()} == {"number"}


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


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
