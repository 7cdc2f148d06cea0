"""Rendering of pages from templates, in which all text written by people is escaped, and the
reading of forms that they send.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context, Macro
from markupsafe import Markup, escape

from alerting.console.access import Person, confirms
from alerting.console.api.api import require
from alerting.console.api.parameters import FormField
from alerting.console.prefix import prefixed
from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import (
    ENGLISH,
    LANGUAGES,
    NATIVE_NAMES,
    Language,
    LanguageCode,
    format_threshold,
    language,
    preferred_language,
    translatable,
)
from alerting.episodes.episode import Episode
from alerting.operators.accounts import Permission
from alerting.operators.alarm_views import PartTiles
from alerting.recommendation.messages import (
    describe_unusual,
    quantity_name,
    quantity_usual,
    quantity_value,
)
from alerting.reporting import phrases, sentences
from alerting.reporting.templates import TEXT_FILTERS, count, in_language, say, worded

COOKIE = "alerting_language"
PATH = "/language"


def language_of(request: Request) -> Language:
    """Return the language in which a page is shown to the person of a request."""
    person = getattr(request.state, "person", None)
    if person is not None and person.language is not None:
        return language(person.language)
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return language(chosen)
    usual: LanguageCode = getattr(request.app.state, "language", "en")
    return language(preferred_language(request.headers.get("accept-language", ""), usual))


def language_routes() -> APIRouter:
    """Return the route that remembers a choice, also of the login page, without login."""
    routes = APIRouter(include_in_schema=False)

    @routes.post(PATH)
    def choose(
        language: Annotated[LanguageCode, Form()], next: Annotated[str, Form(max_length=2000)] = "/"
    ) -> Response:
        local = next.startswith("/") and not next.startswith(("//", "/\\")) and next.isprintable()
        answer = RedirectResponse(next if local else "/", 303)
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
)
"""Folders of pages with a stylesheet; rules of a folder name a class of its pages alone."""
_MOST_MADE = 1000
_LONGEST_ADDRESS = 2000
"""Characters of an address that a login or the choice of a language leads back to."""
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
    zone = zone_of(request)
    page = _environment().get_template(template)
    language = ENGLISH if str(page.filename).endswith(IN_ENGLISH) else language_of(request)
    clock = request.app.state.line_clock.describe(language) if person else None
    shared = {
        "person": person,
        "zone": zone,
        "line_clock": clock,
        "language": language,
        "plant": getattr(request.state, "plant", None),
        "menu": MENU,
        "menu_below": MENU_BELOW,
        "menu_groups": (PERFORMANCE, SET_UP),
    }
    address = page_address(request)
    path = urlsplit(address).path
    return prefixed(page.render(path=path, own_address=address, **shared, **values))


@pass_context
def render_again(
    page: Context, macro: Macro, thing: Episode | tuple[Episode, ...] | PartTiles, *given: str | int
) -> str:
    """Return what a macro makes of an episode, several ones or a part of the plant, and some texts
    or numbers; as before if it is asked the same again within a minute of the line: pages show the
    same alarms again and again.

    The macro must read nothing else of the page but `now`, `zone`, `language`, and what is the
    same on all pages.
    """
    now: datetime = page["now"]
    language: Language = page["language"]
    minute = int(now.timestamp()) // 60
    key = (macro.name, _identity(thing), given, minute, page["zone"].key, language.code)
    made = _MADE.get(key)
    if made is None or made[1] is not language:
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        made = _MADE[key] = thing, language, macro(thing, *given)
    return made[2]


def _identity(thing: Episode | tuple[Episode, ...] | PartTiles) -> object:
    """Return what tells a thing from others: episodes are as large as they are many, and remembered
    with what is made of them, so that no other one is at their place."""
    if isinstance(thing, Episode):
        return id(thing)
    return tuple(map(id, thing)) if isinstance(thing, tuple) else thing


def zone_of(request: Request) -> ZoneInfo:
    """Return the time zone of pages for the person of a request: their own, else the
    platform's."""
    person = getattr(request.state, "person", None)
    usual: ZoneInfo = request.app.state.zone
    return ZoneInfo(person.zone) if person is not None and person.zone else usual


def page_address(request: Request) -> str:
    """Return path and query of a page; of a form the page that it was sent from."""
    sent_from = request.headers.get("referer", "") if request.method == "POST" else str(request.url)
    parts = urlsplit(sent_from)
    address = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return parts.path if len(address) > _LONGEST_ADDRESS else address


