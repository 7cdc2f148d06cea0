"""Charts of alarm metrics as shapes: positions of the bars and cells of the page. This module
computes no metric.

A shape is a dict of the values that the template places; widths and positions are in percent where
no other unit is named.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alerting.alarm_kpis.metrics import Frequent, Kpis, Spread
from alerting.definitions.wording.language import translatable

WIDTH = 100.0  # percent, so that the texts of a narrow picture are not smaller
HEIGHT = 190.0
_SCALE_S = (10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
Shape = dict[str, Any]
_FLOOR = 20.0  # height of the axis


def distribution(kpis: Kpis, acceptable: int, most: int) -> dict[str, list[Shape]]:
    """Return the bars (190 high) of ten-minute periods by number of alarms, with their EEMUA
    bands, and the two limits.

    Heights are logarithmic, because the few busy periods must be visible beside many quiet ones.
    """
    numbers = kpis.distribution
    slot = WIDTH / len(numbers)
    top = math.log10(1 + max(numbers)) or 1.0

    def bar(number: int, periods: int) -> Shape:
        height = math.log10(1 + periods) / top * (HEIGHT - _FLOOR)
        band = next(
            b.name for b in kpis.bands if b.least <= number and (b.most is None or number <= b.most)
        )
        label = str(number) if number <= most else f"{most + 1}+"
        place = {
            "x": (number + 0.1) * slot,
            "y": HEIGHT - height,
            "width": slot * 0.8,
            "height": height,
        }
        return place | {"label": label, "periods": periods, "band": band}

    limits = [
        (
            acceptable,
            translatable("more than {number}: not acceptable for long", number=str(acceptable)),
        ),
        (most, translatable("more than {number}: flood", number=str(most))),
    ]
    return {
        "bars": [bar(number, periods) for number, periods in enumerate(numbers)],
        "limits": [{"x": (number + 1) * slot, "label": label} for number, label in limits],
    }


def calendar(kpis: Kpis, zone: ZoneInfo) -> list[Shape]:
    """Return the hours of the period in local time, a row for each day; empty for a period of too
    many days.

    A cell has its hour, alarms, and the strength of its colour (0 to 1). The repeated hour in
    autumn is one cell, the missing hour in spring is empty.
    """
    found: dict[date, Counter[int]] = {}
    for index, number in enumerate(kpis.hourly):
        local = (kpis.start + index * timedelta(hours=1)).astimezone(zone)
        found.setdefault(local.date(), Counter())[local.hour] += number
    if len(found) > 31:
        return []
    strongest = max((n for hours in found.values() for n in hours.values()), default=0) or 1

    def cell(hour: int, alarms: int) -> Shape:
        return {
            "hour": hour,
            "alarms": alarms,
            "strength": 0.2 + 0.8 * math.sqrt(alarms / strongest) if alarms else 0.0,
        }

    return [
        {"day": day, "cells": [cell(h, hours[h]) for h in range(24)]}
        for day, hours in found.items()
    ]


def shares(top: Sequence[Frequent]) -> list[Shape]:
    """Return a bar for each of the most frequent alarms, the longest 100 % wide."""
    longest = max((t.alarms for t in top), default=0) or 1
    return [{"alarm": t, "width": 100 * t.alarms / longest} for t in top]


def lanes(kpis: Kpis) -> list[Shape]:
    """Return the times to acknowledge and to clear, on a logarithmic scale."""
    return [
        _lane(
            translatable("to acknowledge"), kpis.to_acknowledge, translatable("not acknowledged")
        ),
        _lane(translatable("to clear"), kpis.to_clear, translatable("still active")),
    ]


def scale() -> list[tuple[float, timedelta]]:
    """Return the marks of the logarithmic scale of durations: position, duration."""
    return [(_position(timedelta(seconds=s)), timedelta(seconds=s)) for s in _SCALE_S]


def _lane(name: str, spread: Spread, missing: str) -> Shape:
    positions = {part: _position(getattr(spread, part)) for part in ("median", "p90", "longest")}
    return {"name": name, "spread": spread, "missing": missing} | positions


def _position(duration: timedelta | None) -> float:
    first = math.log(_SCALE_S[0])
    last = math.log(_SCALE_S[-1])
    seconds = _SCALE_S[0] if duration is None else max(duration.total_seconds(), 1e-3)
    return 100 * min(max((math.log(seconds) - first) / (last - first), 0.0), 1.0)
