"""How long the last value of a variable is carried forward, found from its readings.

Recipes, products, tools and set-points are reported when they change, a laboratory a few times a
day. Such a value is in force long after it has left every window; treating it as missing would hide
a possible cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alerting.deferred import np
from alerting.learning.features.plan import CarryForward
from alerting.readings.cleaning import has_data
from alerting.readings.history import History, duration_millis
from alerting.readings.spacing import distances, sampling_ms

TIMES = 3  # a value is carried forward for TIMES the distance at which the next one is due
LONGEST_MS = 90 * 24 * 3_600_000  # but never longer, unless the asset's document says so
LEAST_DISTANCES = 3  # least number of distances between values from which their spacing is known
# The next value of a slow measurement is due after the distance that this share of its distances
# does not exceed; that of something that stands until it is changed, after the longest one.
DUE = 0.9
# A variable is reported when it changes if at least this share of its values differ from the one
# before.
CHANGES = 0.9
_MINUTE = 60_000


def carried_forward_variables(
    names: Sequence[str], histories: Sequence[History], longest_window_ms: int
) -> tuple[CarryForward, ...]:
    """Return the variables that are carried forward for another time than the longest window."""
    return tuple(_find_carried(names, histories, longest_window_ms))


def _find_carried(
    names: Sequence[str], histories: Sequence[History], longest_window_ms: int
) -> Iterator[CarryForward]:
    for name in names:
        declared = [
            h.asset.variables[name].carry_forward for h in histories if name in h.asset.variables
        ]
        stated = max((duration_millis(span) for span in declared if span is not None), default=None)
        if stated is None:
            found = _found_ms(name, histories, longest_window_ms)
            if found > longest_window_ms:
                yield CarryForward(name, found)
        elif stated != longest_window_ms:
            yield CarryForward(name, stated)


def _found_ms(name: str, histories: Sequence[History], longest_window_ms: int) -> int:
    """Return the time that the readings suggest; 0 where the windows cover the values."""
    apart = distances(name, histories)
    if len(apart) < LEAST_DISTANCES:
        return 0
    declared = [h.asset.variables[name] for h in histories if name in h.asset.variables]
    has_texts = any(h.readings[name].dtype == object for h in histories if name in h.readings)
    stays = has_texts or any(v.controllable or v.type != "number" for v in declared)
    # values may come in bursts
    slow = max(sampling_ms(name, histories) or 0, float(apart.mean())) > longest_window_ms
    if not slow and not (stays and _is_reported_on_change(name, histories)):
        return 0
    due = float(apart.max()) if stays else float(np.quantile(apart, DUE))
    return min(-(-int(TIMES * due) // _MINUTE) * _MINUTE, LONGEST_MS)


def _is_reported_on_change(name: str, histories: Sequence[History]) -> bool:
    columns = [
        h.readings[name][has_data(h, name)].to_numpy() for h in histories if name in h.readings
    ]
    return bool(np.concatenate([c[1:] != c[:-1] for c in columns]).mean() >= CHANGES)
