"""Pages of episodes: one with its feedback and the forms of operators, suppressions, what a link in
a message opens, and the search for an alarm, an alert or an asset."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from alerting.console.access import Delivery, Person, Served, Viewer, actor_of, known_plant
from alerting.console.alarms.alarm_charts import MUTE_REASONS
from alerting.console.alarms.toasts import NOT_NOTIFIED_WITHIN, lead_on
from alerting.console.api import views
from alerting.console.api.episode_api import record_feedback
from alerting.console.api.parameters import FormField, FormText, Id, NameQuery, read_duration
from alerting.console.gate import LINKS, WITHIN, RateLimit, client_of
from alerting.console.plant.trend_picture import trend_of_episode
from alerting.console.rendering import (
    FormOperator,
    language_of,
    lead_back,
    render,
    zone_of,
)
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.fault_messages import fault_of
from alerting.definitions.wording.language import Language, translatable
from alerting.episodes.episode import Episode
from alerting.notifications.notification import LinkRefused
from alerting.operators.actions_and_mutes import MUTE_KINDS, Matcher
from alerting.ports import Platform
from alerting.recommendation.similar_episodes import Recognition
from alerting.reporting import phrases, sentences
from alerting.reporting.episode_details import blocks_table
from alerting.reporting.model_charts import CAVEAT, reasons_waterfall, risk_steps
from alerting.reporting.variable_charts import EpisodeChart, episode_figure
from alerting.usecases.episodes.mutes_and_suppression import list_suppressed
from alerting.usecases.episodes.outcomes import (
    all_advice,
    current_progress,
    recommendation_taken,
    touched_by,
)
from alerting.usecases.episodes.stored_episodes import find_episode, opposite_open
from alerting.usecases.explain import watermark_of
from alerting.usecases.notification.episode_values import chart_of, present_value
from alerting.usecases.operators import operate
from alerting.usecases.operators.links_and_misses import LABELS, has_answered, open_link, use_link
from alerting.usecases.operators.operate import can_be_closed, operator_state, start_mute
from alerting.usecases.operators.present_state import (
    OPEN_READ,
    OVER_READ,
    experience_of,
    find_windows,
)

router = APIRouter(include_in_schema=False)
_FAULTS_OF_DATA = (UserError, ValueError, ArithmeticError, LookupError, TypeError)
"""Caused by data that people wrote: a page comes without what they concern."""


@router.get("/episodes/{id}", response_class=HTMLResponse)
def episode(id: Id, request: Request, platform: Served, person: Viewer) -> str:
    """Return the page of one episode: instructions, chart, reasons, outcome and feedback."""
    return episode_page(request, platform, person, id)


class JumpTarget(NamedTuple):
    """A page that a search leads to: its title, more about it, what it is of, and its address."""

    title: str
    about: str
    kind: Literal["alarm", "alert", "asset"]
    address: str


def matching_targets(targets: Iterable[JumpTarget], text: str) -> list[JumpTarget]:
    """Return the targets with all words of a text in title, name or address; those whose title
    begins with the text first."""
    words = text.casefold().split()
    matching = [
        target
        for target in targets
        if all(
            word in f"{target.title} {target.about} {target.address}".casefold() for word in words
        )
    ]
    start = text.strip().casefold()
    return sorted(matching, key=lambda target: not target.title.casefold().startswith(start))


@router.get("/jump", response_class=HTMLResponse)
def jump(request: Request, platform: Served, _: Viewer, text: NameQuery = "") -> str:
    """Return the open alarms, the alerts and the assets that match a text."""
    plant = known_plant(request, platform)
    titles = plant.asset_titles
    alarms = (
        JumpTarget(
            episode.title or episode.definition,
            titles.get(episode.asset, episode.asset),
            "alarm",
            f"/episodes/{episode.id}",
        )
        for episode in platform.episodes.find(open_only=True, limit=OPEN_READ)
    )
    alerts = (
        JumpTarget(title, name, "alert", f"/definitions/{quote(name, safe='')}")
        for name, title in plant.titles.items()
    )
    assets = (
        JumpTarget(title, name, "asset", f"/assets/{quote(name, safe='')}")
        for name, title in titles.items()
    )
    targets = matching_targets([*alarms, *alerts, *assets], text)
    return render("jump.html", request, text=text, targets=targets[:12])


@router.post("/episodes/{id}/feedback", response_class=HTMLResponse)
def say(
    id: Id,
    request: Request,
    platform: Served,
    person: FormOperator,
    verdict: FormField = "",
    acted: FormField = "",
    action: FormText = "",
    comment: FormText = "",
    taken: FormField = "",
    next: FormField = "",
) -> Response:
    """Record feedback from the page by the API's use case. A change implies an action."""
    has_acted = acted == "yes" or bool(action) or taken in ("yes", "partly", "other")
    body = _body(
        verdict=verdict or None,
        acted=has_acted,
        action=action or None,
        comment=comment or None,
        recommendation_taken=taken or None,
    )
    try:
        record_feedback(platform, id, body, person)
    except UserError as refusal:
        return HTMLResponse(episode_page(request, platform, person, id, refusal.message), 422)
    deed = {"true_alarm": "right", "false_alarm": "wrong"}.get(verdict, "answer")
    return lead_on(next, f"/episodes/{id}#said", f"{deed}.{id}")


