"""Rendering of pages from templates, in which all text written by people is escaped; the reading of
forms that pages send; stylesheets and scripts; and addresses below a path of the public address.

Of the scripts (our own modules, and Swagger UI from an installed package) only listed files
are served, each with a tag of its content, so that a browser asks again and gets a short answer
while it has not changed.

The console may lie below a path, as https://plant.example/alerting. Inside, every address begins
with `/`. On the way in the prefix is removed, if the proxy has left it; on the way out it is put
before addresses in pages (`prefixed`, which `render` calls), redirects and cookies, and by
`address_of` in answers of the API. Scripts use addresses relative to their own.
"""

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context, Macro
from markupsafe import Markup, escape
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.console.access import Person, confirms, require
from alerting.console.api.parameters import FormField
from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import (
    ENGLISH,
    LANGUAGES,
    NATIVE_NAMES,
    Language,
    LanguageCode,
    Translatable,
    format_threshold,
    language,
    preferred_language,
    translatable,
)
from alerting.episodes.episode import Episode
from alerting.operators.account_rules import Permission
from alerting.recommendation.variable_text import (
    describe_unusual,
    quantity_name,
    quantity_usual,
    quantity_value,
)
from alerting.reporting import phrases, sentences
from alerting.reporting.charts import figure
from alerting.reporting.model_charts import bars_plot
from alerting.reporting.templates import TEXT_FILTERS, count, in_language, say, worded

COOKIE = "alerting_language"
PATH = "/language"
HELP = "/help"


def language_of(request: Request, now: datetime | None = None) -> Language:
    """Return the language in which a page is shown to the person of a request, with the clock of
    their zone: as seen from `now`, with dates if that is None."""
    person = getattr(request.state, "person", None)
    code = (
        person.language if person is not None and person.language else request.cookies.get(COOKIE)
    )
    if code not in LANGUAGES:
        usual: LanguageCode = getattr(request.app.state, "language", "en")
        code = preferred_language(request.headers.get("accept-language", ""), usual)
    return language(code).with_clock(zone_of(request), now)


def language_routes() -> APIRouter:
    """Return the route that remembers a choice, also of the login page, without login."""
    routes = APIRouter(include_in_schema=False)

    @routes.post(PATH)
    def choose(
        language: Annotated[LanguageCode, Form()], next: Annotated[str, Form(max_length=2000)] = "/"
    ) -> Response:
        answer = RedirectResponse(local_target(next), 303)
        answer.set_cookie(COOKIE, language, max_age=365 * 86_400, httponly=True, samesite="lax")
        return answer

    return routes


class MenuEntry(NamedTuple):
    """An entry of the menu: address, name, and the permission that it needs; the group under which
    it is folded, if any."""

    address: str
    name: str
    permission: Permission
    group: str = ""


IN_ENGLISH = (
    *("definitions/editor.html", "definitions/form.html", "definitions/starts.html"),
    *("documents/editor.html", "documents/source_editor.html", "assets/edit.html"),
    *("documents/source.html", "documents/sinks.html", "documents/sink.html"),
    *("imports/import.html", "imports/import_job.html"),
    *("web/model_act.html", "web/audit.html"),
)
"""Pages that only engineers see."""
PERFORMANCE = translatable("Performance")
SET_UP = translatable("Set up")
MENU = (
    MenuEntry("/", translatable("Now"), "read"),
    MenuEntry("/handover", translatable("Hand-over"), "read"),
    MenuEntry("/mutes", translatable("Mutes"), "read"),
    MenuEntry("/assets", translatable("Assets"), "read"),
    MenuEntry("/trends", translatable("Trends"), "read"),
    MenuEntry("/definitions", translatable("Definitions"), "read"),
    MenuEntry("/models", translatable("Models"), "read"),
    MenuEntry("/plant", translatable("Plant"), "read", group=PERFORMANCE),
    MenuEntry("/kpi", translatable("Alarm quality"), "read", group=PERFORMANCE),
    MenuEntry("/reports", translatable("Reports"), "read", group=PERFORMANCE),
    MenuEntry("/routes", translatable("Routes"), "configure", group=SET_UP),
    MenuEntry("/sources", translatable("Sources"), "configure", group=SET_UP),
    MenuEntry("/sinks", translatable("Sinks"), "configure", group=SET_UP),
    MenuEntry("/platform", translatable("Platform"), "configure", group=SET_UP),
    MenuEntry("/audit", translatable("Audit"), "configure", group=SET_UP),
    MenuEntry("/access", translatable("Access"), "administer", group=SET_UP),
)
MENU_BELOW = {
    "/new-mute": "/mutes",
    "/new-asset": "/assets",
    "/import": "/assets",
    "/new-source": "/sources",
    "/new-sink": "/sinks",
    "/new-route": "/routes",
}
"""The entry of the menu to which a page belongs whose address does not begin with its own."""
STYLED = (
    *("web", "models", "trends", "imports", "definitions", "assets", "routes", "now", "live"),
    "mutes",
    "help",
)
"""Folders of pages with a stylesheet; rules of a folder name a class of its pages alone."""
_MADE: dict[tuple[object, ...], tuple[object, Language, str]] = {}
"""Parts of pages by macro, episode or other thing, texts, minute, zone and language, with the thing
and the language themselves."""
ROLE_NAMES = {
    "sender": translatable("sender"),
    "viewer": translatable("viewer"),
    "operator": translatable("operator"),
    "engineer": translatable("engineer"),
    "admin": translatable("administrator"),
}


