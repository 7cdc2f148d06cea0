"""Routes whose modules are loaded with the first request for one of them."""

import re
from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Scope


class Later(NamedTuple):
    """Routers to load later. `addresses`: how those of their routes begin, as a regular expression
    of whole parts; `load`: imports their modules, and makes what they need in the application."""

    addresses: str
    load: Callable[[FastAPI], Iterable[APIRouter]]


class LaterRoutes(BaseRoute):
    """Stands in the routes of an application for those of some routers, and adds them behind itself
    before the first request for one of their addresses is compared with them."""

    def __init__(self, app: FastAPI, later: Later) -> None:
        self._app = app
        self._begins = re.compile(rf"(?:{later.addresses})(?:[/:.]|$)")
        self._load = later.load
        self._lock = Lock()
        self._loaded = False

    def has(self, path: str) -> bool:
        """Return whether an address is, or may be, one of these routes."""
        return self._begins.match(path) is not None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match nothing: what is added is compared next."""
        if not self._loaded and self.has(scope.get("path", "")):
            self.load()
        return Match.NONE, {}

    def load(self) -> None:
        """Add the routes, once."""
        with self._lock:
            if self._loaded:
                return
            added = [route for router in self._load(self._app) for route in router.routes]
            routes = self._app.router.routes
            behind = routes.index(self) + 1
            routes[behind:behind] = added
            self._loaded = True


def load_all(app: FastAPI) -> list[BaseRoute]:
    """Load every route of an application, and return them."""
    for route in list(app.routes):
        if isinstance(route, LaterRoutes):
            route.load()
    return [route for route in app.routes if not isinstance(route, LaterRoutes)]
