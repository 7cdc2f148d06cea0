"""Pages for people with a browser: the episodes, one episode with its feedback, the reports, and the way in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import ValidationError

from alerting.console import views
from alerting.console.access import SESSION, Access, confirms
from alerting.console.api import Operator, Served, Viewer
from alerting.console.gate import COOKIE
from alerting.console.rendering import render, stylesheet
from alerting.definitions.faults import Refused
from alerting.definitions.model import SEVERITIES
from alerting.episodes.episode import Episode
from alerting.episodes.first_out import first_out
from alerting.pipelines.feedback import find_episode, give_feedback
from alerting.pipelines.operate import shelves_now, standing
from alerting.pipelines.ports import Platform
from alerting.pipelines.suppression import list_suppressed, untold_since

router = APIRouter(include_in_schema=False)
OPEN_SHOWN = 100
CLOSED_SHOWN = 50
REPORTS_SHOWN = 100
UNTOLD_SINCE = timedelta(hours=24)
Field = Annotated[str, Form()]


@router.get("/", response_class=HTMLResponse)
def episodes(request: Request, platform: Served, _: Viewer, cursor: str | None = None) -> str:
    """Open episodes first, the most urgent on top, then the others, newest first."""
    before = views.read_cursor(cursor) if cursor else None
    newest_open = platform.episodes.find(open_only=True, limit=OPEN_SHOWN + 1) if before is None else []
    still_open = sorted(newest_open[:OPEN_SHOWN], key=_urgency)
    found = platform.episodes.find(limit=CLOSED_SHOWN + 1, before=before)
    now = platform.clock.now()
    shown = found[:CLOSED_SHOWN]
    return render(
        "episodes.html",
        request,
        still_open=still_open,
        more_open=len(newest_open) > OPEN_SHOWN,
        nothing_defined=not found and not platform.definitions.latest(),
        others=[e for e in shown if e not in still_open],
        older=views.cursor_after(shown[-1]) if len(found) > CLOSED_SHOWN else None,
        first=before is None,
        shelves=shelves_now(platform, now) if before is None else [],
        untold=len(untold_since(platform, now - UNTOLD_SINCE, now)) if before is None else 0,
        first_outs={e.id for e in still_open if first_out(e, still_open) == "first"},
        unmended=platform.platform_alerts.open() if before is None else [],
        now=now,
    )


def _urgency(episode: Episode) -> tuple[bool, bool, int, float]:
    """What somebody must look at comes first: heard, not acknowledged, severe, new."""
    severity = -SEVERITIES.index(episode.severity)
    return episode.muted_by is not None, episode.acknowledged is not None, severity, -episode.raised_at.timestamp()


@router.get("/episodes/{id}", response_class=HTMLResponse)
def episode(id: str, request: Request, platform: Served, _: Viewer) -> str:
    """One episode: why, what to do, what became of it, and what people say."""
    return episode_page(request, platform, id)


@router.post("/episodes/{id}/feedback", response_class=HTMLResponse)
def say(
    id: str,
    request: Request,
    platform: Served,
    person: Operator,
    csrf: Field = "",
    verdict: Field = "",
    acted: Field = "",
    action: Field = "",
    comment: Field = "",
) -> Response:
    """Feedback from the page: the same use case as the API's."""
    if not confirms(person, csrf):
        raise HTTPException(403, "this form is not from this session; open the page again and repeat")
    body = _body(verdict=verdict or None, acted=acted == "yes" or bool(action), action=action or None, comment=comment or None)
    try:
        give_feedback(
            platform,
            episode_id=id,
            verdict=body.verdict,
            acted=body.acted,
            action=body.action or None,
            comment=body.comment or None,
            who=person.name,
            at=platform.clock.now(),
        )
    except Refused as refusal:
        return HTMLResponse(episode_page(request, platform, id, str(refusal)), 422)
    return RedirectResponse(f"/episodes/{id}#said", 303)


@router.get("/suppressed", response_class=HTMLResponse)
def suppressed(request: Request, platform: Served, _: Viewer) -> str:
    """What is suppressed by design now, and what nobody was told of in the last day."""
    now = platform.clock.now()
    found = list_suppressed(platform, now, now - UNTOLD_SINCE)
    by_reason: dict[tuple[str, str], list[str]] = {}
    for pair in found.pairs:
        if pair.suppressed:
            by_reason.setdefault((pair.definition, pair.words), []).append(pair.asset)
    unknown = {reason: None for pair in found.pairs if not pair.suppressed for reason in pair.unknown}
    return render("suppressed.html", request, by_reason=by_reason, unknown=list(unknown), found=found)


@router.get("/reports", response_class=HTMLResponse)
def reports(request: Request, platform: Served, _: Viewer) -> str:
    """Performance reports, the latest periods first."""
    newest = platform.reports.newest(REPORTS_SHOWN + 1)
    shown = [views.report_summary(report) for report in newest[:REPORTS_SHOWN]]
    return render("reports.html", request, reports=shown, more=len(newest) > REPORTS_SHOWN)


@router.get("/style.css")
def style() -> Response:
    """The stylesheet of all pages."""
    return PlainTextResponse(stylesheet(), media_type="text/css")


def login_routes(access: Access, now: Callable[[], datetime]) -> APIRouter:
    """The way in and out: a token becomes a cookie that scripts cannot read and other sites cannot send."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login", response_class=HTMLResponse)
    def form(request: Request, next: str = "/") -> str:
        return render("login.html", request, next=_local(next), wrong=False)

    @routes.post("/login", response_class=HTMLResponse)
    def enter(request: Request, token: Field = "", next: Field = "/") -> Response:
        session = access.start_session(token.strip(), now())
        if session is None:
            return HTMLResponse(render("login.html", request, next=_local(next), wrong=True), 401)
        answer = RedirectResponse(_local(next), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, session, max_age=int(SESSION.total_seconds()), secure=secure, httponly=True, samesite="strict")
        return answer

    @routes.post("/logout")
    def leave(person: Viewer, csrf: Field = "") -> Response:
        if not confirms(person, csrf):
            raise HTTPException(403, "this form is not from this session")
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return routes


def episode_page(request: Request, platform: Platform, id: str, refusal: str = "", shelving: str = "") -> str:
    """The page of one episode. `refusal`, `shelving`: what was wrong with the feedback or the shelf that was sent."""
    found, now = find_episode(platform, id), platform.clock.now()
    scale = max((abs(c.share) for c in found.contributions), default=1.0) or 1.0
    asset = platform.assets.get(found.asset)
    return render(
        "episode.html",
        request,
        e=found,
        scale=scale,
        stands=standing(platform, found, now),
        variables=asset.variables if asset else {},
        refusal=refusal,
        shelving=shelving,
        now=now,
    )


def _body(**fields: object) -> views.FeedbackBody:
    """What the form sent; who names an action has acted."""
    try:
        return views.FeedbackBody.model_validate(fields)
    except ValidationError as fault:
        words = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in fault.errors())
        raise HTTPException(422, words) from fault


def _local(target: str) -> str:
    """Only our own pages: a login must not lead anywhere else."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else "/"
