"""Durations and shares as operators read them: the same on pages, in messages and in sentences."""

from datetime import timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_ONE_DECIMAL_BELOW = 0.0995


def spoken_duration(value: timedelta) -> str:
    """Return a duration in full: `30 min`, `1 h 30 min`, `5 d`; whole seconds only, `0 s` for none."""
    rest, parts = int(value.total_seconds()), []
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"


def spoken_share(value: float) -> str:
    """Return a share as whole percent, with one decimal below 10 %: `89 %`, `2.5 %`."""
    return f"{value * 100:.1f} %" if 0 < abs(value) < _ONE_DECIMAL_BELOW else f"{value * 100:.0f} %"
