"""REST API, version 1: operators' actions on alarms, shelves and suppressions."""

from datetime import datetime, timedelta
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Delivery, Operator, Served, Viewer
from alerting.console.api.body_rules import SHELF_ENDS
from alerting.console.api.parameters import (
    Duration,
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
from alerting.operators.shelves import ShelfKind
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.episodes.suppression import SuppressedTarget, list_suppressed
from alerting.usecases.explain.explain import why
from alerting.usecases.operators import operate, shelving

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


class ShelfBody(Body):
    """A new shelf: its target, end and reason."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=SHELF_ENDS)

    definition: NameText
    asset: NameText
    kind: ShelfKind = Field(
        "shelved", description="out_of_service needs the role engineer, and may have no end."
    )
    until: Instant | None = Field(None, description="End of the shelf; or give `for`.")
    lasting: Duration | None = Field(
        None, alias="for", description="Duration, e.g. 2h; or give `until`."
    )
    reason: SomeShort = Field(description="Reason; required.")

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.until is not None and self.lasting is not None:
            raise ValueError("give until or for, not both")
        return self


class EndBody(Body):
    """The reason to end a shelf early."""

    reason: Short = ""


class ShelfView(views.View):
    """A shelf. It mutes until `ended_at` (null until it is ended), or until `until`."""

    id: str
    definition: str
    asset: str
    kind: ShelfKind
    since: datetime
    until: datetime | None
    reason: str
    actor: str
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


class Operated(views.View):
    """The operator state of an episode after an action."""

    id: str
    state: IsaState
    active: bool
    acknowledged: ActorStamp | None
    confirmed: ActorStamp | None
    assigned_to: str | None
    first_out: FirstOut | None
    shelves: list[ShelfView]
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
    """Show the operator state of an episode: ISA-18.2 state, acknowledgement, shelves,
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


@router.get("/shelves", tags=["operators"])
def list_shelves(
    platform: Served, _: Viewer, definition: NameQuery | None = None, asset: NameQuery | None = None
) -> list[ShelfView]:
    """List shelves in force: those without an end first, then by end."""
    return [
        ShelfView.model_validate(s)
        for s in operate.shelves_now(platform.shelves, platform.clock.now(), definition, asset)
    ]


@router.post("/shelves", tags=["operators"], openapi_extra=MAY_NAME_NOTHING)
def shelve(body: ShelfBody, platform: Served, person: Operator) -> ShelfView:
    """Mute a definition on an asset. Role: operator (for at most 8 hours); out of service:
    engineer."""
    now = platform.clock.now()
    until = body.until if body.lasting is None else now + body.lasting
    made = shelving.shelve(
        platform, body.definition, body.asset, actor_of(person), now, until, body.reason, body.kind
    )
    return ShelfView.model_validate(made)


@router.post("/shelves/{id}/end", tags=["operators"], operation_id="end_shelf")
def end(
    id: Id, platform: Served, deliver: Delivery, person: Operator, body: EndBody | None = None
) -> ShelfView:
    """End a shelf before its time; an episode that is still open is announced once. Role: operator;
    out of service: engineer."""
    shelf = shelving.find_shelf(platform.shelves, id)
    now = platform.clock.now()
    reason = body.reason if body else ""
    ended = shelving.unshelve(
        platform, shelf.definition, shelf.asset, actor_of(person), now, reason, shelf.kind
    )
    deliver()
    return ShelfView.model_validate(ended)


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
        shelves=[ShelfView.model_validate(s) for s in state.shelves],
        suppressed=state.suppressed and plant_times(state.suppressed, platform.zone),
        unknown=state.unknown,
    )
