"""Log in with name and password, with a token, or by headers of a trusted proxy, which has asked
the plant's directory; and log out."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import ceil
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    model_validator,
)

from alerting.adapters.yaml_documents import read_yaml
from alerting.console.access import Access, Person, known_plant, person_of
from alerting.console.fault_responses import is_for_programs
from alerting.console.gate import COOKIE, DEVICE_COOKIE, READING, WrongAttempts, client_of
from alerting.console.rendering import FormViewer, local_target, page_address, render
from alerting.definitions.faults import DocumentRefused, UserError, shown
from alerting.definitions.wording.fault_messages import model_faults
from alerting.definitions.wording.language import translatable
from alerting.local.prepare import SIGN_IN_PATH, take_link
from alerting.operators.account_rules import (
    DEVICE_SESSION_LASTS,
    SESSION_LASTS,
    Account,
    TooManyPins,
    WrongPin,
)
from alerting.operators.actions_and_mutes import ACTION_NAMES, Role
from alerting.ports import AccessPorts, Platform
from alerting.settings.environment_variables import read_private_file
from alerting.usecases.access.accounts import (
    Passwords,
    admit_from_directory,
    begin_session,
    check_password,
    record_sign_in,
)
from alerting.usecases.access.devices_and_tokens import list_signers, sign_by_pin

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PASSED_ON = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""Headers of requests that a proxy passed on."""


def is_https(request: Request, public_url: str | None) -> bool:
    """Return whether the public address or the request is HTTPS, as proxies may hide it."""
    return (public_url or "").lower().startswith("https://") or request.url.scheme == "https"


def is_confidential(request: Request, public_url: str | None) -> bool:
    """Return whether no other machine can read this request: HTTPS, the public HTTPS address of a
    proxy, or an address of the browser's own machine without a proxy."""
    if request.url.scheme == "https":
        return True
    host = host_name(request)
    public = urlsplit(public_url or "")
    if public.scheme.lower() == "https" and host == public.hostname:
        return True
    return host in _LOOPBACK_NAMES and not is_passed_on(request)


def is_passed_on(request: Request) -> bool:
    """Return whether a proxy says that it passed this request on."""
    return any(name in request.headers for name in PASSED_ON)


def host_name(request: Request) -> str:
    """Return the host that the browser asked for, in lower case, without its port."""
    host = request.headers.get("host", "").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host


LONGEST = 2000
SignInField = Annotated[str, Form(max_length=LONGEST)]
KNOWN_BROWSER = "alerting_browser"
"""Cookie of a browser in which a person signed in by password: guesses from elsewhere then do not
slow it down."""
NOT_CONFIDENTIAL = translatable(
    "Passwords are taken over HTTPS only, because this connection can be read on its way. Open the "
    "address that begins with https, or sign in on the machine itself."
)
PASSWORD_BESIDE_DIRECTORY = translatable(
    "People sign in through the plant's directory. A password is only for an administrator, while "
    "the directory cannot be used."
)


