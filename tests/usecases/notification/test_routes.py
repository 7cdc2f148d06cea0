"""Routes are checked against the configured channels before any is stored; only changes are written
and audited."""

import pytest

from alerting.adapters.memory.definitions import MemoryAssets, MemoryRoutes
from alerting.adapters.memory.operators import MemoryAudit
from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.ports import RoutePorts
from alerting.usecases.notification.routes import apply_routes, remove_route
from tests.builders import at

pytestmark = pytest.mark.fast


@pytest.fixture
def ports():
    return RoutePorts(
        routes=MemoryRoutes(),
        assets=MemoryAssets(),
        channels={"shift": None},
        audit=MemoryAudit(),
    )


def test_an_unchanged_route_is_not_written_again(ports):
    route = {"name": "ovens", "channels": ["shift"]}
    assert [plan.action for plan in apply_routes(ports, [route], "ann", at(0))] == ["new"]
    assert [plan.action for plan in apply_routes(ports, [route], "ann", at(1))] == ["unchanged"]
    assert [
        plan.action for plan in apply_routes(ports, [{**route, "repeat": "1h"}], "ann", at(2))
    ] == ["changed"]
    assert [(entry["what"], entry["at"]) for entry in ports.audit.entries] == [
        ("route applied", at(0)),
        ("route applied", at(2)),
    ]


def test_one_unknown_channel_stops_all_routes_of_a_command(ports):
    with pytest.raises(
        UserError, match=r"(?s)nights.*no channel is called 'shfit'.*did you mean shift"
    ):
        apply_routes(
            ports,
            [{"name": "ovens", "channels": ["shift"]}, {"name": "nights", "channels": ["shfit"]}],
            "ann",
            at(0),
        )
    assert (ports.routes.documents(), ports.audit.entries) == ([], [])


def test_a_removed_route_is_audited_and_cannot_be_removed_twice(ports):
    apply_routes(ports, [{"name": "ovens", "channels": ["shift"]}], "ann", at(0))
    remove_route(ports, "ovens", "ann", at(1))
    assert ports.audit.entries[-1]["what"] == "route removed"
    with pytest.raises(UserError, match="there is no route 'ovens'"):
        remove_route(ports, "ovens", "ann", at(2))


NORTH = {"name": "north-oven", "channels": ["shift"], "match": {"plants": ["north"]}}


@pytest.mark.parametrize(
    ("plants", "hint"),
    [
        (["nroth"], "did you mean north or south?"),
        (["paris"], "plants: north, south"),
        (["north-oven"], "did you mean north?"),  # an asset, but no plant
    ],
)
def test_a_route_of_an_unknown_plant_is_refused_with_the_plants_there_are(ports, plants, hint):
    ports.assets.store_assets(
        [
            Asset(name="north", plant={}),
            Asset(name="north-oven", parent="north"),
            Asset(name="south", plant={}),
        ]
    )
    documents = [NORTH, {**NORTH, "name": "wrong", "match": {"plants": ["south", *plants]}}]
    with pytest.raises(UserError) as refusal:
        apply_routes(ports, documents, "ann", at(0))
    assert "route 'wrong'" in str(refusal.value)
    assert f"match.plants.1: no plant is called {plants[0]!r}" in str(refusal.value)
    assert hint in str(refusal.value)
    assert ports.routes.documents() == []
    apply_routes(ports, [NORTH], "ann", at(0))
    assert ports.routes.documents() == [NORTH]


def test_without_any_plant_the_refusal_says_what_makes_one(ports):
    with pytest.raises(UserError, match=r"there are no plants; an asset with `plant: \{\}` is one"):
        apply_routes(ports, [NORTH], "ann", at(0))
