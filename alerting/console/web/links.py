"""Feedback links: the page shows the action, its button performs it, without login."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served
from alerting.console.api.parameters import FormField
from alerting.console.attempts import WITHIN, RateLimit, client_of
from alerting.console.gate import LINKS
from alerting.console.web.pages import recognition_of
from alerting.console.web.rendering import render
from alerting.definitions.wording.language import translatable
from alerting.notifications.links import LinkRefused
from alerting.usecases.episodes.recognition import all_advice
from alerting.usecases.operators.links import LABELS, has_answered, open_link, use_link

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
        and any(one.changes for one in all_advice(episode))
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
