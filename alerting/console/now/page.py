"""The front page: the present state of the plant, and earlier alarms by day."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Cursor
from alerting.console.attempts import client_of
from alerting.console.gate import DEVICE_COOKIE
from alerting.console.language import language_of
from alerting.console.login import entrance_of
from alerting.console.mutes.mutes import with_texts
from alerting.console.now.address import AskedFilters, address_of
from alerting.console.web.pages import MUTE_REASONS, NOT_NOTIFIED_WITHIN
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.model import SEVERITIES
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.operators.causes import DayOfAlarms, group_by_day
from alerting.operators.people import DEVICE_SESSION_LASTS
from alerting.operators.shifts import find_change
from alerting.recommendation.conflicts import opposite_advice
from alerting.reporting.base import sentences
from alerting.usecases.access.devices import renew_display
from alerting.usecases.episodes.suppression import find_not_notified
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.now.handover import shift_hours
from alerting.usecases.now.known_plant import KnownPlant, RecentPlant
from alerting.usecases.now.overview import Earlier, NowFilters, is_part, read_earlier, read_now
from alerting.usecases.platform_health.check import alarms_off
from alerting.usecases.platform_health.last_runs import describe_work
from alerting.usecases.reports.make import read_numbers, worth_sentences

pages = APIRouter(include_in_schema=False)
EARLIER_SHOWN = 50
OVER_UNFOLDED = 3
CAUSES_UNFOLDED = 12
"""Causes with their answers; the more urgent ones are first, and acknowledged ones last."""
GAPS_SHOWN = 6
_NEAR = {0: translatable("Today"), 1: translatable("Yesterday")}


class Chip(NamedTuple):
    """A filter to choose: its name, its address, and whether it is chosen."""

    label: str
    address: str
    is_chosen: bool


@pages.get("/", response_class=HTMLResponse)
def now_page(
    request: Request,
    platform: Served,
    person: Viewer,
    filters: AskedFilters,
    cursor: Cursor | None = None,
) -> Response:
    """Return the front page; with a cursor a page of older alarms."""
    if cursor:
        return HTMLResponse(_older(request, platform, person, filters, cursor))
    present = _present(request, platform, person, filters)
    answer = _unless_known(request, render("now/now.html", request, **present))
    _stay_signed_in(request, person, answer)
    return answer


@pages.get("/now", response_class=HTMLResponse)
def now_part(request: Request, platform: Served, person: Viewer, filters: AskedFilters) -> Response:
    """Return the part of the front page that changes, without the page around it."""
    present = _present(request, platform, person, filters)
    answer = _unless_known(request, render("now/now_main.html", request, **present))
    _stay_signed_in(request, person, answer)
    return answer


def _stay_signed_in(request: Request, person: Person, answer: Response) -> None:
    """Renew the session of a device that only shows, as a screen in the hall, while it shows."""
    if person.device is None or person.session is None or person.signs:
        return
    entrance = entrance_of(request)
    renewed = renew_display(entrance.platform, person.session, entrance.now(), client_of(request))
    if renewed is not None:
        entrance.set_cookie(answer, request, DEVICE_COOKIE, renewed, DEVICE_SESSION_LASTS)


def _unless_known(request: Request, page: str) -> Response:
    """Return a page with its tag; no page if the browser shows the same one already."""
    tag = f'"{blake2b(page.encode(), digest_size=12).hexdigest()}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return HTMLResponse(page, headers={"etag": tag})


def known_plant(request: Request, platform: Platform) -> KnownPlant:
    """Return what is known of the plant now."""
    known: RecentPlant = request.app.state.known_plant
    return known.find(platform, request.app.state.entrance.now())


def _present(
    request: Request, platform: Platform, person: Person, filters: NowFilters
) -> dict[str, Any]:
    plant = known_plant(request, platform)
    routes = [r for r in ROUTES.read(platform)[0] if r.shifts]
    now = read_now(platform, plant, filters, person.name, routes)
    still_open = now.still_open
    listed = {e.id for e in still_open} | {e.id for group in now.over for e in group.episodes}
    found = read_earlier(platform, plant, filters, person.name, routes, EARLIER_SHOWN)
    earlier = [e for e in found.episodes if e.id not in listed]
    is_quiet = not found.episodes and not filters.is_set
    return {
        "state": now,
        "filters": filters,
        "back": address_of(filters),
        "chips": _chips(plant, filters, [route.name for route in routes]),
        "all_address": address_of(NowFilters()),
        "windows": now.windows,
        "values": now.values,
        "titles": plant.titles,
        "asset_titles": plant.asset_titles,
        "conflicts": opposite_advice(still_open),
        "own": {e.id: sentences.last_answer(e, person.name) for e in still_open},
        "days": _days(request, earlier, now.at),
        "older": _address_behind(filters, found),
        "work": describe_work(platform, 12) if is_quiet else None,
        "muted": [one for one in now.mutes if one.is_target],
        "mutes": with_texts(request, platform, [one for one in now.mutes if not one.is_target]),
        "not_notified": sum(
            is_part(episode.asset, filters, plant)
            for episode in find_not_notified(
                platform.episodes, plant.suppressible, now.at - NOT_NOTIFIED_WITHIN, now.at
            )
        ),
        "off": alarms_off(platform),
        "may_answer": person.may_answer,
        "worth": ()
        if person.may("operate") or person.signs
        else worth_sentences(read_numbers(platform.reports), language_of(request)),
        "handed_over": find_change(shift_hours(routes), now.at),
        "presets": MUTE_REASONS,
        "causes_unfolded": CAUSES_UNFOLDED,
        "over_unfolded": OVER_UNFOLDED,
        "gaps_shown": GAPS_SHOWN,
        "now": now.at,
    }


def _chips(plant: KnownPlant, filters: NowFilters, shifts: Sequence[str]) -> dict[str, list[Chip]]:
    """Return the filters to choose, by what they filter; none where there is no choice."""

    def chips(name: str, chosen: str | None, options: Iterable[tuple[str, str]]) -> list[Chip]:
        return [
            Chip(
                label,
                address_of(filters, **{name: None if v == chosen else v}),
                v == chosen,
            )
            for v, label in options
        ]

    return {
        "line": chips("line", filters.line, plant.lines.items()),
        "severity": chips("severity", filters.severity, [(s, s) for s in SEVERITIES[1:]]),
        "shift": chips("shift", filters.shift, [(name, name) for name in shifts]),
        "mine": chips("mine", "yes" if filters.mine else None, [("yes", "mine")]),
    }


def _days(
    request: Request, episodes: Sequence[Episode], now: datetime
) -> list[tuple[str, list[DayOfAlarms]]]:
    """Return earlier alarms by day, each day with its name."""
    zone = zone_of(request)
    language = language_of(request)
    today = now.astimezone(zone).date()
    local = {e.id: e.raised_at.astimezone(zone) for e in episodes}
    found = group_by_day(episodes, {id: f"{at:%Y-%m-%d}" for id, at in local.items()})

    def name(at: datetime) -> str:
        passed = (today - at.date()).days
        return language.translate(_NEAR[passed]) if passed in _NEAR else language.day(at)

    return [(name(local[groups[0].newest_alarm.id]), groups) for groups in found.values()]


def _older(
    request: Request, platform: Platform, person: Person, filters: NowFilters, cursor: str
) -> str:
    plant = known_plant(request, platform)
    routes = [r for r in ROUTES.read(platform)[0] if r.shifts]
    before = views.read_cursor(cursor)
    found = read_earlier(platform, plant, filters, person.name, routes, EARLIER_SHOWN, before)
    now = platform.clock.now()
    return render(
        "now/older.html",
        request,
        days=_days(request, found.episodes, now),
        asset_titles=plant.asset_titles,
        older=_address_behind(filters, found),
        windows={},
        now=now,
    )


def _address_behind(filters: NowFilters, found: Earlier) -> str | None:
    """Return the address of the alarms behind these, None where there are none."""
    if found.last is None:
        return None
    return address_of(filters, cursor=views.cursor_after(found.last))
