"""Pages and API of mutes: those present, planned and past, one of them, and a new one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self, cast

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ConfigDict, Field, model_validator

from alerting.console.access import Delivery, Operator, Person, Served, Viewer, actor_of
from alerting.console.alarms.alarm_charts import texts_of
from alerting.console.api import views
from alerting.console.api.parameters import (
    MAY_CONFLICT,
    MAY_NAME_NOTHING,
    Duration,
    FormField,
    Id,
    Instant,
    NameQuery,
    NameText,
    SomeShort,
    read_duration,
)
from alerting.console.api.views import MUTE_ENDS, Body, ReasonBody, reader_of, translate_texts
from alerting.console.plant.trend_picture import read_instant
from alerting.console.rendering import FormOperator, lead_back, render
from alerting.definitions.alert_definition import SEVERITIES, Severity
from alerting.definitions.asset_documents import asset_titles, event_titles
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.actions_and_mutes import (
    MOST_NOTIFIED,
    EndingEvent,
    Matcher,
    Mute,
    MuteKind,
    MutePhase,
)
from alerting.operators.alarm_views import counting_order
from alerting.ports import Platform
from alerting.usecases.notification.muting_and_summaries import raised_meanwhile
from alerting.usecases.operators.asset_overview import assets_in_tree
from alerting.usecases.operators.operate import (
    MuteList,
    end_mute,
    find_mute,
    list_mutes,
    prolong_mute,
    start_mute,
)

api = APIRouter(prefix="/api/v1", tags=["operators"])
pages = APIRouter(include_in_schema=False)
LENGTHS = (
    ("30m", translatable("30 minutes")),
    ("1h", translatable("1 hour")),
    ("2h", translatable("2 hours")),
    ("4h", translatable("4 hours")),
    ("8h", translatable("8 hours")),
)
"""How long a mute lasts, to choose from."""
REASONS = (
    translatable("repair"),
    translatable("cleaning"),
    translatable("product change"),
    translatable("sensor fault"),
    translatable("start-up or shut-down"),
    translatable("test"),
)
MOST_PARTS = 500
RAISED_SHOWN = 100


class EndingEventBody(Body):
    """The event that ends a mute."""

    type: NameText = Field(description="Type of the event.")
    asset: NameText = Field(description="Asset on which it comes.")


class MuteBody(Body):
    """A new mute: which alarms (each given field narrows it; one is needed), from when, until when,
    and why."""

    model_config = ConfigDict(json_schema_extra=MUTE_ENDS)

    kind: MuteKind = Field(
        "plain",
        description="maintenance: alarms are left out of learning, outcomes and figures too. "
        "out_of_service: of one definition on one asset; needs the role engineer, and may have no "
        "end.",
    )
    part: NameText | None = Field(None, description="An asset, with everything below it.")
    asset: NameText | None = Field(None, description="An asset alone.")
    definition: NameText | None = Field(None, description="Name of a definition.")
    up_to: Severity | None = Field(None, description="Only alarms up to this severity.")
    since: Instant | None = Field(None, description="Begin; now when left out.")
    until: Instant | None = Field(None, description="End; or give `for`, or `until_event`.")
    lasting: Duration | None = Field(
        None, alias="for", description="Duration from its begin, e.g. 2h; or give `until`."
    )
    until_event: EndingEventBody | None = Field(
        None, description="Event that ends it earlier; at most 24 hours."
    )
    reason: SomeShort = Field(description="Reason, for other operators.")
    notified: Annotated[list[NameText], Field(max_length=MOST_NOTIFIED)] = Field(
        [], description="Channels that get a message at its begin and its end."
    )

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.until is not None and self.lasting is not None:
            raise ValueError("give until or for, not both")
        return self


class ProlongBody(Body):
    """A new end of a mute."""

    until: Instant = Field(description="The new end.")


class MuteDetail(views.View):
    """A mute with the alarms that were raised while it covered them, newest first."""

    mute: Mute
    phase: MutePhase
    raised: list[views.EpisodeSummary]


@api.get("/mutes", operation_id="list_mutes")
def show_mutes(
    platform: Served, _: Viewer, definition: NameQuery | None = None, asset: NameQuery | None = None
) -> MuteList:
    """List the mutes that are present or planned, and the mutes of the last month; with a
    definition or an asset, only mutes that name the definition or cover alarms of the asset."""
    mutes = list_mutes(platform, platform.clock.now(), definition, asset)
    return translate_texts(mutes, reader_of(platform))


@api.get("/mutes/{id}", operation_id="show_mute")
def show_mute(id: Id, platform: Served, _: Viewer) -> MuteDetail:
    """Show a mute, and the alarms that were raised while it covered them."""
    now = platform.clock.now()
    mute = find_mute(platform, id)
    return MuteDetail(
        mute=translate_texts(mute, reader_of(platform)),
        phase=mute.phase(now),
        raised=views.summarise_episodes(raised_meanwhile(platform, mute, now), platform),
    )


@api.post("/mutes", operation_id="start_mute", openapi_extra=MAY_NAME_NOTHING | MAY_CONFLICT)
def start_by_api(body: MuteBody, platform: Served, person: Operator) -> Mute:
    """Mute a definition on an asset, a part of the plant, a definition or severities, now or later.
    If it is muted already, the mute gets the new end and reason. Role: operator (for at most 8
    hours); out of service: engineer."""
    now = platform.clock.now()
    until = body.until
    if body.lasting is not None:
        until = max(body.since or now, now) + body.lasting
    event = body.until_event
    return start_mute(
        platform,
        body.kind,
        Matcher(body.part, body.asset, body.definition, body.up_to),
        body.since,
        until,
        None if event is None else EndingEvent(event.type, event.asset),
        body.reason,
        body.notified,
        actor_of(person),
        now,
    )


@api.post("/mutes/{id}/end", operation_id="end_mute")
def end_by_api(
    id: Id, platform: Served, deliver: Delivery, person: Operator, body: ReasonBody | None = None
) -> Mute:
    """End a mute before its time, or cancel a planned one; an alarm that is still open is announced
    once. Idempotent. Role: operator; out of service: engineer."""
    reason = body.reason if body else ""
    over = end_mute(platform, id, actor_of(person), platform.clock.now(), reason)
    deliver()
    return translate_texts(over, reader_of(platform))


@api.post("/mutes/{id}/prolong", operation_id="prolong_mute")
def prolong_by_api(id: Id, body: ProlongBody, platform: Served, person: Operator) -> Mute:
    """Move the end of a mute that is not over. Role: operator (at most 8 hours from now); out of
    service: engineer."""
    return prolong_mute(platform, id, body.until, actor_of(person), platform.clock.now())


_BLANK: Mapping[str, Any] = {
    **dict.fromkeys(("part", "definition", "up_to", "since", "until", "event", "event_asset"), ""),
    "kind": "maintenance",
    "lasting": "1h",
    "preset": "",
    "reason": "",
    "notified": (),
}
"""The fields of the form of a new mute."""


@pages.get("/mutes", response_class=HTMLResponse)
def mutes(request: Request, platform: Served, person: Viewer) -> str:
    """Return the page of mutes that are present, planned and past."""
    now = platform.clock.now()
    listed = list_mutes(platform, now)
    every = [*listed.present, *listed.planned, *listed.past]
    return render(
        "mutes/mutes.html",
        request,
        found=listed,
        texts=texts_of(request, platform, every),
        may_answer=person.may_answer,
        now=now,
    )


@pages.get("/mutes/{id}", response_class=HTMLResponse)
def mute(id: Id, request: Request, platform: Served, person: Viewer) -> str:
    """Return the page of a mute, with the alarms that were raised meanwhile."""
    return _mute_page(request, platform, id, person)


@pages.get("/new-mute", response_class=HTMLResponse)
def new_mute(
    request: Request,
    platform: Served,
    person: Viewer,
    part: NameQuery = "",
    definition: NameQuery = "",
) -> str:
    """Return the form of a new mute, of a part of the plant or a definition."""
    return _form(request, platform, person, {**_BLANK, "part": part, "definition": definition})


@pages.post("/new-mute", response_class=HTMLResponse)
def submit(
    request: Request,
    platform: Served,
    person: FormOperator,
    kind: FormField = "",
    part: FormField = "",
    definition: FormField = "",
    up_to: FormField = "",
    since: FormField = "",
    lasting: FormField = "",
    until: FormField = "",
    event: FormField = "",
    event_asset: FormField = "",
    preset: FormField = "",
    reason: FormField = "",
    notified: Annotated[list[str], Form(max_length=MOST_NOTIFIED)] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Mute what the form names; a refusal is shown on the same page."""
    sent = {
        "kind": kind,
        "part": part,
        "definition": definition,
        "up_to": up_to,
        "since": since,
        "lasting": lasting,
        "until": until,
        "event": event,
        "event_asset": event_asset,
        "preset": preset,
        "reason": reason,
        "notified": notified,
    }
    now = platform.clock.now()
    try:
        begin = read_instant(request, since) if since else None
        if kind not in ("maintenance", "plain"):
            raise UserError(translatable("choose mute or maintenance"))
        highest = next((severity for severity in SEVERITIES if severity == up_to), None)
        if up_to and highest is None:
            raise UserError(translatable("choose a severity of the list"))
        made = start_mute(
            platform,
            cast(MuteKind, kind),
            Matcher(part or None, None, definition or None, highest),
            begin,
            _end(request, until, lasting, max(begin or now, now)),
            EndingEvent(event, event_asset or part) if event else None,
            ": ".join(text for text in (preset.strip(), reason.strip()) if text),
            notified,
            actor_of(person),
            now,
        )
    except UserError as refusal:
        status = 404 if isinstance(refusal, NotFound) else 422
        return HTMLResponse(_form(request, platform, person, sent, refusal.message), status)
    return RedirectResponse(f"/mutes/{made.id}", 303)


