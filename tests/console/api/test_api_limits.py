"""The real server against clients that are slow, greedy, or break off, and behind a proxy."""

import logging
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import product

import httpx
import psutil
import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.console.api import ingest_api
from alerting.console.app import create_app
from alerting.settings.environment import SettingsRefused, read_settings
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.live_console import console_process
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.helpers.console.server import TOKEN, serving_thread
from tests.support import free_port

DATABASE = "limits"
ROW = b'{"ts": "2026-01-05T12:00:00Z", "asset": "oven-9", "values": {"zone_2": 201.5}}'
SLOW = "sender-token-0123456789"
OTHER = "other-token-01234567890"


@pytest.fixture(scope="module")
def console(real_server, tmp_path_factory):
    """Return a server with its usual limits behind a proxy, in a process of its own, and its
    port."""
    port = free_port()
    home = tmp_path_factory.mktemp("served")
    with open_stores(real_server, DATABASE, prepare=True):
        pass
    given = (real_server, DATABASE, port, home)
    with console_process(*given, ALERTING_TRUSTED_PROXIES="10.1.2.3") as server:
        yield server, port
        server.send_signal(signal.SIGTERM)
        _, words = server.communicate(timeout=600)
    assert "Traceback" not in words


@pytest.fixture(scope="module")
def served(console):
    return console[1]


def test_it_serves_this_machine_only(console):
    connections = psutil.Process(console[0].pid).net_connections()
    assert {one.laddr.ip for one in connections if one.status == "LISTEN"} == {"127.0.0.1"}


def trickle(port, head, piece, every=0.5, within=300.0):
    """Send a head, then a piece again and again; returns seconds until the server ended it, and
    what it said."""
    began = time.monotonic()
    said = b""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(every)
        client.sendall(head)
        while time.monotonic() - began < within:
            try:
                while got := client.recv(65_536):
                    said += got
            except TimeoutError:
                with suppress(ConnectionError):
                    client.sendall(piece)
                continue
            except ConnectionError:
                pass
            return time.monotonic() - began, said
    return None, said


POST = (
    b"POST /api/v1/mutes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n"
    b"content-type: application/json\r\ncontent-length: 5000\r\n\r\n"
)


