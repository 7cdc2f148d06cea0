"""Ways past the egress rule, and texts that attack who reads them: real sinks on this machine,
whole rounds of deliveries."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from fastapi.testclient import TestClient

from alerting.adapters.channels.egress import Egress, EgressRefused
from alerting.adapters.channels.email import EmailChannel
from alerting.adapters.channels.log import LogChannel
from alerting.adapters.channels.webhook import WebhookChannel
from alerting.console.app import create_app
from alerting.definitions.wording.clean_text import clean_line, clean_text
from alerting.ports import DeliveryFailed, Message
from alerting.settings.delivery import Smtp
from alerting.usecases.definitions.sync import apply
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.notifications import notice, notifications_of
from tests.in_memory_platform import in_memory_platform
from tests.support import free_port

MESSAGE = Message("e1:raised:hook", "HIGH: Too hot", "218 °C", {"severity": "high"})
ATTACK = "Oven\x1b[31m 1\x1b[0m\u202etoh oot\u202c\r\nBcc: all@plant.example\x00\x07\u2066x\u200b"
FORBIDDEN = [
    *map(chr, range(0x0A)),
    "\x0b",
    "\r",
    "\x1b",
    "\x7f",
    "\x9b",
    "\u202e",
    "\u202c",
    "\u2066",
    "\u200b",
    "\u2028",
]


class Sink(BaseHTTPRequestHandler):
    seen = ()

    def do_POST(self):
        Sink.seen.append(
            (
                self.path,
                self.headers,
                json.loads(self.rfile.read(int(self.headers["content-length"]))),
            )
        )
        self.send_response(204)
        self.end_headers()

    def __getattr__(self, name):
        if name in ("do_CONNECT", "do_GET"):
            return self.do_POST
        raise AttributeError(name)

    def log_message(self, *words):
        pass


@pytest.fixture
def sink():
    Sink.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


# Special addresses

SPECIAL = [
    "0.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.0.1",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::10.0.0.1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:0a00:0001::1",
    "2002:7f00:1::1",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "feff::1",
    "ff02::1",
    "2001:0:a00:1::f5ff:fffe",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:10.0.0.1",
]
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "192.0.1.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::8.8.8.8",
    "::ffff:8.8.8.8",
    "2002:0808:0808::1",
]


def leading_to(address):
    return Egress(resolve=lambda host, port, **_: [(0, 0, 0, "", (address, port))])


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_of_a_special_range_is_not_reached(address):
    with pytest.raises(EgressRefused, match="ALERTING_EGRESS_ALLOW") as refusal:
        leading_to(address).address("innocent.example", 443)
    assert refusal.value.permanent


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_reached(address):
    assert leading_to(address).address("plant.example", 443) == address


# The environment


@pytest.fixture(params=["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def proxied(request, monkeypatch, sink, tmp_path):
    """An environment that names a proxy, which the rule would never let through, and passwords."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password t0ps3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv(request.param, f"http://127.0.0.1:{sink}")
    monkeypatch.setenv("NETRC", str(netrc))
    return sink


def test_a_webhook_goes_past_no_proxy_of_the_environment(proxied):
    hook = WebhookChannel("plant", "http://8.8.8.8:9/hook", egress=leading_to("127.0.0.2"))
    with pytest.raises(EgressRefused):
        hook.deliver(MESSAGE)
    target = f"http://127.0.0.1:{free_port()}/hook"
    with pytest.raises(DeliveryFailed, match="no connection"):
        WebhookChannel("plant", target, egress=Egress(["127.0.0.1"])).deliver(MESSAGE)
    assert Sink.seen == []


def test_no_password_of_the_environment_goes_out(sink, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password t0ps3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    WebhookChannel("plant", f"http://127.0.0.1:{sink}/hook", egress=Egress(["127.0.0.1"])).deliver(
        MESSAGE
    )
    assert [headers.get("authorization") for _, headers, _ in Sink.seen] == [None]


# One bad channel, one bad document


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(title="Oven too hot")], "engineer", at(0), "first")
    made.clock.instant = at(600)
    return made


def store_raised(platform, channel, minute, **changes):
    """Store an episode with a notification that is due."""
    one = episode(minute, **changes)
    platform.episodes.insert(one)
    platform.notifications.add(
        [notice(f"e{minute}:raised:{channel}", minute, channel=channel, episode=one.id)]
    )