routes = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Entrance:
    """Shared parts of the login routes. `public_url`: the address of the pages, if set.
    `directory`: the proxy by which people sign in, if one is configured."""

    platform: AccessPorts
    access: Access
    passwords: Passwords
    wrong_attempts: WrongAttempts
    now: Callable[[], datetime]
    public_url: str | None = None
    directory: "Directory | None" = None

    def takes_password_of(self, account: Account) -> bool:
        """Return whether this account may sign in with a password: beside a directory only an
        administrator, for the day on which the directory is away."""
        return self.directory is None or account.role == "admin"

    def signed_in(self, request: Request, session: str, target: str = "/") -> Response:
        """Redirect to a page of the console with this session as the browser's cookie."""
        answer = RedirectResponse(local_target(target), 303)
        self.set_cookie(answer, request, COOKIE, session, SESSION_LASTS)
        return answer

    def signed_in_by_password(
        self, request: Request, account: Account, target: str = "/"
    ) -> Response:
        """Begin a session of a person, and remember the browser."""
        now = self.now()
        session = self.access.begin_session(account.id, now, client_of(request))
        why = "" if self.directory is None else "with a password, beside the directory"
        record_sign_in(self.platform, account.id, client_of(request), now, why)
        answer = self.signed_in(request, session, target)
        cookie = _known_browser(account, secrets.token_hex(16))
        self.set_cookie(answer, request, KNOWN_BROWSER, cookie, timedelta(days=180))
        return answer

    def device_started(self, request: Request, device: Account) -> Response:
        """Begin the long session of a shared device in this browser."""
        session = begin_session(
            self.platform,
            device.id,
            self.now(),
            client_of(request),
            lasts=DEVICE_SESSION_LASTS,
        )
        answer = RedirectResponse("/", 303)
        self.set_cookie(answer, request, DEVICE_COOKIE, session, DEVICE_SESSION_LASTS)
        return answer

    def attempt_keys(self, request: Request, name: str) -> tuple[str, ...]:
        """Return the keys under which wrong passwords are counted: this browser if the person
        signed in with it before, else its address and the name."""
        cookie = request.cookies.get(KNOWN_BROWSER, "")
        account = self.platform.accounts.get(name)
        browser = cookie.partition(".")[0]
        if account is not None and hmac.compare_digest(
            _known_browser(account, browser).encode(), cookie.encode(errors="surrogatepass")
        ):
            return (f"browser {browser}",)
        return (client_of(request), f"name {name}")

    def set_cookie(
        self, answer: Response, request: Request, name: str, value: str, lasts: timedelta
    ) -> None:
        """Set a cookie that no script and no other site can use."""
        answer.set_cookie(
            name,
            value,
            max_age=int(lasts.total_seconds()),
            secure=is_https(request, self.public_url),
            httponly=True,
            samesite="strict",
        )


@routes.get("/login", response_class=HTMLResponse)
def form(request: Request, next: Annotated[str, Query(max_length=LONGEST)] = "/") -> str:
    """Return the form of the login."""
    return login_page(request, next, "")


@routes.post("/login", response_class=HTMLResponse)
def enter(
    request: Request,
    name: SignInField = "",
    password: SignInField = "",
    token: SignInField = "",
    next: SignInField = "/",
) -> Response:
    """Log in with a name and a password, or with a token."""
    if name or password:
        return _enter_by_password(request, name.strip().lower(), password, next)
    return _enter_by_token(request, token.strip(), next)


@routes.post("/logout")
def leave(request: Request, person: FormViewer) -> Response:
    """End the session of this browser."""
    entrance = entrance_of(request)
    account = entrance.platform.accounts.get(person.name)
    entrance.access.end_session(person)
    entrance.platform.audit.add(person.name, "signed out", person.name, entrance.now())
    directory = entrance.directory
    is_of_directory = account is not None and account.identity is not None
    target = directory.log_out if directory is not None and is_of_directory else None
    answer = RedirectResponse(target or "/login", 303)
    secure = is_https(request, entrance.public_url)
    answer.delete_cookie(COOKIE, secure=secure, httponly=True, samesite="strict")
    return answer


def entrance_of(request: Request) -> Entrance:
    """Return the parts of the login that all login routes share."""
    entrance: Entrance = request.app.state.entrance
    return entrance


def _enter_by_password(request: Request, name: str, password: str, target: str) -> Response:
    entrance = entrance_of(request)
    if not is_confidential(request, entrance.public_url):
        return HTMLResponse(login_page(request, target, NOT_CONFIDENTIAL), 403)
    now = entrance.now()
    attempt = entrance.wrong_attempts.begin(entrance.attempt_keys(request, name), now)
    if attempt.wait is not None:
        refusal = translatable(
            "Too many wrong passwords. Wait {seconds} s, then try again.",
            seconds=_seconds(attempt.wait),
        )
        return _too_many(request, target, refusal, attempt.wait)
    account = check_password(entrance.platform, entrance.passwords, name, password)
    if account is None:
        request.state.refused = ("sign-in refused", name, "wrong name or password")
        refusal = translatable("Name or password is wrong.")
        return HTMLResponse(login_page(request, target, refusal, name), 401)
    attempt.was_right()
    if not entrance.takes_password_of(account):
        request.state.refused = ("sign-in refused", name, "with a password, beside the directory")
        return HTMLResponse(login_page(request, target, PASSWORD_BESIDE_DIRECTORY, name), 403)
    return entrance.signed_in_by_password(request, account, target)


