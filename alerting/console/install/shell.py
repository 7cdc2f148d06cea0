"""What makes the console installable: manifest, icons, and a worker that stores the page for a lost
connection alone. They hold nothing of the plant, so they are open.

Browsers install over HTTPS, or on the machine itself. All addresses are relative, so that they are
right below a path.
"""

from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.api.api import Viewer
from alerting.console.login import entrance_of
from alerting.console.transport import is_confidential
from alerting.console.web.rendering import render, stylesheet

pages = APIRouter(include_in_schema=False)
TYPES = {
    "manifest.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
}
"""Files of the application, and the type of each."""


@pages.get("/install", response_class=HTMLResponse)
def install(request: Request, _: Viewer) -> str:
    """Return the page that installs the console on a phone, or tells why that is not possible."""
    can_install = is_confidential(request, entrance_of(request).public_url)
    return render("install/install.html", request, can_install=can_install)


@pages.get("/offline", response_class=HTMLResponse)
def offline(request: Request) -> str:
    """Return the page that a phone shows while the console cannot be reached."""
    return render("install/offline.html", request)


@pages.get("/worker.js")
def worker() -> Response:
    """Return the worker, which browsers take for a new one once the pages look different."""
    return _answer(_worker(), "text/javascript")


def _file(name: str) -> None:
    def file() -> Response:
        return _answer(_content(name), TYPES[name])

    pages.add_api_route(f"/{name}", file, methods=["GET"])


for _name in TYPES:
    _file(_name)


def _answer(content: bytes, type: str) -> Response:
    return Response(content, media_type=type, headers={"cache-control": "no-cache"})


@cache
def _worker() -> bytes:
    offline_page = _content("offline.html")
    tag = sha256(stylesheet().encode() + offline_page).hexdigest()[:12]
    return f'const SHELL = "alerting-{tag}";\n'.encode() + _content("worker.js")


@cache
def _content(name: str) -> bytes:
    return files("alerting.console.install").joinpath(name).read_bytes()
