"""Parameters of requests: instants, durations, names, texts, within limits of use cases."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Form, Header, Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from starlette.convertors import StringConvertor, register_url_convertor

from alerting.definitions.faults import parse_duration
from alerting.definitions.fields.names import require_no_number
from alerting.definitions.wording.clean_text import clean_text

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=3653)
NAME = 200
FIELD = 500
TEXT = 2000
_DURATION_PATTERN = r"^(?!$)([0-9]{1,2}w)?([0-9]{1,3}d)?([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
# what `clean_text` and stripping remove
_UNSEEN = (
    r"\s\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
)
_NOT_BLANK = Field(json_schema_extra={"pattern": f"[^{_UNSEEN}]"})


class WithoutColon(StringConvertor):
    """Part of an address without a colon, after which an act stands."""

    regex = "[^/:]+"


register_url_convertor("without_colon", WithoutColon())


def _plus_as_sent(value: object) -> object:
    """Return an instant whose `+` came as a space: `06:00:00 01:00` means `+01:00`."""
    return re.sub(r" (\d\d:?\d\d)$", r"+\1", value[:100]) if isinstance(value, str) else value


def _within_bounds(value: datetime) -> datetime:
    if not (EARLIEST.year <= value.year < LATEST.year or value == LATEST):
        raise ValueError(f"must lie between {EARLIEST:%Y} and {LATEST:%Y}")
    return value


def _visible(name: str) -> str:
    if not clean_text(name).strip():
        raise ValueError("holds no character that can be seen")
    return name


def read_duration(text: str) -> timedelta:
    """Return a duration such as `2h`. Raises ValueError for none, or above ten years."""
    if len(text) > 50:
        raise ValueError("is not a duration; write for example 30m, 1h30m or 5d")
    try:
        return _not_too_long(parse_duration(text))
    except OverflowError:
        return _not_too_long(timedelta.max)


def _not_too_long(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= LONGEST:
        raise ValueError("must be at least 0s and at most ten years")
    return value


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(require_no_number),
    BeforeValidator(_plus_as_sent),
    AfterValidator(_within_bounds),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^(19|20|21)[0-9]{2}-",
            "examples": ["2026-01-31T06:00:00Z"],
        }
    ),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: read_duration(value) if isinstance(value, str) else value),
    AfterValidator(_not_too_long),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _DURATION_PATTERN,
            "minLength": 2,
            "maxLength": 20,
            "examples": ["2h", "1h30m"],
        }
    ),
]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=TEXT), AfterValidator(clean_text)
]
Short = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=FIELD), AfterValidator(clean_text)
]
SomeText = Annotated[Text, _NOT_BLANK]
SomeShort = Annotated[Short, _NOT_BLANK]
NameText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME),
    AfterValidator(_visible),
    _NOT_BLANK,
]
Id = Annotated[str, Path(max_length=NAME)]
NameQuery = Annotated[str, Query(max_length=NAME)]
Cursor = Annotated[
    str,
    Query(
        max_length=NAME,
        description="`next` of the page before.",
        json_schema_extra={"pattern": "^([0-9]{1,14}_[0-9A-Za-z:-]{1,100})?$"},
    ),
]
MOST_NUMBER = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="Number of a revision.")]
Reason = Annotated[Short, Query(description="Why, recorded with the revision and in the audit.")]
FormField = Annotated[str, Form(max_length=FIELD)]
FormText = Annotated[str, Form(max_length=TEXT * 4)]
_ONE_REVISION = '^"?[0-9]{1,9}"?$'
_ANY = r"^\*$"
IfMatch = Annotated[
    str | None,
    Header(
        pattern=_ONE_REVISION,
        description='The ETag of the revision that the change was made from, such as `"3"`.',
    ),
    WithJsonSchema({"type": "string", "pattern": _ONE_REVISION}),
]
IfNoneMatch = Annotated[
    str | None,
    Header(pattern=_ANY, description="`*`: only if there is none of this name."),
    WithJsonSchema({"type": "string", "enum": ["*"]}),
]
ETAG = {"headers": {"ETag": {"description": "Its newest revision.", "schema": {"type": "string"}}}}


def etag_of(revision: int) -> str:
    """Return the ETag of a document: the number of its newest revision, 0 without one."""
    return f'"{revision}"'


def expected_of(if_match: str | None, if_none_match: str | None) -> int | Literal["new"] | None:
    """Return the revision that a change was made from; None without these headers."""
    if if_match is not None:
        return int(if_match.strip('"'))
    return "new" if if_none_match is not None else None


def require_number(value: object) -> object:
    """Return a number as it was sent. Raises ValueError for anything else, such as `true`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    return value