def render(template: str, request: Request, **values: Any) -> str:
    """Return a page for a person (None before login) in their language and `zone`."""
    person = getattr(request.state, "person", None)
    page = _environment().get_template(template)
    language = language_of(request, values.get("now"))
    if str(page.filename).endswith(IN_ENGLISH):
        language = replace(ENGLISH, clock=language.clock)
    lead = help_leads().get(getattr(request.scope.get("route"), "path", ""), "")
    shared = {
        "person": person,
        "zone": zone_of(request),
        "line_clock": request.app.state.line_clock.describe(language) if person else None,
        "age_of_readings": request.app.state.line_clock.age_of_readings() if person else None,
        "language": language,
        "plant": getattr(request.state, "plant", None),
        "menu": MENU,
        "menu_below": MENU_BELOW,
        "menu_groups": (PERFORMANCE, SET_UP),
        "help": f"{HELP}/{lead}".rstrip("/"),
    }
    address = page_address(request)
    path = urlsplit(address).path
    return prefixed(page.render(path=path, own_address=address, **shared, **values))


@pass_context
def render_again(
    page: Context, macro: Macro, thing: Episode | tuple[Episode, ...], *texts: str | int
) -> str:
    """Return the output of a macro for an episode or several, with some texts or numbers. The same
    call within a minute of the line returns the stored output, because pages show the same alarms
    again and again.

    The macro must read nothing else of the page but `now`, `zone`, `language`, and values that are
    the same on all pages.
    """
    now: datetime = page["now"]
    language: Language = page["language"]
    minute = int(now.timestamp()) // 60
    # an episode, which is large, by its place in memory: the stored output keeps it alive
    key = (
        macro.name,
        tuple(map(id, thing)) if isinstance(thing, tuple) else id(thing),
        texts,
        minute,
        page["zone"].key,
        language.code,
    )
    made = _MADE.get(key)
    if made is None or made[1].texts is not language.texts:
        if len(_MADE) >= 1000:
            _MADE.clear()
        made = _MADE[key] = thing, language, macro(thing, *texts)
    return made[2]


def zone_of(request: Request) -> ZoneInfo:
    """Return the time zone of pages for the person of a request: their own, else the zone of the
    platform."""
    person = getattr(request.state, "person", None)
    usual: ZoneInfo = request.app.state.zone
    return ZoneInfo(person.zone) if person is not None and person.zone else usual


def page_address(request: Request) -> str:
    """Return path and query of a page, for a form, of the page from which it was sent; without the
    query if both are longer than 2,000 characters."""
    sent_from = request.headers.get("referer", "") if request.method == "POST" else str(request.url)
    parts = urlsplit(sent_from)
    address = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return parts.path if len(address) > 2000 else address


@cache
def help_leads() -> Mapping[str, str]:
    """Return the paragraph of the documents about each page: its address below `HELP`, by the path
    of the page's route."""
    folder = files("alerting.console").joinpath("templates", "help")
    return tomllib.loads(folder.joinpath("leads.toml").read_text("utf-8"))


@cache
def stylesheet() -> str:
    """Return the stylesheet of all pages: the rules for every page, then the rules of single
    folders."""
    pages = files("alerting.console").joinpath("templates")
    sheets = [pages.joinpath(folder, "style.css") for folder in STYLED]
    sheets.append(files("alerting.reporting").joinpath("page", "chart.css"))
    return menu_style() + "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


@cache
def menu_style() -> str:
    """Return the design tokens and the rules of the menu, which stands on reports as well."""
    folder = files("alerting.console").joinpath("templates", "web")
    return "".join(folder.joinpath(name).read_text("utf-8") for name in ("tokens.css", "menu.css"))


