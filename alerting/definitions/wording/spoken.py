"""Durations, shares and numbers as operators read them, on pages and in messages."""

from datetime import timedelta
from decimal import Decimal
from math import floor, log10

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_ONE_DECIMAL_BELOW = 0.0995
_LARGE = (1e3, 1e15)  # in which a number is written out, without a power of ten
_LEAST_SMALL = 1e-9
_FEWEST = 3  # significant digits of a value
_MOST = 15
_NEAR_END = 0.005  # of 0 or 1: a threshold needs more digits there


def spoken_duration(value: timedelta) -> str:
    """Return a duration in full: `30 min`, `1 h 30 min`, `5 d`; whole seconds only."""
    rest = int(value.total_seconds())
    parts = []
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def spoken_about(value: timedelta) -> str:
    """Return a duration in its largest two units: `12 min`, `2 d 3 h`, `-1 min 30 s`."""
    rest = round(abs(value.total_seconds()))
    first = next((i for i, (_, seconds) in enumerate(_UNITS) if rest >= seconds), len(_UNITS) - 1)
    finest = _UNITS[min(first + 1, len(_UNITS) - 1)][1]
    return ("-" if value < timedelta(0) else "") + spoken_duration(
        timedelta(seconds=rest // finest * finest)
    )


def latency_note(latency: timedelta) -> str:
    """Return a note after the evaluated instant: ` (latency 10 s)`; "" without latency."""
    return f" (latency {spoken_duration(latency)})" if latency else ""


def spoken_number(value: float, style: str = "g") -> str:
    """Return a number in a format; a large one in whole units, a small one with all its zeros,
    never with a power of ten: `1234567` instead of `1.23457e+06`, `0.000025` of `2.5e-05`."""
    shown = format(value, style)
    if "e" not in shown:
        return shown
    if _LARGE[0] <= abs(value) < _LARGE[1]:
        return f"{value:.0f}"
    return f"{Decimal(shown):f}" if _LEAST_SMALL <= abs(value) < 1 else shown


def digits_beside(value: float, *limits: float | None) -> int:
    """Return how many significant digits a value needs beside limits: three, or as many more as
    keep it from looking like a limit, or from lying on its other side."""
    there = [limit for limit in limits if limit is not None]
    for digits in range(_FEWEST, _MOST):
        shown = float(spoken_number(value, f".{digits}g"))
        if all((shown > one) == (value > one) and (shown < one) == (value < one) for one in there):
            return digits
    return _MOST


def spoken_share(value: float) -> str:
    """Return a share as whole percent, with one decimal below 10 %: `89 %`, `2.5 %`."""
    return f"{value * 100:.1f} %" if 0 < abs(value) < _ONE_DECIMAL_BELOW else f"{value * 100:.0f} %"


def spoken_threshold(value: float) -> str:
    """Return a threshold of a risk as percent, with the digits that distinguish it from 0 and 1:
    `89 %`, `99.99999965 %`."""
    rest = min(value, 1 - value)
    if not 0 < rest < _NEAR_END:
        return spoken_share(value)
    return f"{value * 100:.{-floor(log10(rest)) - 1}f} %"


def format_threshold(value: float) -> str:
    """Return a threshold of a risk with the digits that distinguish it from 1: `0.89`,
    `0.9999999965`."""
    rest = 1 - value
    return f"{value:.{1 - floor(log10(rest))}f}" if 0 < rest < _NEAR_END else f"{value:.3g}"


def spoken_false_alarms(per_asset: float, assets: int) -> str:
    """Return a weekly number per asset as of all: `60 ... on all 20 assets (3 on each)`."""
    if assets <= 1:
        return f"{per_asset:.3g} false alarms a week"
    return (
        f"{per_asset * assets:.3g} false alarms a week on all {assets} assets together "
        f"({per_asset:.3g} on each)"
    )


def spoken_limits(
    time_in_alarm: float, false_alarms: float | None, least_precision: float | None, assets: int
) -> str:
    """Describe the limits of a threshold, e.g. `3 false alarms a week and 20% of the time in
    alarm`."""
    time = f"{time_in_alarm:.0%} of the time in alarm"
    if false_alarms is not None:
        return f"{spoken_false_alarms(false_alarms, assets)} and {time}"
    if least_precision is not None:
        return f"a precision of at least {least_precision:.0%} and {time}"
    return time


def spoken_points(difference: float) -> str:
    """Return a difference of shares in points: `63 points`, `2.5 points`, `1 point`."""
    digits = (
        f"{difference * 100:.1f}".removesuffix(".0")
        if abs(difference) < _ONE_DECIMAL_BELOW
        else f"{difference * 100:.0f}"
    )
    return f"{digits} {'point' if digits == '1' else 'points'}"
