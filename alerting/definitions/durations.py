"""Durations as people write them in a definition: `30m`, `1h30m`, `5d`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
PATTERN = r"^(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"


def parse_duration(text: str) -> timedelta:
    """Read `1h30m` as a timedelta. Raises ValueError with an example for anything else."""
    compact = text.strip().replace(" ", "")
    if not compact or not re.match(PATTERN, compact):
        raise ValueError(f"{text!r} is not a duration; write for example 30m, 1h30m or 5d")
    return timedelta(seconds=sum(int(n) * _UNITS[u] for n, u in re.findall(r"(\d+)([wdhms])", compact)))


def format_duration(value: timedelta) -> str:
    """Write a timedelta as `1h30m`; whole seconds only, `0s` for none."""
    rest, parts = int(value.total_seconds()), []
    for unit, seconds in _UNITS.items():
        if unit == "w" and rest % seconds:  # 10d reads better than 1w3d
            continue
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError(f"{value!r} is not a duration; write for example 30m, 1h30m or 5d")


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "minLength": 2, "examples": ["30m", "1h30m", "5d"]}),
]
