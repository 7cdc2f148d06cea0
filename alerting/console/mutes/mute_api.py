"""REST API, version 1: mutes."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import ConfigDict, Field, model_validator

from alerting.console.api import views
from alerting.console.api.api import (
    MAY_CONFLICT,
    MAY_NAME_NOTHING,
    Delivery,
    Operator,
    Served,
    Viewer,
)
from alerting.console.api.body_rules import MUTE_ENDS
from alerting.console.api.operate_api import Body, actor_of
from alerting.console.api.parameters import (
    Duration,
    Id,
    Instant,
    NameQuery,
    NameText,
    Short,
    SomeShort,
)
from alerting.console.api.plant_times import with_plant_times
from alerting.definitions.model import Severity
from alerting.operators.mutes import (
    MOST_NOTIFIED,
    EndingEvent,
    Matcher,
    Mute,
    MuteKind,
    MutePhase,
)
from alerting.usecases.notification.muting import raised_meanwhile
from alerting.usecases.operators import muting
from alerting.usecases.operators.muting import MuteList

router = APIRouter(prefix="/api/v1", tags=["operators"])


class EndingEventBody(Body):
    """The event that ends a mute."""

    type: NameText = Field(description="Type of the event.")
    asset: NameText = Field(description="Asset on which it comes.")


class MuteBody(Body):
    """A new mute: which alarms (each given field narrows it; one is needed), from when, until when,
    and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=MUTE_ENDS)

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


class EndBody(Body):
    """The reason to end a mute early."""

    reason: Short = ""


class ProlongBody(Body):
    """A new end of a mute."""

    until: Instant = Field(description="The new end.")


class MuteDetail(views.View):
    """A mute with the alarms that were raised while it covered them, newest first."""

    mute: Mute
    phase: MutePhase
    raised: list[views.EpisodeSummary]


@router.get("/mutes", operation_id="list_mutes")
def show_mutes(
    platform: Served, _: Viewer, definition: NameQuery | None = None, asset: NameQuery | None = None
) -> MuteList:
    """List the mutes that are present or planned, and those of the last month; of those that name a
    definition or cover alarms of an asset."""
    found = muting.list_mutes(platform, platform.clock.now(), definition, asset)
    return with_plant_times(found, platform.zone)


@router.get("/mutes/{id}", operation_id="show_mute")
def show_mute(id: Id, platform: Served, _: Viewer) -> MuteDetail:
    """Show a mute, and the alarms that were raised while it covered them."""
    now = platform.clock.now()
    found = muting.find_mute(platform, id)
    raised = raised_meanwhile(platform, found, now)
    return MuteDetail(
        mute=with_plant_times(found, platform.zone),
        phase=found.phase(now),
        raised=[views.episode_summary(episode, platform.zone) for episode in raised],
    )


@router.post("/mutes", operation_id="start_mute", openapi_extra=MAY_NAME_NOTHING | MAY_CONFLICT)
def start(body: MuteBody, platform: Served, person: Operator) -> Mute:
    """Mute a definition on an asset, a part of the plant, a definition or severities, now or later.
    Of what is muted already the new end and reason count. Role: operator (for at most 8 hours); out
    of service: engineer."""
    now = platform.clock.now()
    until = body.until
    if body.lasting is not None:
        until = max(body.since or now, now) + body.lasting
    event = body.until_event
    return muting.start_mute(
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


@router.post("/mutes/{id}/end", operation_id="end_mute")
def end(
    id: Id, platform: Served, deliver: Delivery, person: Operator, body: EndBody | None = None
) -> Mute:
    """End a mute before its time, or cancel a planned one; an alarm that is still open is announced
    once. Idempotent. Role: operator; out of service: engineer."""
    reason = body.reason if body else ""
    over = muting.end_mute(platform, id, actor_of(person), platform.clock.now(), reason)
    deliver()
    return with_plant_times(over, platform.zone)


@router.post("/mutes/{id}/prolong", operation_id="prolong_mute")
def prolong(id: Id, body: ProlongBody, platform: Served, person: Operator) -> Mute:
    """Move the end of a mute that is not over. Role: operator (at most 8 hours from now); out of
    service: engineer."""
    return muting.prolong_mute(platform, id, body.until, actor_of(person), platform.clock.now())
