"""The guard of connections: no message reaches a host inside the network by surprise, by ways past
the rule, or by texts that attack who reads them. Real sinks on this machine, whole rounds."""

import email
import email.policy
import json
import socket
from dataclasses import replace

import httpx
import pytest
from aiosmtpd.controller import Controller
from fastapi.testclient import TestClient

from alerting.adapters.receivers.egress import Egress, EgressRefused
from alerting.adapters.receivers.email import EmailChannel
from alerting.adapters.receivers.http_channels import WebhookChannel
from alerting.adapters.receivers.log import LogChannel
from alerting.console.app import create_app
from alerting.definitions.wording.clean_text import clean_line
from alerting.ports import DeliveryFailed, Message
from alerting.settings.environment import Smtp
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.notification.delivery import deliver_due
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, VIEWER, episode
from tests.helpers.http_receiver import http_receiver
from tests.helpers.notifications import notice, notifications_of
from tests.helpers.refusals import lacking, refusal_of
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
HERE = Egress(["127.0.0.1"])


@pytest.fixture
def sink():
    with http_receiver() as server:
        yield server


def hook(server, name="plant", egress=HERE):
    return WebhookChannel(name, f"http://127.0.0.1:{server.server_port}/hook", egress=egress)


# The rule

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
LISTED = [
    ("hooks.example", "hooks.example", PUBLIC[0], True),
    ("hooks.example", "HOOKS.example.", PUBLIC[0], True),
    ("hooks.example", "other.example", PUBLIC[0], False),
    ("*.example", "hooks.example", PUBLIC[0], True),
    ("*.example", "evil-example", PUBLIC[0], False),
    ("*.example", "hooks.example", "10.0.0.1", False),
    ("mail.plant", "mail.plant", "10.0.0.1", True),
    ("10.0.0.0/8", "mail.plant", "10.0.0.1", True),
    ("10.0.0.0/8", "mail.plant", "192.168.0.1", False),
    ("10.0.0.0/8", "hooks.example", PUBLIC[0], False),
    ("127.0.0.1", "localhost", "127.0.0.1", True),
    ("fd00::/8", "mail.plant", "fd00::7", True),
]


def resolving(*addresses):
    return lambda host, port, **_: [(0, 0, 0, "", (a, port)) for a in addresses]


def reached(*addresses, allow=(), host="innocent.example"):
    """Return what a host of these addresses is reached at, None where that is refused for good."""
    try:
        return Egress(allow, resolving(*addresses)).address(host, 443)
    except EgressRefused as refused:
        assert refused.permanent
        assert "ALERTING_EGRESS_ALLOW" in str(refused)


def test_an_address_of_a_special_range_is_not_reached_and_a_public_one_is():
    found = {address: reached(address) for address in (*SPECIAL, *PUBLIC)}
    assert found == dict.fromkeys(SPECIAL) | {address: address for address in PUBLIC}
    assert reached(PUBLIC[0], "10.0.0.1") is None  # one bad address is enough


def test_the_list_says_what_may_be_reached_and_a_pattern_never_opens_the_network():
    found = [
        (entry, host, address, reached(address, allow=[entry], host=host) == address)
        for entry, host, address, _ in LISTED
    ]
    assert found == LISTED


def test_an_entry_that_is_neither_host_nor_network_is_refused():
    entries = ("https://hooks.example", "user@host", "hooks.example:443", "10.0.0.0/99")
    found = {entry: refusal_of(Egress, [entry]) for entry in entries}
    assert lacking(found, dict.fromkeys(entries, "neither")) == {}


def test_a_name_that_is_not_known_is_tried_again():
    def unknown(*_, **__):
        raise socket.gaierror

    with pytest.raises(DeliveryFailed) as failure:
        Egress(resolve=unknown).address("plant.example", 443)
    assert not failure.value.permanent


def test_a_webhook_connects_to_the_address_that_was_checked_names_the_host_and_asks_anew():
    seen = []
    answers = iter([PUBLIC[0], "127.0.0.1"])
    rule = Egress(resolve=lambda host, port, **_: [(0, 0, 0, "", (next(answers), port))])
    taken = httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(204))
    url = "https://plant.example:8443/hook"
    channel = WebhookChannel("plant", url, egress=rule, client=httpx.Client(transport=taken))
    channel.deliver(MESSAGE)
    [request] = seen
    found = (request.url.host, request.headers["host"], request.extensions["sni_hostname"])
    assert found == (PUBLIC[0], "plant.example:8443", "plant.example")
    with pytest.raises(EgressRefused):  # the name has changed its meaning
        channel.deliver(MESSAGE)
    assert len(seen) == 1


