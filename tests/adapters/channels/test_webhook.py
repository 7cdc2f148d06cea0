import base64
import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime

import httpx
import pytest

from alerting.adapters.channels.webhook import WebhookChannel, sign
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message

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
    assert request.headers["webhook-id"] == "e1:raised:plant"
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = b"e1:raised:plant." + str(int(NOW.timestamp())).encode() + b"." + body
    expected = hmac.new(b"0123456789abcdef0123456789abcdef", signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


def test_the_signature_is_that_of_the_published_example():
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed():
    hook, requests = channel(200, secret=None)
    hook.deliver(MESSAGE)
    assert "webhook-signature" not in requests[0].headers


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_refusal_is_permanent(status):
    assert failure_of(status).permanent


@pytest.mark.parametrize("status", [301, 302, 307, 408, 429, 500, 502, 503])
def test_other_answers_are_tried_again_and_redirects_are_not_followed(status):
    assert not failure_of(status).permanent


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (httpx.ConnectError("x"), "no connection"),
        (httpx.ReadTimeout("x"), "no answer in time"),
        (httpx.ReadError("x"), "ReadError"),
    ],
)
def test_a_broken_connection_is_tried_again(fault, words):
    failure = failure_of(fault)
    assert not failure.permanent
    assert words in str(failure)


def test_neither_failures_nor_logs_show_more_of_the_address_than_its_host(caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    hook, _ = channel(200)
    hook.deliver(MESSAGE)
    seen = (
        caplog.text
        + str(failure_of(500))
        + str(failure_of(httpx.ConnectError("https://user:pass@plant.example")))
    )
    assert "https://plant.example" in seen
    assert not [secret for secret in ("pass@", "secret-path", "t0k3n") if secret in seen]


@pytest.mark.parametrize(
    "secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_***", SECRET.removeprefix("whsec_")]
)
def test_a_secret_of_another_form_is_refused_without_repeating_it(secret):
    with pytest.raises(UserError, match="openssl rand") as refusal:
        WebhookChannel("plant", "https://plant.example", secret)
    assert secret not in str(refusal.value)
