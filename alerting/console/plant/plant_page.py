"""The page of the plant in figures, with proposals that are applied or refused there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.language import language_of
from alerting.console.plant.plant_api import AskedLine, AskedPeriod
from alerting.console.plant.shapes import week_charts
from alerting.console.web.forms import FormEngineer, read_revision
from alerting.console.web.rendering import render
from alerting.definitions.faults import Conflicting, NotFound, UserError
from alerting.definitions.wording.language import Language, translatable
from alerting.operators.actions import NotAllowed
from alerting.reporting.base.messages import money
from alerting.reporting.plant.offers import MOST_OFFERS, Action, Offer
from alerting.reporting.plant.overview import PlantSums
from alerting.usecases.definitions.sync import ChangedSince
from alerting.usecases.reports.offered import apply_offer, refuse_offer
from alerting.usecases.reports.plant_view import PlantView, read_plant
from alerting.usecases.reports.running import LENGTHS, PeriodLength

pages = APIRouter(include_in_schema=False)
PERIOD_NAMES: Mapping[PeriodLength, str] = {
    "shift": translatable("This shift"),
    "week": translatable("This week"),
    "month": translatable("This month"),
}
TODAY = translatable("Today")
ACTION_NAMES: Mapping[Action, str] = {
    "approve": translatable("Decide on the new model"),
    "retire": translatable("Take it out of service"),
    "retune": translatable("Another limit"),
    "retrain": translatable("Train it again"),
}
_SUMS: tuple[tuple[str, str], ...] = (
    ("avoided", translatable("Avoided")),
    ("missed", translatable("Lost to misses")),
    ("false_alarms", translatable("Spent on false alarms")),
    ("interventions", translatable("Spent on interventions")),
)


@pages.get("/plant", response_class=HTMLResponse)
def plant(
    request: Request,
    platform: Served,
    _: Viewer,
    period: AskedPeriod = "week",
    line: AskedLine = None,
) -> str:
    """Return the page of the plant over a shift, week or month."""
    return _page(request, platform, period, line or None)


@pages.post("/plant/{name}/apply", response_class=HTMLResponse)
def submit_apply(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    action: FormField = "",
    revision: FormField = "",
    period: FormField = "week",
    line: FormField = "",
) -> Response:
    """Apply a proposal as it is offered now; a refusal is shown on the page."""

    def apply() -> None:
        number = read_revision(revision)
        wall = datetime.now(UTC)
        apply_offer(platform, name, _action(action), number, person.name, wall, "")

    return _answer(request, platform, apply, period, line)


@pages.post("/plant/{name}/refuse", response_class=HTMLResponse)
def submit_refusal(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    action: FormField = "",
    reason: FormField = "",
    period: FormField = "week",
    line: FormField = "",
) -> Response:
    """Refuse a proposal with a reason."""

    def refuse() -> None:
        refuse_offer(platform, name, _action(action), person.name, reason)

    return _answer(request, platform, refuse, period, line)


def _action(text: str) -> Action:
    found = next((one for one in get_args(Action) if one == text), None)
    if found is None:
        raise UserError(translatable("the form does not name a proposal; open the page again"))
    action: Action = found
    return action


def _answer(request: Request, platform: Platform, act: Any, period: str, line: str) -> Response:
    length: PeriodLength = next((one for one in LENGTHS if one == period), "week")
    try:
        act()
    except (NotFound, NotAllowed):
        raise
    except UserError as refusal:
        status = 409 if isinstance(refusal, Conflicting | ChangedSince) else 422
        page = _page(request, platform, length, line or None, refusal.message)
        return HTMLResponse(page, status)
    return RedirectResponse(plant_address(length, line or None), 303)


def plant_address(period: str, line: str | None) -> str:
    """Return the address of the page over a period and a part."""
    given = {"period": period if period != "week" else "", "line": line or ""}
    query = urlencode({key: value for key, value in given.items() if value})
    return f"/plant?{query}" if query else "/plant"


def _page(
    request: Request,
    platform: Platform,
    period: PeriodLength,
    line: str | None,
    refusal: str = "",
) -> str:
    found = read_plant(platform, period, line)
    language = language_of(request)
    names = dict(PERIOD_NAMES)
    if not found.is_shift:
        names["shift"] = TODAY
    return render(
        "plant/plant.html",
        request,
        v=found,
        f=found.sums,
        names=names,
        address=plant_address,
        sums=_sums(found, language),
        charts=week_charts(found.weeks, language),
        offers=[(one, _worth(one.offer, language)) for one in found.offered.items[:MOST_OFFERS]],
        more_offers=len(found.offered.items) - MOST_OFFERS,
        actions=ACTION_NAMES,
        refusal=refusal,
        now=found.at,
    )


def _worth(offer: Offer, language: Language) -> str:
    """Return the money that a proposal is worth; empty without costs in the definition."""
    worth = offer.worth
    return "" if worth is None else money(worth.low, worth.high, offer.currency, language)


def _sums(found: PlantView, language: Language) -> list[tuple[str, list[list[str]]]]:
    """Return the rows of the table of money: a name, and its sums of each period."""
    rows = [
        (title, [_amounts(found.periods[one].sums, field, language) for one in LENGTHS])
        for field, title in _SUMS
    ]
    return rows if any(amounts for _, periods in rows for amounts in periods) else []


def _amounts(sums: PlantSums | None, field: str, language: Language) -> list[str]:
    given = sums.money if sums is not None else ()
    return [
        money(getattr(one, field).low, getattr(one, field).high, one.currency, language)
        for one in given
    ]
