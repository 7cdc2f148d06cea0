"""The simulated plant: ten ovens that leave their limits again and again. Its readings depend on
the seed and on time alone.

As a process it writes them, always a little ahead of the clock that it drives.
"""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from alerting.adapters.mongo.mongo import MongoClock, MongoStores, open_stores
from alerting.definitions.asset_documents import Variable
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.routing import ROUTES as KIND
from alerting.usecases.operators.operate import Actor
from tests.builders import oven, too_hot
from tests.faults.world import STORMY, World
from tests.helpers.mutes import mute_target
from tests.in_memory_platform import HandClock, platform_on

START = datetime(2026, 1, 19, tzinfo=UTC)
EVERY_S = 10
STEPS = 12 * 3600 // EVERY_S
STRETCH = 18
SHARE = 0.3
"""How many of the stretches of the plant are not normal."""
OVENS = 10
LEASE_S = 4.0
DEFINITIONS = [
    too_hot(
        assets=["oven-*"],
        above=None,
        levels={"medium": {"above": 215, "clear_above_at": 212}, "critical": {"above": 235}},
        clear_for="20s",
        **{"for": "20s"},
    ),
    too_hot(
        name="low-pressure",
        variable="pressure",
        above=None,
        below=2.0,
        assets=["oven-*"],
        at_least={"readings": 3, "of": 5},
    ),
    too_hot(
        name="shaking",
        variable="vibration",
        assets=["oven-*"],
        above=5.0,
        rate_per="1m",
        severity="low",
    ),
]
CROWD = "crowd"
CROWD_ROUTE = {"name": "crowd", "channels": [CROWD], "flood": {"more_than": 1, "within": "3m"}}
MUTED = {
    ("too-hot", "oven-9"): timedelta(minutes=5),
    ("too-hot", "oven-10"): timedelta(minutes=7),
    ("shaking", "oven-10"): timedelta(minutes=60),
    ("low-pressure", "oven-9"): timedelta(minutes=60),
}
"""Length of these mutes, from the start of the plant on."""
_ANN = Actor("ann", "engineer")
CHANNELS = ("shift", "mes", "chief", CROWD)
ROUTES = [
    {
        "name": "ovens",
        "channels": ["shift", "mes"],
        "repeat": "4m",
        "escalation": [{"after": "3m", "channels": ["chief"]}],
        "heartbeat": "10m",
    },
    CROWD_ROUTE,
]


def rows(seed: int, start: datetime, end: datetime) -> list[ReadingRow]:
    """Readings of all ovens in (start, end]."""
    first = max(0, int((start - START).total_seconds()) // EVERY_S + 1)
    last = min(int((end - START).total_seconds()) // EVERY_S, STEPS - 1)
    series = [_series(seed, n) for n in range(1, OVENS + 1)]
    return [
        ReadingRow(
            f"oven-{n}",
            START + timedelta(seconds=k * EVERY_S),
            {name: float(values[k]) for name, values in of_oven.items()},
        )
        for k in range(first, last + 1)
        for n, of_oven in enumerate(series, 1)
    ]


@lru_cache
def _series(seed: int, oven: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng([seed, oven])
    return {
        "temperature": 205 + random.normal(0, 1, STEPS) + _condition_intervals(random, 18, 45),
        "pressure": 3 + random.normal(0, 0.1, STEPS) - _condition_intervals(random, 1.5, 2),
        "vibration": 2 + random.normal(0, 0.2, STEPS) + _condition_intervals(random, 6, 12),
    }


def _condition_intervals(random: np.random.Generator, least: float, most: float) -> np.ndarray:
    """Stretches of three minutes, some at a height of their own, others at none."""
    count = STEPS // STRETCH
    heights = random.uniform(least, most, count) * (random.random(count) < SHARE)
    return np.repeat(heights, STRETCH)


def put_into_service(stores: MongoStores) -> None:
    """Put assets, definitions, routes and mutes into service from START on."""
    named = [type("Named", (), {"name": name})() for name in CHANNELS]
    platform = platform_on(stores, named, HandClock(START))
    more = {"pressure": Variable(unit="bar"), "vibration": Variable(unit="mm/s")}
    ovens = [oven(**more).model_copy(update={"name": f"oven-{n}"}) for n in range(1, OVENS + 1)]
    platform.assets.store_assets(ovens)
    apply(platform, DEFINITIONS, "engineer", START, "fault test")
    KIND.apply(platform, ROUTES, "engineer", START)
    for (definition, asset), lasting in MUTED.items():
        mute_target(platform, definition, asset, _ANN, START, START + lasting, "fault test")


def main(folder: str, part: str) -> None:
    world = World.read(folder)
    while True:
        try:
            with open_stores(world.uri, STORMY) as stores:
                _drive(world, stores, part)
        except UserError as refusal:
            world.note(part, "refused", why=str(refusal))
            time.sleep(0.3)


def _drive(world: World, stores: MongoStores, part: str) -> None:
    """The clock never shows an instant whose readings are not there, except after the end, when
    there are none.

    A restart goes on after the last acknowledged reading and writes none of those again, so that
    one that the database lost stays lost and is found by the comparison.
    """
    clock = MongoClock(stores.database)
    lease = timedelta(seconds=LEASE_S)
    now = clock.now()
    _write(world, stores, part, now)
    clock.start(now, world.speed, lease)
    while True:
        time.sleep(1.0)
        now = clock.now()
        _write(world, stores, part, now)
        clock.renew(lease)
        world.note(part, "round", shows=now.isoformat())


def _write(world: World, stores: MongoStores, part: str, now: datetime) -> None:
    """Write readings as far ahead as the clock can get until the next lease and through it, and
    note their acknowledgement."""
    written = acknowledged_until(world)
    end = world.end
    wanted = now + timedelta(seconds=world.speed * 2 * LEASE_S)
    until = min(wanted, end) if end else wanted
    if until > written:
        add_readings(stores, rows(world.seed, written, until), now)
        world.note(part, "acknowledged", until=until.isoformat())


def acknowledged_until(world: World) -> datetime:
    """The instant up to which the database has acknowledged all readings of the plant; before START
    at first."""
    noted = (n["until"] for n in world.notes("plant") if n["what"] == "acknowledged")
    return max(map(datetime.fromisoformat, noted), default=START - timedelta(seconds=EVERY_S))
