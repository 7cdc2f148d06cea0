"""What went wrong, said once and clearly: RFC 9457 problem documents for programs, a small page for people."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pymongo.errors import ConnectionFailure, WTimeoutError
from starlette.exceptions import HTTPException

from alerting.console.rendering import render
from alerting.definitions.faults import Refused
from alerting.episodes.operator import NotAllowed
from alerting.pipelines.feedback import NotFound
from alerting.pipelines.ports import ModelUnavailable
from alerting.stores.mongo import DatabaseDown

API = "/api/"
PROBLEM = "application/problem+json"


def problem(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """One answer for one fault: JSON below /api, a page elsewhere."""
    title = HTTPStatus(status).phrase
    if not request.url.path.startswith(API):
        page = render("problem.html", request, title=title, detail=detail)
        return HTMLResponse(page, status, headers)
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": request.url.path}
    return JSONResponse(content, status, headers, media_type=PROBLEM)


def handle_problems(app: FastAPI) -> None:
    """Turn every fault of a request into a problem document."""

    @app.exception_handler(HTTPException)
    def refused_request(request: Request, fault: HTTPException) -> Response:
        return problem(request, fault.status_code, str(fault.detail), dict(fault.headers) if fault.headers else None)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, fault: RequestValidationError) -> Response:
        return problem(request, 422, "; ".join(_words(error) for error in fault.errors()))

    @app.exception_handler(Refused)
    def refused(request: Request, fault: Refused) -> Response:
        if isinstance(fault, NotAllowed):
            return problem(request, 403, str(fault))
        status = 404 if isinstance(fault, NotFound) else 503 if isinstance(fault, DatabaseDown) else 422
        return problem(request, status, str(fault))

    @app.exception_handler(ModelUnavailable)
    def no_registry(request: Request, fault: ModelUnavailable) -> Response:
        return problem(request, 503, f"the model registry cannot be read: {fault}; try again later")

    @app.exception_handler(ConnectionFailure)
    @app.exception_handler(WTimeoutError)
    def no_database(request: Request, _: Exception) -> Response:
        return problem(request, 503, "the database does not answer; nothing is lost, try again later")

    @app.exception_handler(Exception)
    def broken(request: Request, _: Exception) -> Response:
        return problem(request, 500, "this is our fault; the server's log says more")


def _words(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error['ctx']['error']}"
    if error["type"] == "extra_forbidden":
        return f"{'.'.join(place[1:])}: there is no such field"
    return f"{'.'.join(place[1:]) or place[0]}: {error['msg'].removeprefix('Value error, ')}"