def _enter_by_token(request: Request, token: str, target: str) -> Response:
    entrance = entrance_of(request)
    client = client_of(request)
    now = entrance.now()
    person = entrance.access.find_by_token(token, now)
    owner = person.name if person else None
    if (wait := entrance.wrong_attempts.wait(client, owner, now)) is not None:
        refusal = translatable(
            "Your address sent too many wrong tokens. Wait {seconds} s, then try again.",
            seconds=_seconds(wait),
        )
        return _too_many(request, target, refusal, wait)
    entrance.wrong_attempts.record_attempt(client, owner, now)
    if person is None:
        request.state.refused = ("sign-in refused", "token", "wrong token")
        refusal = translatable("This token is not valid.")
        return HTMLResponse(login_page(request, target, refusal), 401)
    record_sign_in(entrance.platform, person.name, client, now)
    session = entrance.access.begin_session(person.name, now, client, token)
    return entrance.signed_in(request, session, target)


def _too_many(request: Request, target: str, refusal: str, wait: timedelta) -> Response:
    request.state.refused = ("sign-in refused", "too many attempts", "too many wrong ones before")
    return HTMLResponse(login_page(request, target, refusal), 429, {"retry-after": _seconds(wait)})


def _seconds(wait: timedelta) -> str:
    return str(ceil(wait.total_seconds()))


def login_page(request: Request, target: str, refusal: str, name: str = "") -> str:
    """Return the page of the login. `target`: the page to go on to."""
    entrance = entrance_of(request)
    people = any(
        account.kind == "person" and account.identity is None
        for account in entrance.platform.accounts.all()
    )
    return render(
        "login.html",
        request,
        next=local_target(target),
        refusal=refusal,
        name=name,
        by_password=people and is_confidential(request, entrance.public_url),
        directory=entrance.directory is not None,
    )


def _known_browser(account: Account, browser: str) -> str:
    """Return the cookie by which a browser of a person is known; the next password makes it
    void."""
    key = (account.password or secrets.token_hex(16)).encode()
    signed = f"{account.id}:{browser}".encode(errors="surrogatepass")
    return f"{browser}.{hmac.new(key, signed, hashlib.sha256).hexdigest()}"


_PREFERRED: tuple[Role, ...] = ("admin", "engineer", "operator", "viewer")


