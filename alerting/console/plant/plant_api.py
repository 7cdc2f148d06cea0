"""REST API, version 1: the plant in figures and money, and proposals with their answers."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alerting.console.api.api import MAY_CONFLICT, MAY_NAME_NOTHING, Engineer, Served, Viewer
from alerting.console.api.parameters import Id, NameQuery, Short, SomeShort
from alerting.console.api.views import View
from alerting.console.definitions.definition_api import require_number
from alerting.definitions.faults import Conflicting
from alerting.reporting.definition.money import Amount
from alerting.reporting.plant.offers import MOST_OFFERS, Action
from alerting.reporting.plant.overview import PlantSums
from alerting.usecases.definitions.sync import ChangedSince
from alerting.usecases.reports.offered import OpenOffer, apply_offer, refuse_offer
from alerting.usecases.reports.plant_view import PlantPeriod, PlantView, read_plant
from alerting.usecases.reports.running import PeriodLength

api = APIRouter(prefix="/api/v1", tags=["reports"])
AskedPeriod = Annotated[
    PeriodLength, Query(description="The present shift (the day without shifts), week or month.")
]
AskedLine = Annotated[
    NameQuery | None,
    Query(description="An asset: only definitions of which every asset lies in it."),
]
RevisionNumber = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(require_number)]


class OfferBody(BaseModel):
    """The proposal that is applied: its action, and the revision from which it was made, as they
    are in `proposals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    revision: RevisionNumber
    reason: Short = ""


class OfferRefusalBody(BaseModel):
    """The proposal that is refused, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    reason: SomeShort


class BoundsView(View):
    """A sum of money between two bounds."""

    low: float
    high: float


class MoneySumsView(View):
    """Sums of one currency over the definitions that state costs."""

    currency: str
    definitions: int
    avoided: BoundsView
    missed: BoundsView
    false_alarms: BoundsView
    interventions: BoundsView


class PlantSumsView(View):
    """Figures of a period as known at `as_of`: the sums of the reports on its definitions.

    `problems`: those that came, `predicted` in time or `missed`; `predicted_low`, `predicted_high`:
    the 95 % interval of their share. `failed`: definitions whose figures could not be computed.
    """

    as_of: datetime
    definitions: int
    problems: int
    predicted: int
    predicted_low: float | None
    predicted_high: float | None
    avoided: int
    missed: int
    alarms: int
    false_alarms: int
    undetermined: int
    money: list[MoneySumsView]
    failed: tuple[str, ...]


class PlantPeriodView(View):
    """A period [start, end); `sums`: None while there are none."""

    name: str
    start: datetime
    end: datetime
    sums: PlantSumsView | None


class OfferView(View):
    """A proposed change of a definition. `worth`: money that it is worth in the month, None without
    costs; `alarms`: false alarms and misses that it concerns; `can_be_applied`: it is one certain
    change; `field`, `present`, `value`: of another limit."""

    definition: str
    title: str
    action: Action
    reason: str
    revision: int
    worth: BoundsView | None
    currency: str
    alarms: int
    can_be_applied: bool
    field: str | None
    present: float | None
    value: float | None


class PlantSumsPage(View):
    """The plant in sums. `weeks`: the last twelve, this one last; `proposals`: the three worth
    most."""

    at: datetime
    period: PlantPeriodView
    weeks: list[PlantPeriodView]
    proposals: list[OfferView]


class AnsweredOffer(View):
    """An answer to a proposal on a definition."""

    definition: str
    action: Action
    applied: bool


@api.get("/plant", openapi_extra=MAY_NAME_NOTHING)
def show_plant(
    platform: Served, _: Viewer, period: AskedPeriod = "week", line: AskedLine = None
) -> PlantSumsPage:
    """Show the plant in figures: problems predicted, avoided and missed, false alarms, their money,
    twelve weeks, and the proposals worth most."""
    return plant_page(read_plant(platform, period, line))


@api.post("/plant/proposals/{name}:refuse", openapi_extra=MAY_CONFLICT)
def refuse_proposal(
    name: Id, body: OfferRefusalBody, platform: Served, person: Engineer
) -> AnsweredOffer:
    """Refuse a proposal with a reason: it is not offered again until its figures change beyond
    their bounds. Role: engineer."""
    refuse_offer(platform, name, body.action, person.name, body.reason)
    return AnsweredOffer(definition=name, action=body.action, applied=False)


@api.post("/plant/proposals/{name}:apply", openapi_extra=MAY_CONFLICT)
def apply_proposal(name: Id, body: OfferBody, platform: Served, person: Engineer) -> AnsweredOffer:
    """Apply a proposal as any change is applied; 409 if it is not offered any more, or its
    definition was changed since. Role: engineer."""
    try:
        apply_offer(
            platform,
            name,
            body.action,
            body.revision,
            person.name,
            datetime.now(UTC),
            body.reason,
        )
    except ChangedSince as changed:
        raise Conflicting(changed.message) from changed
    return AnsweredOffer(definition=name, action=body.action, applied=True)


def plant_page(found: PlantView) -> PlantSumsPage:
    """Return the view of the plant in sums."""
    return PlantSumsPage(
        at=found.at,
        period=_period(found.periods[found.chosen]),
        weeks=[_period(week) for week in found.weeks],
        proposals=[_offer(one) for one in found.offered.items[:MOST_OFFERS]],
    )


def _period(one: PlantPeriod) -> PlantPeriodView:
    period = one.period
    return PlantPeriodView(
        name=period.name,
        start=period.start,
        end=period.end,
        sums=None if one.sums is None else _sum_up(one.sums),
    )


def _sum_up(sums: PlantSums) -> PlantSumsView:
    shared = ("as_of", "definitions", "problems", "predicted", "avoided", "missed", "alarms")
    return PlantSumsView(
        **{name: getattr(sums, name) for name in shared},
        false_alarms=sums.false_alarms,
        undetermined=sums.undetermined,
        predicted_low=sums.predicted_share.low,
        predicted_high=sums.predicted_share.high,
        money=[
            MoneySumsView(
                currency=one.currency,
                definitions=one.definitions,
                avoided=_bounds(one.avoided),
                missed=_bounds(one.missed),
                false_alarms=_bounds(one.false_alarms),
                interventions=_bounds(one.interventions),
            )
            for one in sums.money
        ],
        failed=sums.failed,
    )


def _bounds(amount: Amount) -> BoundsView:
    return BoundsView(low=amount.low, high=amount.high)


def _offer(one: OpenOffer) -> OfferView:
    offer = one.offer
    retune = offer.retune
    return OfferView(
        definition=offer.definition,
        title=offer.title,
        action=offer.action,
        reason=offer.reason,
        revision=one.revision,
        worth=None if offer.worth is None else _bounds(offer.worth),
        currency=offer.currency,
        alarms=offer.alarms,
        can_be_applied=offer.can_be_applied and offer.action != "approve",
        field=None if retune is None else retune.field,
        present=None if retune is None else retune.present,
        value=None if retune is None else retune.value,
    )
