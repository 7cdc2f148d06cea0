"""REST API, version 1: hand-overs of shifts."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from alerting.adapters.platform import Platform
from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Delivery, Operator, Served, Viewer
from alerting.console.api.operate_api import Body, actor_of
from alerting.console.api.parameters import Cursor, Instant, NameQuery, NameText, SomeText
from alerting.console.handover.address import AskedShift, address_of, find_chosen
from alerting.console.now.page import known_plant
from alerting.episodes.episode import ActorStamp
from alerting.operators.handovers import Handover, ShiftNote, Side
from alerting.operators.shift_summary import ShiftAlarm, ShiftDeed, ShiftSummary
from alerting.operators.shifts import Shift
from alerting.readings.instants import to_millis
from alerting.usecases.handover.choose import ChosenShift, ShiftChoice
from alerting.usecases.handover.mail import send_handover
from alerting.usecases.handover.read import read_shift
from alerting.usecases.handover.sign import sign_handover, write_note

api = APIRouter(prefix="/api/v1")


class ShiftBody(Body):
    """The shift that is meant, as in the query of `GET /handover`."""

    line: NameText | None = Field(None, description="Part of the plant; all of it when left out.")
    at: Instant | None = Field(
        None,
        description="An instant in the shift; when left out, the one that is handed over now, else "
        "the one that runs.",
    )
    shift: NameText | None = Field(None, description="Its route, where several shifts run at once.")
    hours: Literal[8, 12, 24] = Field(
        8, description="Length of shifts where no route names any, in hours."
    )


class NoteBody(ShiftBody):
    """A note of a shift."""

    text: SomeText = Field(description="The note.")
    asset: NameText | None = Field(None, description="The asset that it is about.")
    episode: NameText | None = Field(None, description="The alarm that it is about.")


class SignatureBody(ShiftBody):
    """A signature under a hand-over."""

    side: Side = Field(description="leaving: hands the shift over; coming: takes it over.")


class SendBody(ShiftBody):
    """A hand-over to be sent."""

    route: NameText = Field(description="The route whose recipients get it.")


class HandoverView(views.View):
    """The hand-over of a shift. `summary`: as it was signed, else as it is now. `later_alarms`,
    `later_deeds`: what came after the signature, or is different now."""

    id: str
    line: str | None
    shift: Shift
    previous: Shift | None
    next: Shift | None
    is_configured: bool
    notes: list[ShiftNote]
    left: ActorStamp | None
    taken: ActorStamp | None
    is_signed: bool
    summary: ShiftSummary
    later_alarms: tuple[ShiftAlarm, ...]
    later_deeds: tuple[ShiftDeed, ...]


class StoredHandover(views.View):
    """A hand-over in the list. `open`, `questions`: open and unanswered alarms when it was signed,
    null before."""

    id: str
    line: str | None
    shift: str
    start: datetime
    end: datetime
    notes: int
    left: ActorStamp | None
    taken: ActorStamp | None
    open: int | None
    questions: int | None


class HandoverList(views.View):
    """A page of hand-overs, newest first. `next`: cursor of the next page."""

    items: list[StoredHandover]
    next: str | None


class SentView(views.View):
    """To how many recipients a hand-over was sent."""

    recipients: int


@api.get("/handover", tags=["shifts"], openapi_extra=MAY_NAME_NOTHING)
def show_handover(
    request: Request, platform: Served, _: Viewer, choice: AskedShift
) -> HandoverView:
    """Show what a shift hands over: open and unanswered alarms, what was done, notes,
    signatures."""
    return _view(request, platform, find_chosen(request, platform, choice))


@api.post("/handover/notes", tags=["shifts"], openapi_extra=MAY_NAME_NOTHING)
def write_shift_note(
    request: Request, body: NoteBody, platform: Served, person: Operator
) -> HandoverView:
    """Write a note of a shift; notes are never changed. Role: operator."""
    chosen = _chosen(request, platform, body)
    now = platform.clock.now()
    write_note(platform, chosen, body.text, actor_of(person), now, body.asset, body.episode)
    return _view(request, platform, chosen)


@api.post("/handover/signatures", tags=["shifts"], openapi_extra=MAY_NAME_NOTHING)
def sign_shift(
    request: Request, body: SignatureBody, platform: Served, person: Operator
) -> HandoverView:
    """Sign the hand-over of a shift; two different people sign the two sides. Role: operator."""
    chosen = _chosen(request, platform, body)
    plant = known_plant(request, platform)
    now = platform.clock.now()
    sign_handover(platform, plant, chosen, body.side, actor_of(person), now)
    return _view(request, platform, chosen)


@api.post("/handover/messages", tags=["shifts"], openapi_extra=MAY_NAME_NOTHING)
def send_shift(
    request: Request, body: SendBody, platform: Served, person: Operator, deliver: Delivery
) -> SentView:
    """Send the hand-over of a shift to the recipients of a route. Role: operator."""
    chosen = _chosen(request, platform, body)
    now = platform.clock.now()
    account = read_shift(platform, known_plant(request, platform), chosen, now)
    count = send_handover(platform, account, body.route, address_of(chosen), actor_of(person), now)
    deliver()
    return SentView(recipients=count)


@api.get("/handovers", tags=["shifts"])
def list_handovers(
    platform: Served,
    _: Viewer,
    line: NameQuery | None = None,
    cursor: Cursor | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HandoverList:
    """List stored hand-overs of a line or all, newest first."""
    before = views.read_cursor(cursor) if cursor else None
    parts = None if line is None else (line,)
    found = platform.handovers.find(limit=limit + 1, before=before, parts=parts)
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return HandoverList(
        items=[_stored(one) for one in shown],
        next=None if last is None else f"{to_millis(last.start)}_{last.id}",
    )


def _chosen(request: Request, platform: Platform, body: ShiftBody) -> ChosenShift:
    choice = ShiftChoice(body.line, body.at, body.shift, body.hours)
    return find_chosen(request, platform, choice)


def _view(request: Request, platform: Platform, chosen: ChosenShift) -> HandoverView:
    account = read_shift(platform, known_plant(request, platform), chosen, platform.clock.now())
    return HandoverView(
        id=account.handover.id,
        line=chosen.part,
        shift=chosen.shift,
        previous=chosen.previous,
        next=chosen.next,
        is_configured=chosen.is_configured,
        notes=[one.note for one in account.notes],
        left=account.handover.left,
        taken=account.handover.taken,
        is_signed=account.handover.signed is not None,
        summary=account.summary,
        later_alarms=account.later_alarms,
        later_deeds=account.later_deeds,
    )


def _stored(handover: Handover) -> StoredHandover:
    signed = handover.signed
    return StoredHandover(
        id=handover.id,
        line=handover.part,
        shift=handover.shift,
        start=handover.start,
        end=handover.end,
        notes=len(handover.notes),
        left=handover.left,
        taken=handover.taken,
        open=None if signed is None else signed.open_count,
        questions=None if signed is None else signed.questions,
    )
