from datetime import UTC, datetime, timedelta

import pytest

from alerting.adapters.mongo.demo.clock import MongoClock
from tests.helpers.stores import real  # noqa: F401 - a fixture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=5)


class Wall:
    def __init__(self):
        self.instant = NOON

    def __call__(self):
        return self.instant

    def goes_on(self, seconds):
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def database(real):  # noqa: F811 - a fixture
    return real.database


def shown(clock):
    return (clock.now() - BASE).total_seconds()


def test_without_a_line_it_shows_the_real_time(database, wall):
    assert MongoClock(database, wall).now() == NOON


def test_all_who_read_it_see_the_pace_of_the_one_who_started_it(database, wall):
    MongoClock(database, wall).start(BASE, 60.0, LEASE)
    wall.goes_on(2)
    assert shown(MongoClock(database, wall)) == 120


def test_it_stands_when_the_lease_is_over_and_goes_on_from_there(database, wall):
    clock = MongoClock(database, wall)
    clock.start(BASE, 60.0, LEASE)
    wall.goes_on(3600)
    assert shown(clock) == 300
    clock.renew(LEASE)
    assert shown(clock) == 300
    wall.goes_on(1)
    assert shown(clock) == 360


def test_renewing_neither_loses_nor_gains(database, wall):
    clock = MongoClock(database, wall)
    clock.start(BASE, 60.0, LEASE)
    for _ in range(1000):
        wall.goes_on(1.0007)
        clock.renew(LEASE)
    assert shown(clock) == pytest.approx(1000.7 * 60, abs=0.1)


def test_a_frozen_clock_stands_also_when_the_wall_was_set_back(database, wall):
    clock = MongoClock(database, wall)
    clock.start(BASE, 60.0, LEASE)
    wall.goes_on(2)
    clock.freeze()
    wall.goes_on(-3600)
    assert shown(clock) == 120
