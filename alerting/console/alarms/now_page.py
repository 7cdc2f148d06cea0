"""The front page: the present state of the plant, and earlier alarms by day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import AwareDatetime

from alerting.console.access import Person, Served, Viewer, actor_of, known_plant
from alerting.console.alarms.alarm_charts import MUTE_REASONS, with_texts
from alerting.console.alarms.toasts import (
    DONE_COOKIE,
    NOT_NOTIFIED_WITHIN,
    Toast,
    read_toast,
)
from alerting.console.api import views
from alerting.console.api.parameters import (
    Cursor,
    FormField,
    FormText,
    Id,
    NameQuery,
    read_duration,
)
from alerting.console.gate import DEVICE_COOKIE, client_of
from alerting.console.login import entrance_of
from alerting.console.rendering import (
    FormOperator,
    address_with,
    language_of,
    render,
    zone_of,
)
from alerting.definitions.alert_definition import SEVERITIES, Severity
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.routes_and_sinks import Route
from alerting.definitions.wording.language import Language, translatable
from alerting.episodes.advice import opposite_advice
from alerting.episodes.episode import Episode, ExpectedWindow, Outcome
from alerting.operators.account_rules import DEVICE_SESSION_LASTS
from alerting.operators.actions_and_mutes import MuteMark
from alerting.operators.alarm_views import (
    Cause,
    DayOfAlarms,
    TileState,
    counting_order,
    find_change,
    group_by_day,
)
from alerting.ports import Platform
from alerting.recommendation.similar_episodes import (
    outcome_of,
)
from alerting.reporting import sentences
from alerting.reporting.variable_charts import Direction
from alerting.usecases.access.devices_and_tokens import renew_display
from alerting.usecases.alarm_load.definition_overview import describe_work
from alerting.usecases.episodes.mutes_and_suppression import find_not_notified
from alerting.usecases.episodes.stored_episodes import find_episode
from alerting.usecases.health.open_faults import open_faults
from alerting.usecases.make_reports import read_numbers, worth_sentences
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.operators.handover import shift_hours
from alerting.usecases.operators.known_plant import Gap, KnownPlant, with_last_readings
from alerting.usecases.operators.links_and_misses import NoMiss, report_miss
from alerting.usecases.operators.present_state import (
    Earlier,
    Now,
    NowFilters,
    experience_of,
    is_part,
    read_earlier,
    read_now,
)

pages = APIRouter(include_in_schema=False)


async def _filters(
    line: NameQuery | None = None,
    asset: NameQuery | None = None,
    severity: Annotated[
        Severity | None, Query(description="Only alarms of this severity or a worse one.")
    ] = None,
    shift: NameQuery | None = None,
    mine: Annotated[
        Literal["yes"] | None,
        Query(description="yes: only alarms that you took over or acknowledged."),
    ] = None,
) -> NowFilters:
    return NowFilters(line, asset, severity, shift, mine == "yes")


AskedFilters = Annotated[NowFilters, Depends(_filters)]


def address_of(filters: NowFilters, **changes: str | None) -> str:
    """Return the address of the front page with these filters, some of them changed."""
    values: dict[str, str | None] = {
        "line": filters.line,
        "asset": filters.asset,
        "severity": filters.severity,
        "shift": filters.shift,
        "mine": "yes" if filters.mine else None,
    }
    return address_with("/", {**values, **changes})


EARLIER_SHOWN = 50
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
        plant = known_plant(request, platform)
        routes = _routes_with_shifts(platform)
        before = views.read_cursor(cursor)
        earlier = read_earlier(platform, plant, filters, person.name, routes, EARLIER_SHOWN, before)
        now = platform.clock.now()
        return HTMLResponse(
            render(
                "now/older.html",
                request,
                days=_days(request, earlier.episodes, now),
                asset_titles=plant.asset_titles,
                older=_address_behind(filters, earlier),
                windows={},
                now=now,
            )
        )
    toast = read_toast(request, platform)
    page = _present_page(request, platform, person, filters, "now/now.html", toast)
    if toast is not None:
        page.delete_cookie(DONE_COOKIE)
    return page


@pages.get("/now", response_class=HTMLResponse)
def now_part(request: Request, platform: Served, person: Viewer, filters: AskedFilters) -> Response:
    """Return the part of the front page that changes, without the page around it."""
    return _present_page(request, platform, person, filters, "now/now_main.html")


def _present_page(
    request: Request,
    platform: Platform,
    person: Person,
    filters: NowFilters,
    template: str,
    toast: Toast | None = None,
) -> Response:
    page = render(template, request, toast=toast, **_present(request, platform, person, filters))
    tag = f'"{blake2b(page.encode(), digest_size=12).hexdigest()}"'
    is_shown = request.headers.get("if-none-match") == tag  # by the browser, already
    headers = {"etag": tag}
    answer = Response(None, 304, headers) if is_shown else HTMLResponse(page, headers=headers)
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


def _present(
    request: Request, platform: Platform, person: Person, filters: NowFilters
) -> dict[str, Any]:
    """Return the values of the part of the front page that changes."""
    plant = known_plant(request, platform)
    routes = _routes_with_shifts(platform)
    now = read_now(platform, plant, filters, person.name, routes)
    shown = with_last_readings(platform.readings, now.gaps[:GAPS_SHOWN], now.at)
    now = replace(now, gaps=(*shown, *now.gaps[GAPS_SHOWN:]))
    still_open = now.still_open
    listed = {e.id for e in still_open} | {e.id for group in now.over for e in group.episodes}
    history = read_earlier(platform, plant, filters, person.name, routes, EARLIER_SHOWN)
    is_quiet = not history.episodes and not filters.is_set
    return {
        "state": now,
        "filters": filters,
        "back": address_of(filters),
        "chips": _chips(plant, filters, [route.name for route in routes]),
        "all_address": address_of(NowFilters()),
        "windows": now.windows,
        "values": now.values,
        "people": platform.accounts.shown_names(),
        "titles": plant.titles,
        "asset_titles": plant.asset_titles,
        "conflicts": opposite_advice(still_open),
        "own": {e.id: sentences.last_answer(e, person.name) for e in still_open},
        "days": _days(request, [e for e in history.episodes if e.id not in listed], now.at),
        "older": _address_behind(filters, history),
        "work": describe_work(platform, 12) if is_quiet else None,
        "muted": [mute for mute in now.mutes if mute.is_target],
        "mutes": with_texts(request, platform, [mute for mute in now.mutes if not mute.is_target]),
        "not_notified": sum(
            is_part(episode.asset, filters, plant)
            for episode in find_not_notified(
                platform.episodes, plant.suppressible, now.at - NOT_NOTIFIED_WITHIN, now.at
            )
        ),
        "off": open_faults(platform),
        "may_answer": person.may_answer,
        "worth": ()
        if person.may("operate") or person.signs
        else worth_sentences(read_numbers(platform.reports), language_of(request)),
        "handed_over": find_change(shift_hours(routes), now.at),
        "presets": MUTE_REASONS,
        "causes_unfolded": 12,  # with their answers; the more urgent ones are first
        "over_unfolded": 3,
        "by_asset": lambda episodes: sorted(
            episodes, key=lambda e: counting_order(plant.asset_titles.get(e.asset, e.asset))
        ),
        "gaps_shown": GAPS_SHOWN,
        "now": now.at,
    }


def _routes_with_shifts(platform: Platform) -> list[Route]:
    return [route for route in ROUTES.read(platform)[0] if route.shifts]


def _chips(plant: KnownPlant, filters: NowFilters, shifts: Sequence[str]) -> dict[str, list[Chip]]:
    """Return the filters to choose, grouped by what they filter; no group with fewer than two
    choices."""

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
    by_day = group_by_day(episodes, {id: f"{at:%Y-%m-%d}" for id, at in local.items()})

    def name(at: datetime) -> str:
        passed = (today - at.date()).days
        return language.translate(_NEAR[passed]) if passed in _NEAR else language.day(at)

    return [(name(local[groups[0].newest_alarm.id]), groups) for groups in by_day.values()]


def _address_behind(filters: NowFilters, earlier: Earlier) -> str | None:
    """Return the address of the alarms after these, None if there are none."""
    if earlier.last is None:
        return None
    return address_of(filters, cursor=views.cursor_of(earlier.last.raised_at, earlier.last))


AGO = (
    ("0m", translatable("just now")),
    ("15m", translatable("15 minutes ago")),
    ("1h", translatable("1 hour ago")),
    ("4h", translatable("4 hours ago")),
    ("8h", translatable("8 hours ago")),
)
"""When a problem that nobody was told of came, to choose from."""


@pages.get("/miss", response_class=HTMLResponse)
def miss_page(
    request: Request,
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    reported: NameQuery = "",
    at: AwareDatetime | None = None,
) -> str:
    """Return the page on which an operator names the alarm that should have come. `reported`, `at`:
    the miss that was stored, which the page confirms."""
    until = at and at + timedelta(milliseconds=1)  # the least that the database tells apart
    if until is None or not platform.misses.for_interval(at, until, reported, 1, [asset]):
        return _page(request, platform, asset)
    return _page(request, platform, asset, reported=reported, at=at)


@pages.post("/miss", response_class=HTMLResponse)
def submit_miss(
    request: Request,
    platform: Served,
    person: FormOperator,
    definition: FormField = "",
    asset: FormField = "",
    ago: FormField = "0m",
    comment: FormText = "",
) -> Response:
    """Record a miss. `ago`: how long ago the problem came, of the full minute, so that a second tap
    stores no second miss."""
    now = platform.clock.now()
    try:
        missed_at = now.replace(second=0, microsecond=0) - _read_ago(ago)
        report_miss(platform, definition, asset, missed_at, comment, actor_of(person), now)
    except NotFound:
        raise
    except NoMiss as fault:
        page = _page(request, platform, asset, "", comment, ago, raised=fault.raised)
        return HTMLResponse(page, 422)
    except UserError as fault:
        return HTMLResponse(_page(request, platform, asset, fault.message, comment, ago), 422)
    stored = {"asset": asset, "reported": definition, "at": missed_at.isoformat()}
    return RedirectResponse(f"/miss?{urlencode(stored)}", 303)


def _read_ago(text: str) -> timedelta:
    try:
        ago = read_duration(text)
    except ValueError:
        raise UserError(translatable("say how long ago the problem came")) from None
    if ago > timedelta(days=7):
        raise UserError(
            translatable("a problem of more than a week ago is reported on the page of reports")
        )
    return ago


def _page(
    request: Request,
    platform: Platform,
    asset: str,
    refusal: str = "",
    comment: str = "",
    ago: str = "0m",
    reported: str = "",
    at: datetime | None = None,
    raised: Episode | None = None,
) -> str:
    """Return the page. `raised`: the existing alarm that shows that none was missed."""
    plant = known_plant(request, platform)
    if asset not in plant.assets:
        raise NotFound(translatable("there is no asset “{name}”", name=asset))
    names = sorted({t.definition for t in plant.targets if t.asset == asset})
    titles = {
        name: plant.latest[name].definition.title or name for name in names if name in plant.latest
    }
    return render(
        "now/miss.html",
        request,
        asset=asset,
        asset_title=plant.asset_titles[asset],
        titles=dict(sorted(titles.items(), key=lambda item: item[1])),
        choices=AGO,
        ago=ago,
        comment=comment,
        refusal=refusal,
        raised=raised,
        reported=titles.get(reported, reported),
        at=at,
        now=platform.clock.now(),
    )


api = APIRouter(prefix="/api/v1")


@dataclass(frozen=True, kw_only=True)
class TileView:
    """The state of one asset: the worst of its alarms, or that it is not evaluated. `part`: of the
    plant. `muted`: whether its alarms are muted, or some of them; null if none is."""

    asset: str
    title: str
    state: TileState
    severity: Severity | None
    alarms: int
    episode: str | None
    muted: MuteMark | None
    part: str


@dataclass(frozen=True, kw_only=True)
class PresentAlarm:
    """An open alarm. `value`: of its variable now, with `course`, and the limit nearest to it."""

    assigned_to: str | None
    window: ExpectedWindow | None
    value: float | None
    limit: float | None
    episode: views.EpisodeSummary
    acknowledged_by: str | None
    is_muted: bool
    course: Direction | None


def _present_alarm(now: Now, episode: Episode, reader: Language) -> PresentAlarm:
    line = now.values.get(episode.id)
    return PresentAlarm(
        assigned_to=episode.assigned_to,
        window=now.windows.get(episode.id),
        value=line.value if line else None,
        limit=line.limit if line else None,
        episode=views.EpisodeSummary.from_domain(episode, reader),
        acknowledged_by=episode.acknowledged.actor if episode.acknowledged else None,
        is_muted=episode.muted_by is not None,
        course=line.direction if line else None,
    )


@dataclass(frozen=True, kw_only=True)
class CauseView:
    """The first of several alarms that came together, and those that followed it; or the worst
    alarm of a definition with five or more open ones, and the others."""

    first: PresentAlarm
    is_first_out: bool
    others: list[PresentAlarm]


def _causes(now: Now, causes: Sequence[Cause], reader: Language) -> list[CauseView]:
    views_of_causes = []
    for cause in causes:
        first, *others = (_present_alarm(now, episode, reader) for episode in cause.episodes)
        views_of_causes.append(
            CauseView(first=first, is_first_out=cause.is_first_out, others=others)
        )
    return views_of_causes


@dataclass(frozen=True, kw_only=True)
class NowView:
    """The present state of the plant: tiles by state, open alarms by cause, five or more of one
    definition together, urgent first, ended ones that wait to be acknowledged, and what is not
    evaluated."""

    at: datetime
    evaluated_until: datetime | None
    unacknowledged: int
    tiles: list[TileView]
    happening: list[CauseView]
    expected: list[CauseView]
    over: list[views.EpisodeSummary]
    not_evaluated: tuple[Gap, ...]


@dataclass(frozen=True, kw_only=True)
class SimilarView:
    """An earlier episode, its similarity to the given one (1: the same), and its outcome."""

    id: str
    asset: str
    raised_at: datetime
    likeness: float
    outcome: Outcome | None


@dataclass(frozen=True, kw_only=True)
class ActionView:
    """An action in similar episodes, with its uses, and how often the problem was avoided or came
    after it. `is_advice`: used often enough, and mostly helpful."""

    action: str
    uses: int
    avoided: int
    came: int
    actors: tuple[str, ...]
    is_advice: bool
    usual_minutes: float | None


@dataclass(frozen=True, kw_only=True)
class ExperienceView:
    """Earlier episodes like one. `is_enough`: at least three of them were answered; below that no
    action is listed. `contradicts`: following the recommendation mostly did not help."""

    answered: int
    is_enough: bool
    contradicts: bool
    similar: list[SimilarView]
    actions: list[ActionView]


@api.get("/now", tags=["operators"])
def show_now(request: Request, platform: Served, person: Viewer, filters: AskedFilters) -> NowView:
    """Show the present state of the plant: what is wrong, where, and what is not evaluated."""
    plant = known_plant(request, platform)
    now = read_now(platform, plant, filters, person.name, _routes_with_shifts(platform))
    reader = views.reader_of(platform)
    view = NowView(
        at=now.at,
        evaluated_until=now.evaluated_until,
        unacknowledged=now.unacknowledged,
        tiles=[
            TileView(
                asset=tile.asset,
                title=tile.title,
                state=tile.state,
                severity=tile.severity,
                alarms=tile.alarms,
                episode=tile.episode,
                muted=tile.muted,
                part=part.name,
            )
            for part in now.parts
            for tile in part.tiles
        ],
        happening=_causes(now, now.happening, reader),
        expected=_causes(now, now.expected, reader),
        over=views.summarise_episodes([e for group in now.over for e in group.episodes], platform),
        not_evaluated=now.gaps,
    )
    return views.translate_texts(view, reader)


@api.get("/episodes/{id}/experience", tags=["episodes"])
def show_experience(id: Id, platform: Served, _: Viewer) -> ExperienceView:
    """Show what helped last time: the most similar earlier episodes, the actions taken, and their
    outcomes."""
    lived = experience_of(platform.episodes, find_episode(platform.episodes, id))
    return ExperienceView(
        answered=lived.answered,
        is_enough=lived.is_enough,
        contradicts=lived.contradicts,
        similar=[
            SimilarView(
                id=similar.episode.id,
                asset=similar.episode.asset,
                raised_at=similar.episode.raised_at,
                likeness=round(similar.likeness, 3),
                outcome=outcome_of(similar.episode),
            )
            for similar in lived.similar
        ],
        actions=[
            ActionView(
                action=action.action,
                uses=action.uses,
                avoided=action.avoided,
                came=action.came,
                actors=action.actors,
                is_advice=action.is_advice,
                usual_minutes=None if action.took is None else action.took.total_seconds() / 60,
            )
            for action in lived.actions
        ]
        if lived.is_enough
        else [],
    )