@cache
def _environment() -> Environment:
    folders = ("templates", "templates/web", "templates/imports")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("alerting.console", folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean_value,
        auto_reload=False,
    )
    environment.globals.update(
        _=say,
        _n=count,
        render_again=render_again,
        languages={code: NATIVE_NAMES[code] for code in LANGUAGES},
    )
    environment.filters.update(
        TEXT_FILTERS | _line_filters(),
        bars=in_language(
            lambda language, c: figure([bars_plot(c, language)], c.description, language)
        ),
        quoted=partial(quote, safe=""),
        instant=_in_page_zone(phrases.instant),
        moment=_in_page_zone(phrases.moment),
        sentence=lambda text: text[:1].upper() + text[1:],
        span=in_language(
            lambda language, d: phrases.seconds(None if d is None else d.total_seconds(), language)
        ),
        stamp=in_language(lambda language, tag: language.show(_read_stamp(tag))),
        when=in_language(lambda language, at: language.instant(at)),
        distance=pass_context(
            lambda page, value: phrases.distance(value, page["now"], page["language"])
        ),
        full=sentences.sentence,
        in_english=in_language(
            lambda language, text: replace(ENGLISH, clock=language.clock).translate(text)
        ),
        step=in_language(
            lambda language, episode: _translate_text(language, sentences.what_to_do(episode))
        ),
        dated_step=in_language(
            lambda language, episode: language.translate(sentences.step_with_time(episode) or "")
        ),
        quantity_name=in_language(
            lambda language, shown: _translate_text(language, quantity_name(shown))
        ),
        quantity_value=in_language(
            lambda language, shown: language.translate(quantity_value(shown))
        ),
        quantity_usual=in_language(
            lambda language, shown: language.translate(quantity_usual(shown))
        ),
        clock=_in_page_zone(lambda value, zone: f"{value.astimezone(zone):%H:%M}"),
        headline=sentences.headline,
        headline_as_of=sentences.headline_as_of,
        observed=sentences.observed_variable,
        is_advice_of_before=sentences.is_advice_of_before,
        happened=sentences.describe_happened,
        range=in_language(lambda language, start, end: language.interval(start, end)),
        state=in_language(lambda language, state: language.translate(sentences.STATE_NAMES[state])),
        answer=worded(sentences.answer),
        signed=in_language(
            lambda language, share: f"{'+' if share >= 0 else '-'}{language.points(abs(share))}"
        ),
        unusual=in_language(lambda language, value: language.translate(describe_unusual(value))),
        threshold=in_language(lambda language, value: language.digits(format_threshold(value))),
        verdict=in_language(lambda language, v: language.translate(phrases.VERDICT_NAMES[v])),
        role=in_language(lambda language, role: language.translate(ROLE_NAMES[role])),
        day=in_language(lambda language, day: language.day(day)),
        about=in_language(lambda language, value: language.minutes(value or timedelta(0))),
    )
    environment.tests["translatable"] = lambda text: isinstance(text, Translatable)
    return environment


def _line_filters() -> dict[str, Any]:
    """Return the filters that say the last value of a drawn line, and its limit."""
    return {
        "present_value": in_language(lambda language, line: line.describe(language)),
        "tile_value": in_language(
            lambda language, line: replace(line, direction=None, title=None).describe(language)
        ),
        "present_limit": in_language(lambda language, line: line.describe_limit(language)),
    }


def _translate_text(language: Language, text: str | None) -> str | None:
    return None if text is None else language.translate(text)


def _read_stamp(tag: str) -> datetime | str:
    """Return the instant of a tag; the tag itself, which anybody may write, if it is none."""
    try:
        at = datetime.fromisoformat(tag)
    except ValueError:
        return tag
    return at if at.tzinfo else tag


def _clean_value(value: Any) -> Any:
    """Return cleaned text of documents for pages; markup of the platform passes unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return escape(clean_text(value))


def _in_page_zone(format_value: Callable[..., str]) -> Callable[..., str]:
    return pass_context(lambda page, *values: format_value(*values, page["zone"]))


def submitted_by(permission: Permission) -> Callable[..., object]:
    """Return a dependency that gives the person of a form with this permission: the person of the
    session, or on a shared device the person who signs with `signer` and `pin`.

    It raises HTTPException 403 for a form that this console did not make for the session, and for a
    form that a shared device must not send; NotSigned, with a page that asks for name and PIN and
    holds all that was typed, until name and PIN are right.
    """
    needed = require(permission)

    async def person(
        request: Request, csrf: FormField = "", signer: FormField = "", pin: FormField = ""
    ) -> Person:
        sender: Person | None = request.state.person
        to_be_signed = sender is not None and sender.signs and permission == "operate"
        if sender is None or not to_be_signed:
            sender = await needed(request)
        if not confirms(sender, csrf):
            raise HTTPException(
                403,
                translatable(
                    "this form belongs to another session; open the page again and repeat"
                ),
            )
        if sender.device is None:
            return sender
        if not to_be_signed:
            raise HTTPException(
                403,
                translatable("this cannot be done on a shared device; log in with your password"),
            )
        typed = [
            (name, value)
            for name, value in (await request.form()).multi_items()
            if name not in {"csrf", "signer", "pin"} and isinstance(value, str)
        ]
        # of `login`, which uses this module
        signed: Person = await run_in_threadpool(
            request.app.state.sign, request, sender, signer, pin, typed
        )
        return signed

    # a test looks for routes without
    person.permission = permission  # type: ignore[attr-defined]
    return person


FormViewer = Annotated[Person, Depends(submitted_by("read"))]
FormOperator = Annotated[Person, Depends(submitted_by("operate"))]
FormEngineer = Annotated[Person, Depends(submitted_by("configure"))]
FormAdministrator = Annotated[Person, Depends(submitted_by("administer"))]


def read_revision(text: str) -> int:
    """Return the number of the revision that a form was made from. Raises UserError for none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise UserError("the form does not name a revision; open the page again")
    return int(text)


