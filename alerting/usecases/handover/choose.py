"""The shift that a person asks for: of a part of the plant, at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from alerting.definitions.faults import NotFound
from alerting.definitions.routes import Route, is_for
from alerting.definitions.wording.language import translatable
from alerting.operators.shifts import (
    Shift,
    ShiftHours,
    find_change,
    find_next,
    find_others,
    find_previous,
    find_running,
    usual_hours,
)
from alerting.ports import RoutePorts
from alerting.usecases.notification.routes import read_routes
from alerting.usecases.now.known_plant import KnownPlant

ShiftLength = Literal[8, 12, 24]


@dataclass(frozen=True)
class ShiftChoice:
    """The shift that is asked for. `line`: a part of the plant; `at`: an instant in the shift; if
    None the one that is handed over now, else the one that runs; `shift`: its route, where several
    shifts run at once; `hours`: length of shifts where no route names any."""

    line: str | None = None
    at: datetime | None = None
    shift: str | None = None
    hours: ShiftLength = 8


@dataclass(frozen=True)
class ChosenShift:
    """A shift of a part of the plant (None: of the whole plant), and the shifts around it.

    `others`: that run at the same time. `assets`: of the part, None for all. `is_configured`: a
    route names the hours. `routes`: by which the hand-over can be sent. `lines`: titles of all
    parts by name. `hours`: as asked for.
    """

    part: str | None
    title: str
    assets: frozenset[str] | None
    shift: Shift
    previous: Shift | None
    next: Shift | None
    others: tuple[Shift, ...]
    is_configured: bool
    routes: tuple[Route, ...]
    lines: dict[str, str]
    hours: ShiftLength


def choose_shift(
    platform: RoutePorts,
    plant: KnownPlant,
    choice: ShiftChoice,
    zone: ZoneInfo,
    now: datetime,
) -> ChosenShift:
    """Return the shift that is asked for.

    Raises NotFound for an unknown part, or if there is no shift at that time.
    """
    part = _part_of(plant, choice.line)
    assets = (
        None if part is None else frozenset(name for name, of in plant.parts.items() if of == part)
    )
    stored = read_routes(platform.routes)[0]
    known = plant.assets if assets is None else assets
    fitting = [r for r in stored if not known or any(is_for(r, name) for name in known)]
    plans = shift_hours(fitting)
    is_configured = bool(plans)
    plans = plans or [usual_hours(choice.hours, zone)]
    at = choice.at or now
    changing = find_change(plans, now) if choice.at is None else None
    if changing is not None and choice.shift in (None, changing.name):
        shift: Shift | None = changing
    else:
        shift = find_running(plans, at, choice.shift)
    if shift is None:
        raise NotFound(translatable("no shift runs at that time, or ran in the eight days before"))
    return ChosenShift(
        part,
        "" if part is None else plant.assets[part].title,
        assets,
        shift,
        find_previous(plans, shift),
        find_next(plans, shift),
        tuple(find_others(plans, shift, at)),
        is_configured,
        tuple(fitting),
        plant.lines,
        choice.hours,
    )


def shift_hours(routes: Sequence[Route]) -> list[ShiftHours]:
    """Return the hours of the routes that have shifts."""
    return [ShiftHours(route.name, route.shifts, route.zone) for route in routes if route.shifts]


def shift_to_hand_over(routes: Sequence[Route], now: datetime) -> Shift | None:
    """Return the shift that is handed over now, by the routes that have shifts; None at other
    times."""
    return find_change(shift_hours(routes), now)


def _part_of(plant: KnownPlant, line: str | None) -> str | None:
    if line and line not in {*plant.parts.values()}:
        raise NotFound(translatable("there is no part of the plant “{name}”", name=line))
    return line or None
