from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from alerting.adapters.mongo import mongo
from alerting.adapters.mongo.mongo import MongoClock

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
def clocks(real):
    """Return a wall and a function that makes a clock on it, of one database."""
    wall = Wall()
    return wall, partial(MongoClock, real.database, wall)


def shown(clock):
    return (clock.now() - BASE).total_seconds()


def test_all_who_read_it_see_the_pace_of_the_one_who_started_it_until_the_lease_is_over(clocks):
    wall, clock = clocks
    assert clock().now() == NOON, "without a line it shows the real time"
    one = clock()
    one.start(BASE, 60.0, LEASE)
    wall.goes_on(2)
    assert shown(clock()) == 120
    wall.goes_on(3600)
    assert shown(one) == 300
    one.renew(LEASE)
    assert shown(one) == 300
    wall.goes_on(1)
    assert shown(one) == 360


def test_renewing_neither_loses_nor_gains(clocks):
    wall, clock = clocks
    one = clock()
    one.start(BASE, 60.0, LEASE)
    for _ in range(200):
        wall.goes_on(1.0007)
        one.renew(LEASE)
    assert shown(one) == pytest.approx(200.14 * 60, abs=0.1)


def test_a_frozen_clock_stands_also_when_the_wall_was_set_back(clocks):
    wall, clock = clocks
    one = clock()
    one.start(BASE, 60.0, LEASE)
    wall.goes_on(2)
    one.freeze()
    wall.goes_on(-3600)
    assert shown(one) == 120


def test_the_time_is_that_of_the_database_whatever_the_clock_of_this_machine_shows(
    real, monkeypatch
):
    ahead = timedelta(hours=2)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + ahead

    right = datetime.now(UTC)
    monkeypatch.setattr(mongo, "datetime", Ahead)
    clock = MongoClock(real.database)
    assert abs(clock.now() - right) < timedelta(minutes=1)
    assert abs(clock.difference().difference - ahead) < timedelta(minutes=1)
