"""Times in sentences of answers: the plant's. Fields keep instants in UTC."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import cache
from typing import Any, TypeVar

from alerting.reporting.base.messages import moment

T = TypeVar("T")
_SENTENCES = frozenset(
    {"reason", "message", "answer", "facts", "unknown", "why", "because", "step", "end_reason"}
)
"""Names of fields whose texts are sentences."""
_WITHOUT_TEXT = frozenset({type(None), bool, int, float, datetime, timedelta})
_STAMP = re.compile(
    r"(?<![\w'\"])(?<!example "
    r")\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)(?!\w)"
)
"""A stamp that the platform wrote: no example, and none of a request, which is shown in quotes as
it was sent."""


def plant_times(text: str, zone: tzinfo) -> str:
    """Return a sentence with ISO stamps in the plant's zone: `2026-01-05 07:00 CET`."""
    if "T" not in text:
        return text
    return _STAMP.sub(lambda found: _local(found[0], zone), text)


def with_plant_times(value: T, zone: tzinfo) -> T:
    """Return a dataclass, or several, with the plant's times in sentences at every depth."""
    return _converted(value, zone, is_sentence=False)  # type: ignore[no-any-return]


def _converted(value: Any, zone: tzinfo, is_sentence: bool) -> Any:
    if type(value) in _WITHOUT_TEXT:
        return value
    if isinstance(value, str):
        return plant_times(value, zone) if is_sentence else value
    if isinstance(value, tuple | list):
        return (
            type(value)(_converted(one, zone, is_sentence) for one in value)
            if type(value) in (tuple, list)
            else value
        )
    if not is_dataclass(value) or isinstance(value, type):
        return value
    different = {}
    for name in _field_names(type(value)):
        found = getattr(value, name)
        changed = _converted(found, zone, name in _SENTENCES)
        if changed is not found and changed != found:
            different[name] = changed
    return replace(value, **different) if different else value


@cache
def _field_names(of: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of) if field.init)


def _local(stamp: str, zone: tzinfo) -> str:
    try:
        at = datetime.fromisoformat(stamp).astimezone(zone)
    except (ValueError, OverflowError):
        return stamp
    day, clock, name = moment(at, zone).split(" ", 2)
    return f"{day} {clock}{f':{at:%S}' if at.second else ''} {name}"
