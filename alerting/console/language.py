"""The language of the pages: chosen and remembered, else the browser's, else the plant's."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from alerting.definitions.wording.language import (
    LANGUAGES,
    Language,
    LanguageCode,
    language,
    preferred_language,
)

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