def sign_in_routes(
    access: Access,
    tokens: Mapping[str, tuple[str, Role]],
    folder: Path,
    now: Callable[[], datetime],
) -> APIRouter:
    """Return the route of the link. `folder`: where its hash is stored."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route(
        f"{SIGN_IN_PATH}{{code}}", methods=["GET", "HEAD"], response_class=HTMLResponse
    )
    def sign_in(code: str, request: Request) -> Response:
        if request.method == "HEAD":
            return Response()  # nor must a program that only looks
        if "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", "")):
            return Response(status_code=503)  # a browser that prefetches must not use up the link
        session = None
        people = [token for token, (_, role) in tokens.items() if role in _PREFERRED]
        if people and _is_local(request) and take_link(folder, code, now()):
            # may do all actions of the pages, and add the first people
            first = min(people, key=lambda token: _PREFERRED.index(tokens[token][1]))
            name = tokens[first][0]
            session = access.begin_session(name, now(), client_of(request), first)
            record_sign_in(entrance_of(request).platform, name, client_of(request), now())
        if session is None:
            return HTMLResponse(render("sign_in.html", request, done=False, target="/"), 410)
        answer = HTMLResponse(render("sign_in.html", request, done=True, target="/"))
        seconds = int(SESSION_LASTS.total_seconds())
        answer.set_cookie(COOKIE, session, max_age=seconds, httponly=True, samesite="strict")
        return answer

    return routes


def _is_local(request: Request) -> bool:
    """Return whether a request comes from this machine directly, without a proxy."""
    if is_passed_on(request) or request.client is None or host_name(request) not in _LOOPBACK_NAMES:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


_NAMES = {
    "ack": translatable("seen"),
    "acknowledge": translatable("seen"),
    "take": translatable("I take it over"),
    "close": ACTION_NAMES["close"],
    "mute": ACTION_NAMES["mute"],
    "end": ACTION_NAMES["unmute"],
    "feedback": translatable("answer"),
    "misses": translatable("report a missed problem"),
    "note": translatable("write a note of the shift"),
    "send": translatable("send the hand-over"),
}
"""Names of forms, by the last part of their address; others are shown without."""
_TEXTS = ("verdict", "preset", "lasting", "reason", "action", "comment", "text")
"""Fields that the page shows again before they are signed."""
_OF_MUTES = ("preset", "lasting")
"""Fields that an answer carries along, because the form to mute stands in it."""
_SHOWN = 5
"""Alarms that the page names; of more, their number."""


class NotSigned(Exception):
    """Error: a form of a shared device waits for name and PIN. Its argument: the page that asks for
    them."""


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
    # for so long the person who signed last on a device is proposed
    is_recent = since is not None and entrance_of(request).now() - since < timedelta(minutes=10)
    back = urlsplit(request.headers.get("referer", "")).path
    path, _, form = request.url.path.rpartition("/")
    is_answer = form in ("ack", "acknowledge", "feedback", "take")
    ids = [value for field, value in typed if field == "episode"] or [path.rpartition("/")[2]]
    plant: Platform = request.app.state.platform
    alarms = [e for id in ids[:_SHOWN] if (e := plant.episodes.get(id)) is not None]
    page = render(
        "sign.html",
        request,
        action=request.url.path,
        deed=_NAMES.get(form, ""),
        alarms=alarms,
        more=len(ids) - _SHOWN,
        asset_titles=known_plant(request, plant).asset_titles if alarms else {},
        now=entrance_of(request).now(),
        typed=typed,
        texts=[
            (field, value)
            for field, value in typed
            if value and field in _TEXTS and not (is_answer and field in _OF_MUTES)
        ],
        signers=list_signers(platform),
        chosen=name or (account.signer if account and is_recent else None),
        refusal=refusal,
        confidential=is_confidential(request, entrance_of(request).public_url),
        back=local_target(back) if back != request.url.path else "/",
    )
    return HTMLResponse(page, status)


LEAST_SECRET = 16
_Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]


_WIDEST = {4: 8, 6: 16}  # prefix of a network of proxies, by version


def _of_proxy(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return a network of proxies. Raises ValueError if it holds nearly every address."""
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(
            f"admits almost every address: {network}; write those of the proxy, such as 10.0.0.5"
        )
    return network


def _named_alone(group: str) -> str:
    """Return the name of a group. Raises ValueError if no header can name it: commas part groups,
    and an empty one is that of people without groups."""
    if not group or group != group.strip() or "," in group:
        raise ValueError(
            f"no header can name the group {shown(group)}: write a name without commas and outer "
            "spaces, and have the proxy send it"
        )
    return group


