"""Apprise against a real receiver on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alerting.adapters.channels.egress import Egress, EgressRefused
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message, MessageLink

pytest.importorskip("apprise")
from alerting.adapters.channels.apprise.channel import AppriseChannel, check_addresses

LINKS = (MessageLink("It was right", "https://alerting.plant.example/f/abc"),)
MESSAGE = Message(
    "e1:raised:chat", "HIGH: Too hot", "218 °C", {"severity": "high", "transition": "raised"}, LINKS
)
ALLOWED = Egress(["127.0.0.1"])


class Receiver(BaseHTTPRequestHandler):
    status = 200
    seen = ()

    def do_POST(self):
        Receiver.seen.append(
            (self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
        )
        self.send_response(Receiver.status)
        self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def receiver():
    Receiver.seen = []
    Receiver.status = 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_message_arrives_with_its_links(receiver):
    AppriseChannel("chat", f"json://{receiver}/hook", ALLOWED).deliver(MESSAGE)
    [(path, body)] = Receiver.seen
    assert path.rstrip("/") == "/hook"
    assert (body["title"], body["type"]) == ("HIGH: Too hot", "failure")
    assert "It was right: https://alerting.plant.example/f/abc" in body["message"]


@pytest.mark.parametrize("query", ["", "?redirect=yes"])
def test_a_redirect_is_not_followed_whatever_the_address_says(receiver, query):
    Receiver.status = 307
    with pytest.raises(DeliveryFailed):
        AppriseChannel("chat", f"json://{receiver}/hook{query}", ALLOWED).deliver(MESSAGE)
    assert [path.rstrip("/") for path, _ in Receiver.seen] == ["/hook"]


def test_a_service_inside_the_network_needs_to_be_allowed(receiver):
    with pytest.raises(EgressRefused):
        AppriseChannel("chat", f"json://{receiver}/hook", Egress()).deliver(MESSAGE)
    assert Receiver.seen == []


def test_a_failure_is_tried_again_and_shows_no_credentials(receiver, caplog):
    caplog.set_level("DEBUG")
    Receiver.status = 500
    with pytest.raises(DeliveryFailed) as failure:
        AppriseChannel("chat", f"json://anna:t0ps3cret@{receiver}/hook", ALLOWED).deliver(MESSAGE)
    assert not failure.value.permanent
    assert "t0ps3cret" not in str(failure.value) + caplog.text


@pytest.mark.parametrize("url", ["slack://", "nonsense", "carrier-pigeon://t0ps3cret"])
def test_an_address_that_apprise_does_not_know_is_refused_without_repeating_it(url):
    with pytest.raises(UserError) as refusal:
        check_addresses({"good": "json://plant.example", "chat": url})
    assert "chat" in str(refusal.value)
    assert "t0ps3cret" not in str(refusal.value)


def test_teams_slack_and_ntfy_are_known():
    check_addresses(
        {
            "slack": "slack://T00000000/A00000000/000000000000000000000000/",
            "native": "https://hooks.slack.com/services/T00000000/A00000000/000000000000000000000000",
            "teams": "workflows://host.logic.azure.com/0123456789/signature",
            "ntfy": "ntfy://topic",
        }
    )
