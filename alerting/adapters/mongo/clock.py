"""The clock that DAGs, commands and API share: real time, or the demo line's, in one document."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from alerting.readings.history import whole_millis
from alerting.stores.database.documents import CLOCK, Document, MongoDatabase

_ID = "clock"
_real_time = partial(datetime.now, UTC)


class MongoClock:
    """Ports `Clock` and `LineClock`: without a document real time, else `base` and `speed` since
    `anchored`.

    The clock stops at `until`, so that it does not run ahead of a line whose process has ended. It
    never goes back.
    """

    def __init__(self, database: MongoDatabase, wall: Callable[[], datetime] = _real_time) -> None:
        self._clock = database[CLOCK]
        self._real = wall

    def now(self) -> datetime:
        """Return the time of this clock, to the millisecond."""
        stored = self._clock.find_one({"_id": _ID})
        wall = self._wall()
        return wall if stored is None else _shown(stored, wall)

    def line_speed(self) -> float | None:
        """Return seconds of the simulated line per second, 0 while it stands; else None."""
        stored = self._clock.find_one({"_id": _ID})
        if stored is None:
            return None
        return float(stored["speed"]) if self._wall() < stored["until"] else 0.0

    def start(self, base: datetime, speed: float, lease: timedelta) -> None:
        """Show from now on `base` plus `speed` seconds per second of real time, and stop at the end
        of the lease.

        A clock that has passed `base` meanwhile, within its last lease, continues from its own
        time.
        """
        stored = self._clock.find_one({"_id": _ID})
        wall = self._wall()
        shown = base if stored is None else max(base, _shown(stored, wall))
        self._store_clock(shown, speed, wall, wall + lease)

    def renew(self, lease: timedelta) -> None:
        """Continue for another `lease` of real time, from where a stopped clock stands."""
        stored = self._clock.find_one({"_id": _ID})
        if stored is not None:
            wall = self._wall()
            self._store_clock(_shown(stored, wall), stored["speed"], wall, wall + lease)

    def freeze(self) -> None:
        """Stop at the current instant of this clock."""
        wall = self._wall()
        self._store_clock(self.now(), 0.0, wall, wall)

    def _wall(self) -> datetime:
        """Return the real time in the stored precision, so that a renewal does not change it."""
        return whole_millis(self._real())

    def _store_clock(
        self, base: datetime, speed: float, anchored: datetime, until: datetime
    ) -> None:
        document = {"_id": _ID, "base": base, "speed": speed, "anchored": anchored, "until": until}
        self._clock.replace_one({"_id": _ID}, document, upsert=True)


def _shown(stored: Document, wall: datetime) -> datetime:
    elapsed = min(wall, stored["until"]) - stored["anchored"]
    return whole_millis(stored["base"] + stored["speed"] * max(elapsed, timedelta(0)))