@pages.post("/mutes/{id}/end", response_class=HTMLResponse)
def end(
    id: Id,
    platform: Served,
    deliver: Delivery,
    person: FormOperator,
    reason: FormField = "",
    next: FormField = "",
) -> Response:
    """End a mute, return a target to service, or cancel a planned one. `next`: the page that it was
    sent from, if that is another."""
    end_mute(platform, id, actor_of(person), platform.clock.now(), reason)
    deliver()
    return RedirectResponse(lead_back(next, f"/mutes/{id}"), 303)


@pages.post("/mutes/{id}/prolong", response_class=HTMLResponse)
def prolong(
    id: Id,
    request: Request,
    platform: Served,
    person: FormOperator,
    lasting: FormField = "",
    next: FormField = "",
) -> Response:
    """Move the end of a mute by a duration; a refusal is shown on its page."""
    mute = find_mute(platform, id)
    try:
        if mute.until is None:
            raise UserError(translatable("it has no end, so it cannot end later"))
        until = mute.until + read_duration(lasting)
        prolong_mute(platform, id, until, actor_of(person), platform.clock.now())
    except (UserError, ValueError) as refusal:
        text = refusal.message if isinstance(refusal, UserError) else str(refusal)
        return HTMLResponse(_mute_page(request, platform, id, person, text), 422)
    return RedirectResponse(lead_back(next, f"/mutes/{id}"), 303)


