"""What the front page says of the form that led to it, and how it is taken back."""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from alerting.console.rendering import lead_back
from alerting.ports import Platform

NOT_NOTIFIED_WITHIN = timedelta(hours=24)
DONE_COOKIE = "alerting-done"
"""What a form of the front page did, until that page says it."""
_DONE = re.compile(r"seen\.\d{1,4}|(?:right|wrong|answer|mute)\.\w{1,100}", re.ASCII)


class Toast(NamedTuple):
    """What a form did; `address`: of the form that takes it back or changes it, empty if that
    cannot be done, as an acknowledgement is stored for ever."""

    deed: str
    number: int = 0
    until: datetime | None = None
    address: str = ""


def read_toast(request: Request, platform: Platform) -> Toast | None:
    """Return what the form did that led a browser to the front page; None for a page that is
    fetched to be shown anew, which may be another one of the browser."""
    done = request.cookies.get(DONE_COOKIE, "")
    is_opened = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    if not is_opened or not _DONE.fullmatch(done):
        return None
    deed, _, subject = done.partition(".")
    if deed == "seen":
        return Toast(deed, number=int(subject))
    if deed != "mute":
        return Toast(deed, address=f"/episodes/{subject}/feedback")
    mute = platform.mutes.get(subject)
    if mute is None or mute.phase(platform.clock.now()) != "present":
        return None
    return Toast(deed, until=mute.until, address=f"/mutes/{mute.id}/end")


def lead_on(next: str, otherwise: str, done: str) -> Response:
    """Return the way to the page whose form was sent; the front page then says what was done."""
    address = lead_back(next, otherwise)
    answer = RedirectResponse(address, 303)
    if not address.startswith("/episodes/"):
        answer.set_cookie(DONE_COOKIE, done, max_age=30, httponly=True, samesite="lax")
    return answer
