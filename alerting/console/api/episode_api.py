"""REST API, version 1: episodes, what operators do with them, and suppressions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from alerting.console.access import Operator, Person, Served, Viewer, actor_of
from alerting.console.api import views
from alerting.console.api.parameters import (
    MAY_NAME_NOTHING,
    Cursor,
    Id,
    Instant,
    NameQuery,
    NameText,
    Short,
    SomeText,
)
from alerting.console.api.views import Body, StatedReasonBody, reader_of, translate_texts
from alerting.episodes.episode import ActorStamp, Episode, Feedback, FirstOut
from alerting.kinds.protocol import Why
from alerting.operators.actions_and_mutes import IsaState, Mute
from alerting.ports import Platform, PlatformAlert
from alerting.usecases.episodes.mutes_and_suppression import SuppressedTarget, list_suppressed
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.episodes.stored_episodes import find_episode
from alerting.usecases.explain import why
from alerting.usecases.operators import operate
from alerting.usecases.operators.operate import give_feedback

router = APIRouter(prefix="/api/v1")


@router.get("/health", tags=["health"])
def health(platform: Served) -> dict[str, str]:
    """Check that the API and its database answer. Needs no token."""
    platform.definitions.faulty()
    return {"status": "ok"}


@router.get("/episodes", tags=["episodes"])
def list_episodes(
    platform: Served,
    _: Viewer,
    definition: NameQuery | None = None,
    asset: NameQuery | None = None,
    only_open: Annotated[
        bool, Query(alias="open", description="true: only episodes that are open now.")
    ] = False,
    start: Annotated[
        Instant | None,
        Query(alias="from", description="Not over at this instant, or raised later."),
    ] = None,
    end: Annotated[
        Instant | None, Query(alias="to", description="Raised before this instant.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> views.EpisodePage:
    """List episodes, newest first, page by page; with `from` and `to` all that were open at some
    time between them. Instants are ISO 8601 with a zone."""
    before = views.read_cursor(cursor) if cursor else None
    episodes = platform.episodes.find(
        definition, asset, start, end, only_open, limit + 1, before, with_earlier=True
    )
    items, next = views.page_of(episodes, limit, lambda episode: episode.raised_at)
    return views.EpisodePage(items=views.summarise_episodes(items, platform), next=next)


@router.get("/episodes/{id}", tags=["episodes"])
def show_episode(id: Id, platform: Served, _: Viewer) -> views.EpisodeDetail:
    """Show one episode with all details. The beginning of its id suffices if it is unique."""
    return _detail(platform, find_episode(platform.episodes, id))


@router.post("/episodes/{id}/feedback", tags=["episodes"], operation_id="give_feedback")
def say(
    id: Id, body: views.FeedbackBody, platform: Served, person: Operator
) -> views.EpisodeDetail:
    """Record whether an alarm was right and which action followed; returns the episode with its
    outcome. Role: operator."""
    return _detail(platform, record_feedback(platform, id, body, person))


def _detail(platform: Platform, episode: Episode) -> views.EpisodeDetail:
    reader = reader_of(platform)
    detail = views.EpisodeDetail(
        **vars(views.EpisodeSummary.from_domain(episode, reader)),
        valid_until=episode.valid_until,
        announced_until=episode.announced_until,
        continues=episode.continues,
        inputs=episode.inputs,
        contributions=episode.contributions,
        recommendation=episode.recommendation,
        present=episode.present,
        modes=episode.modes,
        remaining_life=episode.remaining_life,
        guidance=episode.guidance,
        transitions=episode.transitions,
        feedback=episode.feedback,
        outcome_record=episode.outcome_record,
        notifications=platform.notifications.of_episodes([episode.id])[episode.id],
        block=touched_by(platform, episode, platform.clock.now()),
    )
    return translate_texts(detail, reader)


def record_feedback(
    platform: Platform, id: str, body: views.FeedbackBody, person: Person
) -> Episode:
    """Record the feedback of a person on an episode; returns the episode with its outcome."""
    now = platform.clock.now()
    action = body.action or None
    comment = body.comment or None
    taken = body.recommendation_taken
    return give_feedback(
        platform,
        Feedback(
            id, body.verdict, body.acted, action, comment, person.name, now, body.acted_at, taken
        ),
    )


@router.get("/platform-alerts", tags=["health"])
def list_platform_alerts(platform: Served, _: Viewer) -> list[PlatformAlert]:
    """List open faults of the platform itself: faulty definitions, unreadable champions. Empty
    without faults."""
    return translate_texts(platform.platform_alerts.open(), reader_of(platform))


class AckBody(Body):
    """An acknowledgement."""

    note: Short = Field("", description="A note for the next operator.")


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


@dataclass(frozen=True, kw_only=True)
class Operated:
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


@dataclass(frozen=True, kw_only=True)
class SuppressionView:
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
def close(id: Id, body: StatedReasonBody, platform: Served, person: Operator) -> Operated:
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
    confirmation = body or ConfirmBody(action="", acted_at=None)
    episode = operate.confirm(
        platform,
        id,
        actor_of(person),
        platform.clock.now(),
        confirmation.action,
        confirmation.acted_at,
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
    suppressions = list_suppressed(platform, now, since or now - timedelta(days=1), definition)
    return SuppressionView(
        at=suppressions.at,
        since=suppressions.since,
        targets=translate_texts(suppressions.targets, reader_of(platform)),
        not_notified=views.summarise_episodes(suppressions.not_notified, platform),
    )


@router.get("/why", tags=["operators"], openapi_extra=MAY_NAME_NOTHING)
def show_why(
    platform: Served, _: Viewer, definition: NameQuery, asset: NameQuery, at: Instant | None = None
) -> Why:
    """Explain why an alarm was raised at an instant (now when left out), or why not."""
    reasons = why(platform, definition, asset, at or platform.clock.now())
    return translate_texts(reasons, reader_of(platform))


def _operated_view(platform: Served, episode: Episode) -> Operated:
    operated = operate.operator_state(platform, episode, platform.clock.now())
    view = Operated(
        id=episode.id,
        state=operated.state,
        active=operated.flags.active,
        acknowledged=episode.acknowledged,
        confirmed=episode.confirmed,
        assigned_to=episode.assigned_to,
        first_out=operated.first_out,
        mutes=operated.mutes,
        suppressed=operated.suppressed,
        unknown=operated.unknown,
    )
    return translate_texts(view, reader_of(platform))