class Directory(BaseModel):
    """The proxy that signs people in, and the roles of their groups.

    `proxies`: addresses or networks from which its requests come; none: nobody signs in by it.
    `secret_file`: the secret that it sends in `secret_header`. `create`: whether a person without
    an account gets one. `log_out`: the address at which a browser is signed out of the proxy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    proxies: tuple[Annotated[IPvAnyNetwork, AfterValidator(_of_proxy)], ...] = Field(max_length=100)
    secret_file: Path
    secret_header: _Header = "X-Alerting-Proxy-Secret"  # noqa: S105 - the name of a header
    user_header: _Header = "X-Forwarded-User"
    groups_header: _Header = "X-Forwarded-Groups"
    groups: dict[
        Annotated[str, AfterValidator(_named_alone)],
        Literal["viewer", "operator", "engineer", "admin"],
    ] = Field(min_length=1, max_length=1000)
    create: bool = False
    log_out: str | None = Field(None, pattern=r"^(https:/)?/[!-.0-\[\]-~][!-~]{0,400}$")

    @model_validator(mode="after")
    def _has_three_headers(self) -> Self:
        names = (self.secret_header, self.user_header, self.groups_header)
        if len({name.lower() for name in names}) < len(names):
            raise ValueError(
                "secret_header, user_header and groups_header must name three different headers"
            )
        return self

    def read(self, request: Request) -> tuple[str, list[str]] | None:
        """Return the user whom the proxy names, and their groups. None if it names none, and for a
        request that does not come from the proxy, whose headers are not read.

        Raises UserError without the right secret, and for a header that is there twice.
        """
        peer = getattr(request.state, "peer", None)
        address = ip_address(peer.partition("%")[0]) if peer else None
        address = getattr(address, "ipv4_mapped", None) or address
        if address is None or not any(address in network for network in self.proxies):
            return None
        secret = _header_value(request, self.secret_header)
        user = _header_value(request, self.user_header)
        groups = _header_value(request, self.groups_header)
        if not hmac.compare_digest(secret.encode(), self.read_secret().encode()):
            raise UserError(translatable("the proxy did not send the right secret"))
        return (user, [group.strip() for group in groups.split(",")]) if user else None

    def read_secret(self) -> str:
        """Return the secret of the proxy. Raises UserError if it is too short, cannot be read, or
        others may read it."""
        named = f"ALERTING_DIRECTORY: secret_file {self.secret_file}"
        secret = read_private_file(self.secret_file, named)
        if len(secret) < LEAST_SECRET:
            raise UserError(f"{named}: less than {LEAST_SECRET} characters: openssl rand -hex 24")
        return secret


def open_directory(file: Path) -> Directory:
    """Return the directory of a settings file. Raises UserError with all its faults."""
    try:
        (document,) = read_yaml(file)
        directory = Directory.model_validate(document)
    except ValidationError as error:
        faults = model_faults(error.errors(), Directory.model_fields)
        raise DocumentRefused(str(file), faults) from error
    except ValueError as error:
        raise UserError(f"{file}: holds not one document of the directory") from error
    directory.read_secret()
    return directory


def enter_by_proxy(request: Request) -> Response | None:
    """Make the person whom the proxy names the sender of a request, whatever session it has.

    Returns the page that begins a session, or a refusal; None where the request goes on.
    """
    entrance = entrance_of(request)
    directory = entrance.directory
    sender = request.state.person
    now = entrance.now()
    client = client_of(request)
    try:
        named = None if directory is None else directory.read(request)
        if directory is None or named is None:
            if sender is not None and sender.identity is not None:
                request.state.person = None  # a session of the directory counts behind it alone
            return None
        account = admit_from_directory(
            entrance.platform, *named, directory.groups, now, create=directory.create
        )
    except UserError as fault:
        request.state.person = None
        request.state.refused = ("sign-in refused", "directory", str(fault))
        return HTMLResponse(login_page(request, "/", fault.message), 403)
    if sender is not None and sender.name == account.id:
        return None
    request.state.person = person_of(account)
    if is_for_programs(request):
        return None
    session = entrance.access.begin_session(account.id, now, client)
    record_sign_in(entrance.platform, account.id, client, now, "by the directory")
    is_page = request.method in READING and request.url.path != "/login"
    target = page_address(request) if is_page else "/"
    # a redirect would still count as coming from the login of the proxy, without the cookie
    answer = HTMLResponse(render("sign_in.html", request, done=True, target=target))
    entrance.set_cookie(answer, request, COOKIE, session, SESSION_LASTS)
    return answer


def _header_value(request: Request, header: str) -> str:
    """Return the value of a header, empty without it. Raises UserError for two of them."""
    values = request.headers.getlist(header)
    if len(values) > 1:
        raise UserError(translatable("the proxy sent the header {name} twice", name=header))
    return values[0].strip() if values else ""
