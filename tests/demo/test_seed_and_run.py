"""Filling and running: idempotent, and the same after a death at any write."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from alerting.definitions.faults import UserError
from alerting.demo.asset import ASSET
from alerting.demo.line_store import SetPointRequest
from alerting.demo.machines import AIR_FILTER, CHECKWEIGHER, EXHAUST_FAN
from alerting.demo.run import LEASE, Filled, advance_line, fill, lead_minutes, run_line
from alerting.ports import ReadingRow

from .conftest import Killed, MemoryPlatform

END = datetime(2026, 3, 31, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def filled(memory: MemoryPlatform, end: datetime = END) -> Filled:
    return fill(assets=memory, plant=memory, lines=memory, end=end, days=1)


@cache
def _filled_once() -> MemoryPlatform:
    memory = MemoryPlatform()
    filled(memory)
    return memory


@pytest.fixture
def full() -> MemoryPlatform:
    """A line with a day of past, that ends with END's minute."""
    return _filled_once().copy()


def test_a_fill_ends_with_the_last_whole_minute_and_covers_its_days(memory: MemoryPlatform) -> None:
    told = filled(memory)
    assert told.rows == len(memory.readings)
    of_asset = Counter(asset for asset, _ in memory.readings)
    assert of_asset[ASSET] == 1440
    assert 1380 < of_asset[CHECKWEIGHER] < 1440, "none while the line stands"
    assert (told.start, told.end) == (
        END.replace(second=0) - timedelta(days=1),
        END.replace(second=0),
    )
    assert max(ts for _, ts in memory.readings) == told.end
    assert set(memory.assets) == {ASSET, AIR_FILTER, CHECKWEIGHER, EXHAUST_FAN}
    assert set(memory.types) == {"line-stop", "maintenance", "set-point-change"}


def test_a_second_fill_changes_nothing_whenever_it_comes(memory: MemoryPlatform) -> None:
    first = filled(memory)
    before = (dict(memory.readings), dict(memory.events), memory.line)
    second = filled(memory, END + timedelta(days=3))
    assert (second.rows, second.events, second.end) == (0, 0, first.end)
    assert (memory.readings, memory.events, memory.line) == before


def test_a_fill_of_less_than_a_day_is_refused(memory: MemoryPlatform) -> None:
    with pytest.raises(UserError, match="at least one day"):
        fill(assets=memory, plant=memory, lines=memory, end=END, days=0)


@pytest.mark.parametrize("writes", range(1, 8))
def test_a_death_at_any_write_leaves_the_same_line_once_it_has_gone_on(
    full: MemoryPlatform, writes: int
) -> None:
    undisturbed = full.copy()
    until = 1440 + 160
    for each in (undisturbed, full):
        each.ask(ASSET, SetPointRequest("1", "zone_1_setpoint", 212.0, "anna"))
    advance_line(undisturbed, undisturbed, until, END)
    full.writes_left = writes
    try:
        for step in (1450, 1500, until):
            advance_line(full, full, step, END)
    except Killed:
        pass
    full.writes_left = None
    advance_line(full, full, until, END)
    assert full.readings == undisturbed.readings
    assert full.events == undisturbed.events
    assert full.line is not None
    assert undisturbed.line is not None
    assert full.line.state == undisturbed.line.state


def test_two_processes_that_run_one_line_are_refused(full: MemoryPlatform) -> None:

    class Meddling(MemoryPlatform):
        """While readings are written somebody else moves the line."""

        def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
            assert full.line is not None
            full.save(ASSET, full.line, full.line.state)
            return []

    with pytest.raises(UserError, match="another process"):
        advance_line(full, Meddling(), 1500, END)


class WallClock:
    """A line clock over a wall whose hand the test moves; keeps all that it has shown."""

    def __init__(self, now: datetime) -> None:
        self.base = now
        self.speed = 0.0
        self.wall = 0.0
        self.anchored = 0.0
        self.until = 0.0
        self.calls: list[str] = []

    def now(self) -> datetime:
        return self.base + timedelta(
            seconds=self.speed * (min(self.wall, self.until) - self.anchored)
        )

    def start(self, base: datetime, speed: float, lease: timedelta) -> None:
        self.base = base
        self.speed = speed
        self.anchored = self.wall
        self.until = self.wall + lease.total_seconds()
        self.calls.append("start")

    def renew(self, lease: timedelta) -> None:
        self.until = self.wall + lease.total_seconds()

    def freeze(self) -> None:
        self.base = self.now()
        self.speed = 0.0
        self.calls.append("freeze")


def test_the_live_line_begins_where_the_past_ends_and_stays_ahead_of_its_clock(
    full: MemoryPlatform,
) -> None:
    clock = WallClock(END + timedelta(hours=1))

    def wait(seconds: float) -> bool:
        assert full.line is not None
        assert full.line.state.until >= clock.now() + LEASE * 10
        clock.wall += seconds
        return clock.wall > 120

    run_line(plant=full, lines=full, clock=clock, speed=10.0, wait=wait)
    assert clock.calls == ["start", "freeze"]
    assert clock.now() == END.replace(second=0) + timedelta(seconds=1210)
    assert sum(asset == ASSET for asset, _ in full.readings) == 1440 + 20 + lead_minutes(10.0)


def test_a_line_started_again_goes_on_where_its_clock_stood(full: MemoryPlatform) -> None:
    clock = WallClock(END)
    waits = iter([False, False, True])
    run_line(plant=full, lines=full, clock=clock, speed=10.0, wait=lambda s: next(waits))
    stood = clock.now()
    clock.wall += 86_400
    shown = []

    def wait(seconds: float) -> bool:
        shown.append(clock.now())
        clock.wall += seconds
        return len(shown) > 2

    run_line(plant=full, lines=full, clock=clock, speed=10.0, wait=wait)
    assert shown[0] == stood
    assert shown == sorted(shown)


def test_the_clock_stands_still_when_the_line_fails(full: MemoryPlatform) -> None:
    clock = WallClock(END)

    def wait(seconds: float) -> bool:
        clock.wall += 30
        full.writes_left = 0
        clock.renew(timedelta(minutes=1))
        return False

    with pytest.raises(Killed):
        run_line(plant=full, lines=full, clock=clock, speed=60.0, wait=wait)
    assert clock.calls == ["start", "freeze"]


def test_running_without_a_past_is_refused(memory: MemoryPlatform) -> None:
    with pytest.raises(UserError, match="no demo line yet"):
        run_line(plant=memory, lines=memory, clock=WallClock(END), speed=10.0, wait=lambda s: True)
