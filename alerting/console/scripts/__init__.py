"""Addresses of the scripts: our own modules, and uPlot and Swagger UI from installed packages.

Only listed files are served, each with a tag of its content, so that a browser asks again and gets
a short answer while it has not changed.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerting.console.api.api import Viewer
from alerting.console.api.parameters import Id
from alerting.definitions.faults import NotFound

OWN = (
    *("lanes.js", "language.js", "live.js", "menu.js", "preview.js", "reference.js"),
    *("refresh.js", "trends.js"),
)
UPLOT = {"uplot.js": "uPlot.iife.js", "uplot.css": "uPlot.min.css"}
"""Files of uPlot, by the name under which they are served."""
SWAGGER = {name: name for name in ("swagger-ui-bundle.js", "swagger-ui.css")}
_TYPES = {".js": "text/javascript", ".css": "text/css"}
router = APIRouter(include_in_schema=False)


class Script(NamedTuple):
    """A file for browsers, its type, and a tag of its content."""

    content: bytes
    type: str
    tag: str


@router.get("/scripts/{name}")
def script(name: Id, request: Request, _: Viewer) -> Response:
    """Return a script or style of the pages; 304 if the browser has it already."""
    found = scripts().get(name)
    if found is None:
        raise NotFound(f"there is no script {name!r}")
    headers = {"etag": found.tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.type, headers=headers)


@cache
def scripts() -> dict[str, Script]:
    """Return all files that are served, by name; without those of missing packages."""
    here = files("alerting.console.scripts")
    found = {name: here.joinpath(name).read_bytes() for name in OWN}
    for package, its_files in (("uplot", UPLOT), ("fastapi_offline", SWAGGER)):
        spec = find_spec(package)  # not imported: that would need its dependencies
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            paths = {name: Path(folder, "static", file) for name, file in its_files.items()}
            found |= {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    return {
        name: Script(content, _TYPES[Path(name).suffix], f'"{sha256(content).hexdigest()[:16]}"')
        for name, content in found.items()
    }


def has_uplot() -> bool:
    """Return whether uPlot is installed, so that pages can draw with it."""
    return scripts().keys() >= UPLOT.keys()
