"""Scripts and styles of the pages, which browsers keep and ask about each time."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from alerting.console.access import Viewer
from alerting.console.api.parameters import Id
from alerting.console.rendering import stylesheet
from alerting.definitions.faults import NotFound

OWN_SCRIPTS = (
    *("alive.js", "chart.js", "language.js", "live.js", "menu.js", "preview.js", "reference.js"),
    *("refresh.js", "trends.js"),
)
_TYPES = {".js": "text/javascript", ".css": "text/css"}
script_routes = APIRouter(include_in_schema=False)


class Script(NamedTuple):
    """A file for browsers, its type, and a tag of its content."""

    content: bytes
    type: str
    tag: str


@script_routes.get("/scripts/{name}")
def script(name: Id, request: Request, _: Viewer) -> Response:
    """Return a script or style of the pages; 304 if the browser has it already."""
    file = scripts().get(name)
    if file is None:
        raise NotFound(f"there is no script {name!r}")
    return answer_with(file, request)


@script_routes.get("/style.css")
def style(request: Request) -> Response:
    """Return the stylesheet of all pages; 304 if the browser has it already."""
    return answer_with(style_file(), request)


def answer_with(file: Script, request: Request) -> Response:
    """Return a file that browsers keep, and ask about each time; 304 if they have it."""
    headers = {"etag": file.tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)


def tagged(content: bytes, type: str) -> Script:
    """Return a file with the tag of its content."""
    return Script(content, type, f'"{sha256(content).hexdigest()[:16]}"')


@cache
def style_file() -> Script:
    """Return the stylesheet of all pages with its tag."""
    return tagged(stylesheet().encode(), "text/css")


@cache
def scripts() -> dict[str, Script]:
    """Return all served files by name."""
    folder = files("alerting.console").joinpath("scripts")
    swagger = files("fastapi_offline").joinpath("static")
    served = [folder.joinpath(name) for name in OWN_SCRIPTS]
    served += [swagger.joinpath(name) for name in ("swagger-ui-bundle.js", "swagger-ui.css")]
    return {file.name: tagged(file.read_bytes(), _TYPES[Path(file.name).suffix]) for file in served}