def episode_page(
    request: Request,
    platform: Platform,
    person: Person,
    id: str,
    refusal: str = "",
    muting: str = "",
    closing: str = "",
) -> str:
    """Return the page of one episode. `refusal` and similar parameters: faults of submitted
    forms."""
    episode = find_episode(platform.episodes, id)
    now = platform.clock.now()
    strongest, weaker = sentences.reasons(episode)
    language = language_of(request, now)
    asset = platform.assets.get(episode.asset)
    chart = _chart(platform, episode, now, language)
    reached = watermark_of(platform, episode)
    seen = recognition_of(platform, episode, now)
    definition = platform.definitions.newest_revision(episode.definition)
    return render(
        "episode.html",
        request,
        e=episode,
        windows=find_windows([episode], {d.name: d.definition for d in [definition] if d}, now),
        experience=experience_of(platform.episodes, episode),
        progress=current_progress(platform, episode, now),
        closable=can_be_closed(platform, episode, now),
        evaluated_to=phrases.data_up_to(reached[0], now, zone_of(request), language)
        if reached
        else None,
        present=present_value(platform, episode, now, language)
        if episode.condition == "open"
        else None,
        conflicts=opposite_open(platform.episodes, episode),
        strongest=strongest,
        weaker=weaker,
        advice=sentences.advice_shown(episode),
        course=sentences.risk_since_raise(episode, seen.proposed if seen else None, language),
        seen=seen,
        taken=sentences.last_taken(episode, person.name) or (seen.proposed if seen else None),
        risk_steps=risk_steps(episode, language),
        waterfall=reasons_waterfall(episode, asset, language),
        caveat=CAVEAT,
        reasons_at=sentences.reasons_at(episode),
        scale=max((abs(c.share) for c in (*strongest, *weaker)), default=1.0) or 1.0,
        trend=trend_of_episode(asset, episode, now),
        chart=chart and episode_figure(chart, zone_of(request), language),
        own=sentences.last_answer(episode, person.name),
        acted=sentences.has_acted(episode, person.name),
        history=sentences.history(
            episode, platform.notifications.of_episodes([episode.id])[episode.id], language
        ),
        guidance_names=phrases.GUIDANCE_NAMES,
        presets=MUTE_REASONS,
        operator_state=operator_state(platform, episode, now),
        people=platform.accounts.shown_names(),
        mute_kinds=MUTE_KINDS,
        variables=asset.variables if asset else {},
        asset_title=asset.title if asset and asset.title else episode.asset,
        refusal=refusal,
        muting=muting,
        closing=closing,
        block=touched_by(platform, episode, now),
        now=now,
    )


