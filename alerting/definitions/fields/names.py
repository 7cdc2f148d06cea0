"""Names, texts and times that documents are made of, and the base of all documents."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
)

from alerting.definitions.faults import Duration, shown

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"

NAME_LENGTH = 100

# these reverse the order of letters
_OVERRIDES = {
    "LRE",
    "RLE",
    "LRO",
    "RLO",
    "PDF",
    "LRI",
    "RLI",
    "FSI",
    "PDI",
}
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _require_printable(text: str) -> str:
    if text.isprintable():
        return text
    for character in text:
        if not character.isprintable() and character not in "\n\t" and _is_control(character):
            raise ValueError(f"holds the control character {f'U+{ord(character):04X}'}; remove it")
    return text


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or unicodedata.bidirectional(character) in _OVERRIDES
    )


def _longer_than_zero(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return duration


def require_no_number(value: object) -> object:
    """Return an instant as written. Raises ValueError for a number, read as seconds."""
    if isinstance(value, str):
        try:
            float(value[:100])
        except ValueError:
            return value
    elif not isinstance(value, int | float):  # also true and false
        return value
    raise ValueError(
        f"{shown(value)} is a number and no instant; write for example 2026-01-31T06:00Z"
    )


def _in_reach(instant: datetime) -> datetime:
    try:
        in_utc = instant.astimezone(UTC)
    except OverflowError:
        in_utc = datetime.min.replace(tzinfo=UTC)
    if not _EARLIEST <= in_utc < _LATEST:
        raise ValueError(f"must lie between the years {_EARLIEST.year} and {_LATEST.year}")
    return instant


_control_free = AfterValidator(_require_printable)
Line = Annotated[str, StringConstraints(max_length=200), _control_free]
Paragraph = Annotated[str, StringConstraints(max_length=2000), _control_free]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100), _control_free]
LongerThanZero = Annotated[Duration, AfterValidator(_longer_than_zero)]
Instant = Annotated[AwareDatetime, BeforeValidator(require_no_number), AfterValidator(_in_reach)]
Number = Annotated[float, Strict()]
"""A number; pydantic alone takes true as 1, and a text that reads as a number."""
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN, max_length=100)]


class Closed(BaseModel):
    """A document without unknown fields, immutable once it is read."""

    # Validators are built at first use: a command that reads two kinds of document builds two.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)
