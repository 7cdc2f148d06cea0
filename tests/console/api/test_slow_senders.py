"""Senders at a real server: bodies that are announced and never come, bodies that are broken off,
and who is served meanwhile."""

import json
import logging
import socket
import time

import httpx
import pytest

from alerting.console.api import ingest_api
from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS, platform  # noqa: F401 - a fixture
from tests.helpers.console.server import serving_thread

ROW = {"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "values": {"zone_2": 201.5}}
SLOW = "sender-token-0123456789"
OTHER = "other-token-01234567890"


@pytest.fixture
def served(platform):  # noqa: F811
    """Yield the port of a server in this process."""
    app = create_app(platform, {**TOKENS, OTHER: ("gateway-4", "sender")})
    with serving_thread(app) as port:
        yield port


def announce(port, size, body=b"", token=SLOW):
    """Return a connection with the head of a delivery, and a part of its body."""
    client = socket.create_connection(("127.0.0.1", port), timeout=600)
    head = f"POST /api/v1/readings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    client.sendall(
        f"{head}content-type: application/x-ndjson\r\ncontent-length: {size}\r\n\r\n".encode()
        + body
    )
    return client


def send(port, token=OTHER):
    url = f"http://127.0.0.1:{port}/api/v1/readings"
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(url, json=ROW, headers=headers, timeout=600)


def test_bodies_that_are_announced_and_never_come_block_nobody(served):
    slow = [announce(served, ingest_api.LARGEST_DELIVERY) for _ in range(8)]
    try:
        assert [send(served, token).status_code for token in (OTHER, SLOW)] == [200, 200]
    finally:
        for client in slow:
            client.close()


def test_a_sender_whose_bytes_came_holds_its_own_share_only(served, monkeypatch):
    half = ingest_api.BODIES_AT_ONCE // 2
    piece = b" " * (ingest_api.LARGEST_DELIVERY - 1000)
    slow = [announce(served, ingest_api.LARGEST_DELIVERY, piece) for _ in range(half // len(piece))]
    try:
        until = time.monotonic() + 600
        while (answer := httpx_large(served, SLOW)).status_code != 429 and time.monotonic() < until:
            time.sleep(0.05)  # until the server has taken the bytes in
        assert answer.status_code == 429
        assert "send this one again" in answer.json()["detail"]
        assert httpx_large(served, OTHER).status_code == 200
    finally:
        for client in slow:
            client.close()


def httpx_large(port, token):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    body = json.dumps(ROW).encode() + b"\n" * 100_000
    return httpx.post(
        f"http://127.0.0.1:{port}/api/v1/readings", content=body, headers=headers, timeout=600
    )


@pytest.mark.parametrize("path", ["/api/v1/readings", "/api/v1/shelves", "/login"])
def test_a_body_that_is_broken_off_logs_one_line(served, caplog, monkeypatch, path):
    # a migration disables it
    monkeypatch.setattr(logging.getLogger("alerting.console.request_log"), "disabled", False)
    token = next(token for token, (_, role) in TOKENS.items() if role == "admin")
    with caplog.at_level(logging.INFO, logger="alerting.console.request_log"):
        with socket.create_connection(("127.0.0.1", served), timeout=600) as client:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
            client.sendall(
                f"{head}content-type: application/x-ndjson\r\ncontent-length: 5000\r\n\r\n".encode()
                + b"{"
            )
            time.sleep(0.3)
        until = time.monotonic() + 600
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)  # for further lines
    lines = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert [(record.levelname, record.exc_info) for record in lines] == [("INFO", None)]
    assert f"POST {path}: 4" in lines[0].getMessage()
