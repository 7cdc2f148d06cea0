"""Faults of what the platform stands on: clocks, its own parts, backups, channels of its settings,
and the certificate of the console."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.alert_definition import Revision
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.wording.language import join_first, template, translatable
from alerting.notifications.recipients import channels_of
from alerting.ports import ClockDifference, PlatformAlerts, UpkeepPorts
from alerting.readings.variable_series import SKEW, rough_duration
from alerting.stores.database.transactions_and_leases import CONSOLE, STREAM
from alerting.usecases.definitions.faults_and_platform_alerts import (
    CLOCK,
    EVALUATION,
    describe_future_evaluation,
    record_faults,
)
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sink_delivery import SINKS
from alerting.usecases.sources.status import SOURCES

PART = template("part stopped")
BACKUP = template("backup overdue")
UNKNOWN = template("channel unknown")
CERTIFICATE = template("certificate ends")
PARTS = {
    STREAM: timedelta(minutes=2),
    CONSOLE: timedelta(minutes=5),
}
"""How long each part may show no sign of life."""
STREAM_SERVICE = translatable("stream service")
_PERIODS = 3  # between two backups, after which the next one is overdue
_ONLY_BACKUP = timedelta(days=7)  # the period after a first backup
CLOCK_SHOWN = timedelta(hours=1)  # after a clock went back, or another machine's was wrong
MOST_NAMED = 3


class PlatformFault(NamedTuple):
    """A fault that an engineer must correct, in the words of a platform alert."""

    kind: str
    subject: str
    reason: str


def find_wrong_clocks(
    clock: ClockDifference, future_lags: Sequence[timedelta], now: datetime
) -> Iterator[PlatformFault]:
    """Yield a fault of the clock of this machine, and one of evaluations beyond now."""
    machine, ahead, _ = clock
    if abs(ahead) > SKEW:
        yield PlatformFault(
            CLOCK,
            machine,
            translatable(
                "the clock of this machine is {difference} ahead of the clock of the database, by "
                "which the platform works: synchronise both (NTP)",
                difference=rough_duration(ahead),
            )
            if ahead > timedelta(0)
            else translatable(
                "the clock of this machine is {difference} behind the clock of the database, by "
                "which the platform works: synchronise both (NTP)",
                difference=rough_duration(-ahead),
            ),
        )
    if future_lags:
        yield PlatformFault(
            CLOCK, EVALUATION, describe_future_evaluation(now + max(future_lags), now)
        )


def find_stopped_parts(parts: Mapping[str, timedelta | None]) -> Iterator[PlatformFault]:
    """Yield a fault for each part without a sign of life."""
    for name, silent in parts.items():
        if silent is None or silent > PARTS[name]:
            yield PlatformFault(
                PART,
                STREAM_SERVICE if name == STREAM else name,
                translatable("no sign of life for a day; start it again, and see its log")
                if silent is None
                else translatable(
                    "no sign of life for {duration}; start it again, and see its log",
                    duration=rough_duration(silent),
                ),
            )


def find_overdue(backups: Sequence[datetime], now: datetime) -> Iterator[PlatformFault]:
    """Yield a fault if no backup was made for three times the time between the last two."""
    if backups:
        period = (
            max(backups[0] - backups[1], timedelta(days=1)) if len(backups) > 1 else _ONLY_BACKUP
        )
        if now - backups[0] > _PERIODS * period:
            yield PlatformFault(
                BACKUP,
                "MongoDB",
                translatable(
                    "the newest backup is of {since}; {command} makes one, and its timer one a day",
                    since=backups[0],
                    command="alerting backup",
                ),
            )


def find_unknown(unknown: Mapping[str, Sequence[str]]) -> Iterator[PlatformFault]:
    """Yield a fault for each route or definition that names channels without settings."""
    for subject, names in unknown.items():
        yield PlatformFault(
            UNKNOWN,
            subject,
            translatable(
                "no channel is called {names}, so nobody gets its messages: set its variable "
                "again, or name another channel",
                names=join_first(names, MOST_NAMED),
            ),
        )


def subjects_checked(
    alerts: PlatformAlerts, machine: str, checked_parts: Collection[str], now: datetime
) -> dict[str, Callable[[str], bool]]:
    """Return, by kind, whether the fault of a subject may end now: not that of a part that is not
    looked for, and that of another clock than this machine's only after an hour."""
    shown_still = {
        alert.subject
        for alert in alerts.open()
        if alert.subject != machine and abs(now - alert.opened_at) < CLOCK_SHOWN
    }
    return {
        CLOCK: lambda subject: subject not in shown_still,
        PART: lambda subject: (
            subject in checked_parts or (subject == STREAM_SERVICE and bool(checked_parts))
        ),
    }


def check_certificate(
    alerts: PlatformAlerts, address: str, ends_at: datetime | None, now: datetime
) -> None:
    """Raise or resolve the alert on a certificate that ends soon. `ends_at`: None without one;
    `now`: the real time."""
    ending = {}
    if ends_at is not None and ends_at - now < timedelta(days=14):
        ending[address] = translatable(
            "the certificate of the console ends at {when}: browsers and programs then refuse it; "
            "renew it and restart the console or its proxy",
            when=ends_at,
        )
    record_faults(alerts, CERTIFICATE, ending, now, lambda _: True)


def read_parts(
    platform: UpkeepPorts, checked_parts: Collection[str], is_open: Collection[tuple[str, str]]
) -> dict[str, timedelta | None]:
    """Return the time since the last sign of life of each of the parts that has run within a day,
    or has not come back since; of the stream service if anything needs it."""
    leases = {name: platform.leases.find(name) for name in checked_parts}
    needs_stream = STREAM in checked_parts and (
        any(
            isinstance(source, StreamedSource) and source.state == "active"
            for source in SOURCES.read(platform)[0]
        )
        or any(sink.state == "active" for sink in SINKS.read(platform)[0])
    )
    return {
        name: None if lease is None else lease.silent
        for name, lease in leases.items()
        if (needs_stream if name == STREAM else lease is not None or (PART, name) in is_open)
    }


def unknown_channels(platform: UpkeepPorts, active: Sequence[Revision]) -> dict[str, Sequence[str]]:
    """Return the channels that are not configured, by the route or definition that names them."""
    named = {f"route {route.name}": channels_of(route) for route in ROUTES.read(platform)[0]}
    named |= {r.name: r.definition.notify.channels or () for r in active}
    unknown = {
        subject: [name for name in names if name not in platform.channels]
        for subject, names in named.items()
    }
    return {subject: names for subject, names in unknown.items() if names}
