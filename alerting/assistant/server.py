"""The server of an assistant in the console: each call of a tool becomes requests to the API in
this process, under the token of the person."""

from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import httpx
from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import FastAPI, HTTPException, Request
from fastapi.security.utils import get_authorization_scheme_param
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
)
from starlette.types import Receive, Scope, Send

from alerting.assistant.answers import NOTE
from alerting.assistant.tools import TOOLS, Console, call_tool
from alerting.client import Client
from alerting.console.access import require
from alerting.console.gate import client_of
from alerting.definitions.wording.clean_text import clean_line

AT_ONCE = 8
"""Calls that a process answers at once; others wait."""
INSTRUCTIONS = (
    "Alarms, values and reports of a plant, with the figures of its pages. Fields are UTC. "
    f"{NOTE} Ask the person before a tool that changes something: it acts in the person's name."
)


class InThisProcess(httpx.BaseTransport):
    """Transport of requests, from a worker thread, to an application on the event loop. `client`:
    the other end of these requests, for the audit."""

    def __init__(self, app: FastAPI, client: str) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(client, 0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the whole answer."""
        return from_thread.run(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


class AssistantServer:
    """The tools of an application over HTTP (ASGI). Nothing is kept between two requests."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._turns = CapacityLimiter(AT_ONCE)
        self._server = Server(
            "alerting",
            version=version("alerting"),
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises HTTPException for one without a token, by a role that may not
        read, and from a page of another site."""
        request = Request(scope)
        await require("read")(request)
        # another site could send a cookie alone; and browsers name the site that asks, also where
        # a name of that site leads to this machine
        if "authorization" not in request.headers:
            raise HTTPException(401, "send a token", {"www-authenticate": "Bearer"})
        public = urlsplit(self._app.state.entrance.public_url or "")
        if request.headers.get("origin") not in (None, f"{public.scheme}://{public.netloc}"):
            raise HTTPException(403, "pages of other sites may not ask")
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def _list_tools(
        self, context: ServerRequestContext, _: PaginatedRequestParams | None
    ) -> ListToolsResult:
        request: Any = context.request
        return ListToolsResult(
            tools=[
                Tool(
                    name=offered.name,
                    description=offered.description,
                    input_schema=offered.parameters,
                    annotations=offered.annotations,
                )
                for offered in TOOLS.values()
                if request.state.person.may((offered.meta or {})["permission"])
            ]
        )

    async def _call_tool(
        self, context: ServerRequestContext, params: CallToolRequestParams
    ) -> CallToolResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {clean_line(params.name)[:100]!r}")
        request: Any = context.request
        _, token = get_authorization_scheme_param(request.headers["authorization"])
        transport = InThisProcess(self._app, f"{client_of(request)}, assistant")
        with Client("http://console", token, transport=transport) as api:
            console = Console(api, self._app.state.platform)
            # threads of its own: those of the requests inside would wait for them
            return await to_thread.run_sync(
                call_tool, tool, console, params.arguments or {}, limiter=self._turns
            )