@router.get("/episodes/{id}/block.csv")
def export_block(id: Id, platform: Served, _: Viewer) -> Response:
    """Return the production that an episode blocks as CSV, a row a lot, times in UTC."""
    block = touched_by(platform, find_episode(platform.episodes, id), platform.clock.now(), None)
    return Response(
        blocks_table([] if block is None else [block]).to_csv(),
        media_type="text/csv",
        headers={"content-disposition": 'attachment; filename="block.csv"'},
    )


def recognition_of(platform: Platform, episode: Episode, now: datetime) -> Recognition | None:
    """Return whether readings show that the recommendation was followed; None if they cannot be
    read."""
    try:
        return recommendation_taken(platform, episode, now)
    except _FAULTS_OF_DATA:
        logging.getLogger(__name__).exception("no look at the set-points of episode %s", episode.id)
        return None


def _chart(
    platform: Platform, episode: Episode, now: datetime, language: Language
) -> EpisodeChart | None:
    """Return the chart of an episode; None if it cannot be drawn, so that the page has none."""
    try:
        return chart_of(platform, episode, now, language)
    except _FAULTS_OF_DATA:
        logging.getLogger(__name__).exception("no chart for episode %s", episode.id)
        return None


def _body(**fields: object) -> views.FeedbackBody:
    try:
        return views.FeedbackBody.model_validate(fields)
    except ValidationError as fault:
        message = "; ".join(str(fault_of(error)) for error in fault.errors())
        raise HTTPException(422, message) from fault


Taken = Annotated[Literal["yes", "partly", "other", "no", ""], Form()]


def link_routes(now: Callable[[], datetime]) -> APIRouter:
    """Return the routes of feedback links: GET shows the action, POST performs it."""
    routes = APIRouter(include_in_schema=False)
    limit = RateLimit()

    def check(request: Request, platform: Platform, token: str) -> None:
        """Count a request by client address and recipient, so that recipients behind one address do
        not share a limit; an unknown link counts by the address alone. Raises HTTPException 429
        above the limit."""
        try:
            sender = f"link of {open_link(platform, token)[0].recipient}"
        except LinkRefused:
            sender = "no link"
        if not limit.allows(f"{client_of(request)} {sender}", now()):
            raise HTTPException(
                429,
                translatable("too many requests; wait a minute"),
                {"retry-after": str(int(WITHIN.total_seconds()))},
            )

    @routes.get(LINKS + "{token}", response_class=HTMLResponse)
    def show(token: str, request: Request, platform: Served) -> Response:
        check(request, platform, token)
        return _page(request, platform, token, done=False)

    @routes.post(LINKS + "{token}", response_class=HTMLResponse)
    def act(
        token: str,
        request: Request,
        platform: Served,
        confirm: FormField = "",
        taken: Taken = "",
    ) -> Response:
        check(request, platform, token)
        if confirm != "yes":
            raise HTTPException(422, translatable("open the link and confirm on its page"))
        try:
            use_link(platform, token, platform.clock.now(), taken or None)
        except LinkRefused as refusal:
            raise HTTPException(410, refusal.message) from refusal
        return _page(request, platform, token, done=True)

    return routes


