"""REST API, version 1: silences and maintenance."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import ConfigDict, Field, model_validator

from alerting.adapters.platform import Platform
from alerting.console.api import views
from alerting.console.api.api import (
    MAY_CONFLICT,
    MAY_NAME_NOTHING,
    Delivery,
    Operator,
    Served,
    Viewer,
)
from alerting.console.api.body_rules import SILENCE_ENDS
from alerting.console.api.operate_api import Body, EndBody, actor_of
from alerting.console.api.parameters import Duration, Id, Instant, NameText, SomeShort
from alerting.console.api.plant_times import plant_times
from alerting.definitions.model import Severity
from alerting.operators.silences import (
    MOST_NOTIFIED,
    Silence,
    SilenceKind,
    SilencePhase,
    SilenceScope,
)
from alerting.usecases.operators.silencing import (
    EndingEvent,
    alarms_of,
    extend_silence,
    find_silence_of,
    list_silences,
    start_silence,
    stop_silence,
)

router = APIRouter(prefix="/api/v1", tags=["operators"])


class EndingEventBody(Body):
    """The event that ends a silence."""

    type: NameText = Field(description="Type of the event.")
    asset: NameText = Field(description="Asset on which it comes.")


class SilenceBody(Body):
    """A new silence: what it covers (each given field narrows it; one is needed), from when, until
    when, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=SILENCE_ENDS)

    kind: SilenceKind = Field(
        description="silence: only mutes. maintenance: alarms are left out of learning, outcomes "
        "and figures too."
    )
    part: NameText | None = Field(None, description="An asset, with everything below it.")
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


class ExtendBody(Body):
    """A new end of a silence."""

    until: Instant = Field(description="The new end.")


class SilenceView(views.View):
    """A silence. It mutes in [since, until), until `ended_at` if that is not null."""

    id: str
    kind: SilenceKind
    phase: SilencePhase
    part: str | None
    definition: str | None
    up_to: Severity | None
    since: datetime
    until: datetime
    event: str | None
    event_asset: str | None
    reason: str
    author: str
    made_at: datetime
    notified: list[str]
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


class SilencesView(views.View):
    """The silences that are present, planned, and over for at most a month."""

    at: datetime
    present: list[SilenceView]
    planned: list[SilenceView]
    past: list[SilenceView]


class SilenceDetail(views.View):
    """A silence with the alarms that were raised while it covered them, newest first."""

    silence: SilenceView
    raised: list[views.EpisodeSummary]


@router.get("/silences", operation_id="list_silences")
def show_silences(platform: Served, _: Viewer) -> SilencesView:
    """List the silences that are present or planned, and those of the last month."""
    now = platform.clock.now()
    found = list_silences(platform, now)
    return SilencesView(
        at=now,
        present=[_view(platform, one, now) for one in found.present],
        planned=[_view(platform, one, now) for one in found.planned],
        past=[_view(platform, one, now) for one in found.past],
    )


@router.get("/silences/{id}", operation_id="show_silence")
def show_silence(id: Id, platform: Served, _: Viewer) -> SilenceDetail:
    """Show a silence, and the alarms that were raised while it covered them."""
    now = platform.clock.now()
    silence = find_silence_of(platform, id)
    raised = alarms_of(platform, silence, now)
    return SilenceDetail(
        silence=_view(platform, silence, now),
        raised=[views.episode_summary(episode, platform.zone) for episode in raised],
    )


@router.post(
    "/silences", operation_id="start_silence", openapi_extra=MAY_NAME_NOTHING | MAY_CONFLICT
)
def start(body: SilenceBody, platform: Served, person: Operator) -> SilenceView:
    """Silence a part of the plant, a definition or severities, now or later. Role: operator (for at
    most 8 hours)."""
    now = platform.clock.now()
    until = body.until
    if body.lasting is not None:
        until = max(body.since or now, now) + body.lasting
    event = body.until_event
    made = start_silence(
        platform,
        body.kind,
        SilenceScope(body.part, body.definition, body.up_to),
        body.since,
        until,
        None if event is None else EndingEvent(event.type, event.asset),
        body.reason,
        body.notified,
        actor_of(person),
        now,
    )
    return _view(platform, made, now)


@router.post("/silences/{id}/end", operation_id="end_silence")
def end(
    id: Id, platform: Served, deliver: Delivery, person: Operator, body: EndBody | None = None
) -> SilenceView:
    """End a silence before its time, or cancel a planned one; an alarm that is still open is
    announced. Idempotent. Role: operator."""
    now = platform.clock.now()
    over = stop_silence(platform, id, actor_of(person), now, body.reason if body else "")
    deliver()
    return _view(platform, over, now)


@router.post("/silences/{id}/extend", operation_id="extend_silence")
def extend(id: Id, body: ExtendBody, platform: Served, person: Operator) -> SilenceView:
    """Move the end of a silence that is not over. Role: operator (at most 8 hours from now)."""
    now = platform.clock.now()
    longer = extend_silence(platform, id, body.until, actor_of(person), now)
    return _view(platform, longer, now)


def _view(platform: Platform, silence: Silence, now: datetime) -> SilenceView:
    return SilenceView(
        id=silence.id,
        kind=silence.kind,
        phase=silence.phase(now),
        part=silence.scope.part,
        definition=silence.scope.definition,
        up_to=silence.scope.up_to,
        since=silence.since,
        until=silence.until,
        event=silence.event,
        event_asset=silence.event_asset,
        reason=silence.reason,
        author=silence.author,
        made_at=silence.made_at,
        notified=list(silence.notified),
        ended_at=silence.ended_at,
        ended_by=silence.ended_by,
        end_reason=silence.end_reason and plant_times(silence.end_reason, platform.zone),
    )
