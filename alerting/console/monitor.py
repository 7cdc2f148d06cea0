"""The check of the platform by the console: it goes on where Airflow or the database does not.

Every minute the console checks the platform as the maintenance does. If evaluation is late it
delivers notifications, too, because Airflow may be away. If the database is away it sends that
itself, to those who were last known to get such messages.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from pymongo.errors import PyMongoError

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError, first_line
from alerting.ports import DeliveryFailed, PlatformAlert
from alerting.readings.instants import whole_millis
from alerting.usecases.definitions.platform_alerts import DATABASE
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.notification.platform_alerts import (
    outage_message,
    platform_recipients,
    record_outage,
)
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.platform_health.check import check_platform
from alerting.usecases.platform_health.conditions import LATE
from alerting.usecases.platform_health.metrics import Inventory, read_inventory

EVERY_S = 60.0
AWAY_AFTER = timedelta(minutes=2)  # a restart of the database takes less
_log = logging.getLogger(__name__)


def wall_clock() -> datetime:
    """Return the real time: the platform's clock is in the database."""
    return datetime.now(UTC)


class HealthMonitor:
    """Checks a platform, which it opens each time. `now`: the real time."""

    def __init__(
        self,
        open_platform: Callable[[], AbstractContextManager[Platform]],
        now: Callable[[], datetime] = wall_clock,
        tidy: Callable[[datetime], None] | None = None,
    ) -> None:
        """`tidy`: removes what is too old from the disk of the console, each time."""
        self._open = open_platform
        self._now = now
        self._tidy = tidy
        self._known: Platform | None = None
        self._inventory: Inventory | None = None
        self._recipients: dict[str, str | None] = {}
        self._outage: PlatformAlert | None = None
        self._notified: dict[str, str | None] = {}

    def start(self) -> Event:
        """Check every minute in a thread of its own. Return the event that stops it.

        Definitions and targets are read at once, while few answers wait for it.
        """
        stop = Event()

        def run() -> None:
            with suppress(UserError, PyMongoError), self._open() as platform:
                self._inventory = read_inventory(platform)
            while not stop.wait(EVERY_S):
                self.check()

        Thread(target=run, name="health", daemon=True).start()
        return stop

    def check(self) -> None:
        """Check the platform once. Never raises."""
        try:
            with self._open() as platform:
                self._check(platform)
        except (UserError, PyMongoError) as fault:
            self._announce_outage(first_line(fault))
        except Exception:
            _log.exception("the platform could not be checked")

    def _check(self, platform: Platform) -> None:
        now = platform.clock.now()
        self._known = platform
        self._recipients = dict(platform_recipients(platform, ROUTES.read(platform)[0], now))
        if self._outage is not None:
            record_outage(platform, self._outage, self._notified.items(), now)
            self._outage = None
            self._notified = {}
            deliver_due(platform, now)
        if self._tidy is not None:
            self._tidy(self._now())
        self._inventory = read_inventory(platform, self._inventory)
        # the maintenance asks the registry: MLflow's client would take 90 MiB of this process
        faults = check_platform(platform, now, self._inventory, asks_registry=False)
        if any(fault.kind == LATE for fault in faults):
            deliver_due(platform, now)

    def _announce_outage(self, reason: str) -> None:
        now = whole_millis(self._now())
        self._outage = self._outage or PlatformAlert(DATABASE, "MongoDB", reason, now)
        _log.warning("the database is away: %s", reason)
        if self._known is None or now - self._outage.opened_at < AWAY_AFTER:
            return
        for channel, route in self._recipients.items():
            if channel not in self._notified:
                try:
                    self._known.channels[channel].deliver(
                        outage_message(self._outage, channel, now)
                    )
                except DeliveryFailed as failure:
                    _log.warning("the outage could not be announced by %s: %s", channel, failure)
                else:
                    self._notified[channel] = route