_PREFIX: ContextVar[str] = ContextVar("prefix", default="")
_PAGE_LINK = re.compile(
    r'(\s(?:href|src|action|formaction)="|\scontent="[0-9]+; url=)/(?!/)', re.IGNORECASE
)
_COOKIE_PATH = re.compile(r"(;\s*path=)(/[^;]*)", re.IGNORECASE)


class HttpMiddleware(ABC):
    """Middleware of requests; all else goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._serve if scope["type"] == "http" else self._app
        await answer(scope, receive, send)

    @abstractmethod
    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""


def when_started(send: Send, act: Callable[[Message], object]) -> Send:
    """Return a sender that calls `act` with the beginning of the answer before it is sent."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            act(message)
        await send(message)

    return sending


class Prefix(HttpMiddleware):
    """Middleware that serves an application below a path; both `/prefix/x` and `/x` reach it."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        super().__init__(app)
        self._prefix = prefix

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        _PREFIX.set(self._prefix)
        await self._app(self._inner(scope), receive, when_started(send, self._set_before))

    def _inner(self, scope: Scope) -> Scope:
        inner = {**scope, "path": without_prefix(scope["path"], self._prefix)}
        if raw := scope.get("raw_path"):
            inner["raw_path"] = without_prefix(raw.decode("latin-1"), self._prefix).encode(
                "latin-1"
            )
        headers = MutableHeaders(raw=list(scope["headers"]))
        if (referer := headers.get("referer")) is not None:
            parts = urlsplit(referer)
            page = parts._replace(path=without_prefix(parts.path, self._prefix))
            headers["referer"] = page.geturl()
        return {**inner, "headers": headers.raw}

    def _set_before(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        location = headers.get("location", "")
        if location.startswith("/") and not location.startswith("//"):
            headers["location"] = self._prefix + location
        for number, (name, value) in enumerate(headers.raw):
            if name == b"set-cookie":
                text = _COOKIE_PATH.sub(
                    lambda match: match[1] + self._prefix + match[2].rstrip("/"),
                    value.decode("latin-1"),
                )
                headers.raw[number] = (name, text.encode("latin-1"))


def prefix_of(public_url: str | None) -> str:
    """Return the path of the public address, such as `/alerting`; empty without one."""
    return urlsplit(public_url or "").path.rstrip("/")


def require_free(prefix: str, routes: Iterable[BaseRoute]) -> None:
    """Raise UserError if own pages begin as the prefix does, because proxies may keep or remove
    it."""
    first = prefix.split("/")[1]
    if any(getattr(route, "path", "/").split("/")[1] == first for route in routes):
        raise UserError(
            f"ALERTING_PUBLIC_URL: pages of the console have addresses that begin with /{first}; "
            "give another path, for example /alerting"
        )


def without_prefix(path: str, prefix: str) -> str:
    """Return a path as the application knows it."""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path.removeprefix(prefix) or "/"
    return path


def prefixed(page: str) -> str:
    """Return a page whose links, forms and scripts have the prefix of this request."""
    prefix = _PREFIX.get()
    return _PAGE_LINK.sub(rf"\1{prefix}/", page) if prefix else page


def address_of(path: str) -> str:
    """Return an address of the console with the prefix of this request, for programs."""
    return _PREFIX.get() + path


# the front page with filters, or an alarm, and a part of it
_BACK = re.compile(r"/(episodes/\w{1,100})?(\?[\w=&%+.~-]{0,1500})?(#[\w-]{1,100})?", re.ASCII)


def lead_back(address: str, otherwise: str) -> str:
    """Return the address to show after a form was sent: the front page or an alarm, else
    `otherwise`."""
    return address if address and _BACK.fullmatch(address) else otherwise


def local_target(target: str) -> str:
    """Return the target if it is a page of the console, else `/`: never another site."""
    return (
        target
        if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
        else "/"
    )


def address_with(path: str, values: Mapping[str, object]) -> str:
    """Return an address with those values that are not empty as its query."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path
