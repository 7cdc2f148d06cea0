"""Ways past the egress rule for Apprise: its proxy, its environment, its other services."""

import ast
import base64
import inspect
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("apprise")
from alerting.adapters.channels.apprise import channel as apprise_channel
from alerting.adapters.channels.apprise import proxy as apprise_proxy
from alerting.adapters.channels.apprise.channel import AppriseChannel, check_addresses
from alerting.adapters.channels.apprise.proxy import run_proxy
from alerting.adapters.channels.apprise.services import HTTP_SERVICES
from alerting.adapters.channels.egress import Egress, EgressRefused
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message
from tests.helpers.http_receiver import http_receiver

MESSAGE = Message("e1:raised:chat", "HIGH: Too hot", "218 °C", {"severity": "high"})
ALLOWED = Egress(["127.0.0.1"])


@pytest.fixture
def server():
    with http_receiver() as found:
        yield found


def leading_to(*addresses, allow=("hooks.example",)):
    """A rule that allows a name, which leads to these addresses in turn."""
    answers = iter(addresses)
    return Egress(allow, lambda host, port, **_: [(0, 0, 0, "", (next(answers), port))])


def ask(proxy, *lines, password=None):
    """The first line of the proxy's answer to a request."""
    credentials = proxy.url.partition("//")[2].rpartition("@")[0] if password is None else password
    with socket.create_connection(proxy.server_address, 10) as client:
        token = base64.b64encode(credentials.encode()).decode()
        head = [lines[0], f"Proxy-Authorization: Basic {token}", *lines[1:], "", ""]
        client.sendall("\r\n".join(head).encode())
        return client.recv(1 << 16).decode().splitlines()[0].partition(" ")[2]


# The proxy


def test_a_tunnel_leads_to_the_address_that_was_checked_and_the_name_is_asked_once(server):
    with run_proxy(leading_to("127.0.0.1", "127.0.0.2")) as proxy:
        assert ask(proxy, f"CONNECT hooks.example:{server.server_port} HTTP/1.1").startswith("200")
        # the name leads elsewhere now, where nobody listens
        assert ask(proxy, f"CONNECT hooks.example:{server.server_port} HTTP/1.1").startswith("403")


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT 127.0.0.1:{port} HTTP/1.1",
        "CONNECT localhost:{port} HTTP/1.1",
        "CONNECT [::1]:{port} HTTP/1.1",
        "CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1",
        "CONNECT 2130706433:{port} HTTP/1.1",
        "POST http://127.0.0.1:{port}/ HTTP/1.1",
        "POST http://0x7f.1:{port}/ HTTP/1.1",
        "GET http://anna:pw@127.0.0.1:{port}/ HTTP/1.1",
        "GET http://8.8.8.8@127.0.0.1:{port}/ HTTP/1.1",
    ],
)
def test_nothing_inside_the_network_is_reached_through_the_proxy(server, line):
    with run_proxy(Egress()) as proxy:
        answer = ask(proxy, line.format(port=server.server_port))
        assert answer.startswith("403")
        assert isinstance(proxy.failure, DeliveryFailed)
    assert server.seen == []


def test_a_name_that_leads_inside_is_refused_by_the_proxy(server):
    with run_proxy(leading_to("127.0.0.1", allow=())) as proxy:
        port = server.server_port
        assert ask(proxy, f"CONNECT hooks.example:{port} HTTP/1.1").startswith("403")
        assert isinstance(proxy.failure, EgressRefused)


@pytest.mark.parametrize("password", ["", "alerting:", "alerting:guessed", "anna:pw"])
def test_the_proxy_serves_nobody_without_its_password(server, password):
    with run_proxy(ALLOWED) as proxy:
        line = f"CONNECT 127.0.0.1:{server.server_port} HTTP/1.1"
        assert ask(proxy, line, password=password).startswith("407")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["CONNECT 127.0.0.1:99999 HTTP/1.1"], "400"),
        (["CONNECT :80 HTTP/1.1"], "400"),
        (["POST ftp://127.0.0.1/ HTTP/1.1"], "400"),
        (["POST /hook HTTP/1.1"], "400"),
        (["POST http://[x/ HTTP/1.1"], "400"),
        (["POST http://127.0.0.1/ HTTP/1.1", "Transfer-Encoding: chunked"], "411"),
        (["POST http://127.0.0.1/ HTTP/1.1", "Content-Length: -1"], "411"),
        (["POST http://127.0.0.1/ HTTP/1.1", "Content-Length: 999999999"], "413"),
        (["TRACE http://127.0.0.1/ HTTP/1.1"], "501"),
    ],
)
def test_a_request_that_the_proxy_does_not_understand_goes_nowhere(lines, status):
    with run_proxy(ALLOWED) as proxy:
        assert ask(proxy, *lines).startswith(status)


def test_the_proxy_carries_no_more_than_a_message(server, monkeypatch):
    monkeypatch.setattr(apprise_proxy, "MOST_BYTES", 1000)
    with run_proxy(ALLOWED) as proxy, pytest.raises(DeliveryFailed):
        AppriseChannel("chat", f"json://127.0.0.1:{server.server_port}", ALLOWED).deliver(
            Message("k", "s", "x" * 5000, {})
        )
    assert server.seen == []
    assert proxy.failure is None


