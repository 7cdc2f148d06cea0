"""Sign-in by the plant's directory (OpenID Connect), and log-out from there and to there."""

import hmac
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from itsdangerous import BadData, URLSafeSerializer

from alerting.console.attempts import client_of
from alerting.console.gate import COOKIE
from alerting.console.login import (
    DIRECTORY_LOGIN,
    LONGEST,
    entrance_of,
    local_target,
    login_page,
)
from alerting.console.transport import is_https
from alerting.console.web.rendering import render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.directory import (
    BEGUN_LASTS,
    BegunSignIn,
    DirectoryDown,
    DirectoryPerson,
    DirectoryRefused,
)
from alerting.operators.people import SESSION_LASTS
from alerting.readings.instants import from_millis, to_millis
from alerting.usecases.access.directory import sign_in_from_directory, sign_out_from_directory
from alerting.usecases.access.sign_in import record_sign_in

if TYPE_CHECKING:
    from alerting.adapters.oidc import OidcProvider

pages = APIRouter(include_in_schema=False)
BEGUN = "alerting_directory"
"""Cookie of a sign-in that this browser has begun."""
LONGEST_CODE = 4000
Parameter = Annotated[str, Query(max_length=LONGEST_CODE)]


@pages.get(DIRECTORY_LOGIN)
async def begin(
    request: Request, next: Annotated[str, Query(max_length=LONGEST)] = "/"
) -> Response:
    """Send the browser to the provider, with a cookie that only the answer to it can use."""
    provider = _provider_of(request)
    entrance = entrance_of(request)
    now = entrance.now()
    try:
        begun = await provider.begin(now)
    except DirectoryRefused as fault:
        return await run_in_threadpool(_refuse, request, fault, fault.why, next)
    answer = RedirectResponse(begun.address, 303)
    answer.set_cookie(
        BEGUN,
        _seal(provider, begun, local_target(next), now),
        max_age=int(BEGUN_LASTS.total_seconds()),
        path=DIRECTORY_LOGIN,
        secure=is_https(request, entrance.public_url),
        httponly=True,
        samesite="lax",  # the browser comes back from another site
    )
    return answer


@pages.get(f"{DIRECTORY_LOGIN}/back", response_class=HTMLResponse)
async def come_back(
    request: Request,
    code: Parameter = "",
    state: Parameter = "",
    iss: Parameter = "",
    error: Annotated[str, Query(max_length=LONGEST)] = "",
) -> Response:
    """Finish the sign-in that this browser has begun: its cookie is good once."""
    provider = _provider_of(request)
    entrance = entrance_of(request)
    target = "/"
    try:
        begun, target, begun_at = _unseal(provider, request.cookies.get(BEGUN, ""), state)
        if error or not code:
            why = f"the provider answered {error[:60] or 'without a code'}"
            message = translatable("{title} did not sign you in.", title=provider.settings.title)
            raise DirectoryRefused(why, message)
        now = entrance.now()
        person = await provider.finish(code, iss, begun.nonce, begun.verifier, now)
        answer = await run_in_threadpool(_enter, request, provider, person, begun_at, target)
    except DirectoryRefused as fault:
        answer = await run_in_threadpool(_refuse, request, fault, fault.why, target)
    answer.delete_cookie(BEGUN, path=DIRECTORY_LOGIN, httponly=True, samesite="lax")
    return answer


@pages.get(f"{DIRECTORY_LOGIN}/out", response_class=HTMLResponse)
async def log_out_there(request: Request) -> Response:
    """Send a browser that is logged out here to the provider, to be logged out there."""
    provider = _provider_of(request)
    try:
        address = await provider.logout_address(entrance_of(request).now())
    except DirectoryRefused:
        address = None
    if address is None:
        return RedirectResponse("/login", 303)
    name = provider.settings.title
    return HTMLResponse(render("leaving.html", request, address=address, directory=name))


