"""Responses for faults: RFC 9457 problem documents for programs, a small page for people."""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pymongo.errors import ConnectionFailure, OperationFailure, WTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from alerting.adapters.mongo.mongo import KEYS_NOT_LOADED, DatabaseDown
from alerting.console.api.views import reader_of, translate_texts
from alerting.console.rendering import address_of, language_of, render
from alerting.definitions.faults import Conflicting, DocumentRefused, Fault, NotFound, UserError
from alerting.definitions.wording.clean_text import clean_line, clean_text
from alerting.definitions.wording.fault_messages import message_of
from alerting.definitions.wording.language import template, translatable
from alerting.operators.actions_and_mutes import NotAllowed
from alerting.ports import ModelUnavailable
from alerting.usecases.document_life import ChangedMeanwhile

API = "/api/"
METRICS = "/metrics"
PROBLEM = "application/problem+json"
BODY_UNREADABLE = (
    "the body cannot be read: it does not match its content-type, nests too deeply, or holds a "
    "number of too many digits"
)
MOST = 20
LONGEST_NAME = 100
LONGEST_DETAIL = 4000
DATABASE_DOWN = translatable(
    "the database does not answer; try again later; all acknowledged data are kept"
)
_STATUSES: dict[type[UserError], int] = {
    NotFound: 404,
    Conflicting: 409,
    ChangedMeanwhile: 412,
    DatabaseDown: 503,
}
_TITLES = (
    template("Bad Request"),
    template("Forbidden"),
    template("Not Found"),
    template("Conflict"),
    template("Gone"),
    template("Unprocessable Entity"),
    template("Too Many Requests"),
    template("Internal Server Error"),
    template("Service Unavailable"),
)
"""Titles of pages, which are the phrases of HTTP; the others are shown in English."""


def problem(
    request: Request,
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Response:
    """Return the response for a fault: JSON for programs, a page for people. `faults`: single
    faults, each with its place, for programs."""
    title = HTTPStatus(status).phrase
    if not is_for_programs(request):
        detail = _shorten(language_of(request).translate(detail))
        is_read = request.method in ("GET", "HEAD")
        passes = None
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            passes = "read" if is_read else "sent"
        page = render("problem.html", request, title=title, detail=detail, passes=passes)
        return HTMLResponse(page, status, headers)
    reader = reader_of(request.app.state.platform)
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": _shorten(reader.translate(detail)),
        "instance": clean_line(address_of(request.url.path))[:500],
    }
    if faults:
        content["faults"] = [asdict(fault) for fault in translate_texts(tuple(faults), reader)]
    return JSONResponse(content, status, headers, media_type=PROBLEM)


def is_for_programs(request: Request) -> bool:
    """Return whether a program sends this request, to the API or with JSON: faults are JSON, no
    token leads to 401."""
    path = request.url.path
    has_json = request.headers.get("content-type", "").startswith("application/json")
    return has_json or path.startswith(API) or path == METRICS


def _shorten(detail: str) -> str:
    clean = clean_text(detail)
    return clean if len(clean) <= LONGEST_DETAIL else f"{clean[:LONGEST_DETAIL]} …"


def handle_problems(app: FastAPI) -> None:
    """Register the handlers that turn every fault of a request into a problem document."""

    # nobody reads the answer to a request whose body was broken off: the log has one line of it
    # the number that proxies log for a client that closed its connection
    app.add_exception_handler(ClientDisconnect, lambda _, __: Response(status_code=499))

    @app.exception_handler(HTTPException)
    def refused_request(request: Request, fault: HTTPException) -> Response:
        details = {400: BODY_UNREADABLE, 404: translatable("there is no page at this address")}
        return problem(
            request,
            fault.status_code,
            details.get(fault.status_code, fault.detail),
            dict(fault.headers) if fault.headers else None,
        )

    app.add_exception_handler(405, lambda request, _: _wrong_method(request))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, fault: RequestValidationError) -> Response:
        errors = fault.errors()
        faults = [_fault(error) for error in errors[:MOST]]
        more = [f"and {len(errors) - MOST} more"] if len(errors) > MOST else []
        texts = (
            f"{invalid_field.path}: {invalid_field.message}"
            if invalid_field.path
            else invalid_field.message
            for invalid_field in faults
        )
        return problem(request, 422, "; ".join([*texts, *more]), faults=faults)

    @app.exception_handler(UserError)
    def refused(request: Request, fault: UserError) -> Response:
        if isinstance(fault, NotAllowed):
            return problem(request, 403, fault.message)
        statuses = (status for kind, status in _STATUSES.items() if isinstance(fault, kind))
        detail = fault.message
        if isinstance(fault, ChangedMeanwhile) and is_for_programs(request):
            detail = fault.detail
        faults = fault.faults if isinstance(fault, DocumentRefused) else ()
        return problem(request, next(statuses, 422), detail, faults=faults)

    @app.exception_handler(ModelUnavailable)
    def no_registry(request: Request, fault: ModelUnavailable) -> Response:
        return problem(request, 503, f"the model registry cannot be read: {fault}; try again later")

    @app.exception_handler(ConnectionFailure)
    @app.exception_handler(WTimeoutError)
    def no_database(request: Request, _: Exception) -> Response:
        return problem(request, 503, DATABASE_DOWN)

    @app.exception_handler(OperationFailure)
    def database_not_ready(request: Request, fault: OperationFailure) -> Response:
        if fault.code != KEYS_NOT_LOADED:
            raise fault
        return problem(request, 503, DATABASE_DOWN)

    @app.exception_handler(Exception)
    def broken(request: Request, _: Exception) -> Response:
        return problem(request, 500, translatable("a fault of the server; its log has the details"))


def _wrong_method(request: Request) -> Response:
    """Return the refusal of a method, with all methods of the address; an address with GET also has
    HEAD."""
    matching = [
        route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE
    ]
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    return problem(
        request,
        405,
        f"{request.method} is not possible here; possible: {allowed}",
        {"allow": allowed},
    )


def _fault(error: dict[str, Any]) -> Fault:
    path = [str(part)[:LONGEST_NAME] for part in error["loc"]]
    if error["type"] == "json_invalid":
        return Fault("", f"the body is not JSON: {error['ctx']['error']}")
    place = ".".join(path[1:])
    if error["type"] == "extra_forbidden":
        return Fault(place, "there is no such field")
    return Fault(place or path[0], "; ".join(filter(None, message_of(error))))
