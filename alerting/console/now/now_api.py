"""REST API, version 1: the present state of the plant, and what helped last time."""

from datetime import datetime

from fastapi import APIRouter, Request

from alerting.console.api import views
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id
from alerting.console.api.plant_times import plant_times
from alerting.console.now.address import AskedFilters
from alerting.console.now.page import known_plant
from alerting.definitions.model import Severity
from alerting.episodes.episode import Outcome
from alerting.episodes.window import ExpectedWindow
from alerting.operators.causes import Cause
from alerting.operators.mutes import MuteMark
from alerting.operators.tiles import TileState
from alerting.recommendation.experience import outcome_of
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.now.experience import experience_of
from alerting.usecases.now.gaps import GapKind
from alerting.usecases.now.overview import Now, read_now

api = APIRouter(prefix="/api/v1")


class TileView(views.View):
    """The state of one asset: the worst of its alarms, or that it is not evaluated. `part`: of the
    plant. `muted`: whether its alarms are muted, or some of them; null if none is."""

    asset: str
    title: str
    part: str
    state: TileState
    severity: Severity | None
    alarms: int
    episode: str | None
    muted: MuteMark | None


class WindowView(views.View):
    """When a problem is expected; it moves with the risk."""

    start: datetime
    end: datetime


class PresentAlarm(views.View):
    """An open alarm. `value`: of its variable now, with `course`, and the limit nearest to it."""

    episode: views.EpisodeSummary
    acknowledged_by: str | None
    assigned_to: str | None
    is_muted: bool
    window: WindowView | None
    value: float | None
    limit: float | None
    course: str | None


class CauseView(views.View):
    """The first of several alarms that came together, and those that followed it."""

    first: PresentAlarm
    is_first_out: bool
    others: list[PresentAlarm]


class GapView(views.View):
    """Assets on which a definition is not evaluated for one reason, since when."""

    definition: str
    kind: GapKind
    reason: str
    assets: tuple[str, ...]
    since: datetime | None


class NowView(views.View):
    """The present state of the plant: tiles by state, open alarms by cause, urgent first, ended
    ones that wait to be acknowledged, and what is not evaluated."""

    at: datetime
    evaluated_until: datetime | None
    unacknowledged: int
    tiles: list[TileView]
    happening: list[CauseView]
    expected: list[CauseView]
    over: list[views.EpisodeSummary]
    not_evaluated: list[GapView]


class SimilarView(views.View):
    """An earlier episode, how much it is like the one asked for (1: the same), and its outcome."""

    id: str
    asset: str
    raised_at: datetime
    likeness: float
    outcome: Outcome | None


class ActionView(views.View):
    """An action in similar episodes, with its uses, and how often the problem was avoided or came
    after it. `is_advice`: used often enough, and mostly helpful."""

    action: str
    uses: int
    avoided: int
    came: int
    actors: tuple[str, ...]
    usual_minutes: float | None
    is_advice: bool


class ExperienceView(views.View):
    """Earlier episodes like one. `is_enough`: at least three of them were answered; below that no
    action is listed. `contradicts`: following the recommendation mostly did not help."""

    similar: list[SimilarView]
    answered: int
    is_enough: bool
    actions: list[ActionView]
    contradicts: bool


@api.get("/now", tags=["operators"])
def show_now(request: Request, platform: Served, person: Viewer, filters: AskedFilters) -> NowView:
    """Show the present state of the plant: what is wrong, where, and what is not evaluated."""
    plant = known_plant(request, platform)
    routes = [r for r in ROUTES.read(platform)[0] if r.shifts]
    now = read_now(platform, plant, filters, person.name, routes)
    return NowView(
        at=now.at,
        evaluated_until=now.evaluated_until,
        unacknowledged=now.unacknowledged,
        tiles=[
            TileView(
                asset=tile.asset,
                title=tile.title,
                part=part.name,
                state=tile.state,
                severity=tile.severity,
                alarms=tile.alarms,
                episode=tile.episode,
                muted=tile.muted,
            )
            for part in now.parts
            for tile in part.tiles
        ],
        happening=[_cause(now, cause, platform) for cause in now.happening],
        expected=[_cause(now, cause, platform) for cause in now.expected],
        over=[
            views.episode_summary(episode, platform.zone)
            for group in now.over
            for episode in group.episodes
        ],
        not_evaluated=[
            GapView(
                definition=gap.definition,
                kind=gap.kind,
                reason=plant_times(gap.reason, platform.zone),
                assets=gap.assets,
                since=gap.since,
            )
            for gap in now.gaps
        ],
    )


@api.get("/episodes/{id}/experience", tags=["episodes"])
def show_experience(id: Id, platform: Served, _: Viewer) -> ExperienceView:
    """Show what helped last time: earlier episodes most like one, what was done, and what came of
    it."""
    found = experience_of(platform.episodes, find_episode(platform.episodes, id))
    return ExperienceView(
        similar=[
            SimilarView(
                id=one.episode.id,
                asset=one.episode.asset,
                raised_at=one.episode.raised_at,
                likeness=round(one.likeness, 3),
                outcome=outcome_of(one.episode),
            )
            for one in found.similar
        ],
        answered=found.answered,
        is_enough=found.is_enough,
        actions=[
            ActionView(
                action=one.action,
                uses=one.uses,
                avoided=one.avoided,
                came=one.came,
                actors=one.actors,
                usual_minutes=None if one.took is None else one.took.total_seconds() / 60,
                is_advice=one.is_advice,
            )
            for one in found.actions
            if found.is_enough
        ],
        contradicts=found.contradicts,
    )


def _cause(now: Now, cause: Cause, platform: Served) -> CauseView:
    first, *others = (_alarm(now, cause, n, platform) for n in range(cause.size))
    return CauseView(first=first, is_first_out=cause.is_first_out, others=others)


def _alarm(now: Now, cause: Cause, position: int, platform: Served) -> PresentAlarm:
    episode = cause.episodes[position]
    line = now.values.get(episode.id)
    window: ExpectedWindow | None = now.windows.get(episode.id)
    seen = episode.acknowledged
    return PresentAlarm(
        episode=views.episode_summary(episode, platform.zone),
        acknowledged_by=None if seen is None else seen.actor,
        assigned_to=episode.assigned_to,
        is_muted=episode.muted_by is not None,
        window=None if window is None else WindowView(start=window.start, end=window.end),
        value=None if line is None else line.value,
        limit=None if line is None else line.limit,
        course=None if line is None else line.direction,
    )
