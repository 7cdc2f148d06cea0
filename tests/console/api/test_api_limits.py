"""The real server against clients that are slow or greedy, and behind a proxy."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from alerting.adapters.mongo.mongo import open_stores
from alerting.console.app import create_app
from alerting.settings.environment import SettingsRefused, read_settings
from tests.builders import at
from tests.helpers.console.api import TOKENS
from tests.helpers.console.live_console import console_process
from tests.helpers.console.server import TOKEN, serving_thread
from tests.support import free_port

pytestmark = pytest.mark.server
DATABASE = "limits"


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
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(every)
        said = b""
        client.sendall(head)
        while time.monotonic() - began < within:
            try:
                got = client.recv(65_536)
                if not got:
                    return time.monotonic() - began, said
                said += got
                continue
            except TimeoutError:
                pass
            except ConnectionError:
                return time.monotonic() - began, said
            try:
                client.sendall(piece)
            except ConnectionError:
                return time.monotonic() - began, said
    return None, said


POST = (
    b"POST /api/v1/shelves HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n"
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
    with ThreadPoolExecutor(len(slow) + 1) as pool:
        ended = {name: pool.submit(trickle, served, *what) for name, what in slow.items()}
        for _ in range(5):
            began = time.monotonic()
            health = f"http://127.0.0.1:{served}/api/v1/health"
            assert httpx.get(health, timeout=60).status_code == 200
            assert time.monotonic() - began < 9  # the first of the slow ones is ended after 10 s
            time.sleep(0.5)
        found = {name: future.result() for name, future in ended.items()}
    assert [name for name, (seconds, _) in found.items() if seconds is None] == []
    assert max(seconds for seconds, _ in found.values()) < 120
    for name in ("a body", "a form"):
        assert found[name][1].startswith(b"HTTP/1.1 408 "), name
    assert b"application/problem+json" in found["a body"][1]
    assert found["a body that was refused"][1].startswith(b"HTTP/1.1 401 ")


def test_an_answer_is_not_kept_for_a_client_that_reads_nothing(served):
    """Many requests on one connection, none of whose answers is read: the buffers fill, then the
    connection ends.

    The server waits 30 s from the last byte that the kernel took; the kernel takes some for up to
    half a minute.
    """
    with socket.create_connection(("127.0.0.1", served)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(2)
        began = time.monotonic()
        ended = False
        request = b"GET /style.css HTTP/1.1\r\nhost: x\r\n\r\n" * 50
        while time.monotonic() - began < 120 and not ended:
            try:
                client.sendall(request)
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD"])
@pytest.mark.parametrize("path", [b"/login", b"/api/v1/readings", b"/api/v1/health", b"/none"])
def test_a_request_with_two_lengths_ends_its_connection(platform, method, path):
    second = b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n"
    head = (
        b"%s %s HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: %d\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ) % (method, path, next(iter(TOKENS)).encode(), len(second) + 5)
    with serving_thread(create_app(platform, TOKENS)) as port:
        seconds, said = trickle(port, head + second, b"", within=15)
    assert seconds is not None, "the connection stays open"
    assert (said[:13], said.count(b"HTTP/1.1 ")) == (b"HTTP/1.1 400 ", 1), said
    assert b"connection: close" in said.lower()


@pytest.mark.parametrize("size", [33_000, 60_000])
def test_large_headers_are_refused_with_an_answer(served, size):
    answer = httpx.get(
        f"http://127.0.0.1:{served}/api/v1/health", headers={"x-a": "a" * size}, timeout=60
    )
    assert answer.status_code in (400, 431)
    assert httpx.get(
        f"http://127.0.0.1:{served}/api/v1/health?{'a' * size}", timeout=60
    ).status_code in (
        400,
        431,
    )


def guess(port, address):
    return httpx.post(
        f"http://127.0.0.1:{port}/login",
        data={"token": "x" * 20},
        headers={"x-forwarded-for": address},
        timeout=60,
    ).status_code


@pytest.mark.parametrize(
    ("trusted", "shared"), [("", False), ("none", True), ("10.1.2.3", True), ("127.0.0.0/8", False)]
)
def test_the_setting_says_whose_word_on_addresses_is_taken(platform, trusted, shared):
    settings = read_settings(
        {
            "ALERTING_TRUSTED_PROXIES": trusted,
            "ALERTING_PUBLIC_URL": "https://alerting.plant.example",
        }
    )
    # at one instant: the wait of a second after five wrong tokens is over on a busy machine
    app = create_app(platform, TOKENS, public_url=settings.delivery.public_url, now=lambda: at(0))
    with serving_thread(app, settings.trusted_proxies) as port:
        assert [guess(port, "192.168.1.1") for _ in range(6)] == [401] * 5 + [429]
        assert guess(port, "192.168.1.2") == (429 if shared else 401)
        answer = httpx.post(
            f"http://127.0.0.1:{port}/login",
            data={"token": next(iter(TOKENS))},
            headers={"x-forwarded-for": "192.168.1.3"},
            timeout=60,
        )
        assert answer.status_code == (429 if shared else 303)
        assert shared or "Secure" in answer.headers["set-cookie"]


def test_the_server_as_it_is_started_takes_the_word_of_its_proxies_alone(served):
    """The last test on this server, which then refuses all that this machine sends."""
    answers = [guess(served, "192.168.1.1")]
    while answers.count(429) < 5:  # each 401 doubles the wait, so it outlasts what follows
        assert len(answers) < 60
        answers.append(guess(served, "192.168.1.1"))
    assert answers[0] == 401
    assert 429 in [guess(served, "192.168.1.2") for _ in range(4)], "five are free for each client"


@pytest.mark.parametrize("text", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/99"])
def test_a_proxy_that_is_neither_address_nor_network_is_refused(text):
    with pytest.raises(
        SettingsRefused, match=r"ALERTING_TRUSTED_PROXIES.*neither an address nor a network"
    ):
        read_settings({"ALERTING_TRUSTED_PROXIES": text})