@cache
def stylesheet() -> str:
    """Return the stylesheet of all pages: that of every page, then those of single folders."""
    pages = files("alerting.console").joinpath("templates")
    sheets = [pages.joinpath(folder, "style.css") for folder in STYLED]
    return menu_style() + "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


@cache
def menu_style() -> str:
    """Return the rules of the menu, which stands on reports as well."""
    style = files("alerting.console").joinpath("templates", "web", "menu.css")
    return style.read_text(encoding="utf-8")


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
        TEXT_FILTERS,
        quoted=partial(quote, safe=""),
        instant=_zoned(phrases.instant),
        moment=_zoned(phrases.moment),
        sentence=lambda text: text[:1].upper() + text[1:],
        span=in_language(
            lambda language, d: phrases.seconds(None if d is None else d.total_seconds(), language)
        ),
        when=_as_of_now(phrases.clock_time),
        distance=pass_context(
            lambda page, value: phrases.distance(value, page["now"], page["language"])
        ),
        plain=_as_of_now(phrases.local_times),
        full=sentences.sentence,
        step=in_language(
            lambda language, episode: _translated(language, sentences.what_to_do(episode))
        ),
        dated_step=_as_of_now(
            lambda episode, *reader: phrases.local_times(
                sentences.step_with_time(episode) or "", *reader
            )
        ),
        quantity_name=in_language(
            lambda language, shown: _translated(language, quantity_name(shown))
        ),
        quantity_value=in_language(
            lambda language, shown: language.translate(quantity_value(shown))
        ),
        quantity_usual=in_language(
            lambda language, shown: language.translate(quantity_usual(shown))
        ),
        clock=_zoned(lambda value, zone: f"{value.astimezone(zone):%H:%M}"),
        present_value=in_language(lambda language, line: line.describe(language)),
        present_limit=in_language(lambda language, line: line.describe_limit(language)),
        headline=sentences.headline,
        headline_as_of=sentences.headline_as_of,
        observed=sentences.observed_variable,
        is_advice_of_before=sentences.is_advice_of_before,
        happened=sentences.describe_happened,
        range=_as_of_now(phrases.time_range),
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
        about=in_language(
            lambda language, value: phrases.format_minutes(value or timedelta(0), language)
        ),
    )
    return environment


def _translated(language: Language, text: str | None) -> str | None:
    return None if text is None else language.translate(text)


def _clean_value(value: Any) -> Any:
    """Return cleaned text of documents for pages; markup of the platform passes unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return escape(clean_text(value))


def _zoned(format_value: Callable[..., str]) -> Callable[..., str]:
    return pass_context(lambda page, *values: format_value(*values, page["zone"]))


def _as_of_now(format_value: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that formats values as seen from now, in zone and language."""
    return pass_context(
        lambda page, *values: format_value(*values, page["now"], page["zone"], page["language"])
    )


_OWN_FIELDS = frozenset({"csrf", "signer", "pin"})


def submitted_by(permission: Permission) -> Callable[..., object]:
    """Return a dependency that gives the person of a form with this permission: of the session, or
    on a shared device the one who signs with `signer` and `pin`.

    It raises HTTPException 403 for a form that this console did not make for the session, and for
    one that a shared device must not send; NotSigned, with a page that asks for name and PIN and
    holds all that was typed, until those are right.
    """
    needed = require(permission)

    async def person(
        request: Request, csrf: FormField = "", signer: FormField = "", pin: FormField = ""
    ) -> Person:
        found: Person | None = request.state.person
        to_be_signed = found is not None and found.signs and permission == "operate"
        if found is None or not to_be_signed:
            found = await needed(request)
        if not confirms(found, csrf):
            raise HTTPException(
                403,
                translatable(
                    "this form belongs to another session; open the page again and repeat"
                ),
            )
        if found.device is None:
            return found
        if not to_be_signed:
            raise HTTPException(
                403,
                translatable("this cannot be done on a shared device; log in with your password"),
            )
        typed = [
            (name, value)
            for name, value in (await request.form()).multi_items()
            if name not in _OWN_FIELDS and isinstance(value, str)
        ]
        # set by `signing.py`, which uses pages that use this module
        signed: Person = await run_in_threadpool(
            request.app.state.sign, request, found, signer, pin, typed
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
