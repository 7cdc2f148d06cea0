"""The shift that a request names, and the address of its page."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query, Request

from alerting.adapters.platform import Platform
from alerting.console.api.parameters import Instant, NameQuery
from alerting.console.now.page import known_plant
from alerting.operators.handovers import Handover
from alerting.usecases.handover.choose import (
    ChosenShift,
    ShiftChoice,
    ShiftLength,
    choose_shift,
)

LENGTHS: dict[str, ShiftLength] = {"8": 8, "12": 12, "24": 24}


async def _choice(
    line: NameQuery | None = None,
    at: Annotated[
        Instant | None,
        Query(
            description="An instant in the shift; when left out, the one that is handed over now, "
            "else the one that runs."
        ),
    ] = None,
    shift: Annotated[
        NameQuery | None, Query(description="Its route, where several shifts run at once.")
    ] = None,
    hours: Annotated[
        Literal["8", "12", "24"],
        Query(description="Length of shifts where no route names any, in hours."),
    ] = "8",
) -> ShiftChoice:
    """Return the shift that an address names."""
    return ShiftChoice(line, at, shift, LENGTHS[hours])


AskedShift = Annotated[ShiftChoice, Depends(_choice)]


def find_chosen(request: Request, platform: Platform, choice: ShiftChoice) -> ChosenShift:
    """Return the shift that is asked for. Raises NotFound if there is none."""
    plant = known_plant(request, platform)
    now = platform.clock.now()
    return choose_shift(platform, plant, choice, request.app.state.zone, now)


def address_of(chosen: ChosenShift) -> str:
    """Return the address of the page of a shift."""
    return address_at(chosen, chosen.shift.start, chosen.shift.name)


def address_at(
    chosen: ChosenShift,
    at: datetime | None,
    shift: str = "",
    line: str | None = None,
    hours: int | None = None,
) -> str:
    """Return the address of the shift that runs at an instant (None: now).

    `line`: another part of the plant, empty for all of it; `hours`: another length of shifts.
    """
    part = chosen.part if line is None else line
    length = 8 if chosen.is_configured else chosen.hours
    return _address(part, at, shift, hours or length)


def address_of_stored(handover: Handover) -> str:
    """Return the address of the page of a stored hand-over."""
    lasting = round((handover.end - handover.start) / timedelta(hours=1))
    hours = lasting if not handover.shift and lasting in LENGTHS.values() else 8
    return _address(handover.part, handover.start, handover.shift, hours)


def _address(part: str | None, at: datetime | None, shift: str, hours: int) -> str:
    values = {
        "line": part or "",
        "at": "" if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
        "shift": shift,
        "hours": "" if hours == 8 else str(hours),
    }
    given = {name: value for name, value in values.items() if value}
    return f"/handover?{urlencode(given)}" if given else "/handover"