BAD = [
    "http://0177.0.0.1/x", "http://0x7f.1/x", "http://2130706433/x", "http://127.1/x",
    "http://[::1]/x", "http://256.1.1.1/x",
    "http://\uff11\uff12\uff17.0.0.1/x",
    "http://a..b/x", "http://[::ffff:7f00:1]/x", "http://localhost/x", "http://xn--/x",
    f"http://{'a' * 300}/x",
    "http://0/x", "http://a\u202eb.example/x",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_a_channel_that_leads_nowhere_fails_alone_and_the_round_goes_on(platform, sink, url):
    good = WebhookChannel("good", f"http://127.0.0.1:{sink}/hook", egress=Egress(["127.0.0.1"]))
    served = replace(
        platform, channels={"bad": WebhookChannel("bad", url, egress=Egress()), "good": good}
    )
    for minute, channel in ((1, "bad"), (2, "good"), (3, "bad"), (4, "good")):
        store_raised(served, channel, minute)
    counts = deliver_due(served, at(600))
    assert (counts.sent, counts.failed) == (2, 2)
    assert len(Sink.seen) == 2


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("x"),
        UnicodeEncodeError("ascii", "ä", 0, 1, "x"),
        RecursionError(),
        KeyError("k"),
    ],
)
def test_whatever_a_channel_raises_concerns_its_message_alone_and_is_logged_without_its_text(
    platform, caplog, fault
):
    lines = []

    class Broken:
        name = "bad"

        def deliver(self, message):
            raise fault

    served = replace(platform, channels={"bad": Broken(), "log": LogChannel(lines.append)})
    for minute, channel in ((1, "bad"), (2, "log")):
        store_raised(served, channel, minute)
    counts = deliver_due(served, at(600))
    assert (counts.sent, counts.failed) == (1, 1)
    assert [n.status for n in notifications_of(served)] == ["sent", "failed"]
    assert type(fault).__name__ in caplog.text


# Texts that attack


class Mailbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
def mail():
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, Smtp("127.0.0.1", port, "none", "alerting@plant.example")
    controller.stop()


def is_plain(text):
    return not [c for c in FORBIDDEN if c in text]


def test_no_channel_carries_what_controls_a_terminal_or_turns_text_around(platform, sink, mail):
    import email
    import email.policy

    box, smtp = mail
    lines = []
    rule = Egress(["127.0.0.1"])
    served = replace(
        platform,
        channels={
            "log": LogChannel(lines.append),
            "mail": EmailChannel("mail", "shift@plant.example", smtp, rule),
            "hook": WebhookChannel("hook", f"http://127.0.0.1:{sink}/hook", egress=rule),
        },
    )
    evaluation = replace(episode(1).evaluation, reason=ATTACK)
    for minute, channel in enumerate(("log", "mail", "hook"), 1):
        store_raised(
            served,
            channel,
            minute,
            title=ATTACK,
            guidance={"action": ATTACK},
            evaluation=evaluation,
        )
    assert deliver_due(served, at(600)).sent == 3
    [line] = lines
    [(recipients, content)] = box.mails
    [(_, _, body)] = Sink.seen
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    parts = [
        part.get_content().replace("\r\n", "\n")
        for part in parsed.walk()
        if part.get_content_maintype() == "text"
    ]
    assert recipients == ["shift@plant.example"]
    assert parsed["bcc"] is None
    shown = [
        line,
        str(parsed["subject"]),
        *parts,
        json.dumps(body, ensure_ascii=False).replace("\\n", " "),
    ]
    assert [text for text in shown if not is_plain(text) or "\\u00" in text] == []
    assert "\n" not in line
    assert all("Oven 1toh oot" in text for text in shown[:2])


def test_pages_and_problems_show_no_text_that_turns_around(platform):
    platform.episodes.insert(episode(1, title=ATTACK, condition="open"))
    browser = TestClient(create_app(platform, TOKENS), raise_server_exceptions=False)
    browser.post("/login", data={"token": list(TOKENS)[1]})
    for path in ("/", f"/episodes/{episode(1).id}"):
        assert is_plain(browser.get(path).text), path
    answer = browser.get("/api/v1/episodes/a%E2%80%AEb%1B[31m", headers=VIEWER)
    assert is_plain(answer.json()["detail"] + answer.json()["instance"])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Größe 5 µm ≤ 10 °C ☑", "Größe 5 µm ≤ 10 °C ☑"),
        ("温度過高 حرارة 👩‍🔧", "温度過高 حرارة 👩‍🔧"),
        ("a\tb\r\nc\u2028d", "a b c d"),
        ("\x1b]8;;https://evil.example\x07click\x1b]8;;\x07", "click"),
        ("\x9b31mred", "red"),
        ("\ud800x", "\ufffdx"),
        ("in\u202evert\u2069ed\U000e0041", "inverted"),
    ],
)
def test_text_of_all_languages_stays_and_only_what_attacks_goes(text, line):
    assert clean_line(text) == line
    assert clean_text(clean_text(text)) == clean_text(text)