@pages.post(f"{DIRECTORY_LOGIN}/logout")
async def end_everywhere(
    request: Request, logout_token: Annotated[str, Form(max_length=20_000)]
) -> Response:
    """End all sessions of a person whom the provider has logged out (back-channel log-out).

    Only refused tokens count for the limit of an address: a provider may log out all at once.
    """
    entrance = entrance_of(request)
    provider = entrance.directory
    if provider is None:
        raise HTTPException(404)
    now = entrance.now()
    try:
        subject = await provider.read_logout(logout_token, now)
    except DirectoryRefused as fault:
        _check_limit(request)
        request.state.refused = ("log-out refused", "log-out of the directory", fault.why)
        return JSONResponse({"error": "invalid_request", "error_description": fault.why}, 400)
    identity = DirectoryPerson(provider.settings.issuer, subject, "", "", ()).identity
    await run_in_threadpool(sign_out_from_directory, entrance.platform, identity, now)
    return Response()


def _provider_of(request: Request) -> "OidcProvider":
    """Return the configured provider. Raises HTTPException 404 without one, 429 for too many
    requests of one address."""
    entrance = entrance_of(request)
    if entrance.directory is None:
        raise HTTPException(404)
    _check_limit(request)
    return entrance.directory


def _check_limit(request: Request) -> None:
    entrance = entrance_of(request)
    if not entrance.directory_requests.allows(client_of(request), entrance.now()):
        raise HTTPException(429, "too many sign-ins from this address; wait a minute")


def _enter(
    request: Request,
    provider: "OidcProvider",
    person: DirectoryPerson,
    begun_at: datetime,
    target: str,
) -> Response:
    entrance = entrance_of(request)
    now = entrance.now()
    client = client_of(request)
    try:
        account = sign_in_from_directory(
            entrance.platform, person, provider.settings.rules, begun_at, now
        )
    except UserError as fault:
        return _refuse(request, fault, str(fault), target, person.name)
    session = entrance.access.begin_session(account.id, now, client)
    record_sign_in(entrance.platform, account.id, client, now, f"by {provider.settings.title}")
    # a redirect would still count as coming from the provider, and the cookie would stay behind
    answer = HTMLResponse(render("sign_in.html", request, done=True, target=target))
    entrance.set_cookie(answer, request, COOKIE, session, SESSION_LASTS)
    return answer


def _refuse(
    request: Request, fault: UserError, why: str, target: str, name: str = "directory"
) -> Response:
    request.state.refused = ("sign-in refused", name, why)
    status = 503 if isinstance(fault, DirectoryDown) else 403
    return HTMLResponse(login_page(request, target, fault.message), status)


def _seal(provider: "OidcProvider", begun: BegunSignIn, target: str, now: datetime) -> str:
    fields = [begun.state, begun.nonce, begun.verifier, target, to_millis(now)]
    return _serializer(provider).dumps(fields)


def _unseal(provider: "OidcProvider", cookie: str, state: str) -> tuple[BegunSignIn, str, datetime]:
    """Return the sign-in of a cookie, its target and its time. Raises DirectoryRefused for a cookie
    that this platform did not make, and for an answer to another sign-in."""
    try:
        expected, nonce, verifier, target, begun_at = _serializer(provider).loads(cookie)
        if not hmac.compare_digest(expected.encode(), state.encode(errors="surrogatepass")):
            raise BadData("state")
    except (BadData, UnicodeError, ValueError):
        why = "the answer belongs to no sign-in that this browser has begun"
        message = translatable("This browser has not begun this sign-in, or too long ago.")
        raise DirectoryRefused(why, message) from None
    return BegunSignIn("", expected, nonce, verifier), local_target(target), from_millis(begun_at)


def _serializer(provider: "OidcProvider") -> URLSafeSerializer:
    return URLSafeSerializer(provider.secret, b"alerting sign-in by the directory")