def _page(request: Request, platform: Platform, token: str, done: bool) -> Response:
    try:
        grant, episode = open_link(platform, token)
    except LinkRefused as refusal:
        raise HTTPException(410, refusal.message) from refusal
    answered = done or has_answered(grant, episode)
    now = platform.clock.now()
    asks = (
        grant.purpose == "acted"
        and not answered
        and any(advice.changes for advice in all_advice(episode))
    )
    seen = recognition_of(platform, episode, now) if asks else None
    asset = platform.assets.get(episode.asset)
    page = render(
        "link.html",
        request,
        e=episode,
        asset_title=(asset and asset.title) or episode.asset,
        grant=grant,
        answer=LABELS[grant.purpose],
        answered=answered,
        asks=asks,
        taken=seen.proposed if seen else None,
        now=now,
    )
    return HTMLResponse(
        page, headers={"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
    )


LIST = "/#unacknowledged"
MOST_AT_ONCE = OPEN_READ + OVER_READ


@router.post("/episodes/{id}/ack", response_class=HTMLResponse)
def acknowledge(id: Id, platform: Served, person: FormOperator, next: FormField = "") -> Response:
    """Acknowledge an episode. `next`: the place on the front page, if its form was used."""
    operate.acknowledge(platform, id, actor_of(person), platform.clock.now())
    return lead_on(next, f"/episodes/{id}", "seen.1")


@router.post("/episodes/{id}/take", response_class=HTMLResponse)
def take(id: Id, platform: Served, person: FormOperator, next: FormField = "") -> Response:
    """Assign an episode to the person who sends the form."""
    operate.assign(platform, id, actor_of(person), platform.clock.now(), person.name)
    return RedirectResponse(lead_back(next, f"/episodes/{id}"), 303)


@router.post("/episodes/{id}/close", response_class=HTMLResponse)
def close(
    id: Id,
    request: Request,
    platform: Served,
    deliver: Delivery,
    person: FormOperator,
    reason: FormField = "",
) -> Response:
    """Close by hand an alert whose problem has come, when no reading shows whether it goes on."""
    try:
        operate.close(platform, id, actor_of(person), platform.clock.now(), reason)
    except UserError as refusal:
        return HTMLResponse(
            episode_page(request, platform, person, id, closing=refusal.message), 422
        )
    deliver()
    return RedirectResponse(f"/episodes/{id}", 303)


@router.post("/acknowledge", response_class=HTMLResponse)
def acknowledge_listed(
    platform: Served,
    person: FormOperator,
    episode: Annotated[list[str], Form(max_length=MOST_AT_ONCE)],
    next: FormField = "",
) -> Response:
    """Acknowledge all episodes that the front page showed together; the audit names each."""
    count = 0
    for id in episode:
        with suppress(NotFound):  # from an outdated list
            operate.acknowledge(platform, id, actor_of(person), platform.clock.now())
            count += 1
    return lead_on(next, LIST, f"seen.{count}")


@router.post("/episodes/{id}/mute", response_class=HTMLResponse)
def mute(
    id: Id,
    request: Request,
    platform: Served,
    person: FormOperator,
    lasting: FormField = "",
    preset: FormField = "",
    reason: FormField = "",
    next: FormField = "",
) -> Response:
    """Mute a target for a time, with a preset reason, a written one, or both."""
    text = ": ".join(part for part in (preset.strip(), reason.strip()) if part)
    episode = find_episode(platform.episodes, id)
    target = Matcher(asset=episode.asset, definition=episode.definition)
    now = platform.clock.now()
    try:
        until = now + read_duration(lasting)
        actor = actor_of(person)
        made = start_mute(platform, "plain", target, None, until, None, text, (), actor, now)
    except (UserError, ValueError) as refusal:
        message = refusal.message if isinstance(refusal, UserError) else str(refusal)
        return HTMLResponse(episode_page(request, platform, person, id, muting=message), 422)
    return lead_on(next, f"/episodes/{id}", f"mute.{made.id}")


@router.get("/suppressed", response_class=HTMLResponse)
def suppressed(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of suppressions by design, with the last day's silent episodes."""
    now = platform.clock.now()
    suppressions = list_suppressed(platform, now, now - NOT_NOTIFIED_WITHIN)
    by_reason: dict[tuple[str, str], list[str]] = {}
    for target in suppressions.targets:
        if target.suppressed:
            by_reason.setdefault((target.definition, target.reason), []).append(target.asset)
    unknown = {
        reason: None
        for target in suppressions.targets
        if not target.suppressed
        for reason in target.unknown
    }
    return render(
        "suppressed.html",
        request,
        by_reason=by_reason,
        unknown=list(unknown),
        found=suppressions,
        now=now,
    )
