"""OpenAPI description of the API, with every status of an operation and its problem document."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from alerting.console.api.api import MAY_CONFLICT, MAY_NAME_NOTHING, Viewer, require
from alerting.console.api.ingest_api import BODIES
from alerting.console.api.parameters import YAML, describe_schema
from alerting.console.gate import OPEN, READING
from alerting.console.problems import PROBLEM
from alerting.console.rendering import render

_AT = "2026-01-05T09:45:00Z"
_REASON = {"reason": "agreed with the shift"}
_DEFINITION = {"definition": "oven-too-hot", "asset": "oven-1"}
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "FeedbackBody": {"verdict": "true_alarm", "acted": True, "action": "zone 2 to 221 °C"},
    "AckBody": {"note": "on my way"},
    "CloseBody": {"reason": "the belt was emptied"},
    "ConfirmBody": {"action": "slowed the belt", "acted_at": _AT},
    "CommentBody": {"comment": "the damper sticks"},
    "AssignBody": {"to": "anna"},
    "MuteBody": {"kind": "maintenance", "part": "oven-1", "for": "2h", "reason": "belt change"},
    "EndingEventBody": {"type": "start", "asset": "oven-1"},
    "ProlongBody": {"until": "2026-01-05T14:00:00Z"},
    "EndBody": {"reason": "sensor is replaced"},
    "MissBody": {**_DEFINITION, "at": _AT, "comment": "zone 2 was too hot, no alarm came"},
    "RetireBody": _REASON,
    "ChangeBody": _REASON,
    "RestoreBody": {**_REASON, "revision": 2},
    "PreviewBody": {
        "definition": {
            "name": "oven-too-hot",
            "kind": "threshold",
            "assets": ["oven-1"],
            "variable": "zone_2_temperature",
            "above": 215,
        },
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-29T00:00:00Z",
    },
    "ApprovalBody": {"run": "3b1f6f7c7c1d4f0c9f0e2f6a5d4c3b2a"},
    "RejectionBody": {"reason": "too many false alarms"},
    "RollbackBody": {"reason": "misses since Monday"},
    "TrainingBody": {"reason": "new sensor since Monday"},
    "CancelBody": {"reason": "started by mistake"},
    "ReadingBody": {"ts": _AT, "asset": "oven-1", "values": {"zone_2_temperature": 216.4}},
    "EventBody": {"ts": _AT, "asset": "oven-1", "type": "stop", "end": None},
    "PredictBody": {"asset": "oven-1"},
    "PredictBatchBody": {"assets": ["oven-1", "oven-2"]},
    "LabelBody": {
        "asset": "oven-1",
        "variables": ["zone_2_temperature"],
        "start": "2026-01-05T08:00:00Z",
        "end": _AT,
        "kind": "bad",
        "reason": "the sensor was exchanged",
    },
    "UndoBody": {"reason": "another asset was meant"},
    "RetryBody": {"id": "all"},
    "TokenBody": {
        "name": "gateway-3",
        "owner": "anna",
        "role": "sender",
        "ends_at": "2027-01-05T00:00:00Z",
    },
}


_DESCRIPTIONS = {
    400: (
        "The body cannot be read: it is not JSON, nests too deeply, or holds a number that is too "
        "long."
    ),
    401: "The request has no valid token.",
    403: "The role of this token does not suffice.",
    404: "The named object does not exist.",
    408: "The body did not arrive in time.",
    409: "Another person was first, or the state does not allow it; the detail says which.",
    411: "The body came without its length.",
    412: "It was changed since the revision in If-Match; the detail says by whom, when and what.",
    413: "The body is too large.",
    422: "A parameter or the body has a fault; the detail names the fault and its place.",
    428: "The request names no revision that it changes.",
    429: (
        "This address sent too many wrong tokens, or too many deliveries or predictions are under "
        "way at once."
    ),
    431: "Address and headers are too large.",
    500: "A fault of the server; its log has the details.",
    503: "The database or the model registry does not answer.",
}
DESCRIPTION = "/api/v1/openapi.json"
_HEADERS = {
    401: {
        "WWW-Authenticate": {
            "description": "The authentication scheme.",
            "schema": {"type": "string"},
        }
    },
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}


class ProblemFault(BaseModel):
    """A fault of what was sent: its place (fields joined by points), the fault, and a hint, empty
    without one."""

    path: str
    message: str
    hint: str


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Always `about:blank`: the status names the kind of problem.")
    title: str = Field(description="The status as text.")
    status: int
    detail: str = Field(description="The fault, its place, and the remedy.")
    instance: str = Field(description="The requested address.")
    faults: list[ProblemFault] | None = Field(
        None, description="Each fault of a parameter, body or document; absent without any."
    )


def describe(app: FastAPI) -> APIRouter:
    """Return the routes of the OpenAPI description with its problem documents, for every role (a
    sender's program reads it, too, to know how to send), and of its page."""
    router = APIRouter()

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @router.api_route(DESCRIPTION, methods=sorted(READING), include_in_schema=False)
    def description(_: Annotated[object, Depends(require("describe"))]) -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get("/api", response_class=HTMLResponse, include_in_schema=False)
    def reference(request: Request, _: Viewer) -> str:
        """Return the page of the API, which Swagger UI makes of the description."""
        return render("api/reference.html", request)

    return router


def _describe(app: FastAPI) -> dict[str, Any]:
    routes = app.routes
    schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=routes)
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= _problem_schemas()
    schemas |= {body.__name__: body.model_json_schema() for body in BODIES}
    documents = {one.kind.word: one.example for one in app.state.document_kinds}
    schemas |= {f"{of.capitalize()}Body": describe_schema(of, one) for of, one in documents.items()}
    for name in EXAMPLES.keys() & schemas.keys():
        schemas[name] = schemas[name] | {"examples": [EXAMPLES[name]]}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            operation["operationId"] = route.operation_id or route.name
            answers = {
                str(status): _problem(status) for status in _statuses(route, method, operation)
            }
            others = {
                code: answer for code, answer in operation["responses"].items() if code != "422"
            }
            operation["responses"] = dict(sorted((others | answers).items()))
            for mark in MAY_NAME_NOTHING | MAY_CONFLICT:
                operation.pop(mark, None)
    return schema


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    return {"Problem": schema | {"title": "Problem"}, **parts}


def _statuses(route: APIRoute, method: str, operation: dict[str, Any]) -> Iterator[int]:
    yield from (431, 500, 503)
    if route.path not in OPEN:
        yield from (401, 429)
    if any(hasattr(call, "permission") for call in _dependencies(route.dependant)):
        yield 403
    if "{" in route.path or operation.keys() & MAY_NAME_NOTHING.keys():
        yield 404
    if operation.keys() & MAY_CONFLICT.keys():
        yield 409
    if "parameters" in operation or "requestBody" in operation:
        yield 422
    if any(one["name"] == "if-match" for one in operation.get("parameters", ())):
        yield from (412, 428) if method == "PUT" else (412,)
    if method not in READING:
        yield from (411, 413)
    if "requestBody" in operation:
        yield 408
        content = operation["requestBody"]["content"]
        if "application/json" in content and YAML not in content:
            yield 400


def _dependencies(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _dependencies(inner)


def _problem(status: int) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answer = {
        "description": f"{HTTPStatus(status).phrase}. {_DESCRIPTIONS[status]}",
        "content": content,
    }
    return answer | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