def test_what_trickles_in_is_ended_and_others_are_served_meanwhile(served):
    slow = {
        "a body": (POST % TOKEN.encode(), b" "),
        "a body that was refused": (POST % b"wrong-token-0123456789", b" "),
        "a form": (
            b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: "
            b"application/x-www-form-urlencoded\r\ncontent-length: 900\r\n\r\n",
            b"a",
        ),
        "headers": (b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ", b"b"),
        "nothing": (b"", b""),
    }
    health = f"http://127.0.0.1:{served}/api/v1/health"
    waited = []
    with ThreadPoolExecutor(len(slow)) as pool:
        ended = {name: pool.submit(trickle, served, *what) for name, what in slow.items()}
        for _ in range(5):
            began = time.monotonic()
            assert httpx.get(health, timeout=60).status_code == 200
            waited.append(time.monotonic() - began)
            time.sleep(0.5)
        found = {name: future.result() for name, future in ended.items()}
    assert max(waited) < 9  # the first of the slow ones is ended after 10 s
    assert [name for name, (seconds, _) in found.items() if (seconds or 120) >= 120] == []
    statuses = {name: said[9:12] for name, (_, said) in found.items()}
    expected = {"a body": b"408", "a form": b"408", "a body that was refused": b"401"}
    assert statuses | expected == statuses
    assert b"application/problem+json" in found["a body"][1]


def test_an_answer_is_not_kept_for_a_client_that_reads_nothing(served):
    """Many requests on one connection, none of whose answers is read: the buffers fill, then the
    connection ends.

    The server waits 30 s from the last byte that the kernel took; the kernel takes some for up to
    half a minute.
    """
    with socket.create_connection(("127.0.0.1", served)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(2)
        until = time.monotonic() + 120
        request = b"GET /style.css HTTP/1.1\r\nhost: x\r\n\r\n" * 50
        with pytest.raises(ConnectionError):
            while time.monotonic() < until:
                with suppress(TimeoutError):
                    client.sendall(request)


def test_a_request_with_two_lengths_ends_its_connection(local):
    second = b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n"
    head = (
        b"%s %s HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    methods = (b"GET", b"POST", b"PUT", b"DELETE", b"HEAD")
    paths = (b"/login", b"/api/v1/readings", b"/api/v1/health", b"/none")
    token = next(iter(TOKENS)).encode()
    found = {}
    for case in product(methods, paths):
        sent = head % (*case, token, len(second) + 5) + second
        seconds, said = trickle(local, sent, b"", within=15)
        is_closed = seconds is not None and b"connection: close" in said.lower()
        found[case] = (is_closed, said[:13], said.count(b"HTTP/1.1 "))
    assert found == dict.fromkeys(found, (True, b"HTTP/1.1 400 ", 1))


def test_large_headers_are_refused_with_an_answer(served):
    health = f"http://127.0.0.1:{served}/api/v1/health"
    for size in (33_000, 60_000):
        for query, headers in (("", {"x-a": "a" * size}), ("a" * size, {})):
            answer = httpx.get(f"{health}?{query}", headers=headers, timeout=60)
            assert answer.status_code in (400, 431)


# Deliveries


@pytest.fixture
def local(platform):
    """Yield the port of a server in this process."""
    app = create_app(platform, {**TOKENS, OTHER: ("gateway-4", "sender")})
    with serving_thread(app) as port:
        yield port


def begin(port, path, token, size, body=b""):
    """Return a connection with the head of a delivery, and a part of its body."""
    client = socket.create_connection(("127.0.0.1", port), timeout=600)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/x-ndjson\r\ncontent-length: {size}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    return client


@pytest.fixture
def announced(local):
    """Return a function that begins large deliveries of one sender, with their first bytes."""
    with ExitStack() as begun:

        def announce(number, body=b""):
            for _ in range(number):
                size = ingest_api.LARGEST_DELIVERY
                begun.enter_context(begin(local, "/api/v1/readings", SLOW, size, body))

        yield announce


def send(port, token, more=b""):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    url = f"http://127.0.0.1:{port}/api/v1/readings"
    return httpx.post(url, content=ROW + more, headers=headers, timeout=600)


def test_bodies_that_are_announced_and_never_come_block_nobody(local, announced):
    announced(8)
    assert [send(local, token).status_code for token in (OTHER, SLOW)] == [200, 200]


def test_a_sender_whose_bytes_came_holds_its_own_share_only(local, announced):
    piece = b" " * (ingest_api.LARGEST_DELIVERY - 1000)
    announced(ingest_api.BODIES_AT_ONCE // 2 // len(piece), piece)
    more = b"\n" * 100_000
    until = time.monotonic() + 600
    while (answer := send(local, SLOW, more)).status_code != 429 and time.monotonic() < until:
        time.sleep(0.05)  # until the server has taken the bytes in
    assert (answer.status_code, "send this one again" in answer.json()["detail"]) == (429, True)
    assert send(local, OTHER, more).status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/readings", "/api/v1/mutes", "/login"])
def test_a_body_that_is_broken_off_logs_one_line(local, caplog, monkeypatch, path):
    log = "alerting.console.app"
    monkeypatch.setattr(logging.getLogger(log), "disabled", False)  # a migration disables it
    with caplog.at_level(logging.INFO, logger=log):
        begin(local, path, ADMIN_TOKEN, 5000, b"{").close()
        until = time.monotonic() + 600
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)  # for further lines
    [line] = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert (line.levelname, line.exc_info) == ("INFO", None)
    assert f"POST {path}: 4" in line.getMessage()


# Behind a proxy


def log_in_from(address, port, token="x" * 20):
    data = {"token": token}
    headers = {"x-forwarded-for": address}
    return httpx.post(f"http://127.0.0.1:{port}/login", data=data, headers=headers, timeout=60)


def guess(port, address):
    return log_in_from(address, port).status_code


@pytest.mark.parametrize(
    ("trusted", "shared"), [("", False), ("none", True), ("10.1.2.3", True), ("127.0.0.0/8", False)]
)
def test_the_setting_says_whose_word_on_addresses_is_taken(platform, trusted, shared):
    public = {"ALERTING_PUBLIC_URL": "https://alerting.plant.example"}
    settings = read_settings({"ALERTING_TRUSTED_PROXIES": trusted, **public})
    # at one instant: the wait of a second after five wrong tokens is over on a busy machine
    app = create_app(platform, TOKENS, public_url=settings.delivery.public_url, now=lambda: at(0))
    with serving_thread(app, settings.trusted_proxies) as port:
        assert [guess(port, "192.168.1.1") for _ in range(6)] == [401] * 5 + [429]
        assert guess(port, "192.168.1.2") == (429 if shared else 401)
        answer = log_in_from("192.168.1.3", port, next(iter(TOKENS)))
    found = (answer.status_code, "Secure" in answer.headers.get("set-cookie", ""))
    assert found == ((429, False) if shared else (303, True))


def test_the_server_as_it_is_started_takes_the_word_of_its_proxies_alone(served):
    """The last test on this server, which then refuses all that this machine sends."""
    answers = [guess(served, "192.168.1.1")]
    while answers.count(429) < 5:  # each 401 doubles the wait, so it outlasts what follows
        assert len(answers) < 60
        answers.append(guess(served, "192.168.1.1"))
    assert answers[0] == 401
    assert 429 in [guess(served, "192.168.1.2") for _ in range(4)], "five are free for each client"


def test_a_proxy_that_is_neither_address_nor_network_is_refused():
    for text in ("*", "proxy.example", "10.0.0.1/8", "10.0.0.0/99"):
        with pytest.raises(SettingsRefused, match=r"PROXIES.*neither an address nor a network"):
            read_settings({"ALERTING_TRUSTED_PROXIES": text})