def _mute_page(
    request: Request, platform: Platform, id: str, person: Person, refusal: str = ""
) -> str:
    now = platform.clock.now()
    mute = find_mute(platform, id)
    raised = raised_meanwhile(platform, mute, now)
    return render(
        "mutes/mute.html",
        request,
        s=mute,
        phase=mute.phase(now),
        texts=texts_of(request, platform, [mute])[mute.id],
        raised=raised[:RAISED_SHOWN],
        asset_titles=asset_titles(
            platform.assets.get_many({e.asset for e in raised[:RAISED_SHOWN]}).values()
        ),
        more=len(raised) - len(raised[:RAISED_SHOWN]),
        may_change=person.may_answer and (mute.kind != "out_of_service" or person.may("configure")),
        refusal=refusal,
        now=now,
    )


def _form(
    request: Request,
    platform: Platform,
    person: Person,
    filled: Mapping[str, Any],
    refusal: str = "",
) -> str:
    assets = platform.assets.all()
    above = {asset.parent for asset in assets}
    return render(
        "mutes/new.html",
        request,
        f=filled,
        parts=[  # each below its parent; of very many those with others below, and the chosen one
            (asset.name, "\u2003" * depth + (asset.title or asset.name))
            for asset, depth in assets_in_tree(assets)
            if len(assets) <= MOST_PARTS or asset.name in above or asset.name == filled["part"]
        ],
        definitions=sorted(
            (r.definition.title or r.name, r.name)
            for r in platform.definitions.latest_revisions()
            if r.definition.state == "active"
        ),
        severities=SEVERITIES[:-1],
        events=sorted(
            event_titles(platform.assets.event_types()).items(),
            key=lambda event: counting_order(event[1]),
        ),
        channels=sorted(platform.channels),
        lengths=LENGTHS,
        reasons=REASONS,
        may_answer=person.may_answer,
        refusal=refusal,
        now=platform.clock.now(),
    )


def _end(request: Request, until: str, lasting: str, begin: datetime) -> datetime | None:
    if until:
        return read_instant(request, until)
    if not lasting:
        return None
    try:
        return begin + read_duration(lasting)
    except ValueError as fault:
        raise UserError(str(fault)) from fault
