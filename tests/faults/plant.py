"""The simulated plant: ten ovens that leave their limits again and again. Its readings depend on
the seed and on time alone.

As a process it writes them, always a little ahead of the clock that it drives.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.mongo import MongoStores, open_stores
from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.registry.registration import load_model
from alerting.usecases.training.train import train
from tests.builders import oven, too_hot, too_moist
from tests.faults.held_back import CROWD, ROUTE, put_on_shelves
from tests.faults.world import STORMY, World, ahead, with_cache
from tests.in_memory_platform import HandClock, platform_on

START = datetime(2026, 1, 19, tzinfo=UTC)
EVERY_S = 10
LONGEST_S = 12 * 3600
OVENS = 10
WITH_MODEL = 2
HISTORY_DAYS = 13
HISTORY_EVERY_S = 300
LEASE_S = 4.0
MODEL = "too-moist"
FIRST_HUMID_S = 60
"""Instant at which the first oven's air becomes humid: early, so that a run of any length raises an
episode of the model."""
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
    too_moist(
        assets=["oven-1", "oven-2"],
        learning={"trials": 1, "folds": 2, "candidates": ["logistic_regression"]},
        features={"stride": "1m", "windows": ["15m", "30m"]},
        periods={"validation": 0.15, "test": 0.15},
        operating_point={"false_alarms_per_week": 100, "max_time_in_alarm": 0.5},
        promotion={"least_events": 1, "confidence": 0.51},
    ),
]
ROUTES = [
    {
        "name": "ovens",
        "channels": ["shift", "mes"],
        "repeat": "4m",
        "escalation": [{"after": "3m", "channels": ["chief"]}],
        "heartbeat": "10m",
    },
    ROUTE,
]


def assets() -> list:
    more = {
        "pressure": Variable(unit="bar"),
        "vibration": Variable(unit="mm/s"),
        "humidity": Variable(unit="%"),
    }
    return [oven(**more).model_copy(update={"name": f"oven-{n}"}) for n in range(1, OVENS + 1)]


def rows(seed: int, start: datetime, end: datetime) -> list[ReadingRow]:
    """Readings of all ovens in (start, end]."""
    first = max(0, int((start - START).total_seconds()) // EVERY_S + 1)
    last = min(int((end - START).total_seconds()) // EVERY_S, LONGEST_S // EVERY_S - 1)
    series = _series(seed)
    return [
        ReadingRow(
            f"oven-{n}",
            ahead(START, k * EVERY_S),
            {v: float(series[n, v][k]) for v in _variables(n)},
        )
        for k in range(first, last + 1)
        for n in range(1, OVENS + 1)
    ]


def _variables(n: int) -> list[str]:
    return [
        "temperature",
        "pressure",
        "vibration",
        *(["humidity", "moisture"] if n <= WITH_MODEL else []),
    ]


@lru_cache
def _series(seed: int) -> dict[tuple[int, str], np.ndarray]:
    found = {}
    for n in range(1, OVENS + 1):
        random = np.random.default_rng([seed, n])
        found[n, "temperature"] = (
            205 + random.normal(0, 1, _steps()) + _condition_intervals(random, 18, 45)
        )
        found[n, "pressure"] = (
            3 + random.normal(0, 0.1, _steps()) - _condition_intervals(random, 1.5, 2)
        )
        found[n, "vibration"] = (
            2 + random.normal(0, 0.2, _steps()) + _condition_intervals(random, 6, 12)
        )
        if n <= WITH_MODEL:
            first = FIRST_HUMID_S if n == 1 else int(random.integers(10, 60)) * 60
            found[n, "humidity"], found[n, "moisture"] = _moist(
                random, _steps(), EVERY_S, 70 * 60, first
            )
    return found


def _steps() -> int:
    return LONGEST_S // EVERY_S


def _condition_intervals(random: np.random.Generator, least: float, most: float) -> np.ndarray:
    """Stretches of one to seven minutes, four to fourteen minutes apart, each at its own height,
    some with a worse part."""
    added = np.zeros(_steps())
    k = int(random.uniform(0, 10) * 60 / EVERY_S)
    while True:
        length = int(random.uniform(1, 7) * 60 / EVERY_S)
        if k + length >= _steps():
            return added
        height = random.uniform(least, (least + most) / 2)
        added[k : k + length] = height
        if random.random() < 0.4:
            added[k + length // 3 : k + 2 * length // 3] = most
        k += length + int(random.uniform(4, 14) * 60 / EVERY_S)


def _moist(
    random: np.random.Generator, steps: int, every_s: int, period_s: int, first_s: int
) -> tuple[np.ndarray, np.ndarray]:
    """Humid air for half an hour, and moisture over its limit for 25 minutes from 6 to 20 minutes
    after its beginning on."""
    humidity = 40 + random.normal(0, 1, steps)
    moisture = 3.5 + random.normal(0, 0.1, steps)
    for begin in range(first_s // every_s, steps, period_s // every_s):
        lag_s = int(random.integers(6, 21)) * 60
        humidity[begin : begin + 1800 // every_s] += 15
        moisture[begin + lag_s // every_s : begin + (lag_s + 1500) // every_s] += 1.6
    return humidity, moisture


def _history(seed: int) -> Iterator[ReadingRow]:
    """Yield the readings that the model learns from."""
    steps = HISTORY_DAYS * 86400 // HISTORY_EVERY_S
    for n in range(1, WITH_MODEL + 1):
        random = np.random.default_rng([seed, 100 + n])
        first = int(random.integers(10, 60)) * 60
        humidity, moisture = _moist(random, steps, HISTORY_EVERY_S, 190 * 60, first)
        for k in range(steps):
            instant = START - timedelta(days=HISTORY_DAYS) + timedelta(seconds=k * HISTORY_EVERY_S)
            yield ReadingRow(
                f"oven-{n}",
                instant,
                {"humidity": float(humidity[k]), "moisture": float(moisture[k])},
            )


def found(world: World, stores: MongoStores) -> None:
    """Assets, definitions, routes and a champion in the cache, in service from START on."""
    begun = START - timedelta(days=HISTORY_DAYS)
    named = [type("Named", (), {"name": name})() for name in ("shift", "mes", "chief", CROWD)]
    platform = with_cache(platform_on(stores, named, HandClock(begun)), world)
    platform.assets.store_assets(assets())
    add_readings(platform, list(_history(world.seed)), begun)
    apply(platform, DEFINITIONS[-1:], "engineer", begun, "fault test")
    platform.clock.instant = START
    apply(platform, DEFINITIONS[:-1], "engineer", START, "fault test")
    apply_routes(platform, ROUTES, "engineer", START)
    put_on_shelves(platform, START)
    trained = train(platform, MODEL, START)
    if not trained.promote:
        raise UserError("the model of the fault test is no good")
    definition = platform.definitions.newest_revision(MODEL).definition
    load_model(platform, definition, trained.challenger_version)


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
