"""Several plants on one platform: each has shards and tasks of its own, and waits for no other."""

from datetime import timedelta

import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.helpers.stores import states_of
from tests.in_memory_platform import HandClock, platform_on

MINUTE = timedelta(minutes=1)
OVENS = ["north-oven", "south-oven"]


ASSETS = [
    Asset(name="north"),
    Asset(name="south"),
    *(
        Asset(name=name, parent=name[:5], variables={"temperature": Variable(type="number")})
        for name in OVENS
    ),
]


@pytest.fixture
def platform(stores):
    return begun(stores)


def begun(stores):
    """A platform with an oven below each of two assets, and one definition on both ovens."""
    platform = platform_on(stores, (), HandClock())
    platform.assets.store_assets(ASSETS)
    apply(platform, [too_hot(assets=["*-oven"], above=215)], "engineer", at(0), "test")
    return platform


def make_plants(platform, *names):
    """Make assets plants; the others stay."""
    platform.assets.store_assets([Asset(name=name, plant={}) for name in names])


def deliver(platform, instant, temperature=200.0):
    """Add one reading of each oven."""
    rows = [ReadingRow(name, at(instant), {"temperature": temperature}) for name in OVENS]
    add_readings(platform, rows, at(instant))


def tick(platform, instant, plant="", slots=4):
    """Evaluate one plant as its own DAG does; return the number of its targets and raises."""
    platform.clock.instant = at(instant)
    planned = plan_round(platform, MINUTE, slots, at(instant), plant)
    found = [
        evaluate_shard(
            platform,
            MINUTE,
            shard,
            slots,
            at(instant),
            planned.source_hash,
            planned.late.has_requests,
            plant,
            planned.tasks,
        )
        for shard in planned.shards
    ]
    return sum(one.targets for one in found), sum(one.raised for one in found)


def watermarks(platform):
    """Return up to when each oven was evaluated."""
    return {name: state.watermark for name, state in states_of(platform, "too-hot", OVENS).items()}


def test_without_plants_one_tick_evaluates_everything(platform):
    deliver(platform, 1)
    assert tick(platform, 2) == (2, 0)
    assert watermarks(platform) == dict.fromkeys(OVENS, at(2))


def test_the_tick_of_a_plant_evaluates_its_own_targets_alone(platform):
    """A plant whose tick does not run, or fails, holds up no other."""
    make_plants(platform, "north", "south")
    deliver(platform, 1, temperature=230.0)
    assert tick(platform, 2, "north") == (1, 1)
    assert watermarks(platform) == {"north-oven": at(2)}
    assert tick(platform, 3, "north") == (1, 0)
    assert tick(platform, 3, "south") == (1, 1)
    assert tick(platform, 3) == (0, 0)
    assert watermarks(platform) == dict.fromkeys(OVENS, at(3))


def test_states_move_when_an_asset_gets_a_plant_and_when_it_loses_it(platform):
    """An open episode goes on: it is neither raised again nor lost."""
    deliver(platform, 1, temperature=230.0)
    assert tick(platform, 2) == (2, 2)
    make_plants(platform, "north")
    deliver(platform, 3, temperature=230.0)
    assert tick(platform, 4, "north") == (1, 0)
    assert tick(platform, 4) == (1, 0)
    deliver(platform, 5)
    assert tick(platform, 6, "north") == (1, 0)
    platform.assets.store_assets([Asset(name="north")])
    assert tick(platform, 7) == (2, 0)
    assert watermarks(platform) == dict.fromkeys(OVENS, at(7))
    episodes = platform.episodes.find("too-hot")
    assert sorted((one.asset, one.closed_at is None) for one in episodes) == [
        ("north-oven", False),
        ("south-oven", False),
    ]


def test_an_evaluator_that_has_not_seen_the_plant_writes_nothing_twice(platform):
    """One process has planned before the asset became a plant, and evaluates after the other."""
    deliver(platform, 1, temperature=230.0)
    planned = plan_round(platform, MINUTE, 1, at(2))
    make_plants(platform, "north")
    assert tick(platform, 2, "north") == (1, 1)
    late = evaluate_shard(platform, MINUTE, 0, 1, at(2), planned.source_hash, has_requests=False)
    assert (late.targets, late.raised) == (1, 1)  # of the south, which is outside of all plants
    assert tick(platform, 3) == (1, 0)
    assert len(platform.episodes.find("too-hot")) == 2


def test_a_faulty_document_of_one_plant_leaves_the_tick_of_the_other_alone(mongo_stores):
    """A plant whose own document cannot be read is none: its assets are evaluated outside."""
    platform = begun(mongo_stores)
    make_plants(platform, "north", "south")
    mongo_stores.database["assets"].update_one(
        {"name": "north"},
        {"$set": {"plant": {"time_zone": "nowhere"}}},
        bypass_document_validation=True,
    )
    deliver(platform, 1, temperature=230.0)
    assert tick(platform, 2, "south") == (1, 1)
    assert tick(platform, 2) == (1, 1)
