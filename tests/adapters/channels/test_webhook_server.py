"""The webhook channel against a real server that behaves well, badly, and not at all."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from alerting.adapters.channels.webhook import WebhookChannel
from alerting.ports import DeliveryFailed, Message

MESSAGE = Message("e1:raised:plant", "Oven 1 too hot", "218 °C", {"episode": "e1"})
SHORT = httpx.Timeout(0.3)


class Receiver(BaseHTTPRequestHandler):
    seen = ()
    released = threading.Event()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Receiver.seen.append((self.path, body))
        if self.path == "/silent":
            Receiver.released.wait(600)
            return
        self.send_response({"/moved": 302}.get(self.path, 200))
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "1000000")
        self.end_headers()
        if self.path == "/endless":
            Receiver.released.wait(600)

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    Receiver.seen = []
    Receiver.released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Receiver.released.set()
        server.shutdown()
        thread.join()


def test_an_answer_whose_body_never_ends_counts_as_delivered_at_once(server):
    WebhookChannel("plant", f"{server}/endless", timeout=httpx.Timeout(300)).deliver(MESSAGE)
    assert not Receiver.released.is_set()  # the receiver still writes its answer


def test_a_receiver_that_does_not_answer_is_given_up_in_time(server):
    with pytest.raises(DeliveryFailed, match="no answer in time") as failure:
        WebhookChannel("plant", f"{server}/silent", timeout=SHORT).deliver(MESSAGE)
    assert not failure.value.permanent
