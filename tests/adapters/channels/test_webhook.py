"""Webhooks and the log: what is sent, and which failures are tried again."""

import base64
import hashlib
import hmac
import json
import logging
import math
from datetime import UTC, datetime

import httpx
import pytest

from alerting.adapters.receivers.http_channels import WebhookChannel, sign
from alerting.adapters.receivers.log import LogChannel
from alerting.ports import DeliveryFailed, Message
from tests.helpers.refusals import lacking, refusal_of

pytestmark = pytest.mark.fast

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
MESSAGE = Message("e1:raised:plant", "Oven 1 too hot", "218 °C", {"episode": "e1"})
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def channel(answer, url="https://user:pass@plant.example/secret-path?token=t0k3n", secret=SECRET):
    requests = []

    def receive(request):
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"location": "https://elsewhere.example/"})

    client = httpx.Client(transport=httpx.MockTransport(receive))
    return WebhookChannel("plant", url, secret, client=client, now=lambda: NOW), requests


def failure_of(answer):
    hook, _ = channel(answer)
    with pytest.raises(DeliveryFailed) as failure:
        hook.deliver(MESSAGE)
    return failure.value


def test_a_delivery_carries_key_time_and_a_signature_the_receiver_can_check():
    hook, requests = channel(204)
    hook.deliver(MESSAGE)
    [request] = requests
    body = request.read()
    assert json.loads(body) == {
        "key": "e1:raised:plant",
        "subject": "Oven 1 too hot",
        "text": "218 °C",
        "data": {"episode": "e1"},
    }
    stamp = str(int(NOW.timestamp()))
    signed = f"e1:raised:plant.{stamp}.".encode() + body
    expected = hmac.new(b"0123456789abcdef0123456789abcdef", signed, hashlib.sha256).digest()
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    assert [request.headers[name] for name in names] == [
        "e1:raised:plant",
        stamp,
        "v1," + base64.b64encode(expected).decode(),
    ]


def test_the_signature_is_that_of_the_published_example():
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed():
    hook, requests = channel(200, secret=None)
    hook.deliver(MESSAGE)
    assert "webhook-signature" not in requests[0].headers


def test_a_refusal_is_permanent_and_other_answers_are_tried_again():
    permanent = [400, 401, 404, 410, 422]
    passing = [301, 302, 307, 408, 429, 500, 502, 503]
    found = {status: failure_of(status).permanent for status in (*permanent, *passing)}
    assert [status for status, is_permanent in found.items() if is_permanent] == permanent


def test_a_broken_connection_is_tried_again():
    words = {
        httpx.ConnectError: "no connection",
        httpx.ReadTimeout: "no answer in time",
        httpx.ReadError: "ReadError",
    }
    failures = {fault: failure_of(fault("x")) for fault in words}
    assert lacking({fault: str(one) for fault, one in failures.items()}, words) == {}
    assert [one.permanent for one in failures.values()] == [False] * 3


def test_neither_failures_nor_logs_show_more_of_the_address_than_its_host(caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    hook, _ = channel(200)
    hook.deliver(MESSAGE)
    broken = httpx.ConnectError("https://user:pass@plant.example")
    seen = f"{caplog.text} {failure_of(500)} {failure_of(broken)}"
    words = ("https://plant.example", "pass@", "secret-path", "t0k3n")
    assert [word for word in words if word in seen] == ["https://plant.example"]


def test_a_secret_of_another_form_is_refused_without_repeating_it():
    secrets = ["hunter2", "whsec_c2hvcnQ=", "whsec_***", SECRET.removeprefix("whsec_")]
    address = ("plant", "https://plant.example")
    refused = {secret: refusal_of(WebhookChannel, *address, secret) for secret in secrets}
    assert lacking(refused, dict.fromkeys(secrets, "openssl rand")) == {}
    assert [secret for secret, words in refused.items() if secret in words] == []


# The log


def test_a_message_becomes_one_line_that_people_and_programs_can_read():
    lines = []
    figures = {"value": 218.0, "share": math.nan}
    text = "218 °C is above 215 °C\nOpen the damper\n"
    LogChannel(lines.append).deliver(Message("e1:raised:log", "Oven 1 too hot", text, figures))
    [line] = lines
    words, _, content = line.partition(" {")
    assert words == "Oven 1 too hot: 218 °C is above 215 °C / Open the damper"
    assert json.loads("{" + content) == {"key": "e1:raised:log", "value": 218.0, "share": None}


def test_a_log_that_cannot_be_written_is_tried_again_later():
    def full_disk(line):
        raise OSError("no space left on device")

    with pytest.raises(DeliveryFailed, match="no space left") as failure:
        LogChannel(full_disk).deliver(MESSAGE)
    assert not failure.value.permanent
