"""A console that serves assistants, and clients of the official SDK on it, over both transports."""

import json
import os
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.full_plant import NOW, TOKENS_FILE
from tests.helpers.console.server import serving_thread
from tests.support import local_client

TOKENS = {role: token for token, (_, role) in TOKENS_FILE.items()}
TRANSPORTS = ("http", "http of 2025", "stdio")


class Plant(NamedTuple):
    """A platform and the address of its console."""

    platform: object
    address: str

    def api(self, path, role="viewer", **query):
        """Return what the API answers to a person of a role."""
        headers = {"authorization": f"Bearer {TOKENS[role]}"}
        answer = local_client().get(f"{self.address}/api/v1/{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def use(self, work, role="viewer", transport="http"):
        """Return what a function of a connected client returns."""

        async def connected():
            async with connect(self.address, TOKENS[role], transport) as client:
                return await work(client)

        return anyio.run(connected)

    def ask(self, tool, role="viewer", transport="http", **arguments):
        """Return the result of a tool."""
        return self.use(lambda client: client.call_tool(tool, arguments), role, transport)

    def data(self, tool, role="viewer", transport="http", **arguments):
        """Return the answer of a tool that is not refused."""
        return data_of(self.ask(tool, role, transport, **arguments))


def data_of(result):
    """Return the data in a result, whose text is the same answer as JSON."""
    assert not result.is_error, result
    [text] = result.content
    assert json.loads(text.text) == result.structured_content
    assert set(result.structured_content) == {"note", "data", "left_out"}
    return result.structured_content["data"]


@contextmanager
def serving_assistants(platform):
    """Yield a plant whose console serves assistants."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALERTING_ASSISTANT", "on")
        app = create_app(platform, TOKENS_FILE, now=lambda: at(NOW))
    with serving_thread(app) as port:
        yield Plant(platform, f"http://127.0.0.1:{port}")


@asynccontextmanager
async def connect(address, token, transport):
    """Yield a client of the SDK."""
    if transport == "stdio":
        async with Client(command(address, token)) as client:
            yield client
        return
    headers = {"authorization": f"Bearer {token}"}
    mode = "auto" if transport == "http" else "legacy"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60.0, trust_env=False) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def command(address, token, **environ):
    """Return the command that an assistant starts."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("ALERTING_")}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "alerting.cli.main", "mcp", "--address", address],
        env={**own, "ALERTING_TOKEN": token, **environ},
    )