# The environment


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_webhook_goes_past_no_proxy_of_the_environment(sink, monkeypatch, variable):
    monkeypatch.setenv(variable, f"http://127.0.0.1:{sink.server_port}")
    inside = Egress(resolve=resolving("127.0.0.2"))
    with pytest.raises(EgressRefused):
        WebhookChannel("plant", "http://8.8.8.8:9/hook", egress=inside).deliver(MESSAGE)
    target = f"http://127.0.0.1:{free_port()}/hook"
    with pytest.raises(DeliveryFailed, match="no connection"):
        WebhookChannel("plant", target, egress=HERE).deliver(MESSAGE)
    assert sink.seen == []


def test_no_password_of_the_environment_goes_out(sink, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password t0ps3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    hook(sink).deliver(MESSAGE)
    assert [headers.get("authorization") for _, headers, _ in sink.seen] == [None]


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


def test_a_channel_that_leads_nowhere_fails_alone_and_the_round_goes_on(platform, sink):
    found = {}
    for number, url in enumerate(BAD):
        bad = WebhookChannel("bad", url, egress=Egress())
        served = replace(platform, channels={"bad": bad, "good": hook(sink, "good")})
        for n, channel in enumerate(("bad", "good", "bad", "good")):
            store_raised(served, channel, 4 * number + n)
        counts = deliver_due(served, at(600))
        found[url] = (counts.sent, counts.failed)
    assert found == dict.fromkeys(BAD, (2, 2))
    assert len(sink.seen) == 2 * len(BAD)


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
    class Broken:
        name = "bad"

        def deliver(self, message):
            raise fault

    served = replace(platform, channels={"bad": Broken(), "log": LogChannel([].append)})
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


def hostile_in(text):
    return [c for c in FORBIDDEN if c in text]


def test_no_channel_carries_what_controls_a_terminal_or_turns_text_around(platform, sink, mail):
    box, smtp = mail
    lines = []
    served = replace(
        platform,
        channels={
            "log": LogChannel(lines.append),
            "mail": EmailChannel("mail", "shift@plant.example", smtp, HERE),
            "hook": hook(sink),
        },
    )
    evaluation = replace(episode(1).evaluation, reason=ATTACK)
    hostile = {"title": ATTACK, "guidance": {"action": ATTACK}, "evaluation": evaluation}
    for minute, channel in enumerate(served.channels, 1):
        store_raised(served, channel, minute, **hostile)
    assert deliver_due(served, at(600)).sent == 3
    [line] = lines
    [(recipients, content)] = box.mails
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert (recipients, parsed["bcc"]) == (["shift@plant.example"], None)
    texts = [part for part in parsed.walk() if part.get_content_maintype() == "text"]
    parts = [part.get_content().replace("\r\n", "\n") for part in texts]
    body = json.dumps(sink.bodies, ensure_ascii=False).replace("\\n", " ")
    shown = [line, str(parsed["subject"]), *parts, body]
    assert [text for text in shown if hostile_in(text) or "\\u00" in text] == []
    assert "\n" not in line
    assert ["Oven 1toh oot" in text for text in shown[:2]] == [True, True]


def test_pages_and_problems_show_no_text_that_turns_around(platform):
    platform.episodes.insert(episode(1, title=ATTACK, condition="open"))
    browser = TestClient(create_app(platform, TOKENS), raise_server_exceptions=False)
    browser.post("/login", data={"token": list(TOKENS)[1]})
    shown = [browser.get(path).text for path in ("/", f"/episodes/{episode(1).id}")]
    answer = browser.get("/api/v1/episodes/a%E2%80%AEb%1B[31m", headers=VIEWER).json()
    shown += [answer["detail"], answer["instance"]]
    assert [hostile_in(text) for text in shown] == [[]] * 4


def test_a_line_of_any_language_stays_and_only_what_attacks_goes():
    """What remains of a text is in `tests/definitions/wording/test_clean_text.py`."""
    lines = {
        "温度過高 حرارة 👩‍🔧 5 µm ≤ 10 °C ☑": "温度過高 حرارة 👩‍🔧 5 µm ≤ 10 °C ☑",
        "a\tb\r\nc\u2028d": "a b c d",
        "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07": "click",
        "in\u202evert\u2069ed\U000e0041\ud800": "inverted\ufffd",
    }
    assert {text: clean_line(text) for text in lines} == lines
