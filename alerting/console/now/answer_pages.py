"""Forms of the front page: take an alarm over, and report one that did not come."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import AwareDatetime

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.operate_api import actor_of
from alerting.console.api.parameters import FormField, FormText, Id, NameQuery, read_duration
from alerting.console.now.address import lead_back
from alerting.console.now.page import known_plant
from alerting.console.web.forms import FormOperator
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.usecases.operators import operate
from alerting.usecases.operators.misses import NoMiss, report_miss

pages = APIRouter(include_in_schema=False)
AGO = (
    ("0m", translatable("just now")),
    ("15m", translatable("15 minutes ago")),
    ("1h", translatable("1 hour ago")),
    ("4h", translatable("4 hours ago")),
    ("8h", translatable("8 hours ago")),
)
"""When a problem that nobody was told of came, to choose from."""
_LONGEST_AGO = timedelta(days=7)


@pages.post("/episodes/{id}/take", response_class=HTMLResponse)
def take(id: Id, platform: Served, person: FormOperator, next: FormField = "") -> Response:
    """Assign an episode to the person who sends the form."""
    operate.assign(platform, id, actor_of(person), platform.clock.now(), person.name)
    return RedirectResponse(lead_back(next, f"/episodes/{id}"), 303)


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
    if at is None or not _is_stored(platform, reported, asset, at):
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


def _is_stored(platform: Platform, definition: str, asset: str, at: datetime) -> bool:
    until = at + timedelta(milliseconds=1)  # the least that the database tells apart
    return bool(platform.misses.for_interval(at, until, definition, 1, [asset]))


def _read_ago(text: str) -> timedelta:
    try:
        found = read_duration(text)
    except ValueError:
        raise UserError(translatable("say how long ago the problem came")) from None
    if found > _LONGEST_AGO:
        raise UserError(
            translatable("a problem of more than a week ago is reported on the page of reports")
        )
    return found


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
    """Return the page. `raised`: the alarm that did come, so that none was missed."""
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
        asset=plant.assets[asset],
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
