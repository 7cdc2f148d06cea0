"""`/mcp` of the console, where the setting `ALERTING_ASSISTANT` is `on`."""

import logging
import os
from importlib.util import find_spec

from fastapi import APIRouter, FastAPI, HTTPException
from starlette.routing import Route

from alerting.console.access import Viewer
from alerting.definitions.faults import UserError

SETTING = "ALERTING_ASSISTANT"
NOT_INSTALLED = "the assistant is not installed here: pip install 'alerting[assistant]'"


def routes(app: FastAPI) -> APIRouter:
    """Return the route of assistants; none while the setting is off. Raises UserError for a setting
    that is neither on nor off."""
    router = APIRouter(include_in_schema=False)
    state = os.environ.get(SETTING, "").strip() or "off"
    if state not in ("on", "off"):
        raise UserError(f"{SETTING}: {state!r} is neither on nor off")
    if state == "off":
        return router
    if find_spec("mcp") is None:

        @router.post("/mcp")
        def refuse(_: Viewer) -> None:
            raise HTTPException(503, NOT_INSTALLED)

        return router
    from alerting.assistant.server import AssistantServer

    logging.getLogger("mcp").setLevel(logging.WARNING)  # it has two lines for each request
    router.routes.append(Route("/mcp", AssistantServer(app), methods=["POST"]))
    return router
