"""The command `alerting mcp`: passes the tools of a console on, over standard input and output."""

import os
from importlib.util import find_spec
from typing import Annotated, Any

import anyio
import httpx
import typer

from alerting import wiring
from alerting.assistant.console_routes import NOT_INSTALLED, SETTING
from alerting.cli.command import command
from alerting.client import Client
from alerting.definitions.faults import UserError
from alerting.settings.environment import read_settings

TOKEN = "ALERTING_TOKEN"  # noqa: S105 - the name of a variable
_TYPES = "application/json, text/event-stream"
_PING = {"jsonrpc": "2.0", "id": 0, "method": "ping"}
_REFUSALS = {
    401: f"{TOKEN} is no valid token there",
    403: f"{TOKEN} may not read there",
    404: f"it serves no assistant: set {SETTING}=on in its environment, and start it again",
}


@command
def mcp(
    address: Annotated[
        str | None,
        typer.Option(help="Address of the console; that of this platform when left out."),
    ] = None,
) -> None:
    """Connect an assistant on this machine with the console of a platform: the assistant starts
    this command, and speaks with it over standard input and output.

    It has the rights of the token in ALERTING_TOKEN, which the page Access makes. The console must
    have ALERTING_ASSISTANT=on.
    """
    if find_spec("mcp") is None:
        raise UserError(NOT_INSTALLED)
    token = os.environ.get(TOKEN, "").strip()
    url = f"{(address or wiring.console_address(read_settings(os.environ))).rstrip('/')}/mcp"
    try:
        with Client(url, token) as client:
            status = client.post(url, json=_PING, headers={"accept": _TYPES}).status_code
    except (ValueError, httpx.HTTPError, httpx.InvalidURL) as fault:
        raise UserError(f"{url} cannot be asked with {TOKEN}: {fault}") from fault
    if status != 200:
        raise UserError(f"{url}: {_REFUSALS.get(status, f'it answers with {status}')}")
    anyio.run(_serve, url, token)


async def _serve(url: str, token: str) -> None:
    import httpx2
    import mcp as sdk
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server import Server

    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=120.0) as http,
        sdk.Client(streamable_http_client(url, http_client=http)) as console,
    ):

        async def list_tools(_: Any, __: Any) -> Any:
            return await console.list_tools()

        async def call_tool(_: Any, params: Any) -> Any:
            return await console.call_tool(params.name, params.arguments)

        server = Server(
            "alerting",
            instructions=console.instructions,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
        )
        async with sdk.stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())