# The process


def test_what_goes_through_the_tunnel_is_encrypted_from_end_to_end(tmp_path, monkeypatch):
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        ["/usr/bin/openssl", "req", *options, *names], cwd=tmp_path, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    rule = Egress(["localhost"])
    with http_receiver(context) as server:
        service = AppriseChannel("chat", f"jsons://localhost:{server.server_port}/hook", rule)
        with pytest.raises(DeliveryFailed):  # nobody has signed the certificate
            service.deliver(MESSAGE)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
        service.deliver(MESSAGE)
    assert [body["title"] for body in server.bodies] == ["HIGH: Too hot"]


def test_ntfy_by_apprise_goes_on(server):
    url = f"ntfy://127.0.0.1:{server.server_port}/line-3"
    AppriseChannel("chat", url, ALLOWED).deliver(MESSAGE)
    [(_, _, body)] = server.seen
    assert (body["topic"], body["title"], body["message"]) == ("line-3", "HIGH: Too hot", "218 °C")


@pytest.mark.parametrize("exception", ["*", "127.0.0.1", "localhost,127.0.0.0/8"])
def test_an_exception_from_proxies_in_the_environment_is_no_way_past_the_rule(
    server, monkeypatch, exception
):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, exception)
    with pytest.raises(EgressRefused):
        AppriseChannel("chat", f"json://127.0.0.1:{server.server_port}", Egress()).deliver(MESSAGE)
    assert server.seen == []


def test_no_secret_is_in_a_list_of_processes_and_none_of_the_platform_reaches_apprise(
    server, monkeypatch
):
    monkeypatch.setenv("ALERTING_MONGODB_URI", "mongodb://anna:0fth3pl4tf0rm@mongo")
    found = []

    def look():
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and int(folder.name) != os.getpid():
                try:
                    parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                    if int(parent) == os.getpid():
                        found.append((folder / "cmdline").read_bytes())
                        found.append((folder / "environ").read_bytes())
                except OSError:
                    continue

    server.look = look
    url = f"json://anna:t0ps3cret@127.0.0.1:{server.server_port}/hook"
    AppriseChannel("chat", url, ALLOWED).deliver(MESSAGE)
    shown = b"".join(found)
    assert b"alerting.adapters.channels.apprise.process" in shown
    assert b"t0ps3cret" not in shown
    assert b"0fth3pl4tf0rm" not in shown


def test_a_service_that_never_answers_is_ended(server, monkeypatch):
    monkeypatch.setattr(apprise_channel, "LASTS_S", 1.5)
    server.released.clear()
    with pytest.raises(DeliveryFailed, match="no answer in time") as failure:
        AppriseChannel("chat", f"json://127.0.0.1:{server.server_port}", ALLOWED).deliver(MESSAGE)
    assert not failure.value.permanent


# Services that would not use the proxy


@pytest.mark.parametrize(
    "url",
    [
        "mailto://anna:t0ps3cret@plant.example",
        "mqtt://anna:t0ps3cret@127.0.0.1/topic",
        "ircs://anna:t0ps3cret@127.0.0.1/channel",
        "rsyslog://127.0.0.1/local5?token=t0ps3cret",
        "syslog://",
    ],
)
def test_a_service_that_is_not_reached_by_http_is_refused_at_the_start_and_sends_nothing(url):
    with pytest.raises(UserError, match="HTTP") as refusal:
        check_addresses({"chat": url})
    assert "t0ps3cret" not in str(refusal.value)
    with pytest.raises(DeliveryFailed):
        AppriseChannel("chat", url, ALLOWED).deliver(MESSAGE)


def test_plug_ins_of_all_listed_services_send_by_requests_alone():
    from apprise.manager_plugins import NotificationManager

    manager = NotificationManager()
    manager.load_modules()
    wrong = [name for name in sorted(HTTP_SERVICES) if not sends_by_requests_alone(manager[name])]
    assert wrong == []


def sends_by_requests_alone(plugin):
    """Whether the modules of a plug-in import requests, use no proxies of their own, and import
    nothing else that opens connections."""
    sources = []
    for one in plugin.__mro__:
        file = Path(inspect.getfile(one)) if one.__module__.startswith("apprise.plugins.") else None
        if file is not None and file.parent.name == "plugins" and file.name != "base.py":
            sources.append(file.read_text())
        elif file is not None and file.parent.name != "plugins":
            sources += [part.read_text() for part in file.parent.rglob("*.py")]
    imported = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                parts = (node.module or "").split(".")  # of Apprise itself only its sockets matter
                imported.add(parts[-1] if parts[-1] == "socket" else "" if node.level else parts[0])
    others = {"socket", "smtplib", "paho", "slixmpp", "smpplib", "gntp", "dbus", "gi", "subprocess"}
    others |= {"http", "httpx", "aiohttp", "websocket", "websockets", "ftplib", "imaplib"}
    own_ways = [
        s for s in sources if any(way in s for way in ("trust_env", "proxies=", "HTTPPolicy"))
    ]
    return "requests" in imported and not imported & others and not own_ways
