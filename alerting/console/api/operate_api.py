"""REST API, version 1: operators' actions on alarms, and suppressions."""

from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Operator, Served, Viewer
from alerting.console.api.parameters import (
    Id,
    Instant,
    NameQuery,
    NameText,
    Short,
    SomeShort,
    SomeText,
)
from alerting.console.api.plant_times import plant_times, with_plant_times
from alerting.episodes.episode import ActorStamp, Episode
from alerting.episodes.first_out import FirstOut
from alerting.kinds.protocol.kind import Why
from alerting.operators.actions import IsaState
from alerting.operators.mutes import Mute
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.episodes.suppression import SuppressedTarget, list_suppressed
from alerting.usecases.explain.explain import why
from alerting.usecases.operators import operate

router = APIRouter(prefix="/api/v1")


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AckBody(Body):
    """An acknowledgement."""

    note: Short = Field("", description="A note for the next operator.")


class CloseBody(Body):
    """The end of an alert by hand."""

    reason: SomeShort = Field(description="Why it is over; required.")


class ConfirmBody(Body):
    """A confirmation that an operator acted."""

    action: Short = Field("", description="The action.")
    acted_at: Instant | None = Field(None, description="Time of the action; now when left out.")


class CommentBody(Body):
    """A comment."""

    comment: SomeText = Field(description="The comment.")


class AssignBody(Body):
    """An assignment to a person."""

    to: NameText = Field(description="Name of the responsible person.")


class Operated(views.View):
    """The operator state of an episode after an action."""

    id: str
    state: IsaState
    active: bool
    acknowledged: ActorStamp | None
    confirmed: ActorStamp | None
    assigned_to: str | None
    first_out: FirstOut | None
    mutes: tuple[Mute, ...]
    suppressed: str | None
    unknown: tuple[str, ...]


class SuppressionView(views.View):
    """Every target that can be suppressed by design, and the episodes without notification since an
    instant."""

    at: datetime
    since: datetime
    targets: tuple[SuppressedTarget, ...]
    not_notified: list[views.EpisodeSummary]


@router.get("/episodes/{id}/state", tags=["operators"])
def show_operator_state(id: Id, platform: Served, _: Viewer) -> Operated:
    """Show the operator state of an episode: ISA-18.2 state, acknowledgement, mutes,
    first-out."""
    return _operated_view(platform, find_episode(platform.episodes, id))


@router.post("/episodes/{id}/ack", tags=["operators"], operation_id="acknowledge_episode")
def acknowledge(
    id: Id, platform: Served, person: Operator, body: AckBody | None = None
) -> Operated:
    """Acknowledge an episode. Idempotent. Role: operator."""
    note = body.note if body else ""
    return _operated_view(
        platform, operate.acknowledge(platform, id, actor_of(person), platform.clock.now(), note)
    )


@router.post("/episodes/{id}/close", tags=["operators"], operation_id="close_episode")
def close(id: Id, body: CloseBody, platform: Served, person: Operator) -> Operated:
    """Close an alert that nothing evaluates, or whose predicted problem has come, when no reading
    shows whether it goes on. Role: operator."""
    return _operated_view(
        platform, operate.close(platform, id, actor_of(person), platform.clock.now(), body.reason)
    )


@router.post("/episodes/{id}/confirm", tags=["operators"], operation_id="confirm_episode")
def confirm(
    id: Id, platform: Served, person: Operator, body: ConfirmBody | None = None
) -> Operated:
    """Confirm an action; it counts as `acted` in the feedback. Role: operator."""
    given = body or ConfirmBody(action="", acted_at=None)
    episode = operate.confirm(
        platform, id, actor_of(person), platform.clock.now(), given.action, given.acted_at
    )
    return _operated_view(platform, episode)


@router.post("/episodes/{id}/comment", tags=["operators"], operation_id="comment_on_episode")
def comment(id: Id, body: CommentBody, platform: Served, person: Operator) -> Operated:
    """Add a comment to the episode. Role: operator."""
    return _operated_view(
        platform,
        operate.comment(platform, id, actor_of(person), platform.clock.now(), body.comment),
    )


@router.post("/episodes/{id}/assign", tags=["operators"], operation_id="assign_episode")
def assign(id: Id, body: AssignBody, platform: Served, person: Operator) -> Operated:
    """Assign the episode to a person. Role: operator."""
    return _operated_view(
        platform, operate.assign(platform, id, actor_of(person), platform.clock.now(), body.to)
    )


@router.get("/suppressions", tags=["operators"], openapi_extra=MAY_NAME_NOTHING)
def list_suppressions(
    platform: Served, _: Viewer, definition: NameQuery | None = None, since: Instant | None = None
) -> SuppressionView:
    """List targets suppressed by design now, and episodes without notification since an instant
    (default: a day ago)."""
    now = platform.clock.now()
    found = list_suppressed(platform, now, since or now - timedelta(days=1), definition)
    not_notified = [views.episode_summary(episode, platform.zone) for episode in found.not_notified]
    return SuppressionView(
        at=found.at, since=found.since, targets=found.targets, not_notified=not_notified
    )


@router.get("/why", tags=["operators"], openapi_extra=MAY_NAME_NOTHING)
def show_why(
    platform: Served, _: Viewer, definition: NameQuery, asset: NameQuery, at: Instant | None = None
) -> Why:
    """Explain why an alarm was raised at an instant (now when left out), or why not."""
    return with_plant_times(
        why(platform, definition, asset, at or platform.clock.now()), platform.zone
    )


def actor_of(person: Person) -> operate.Actor:
    """Return the person of a request as the actor of a use case."""
    return operate.Actor(person.name, person.role)


def _operated_view(platform: Served, episode: Episode) -> Operated:
    state = operate.operator_state(platform, episode, platform.clock.now())
    return Operated(
        id=episode.id,
        state=state.state,
        active=state.flags.active,
        acknowledged=episode.acknowledged,
        confirmed=episode.confirmed,
        assigned_to=episode.assigned_to,
        first_out=state.first_out,
        mutes=with_plant_times(state.mutes, platform.zone),
        suppressed=state.suppressed and plant_times(state.suppressed, platform.zone),
        unknown=state.unknown,
    )
