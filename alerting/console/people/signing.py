"""Signing on a shared device: a form is sent again with the name and PIN of a person."""

from dataclasses import replace
from datetime import timedelta
from math import ceil
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from alerting.console.access import Person
from alerting.console.login import NOT_CONFIDENTIAL, entrance_of, local_target
from alerting.console.transport import is_confidential
from alerting.console.web.rendering import render
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import ACTION_NAMES
from alerting.operators.people import TooManyPins, WrongPin
from alerting.usecases.access.devices import list_signers, sign_by_pin

_NAMES = {
    "ack": ACTION_NAMES["acknowledge"],
    "acknowledge": ACTION_NAMES["acknowledge"],
    "close": ACTION_NAMES["close"],
    "mute": ACTION_NAMES["mute"],
    "end": ACTION_NAMES["unmute"],
    "feedback": translatable("answer"),
    "misses": translatable("report a missed problem"),
    "note": translatable("write a note of the shift"),
    "send": translatable("send the hand-over"),
}
"""Names of forms, by the last part of their address; others are shown without."""
_REMEMBERED_FOR = timedelta(minutes=10)
"""For so long the person who signed last on a device is proposed."""
_TEXTS = ("verdict", "preset", "lasting", "reason", "action", "comment", "text")
"""Fields that the page shows again before they are signed."""


class NotSigned(Exception):
    """A form of a shared device waits for name and PIN. `page`: which asks for them."""

    def __init__(self, page: HTMLResponse) -> None:
        super().__init__()
        self.page = page


def sign_forms(app: FastAPI) -> None:
    """Let forms on shared devices be signed."""
    app.state.sign = sign
    app.add_exception_handler(NotSigned, lambda _, fault: fault.page)


def sign(
    request: Request, device: Person, name: str, pin: str, typed: list[tuple[str, str]]
) -> Person:
    """Return the person who signs a form on a device, with the rights of an operator.

    `typed`: the other fields of the form, which the page holds until name and PIN are right. Raises
    NotSigned until then.
    """
    entrance = entrance_of(request)
    now = entrance.now()
    if not is_confidential(request, entrance.public_url):
        raise NotSigned(_page(request, device, name, typed, NOT_CONFIDENTIAL, 403))
    if not name or not pin:
        raise NotSigned(_page(request, device, name, typed))
    try:
        signer = sign_by_pin(
            entrance.platform, entrance.passwords, device.name, name, pin.strip(), now
        )
    except WrongPin as refusal:
        request.state.refused = ("sign-in refused", name, "wrong name or PIN")
        raise NotSigned(_page(request, device, name, typed, refusal.message, 401)) from refusal
    except TooManyPins as refusal:
        request.state.refused = ("sign-in refused", name, "too many wrong PINs")
        page = _page(request, device, name, typed, refusal.message, 429)
        page.headers["retry-after"] = str(ceil(refusal.wait.total_seconds()))
        raise NotSigned(page) from refusal
    return replace(device, name=signer.id, role="operator", display_name=signer.display_name)


def _page(
    request: Request,
    device: Person,
    name: str,
    typed: list[tuple[str, str]],
    refusal: str = "",
    status: int = 200,
) -> HTMLResponse:
    platform = entrance_of(request).platform
    account = platform.accounts.get(device.name)
    since = None if account is None else account.signed_at
    is_recent = since is not None and entrance_of(request).now() - since < _REMEMBERED_FOR
    back = urlsplit(request.headers.get("referer", "")).path
    page = render(
        "sign.html",
        request,
        action=request.url.path,
        deed=_NAMES.get(request.url.path.rpartition("/")[2], ""),
        typed=typed,
        texts=[(field, value) for field, value in typed if field in _TEXTS and value],
        signers=list_signers(platform),
        chosen=name or (account.signer if account and is_recent else None),
        refusal=refusal,
        confidential=is_confidential(request, entrance_of(request).public_url),
        back=local_target(back) if back != request.url.path else "/",
    )
    return HTMLResponse(page, status)
