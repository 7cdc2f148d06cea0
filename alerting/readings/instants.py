"""Instants and durations as whole milliseconds: int64, not objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from alerting.deferred import np, npt

Millis: TypeAlias = "npt.NDArray[np.int64]"
NO_TIME = -(2**63)  # no instant, in a column of instants
FIRST_INSTANT = datetime(1900, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)
"""Bounds of readings and events, the first one included: other stamps come of a wrong clock, or are
null dates."""
FAR_FUTURE = 2**61  # ms, later than any instant; a float holds it exactly
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def whole_millis(instant: datetime) -> datetime:
    """Return an instant in UTC, whole milliseconds. Raises ValueError without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant.isoformat()} has no time zone")
    if instant.tzinfo is UTC and instant.microsecond % 1000 == 0:
        return instant
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000).astimezone(UTC)


def to_millis(instant: datetime) -> int:
    """Return one aware instant as whole milliseconds since 1970, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def millis_of(instants: Sequence[datetime]) -> Millis:
    """Return instants as milliseconds since 1970, all aware, or all in UTC without zone."""
    epoch = _EPOCH if instants and instants[0].tzinfo else _EPOCH.replace(tzinfo=None)
    return np.array([(instant - epoch) // _MILLISECOND for instant in instants], np.int64)


def from_millis(value: int) -> datetime:
    """Return the aware UTC instant of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=int(value))


def datetimes(at: Millis) -> list[datetime]:
    """Return the aware UTC instants of milliseconds since 1970."""
    return [naive.replace(tzinfo=UTC) for naive in at.view("datetime64[ms]").astype(object)]


def month_of(instant: datetime) -> str:
    """Return the month of an instant in UTC, e.g. 2026-01."""
    return instant.astimezone(UTC).strftime("%Y-%m")


def month_interval(month: str) -> tuple[datetime, datetime]:
    """Return the first instant of a month (`2026-01`) and that of the next one, in UTC."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return start, (start + timedelta(days=31)).replace(day=1)


def duration_millis(value: timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return value // _MILLISECOND
