"""Feedback links of messages: the page says what a tap will do; only the button does it. No login: the address permits it."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.api import Served
from alerting.console.gate import LINKS
from alerting.console.rendering import render
from alerting.pipelines.links import WORDS, LinkRefused, has_answered, open_link, use_link
from alerting.pipelines.ports import Platform

REQUESTS, WITHIN = 30, timedelta(minutes=1)
_KNOWN = 10_000
_HEADERS = {"referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}


class RateLimit:
    """At most so many requests of one client within a time; the memory of it is bounded."""

    def __init__(self, requests: int = REQUESTS, within: timedelta = WITHIN) -> None:
        self._requests, self._within = requests, within
        self._seen: dict[str, deque[datetime]] = {}

    def allows(self, client: str, now: datetime) -> bool:
        """Count a request; False when it is one too many."""
        times = self._seen.setdefault(client, deque())
        while times and times[0] <= now - self._within:
            times.popleft()
        if len(times) >= self._requests:
            return False
        times.append(now)
        if len(self._seen) > _KNOWN:
            self._forget(now)
        return True

    def _forget(self, now: datetime) -> None:
        idle = [client for client, times in self._seen.items() if not times or times[-1] <= now - self._within]
        for client in idle or list(self._seen)[: _KNOWN // 10]:
            del self._seen[client]


def link_routes(now: Callable[[], datetime]) -> APIRouter:
    """GET shows, POST acts."""
    routes, limit = APIRouter(include_in_schema=False), RateLimit()

    def check(request: Request) -> None:
        client = request.client.host if request.client else ""
        if not limit.allows(client, now()):
            raise HTTPException(429, "too many requests; wait a minute", {"retry-after": str(int(WITHIN.total_seconds()))})

    @routes.get(LINKS + "{token}", response_class=HTMLResponse)
    def show(token: str, request: Request, platform: Served) -> Response:
        check(request)
        return _page(request, platform, token, done=False)

    @routes.post(LINKS + "{token}", response_class=HTMLResponse)
    def act(token: str, request: Request, platform: Served, confirm: Annotated[str, Form()] = "") -> Response:
        check(request)
        if confirm != "yes":
            raise HTTPException(422, "open the link and confirm on its page")
        try:
            use_link(platform, token, platform.clock.now())
        except LinkRefused as refusal:
            raise HTTPException(410, str(refusal)) from refusal
        return _page(request, platform, token, done=True)

    return routes


def _page(request: Request, platform: Platform, token: str, done: bool) -> Response:
    try:
        grant, episode = open_link(platform, token)
    except LinkRefused as refusal:
        raise HTTPException(410, str(refusal)) from refusal
    said = done or has_answered(grant, episode)
    page = render("link.html", request, e=episode, grant=grant, answer=WORDS[grant.purpose], said=said, now=platform.clock.now())
    return HTMLResponse(page, headers=_HEADERS)
