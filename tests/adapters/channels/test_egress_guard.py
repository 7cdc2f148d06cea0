"""The guard of connections: no message reaches a host inside the network by surprise."""

import socket

import httpx
import pytest

from alerting.adapters.channels.egress import Egress, EgressRefused
from alerting.adapters.channels.webhook import WebhookChannel
from alerting.definitions.faults import UserError
from alerting.ports import DeliveryFailed, Message

PUBLIC = "93.184.216.34"
MESSAGE = Message("k", "s", "t", {})


def resolving(*addresses):
    return lambda host, port, **_: [(0, 0, 0, "", (a, port)) for a in addresses]


def egress(*allow, to=(PUBLIC,)):
    return Egress(allow, resolving(*to))


def test_one_bad_address_among_good_ones_is_enough():
    with pytest.raises(EgressRefused):
        egress(to=[PUBLIC, "10.0.0.1"]).address("innocent.example", 443)


@pytest.mark.parametrize(
    ("allow", "host", "address", "passes"),
    [
        ("hooks.example", "hooks.example", PUBLIC, True),
        ("hooks.example", "HOOKS.example.", PUBLIC, True),
        ("hooks.example", "other.example", PUBLIC, False),
        ("*.example", "hooks.example", PUBLIC, True),
        ("*.example", "evil-example", PUBLIC, False),
        ("*.example", "hooks.example", "10.0.0.1", False),
        ("mail.plant", "mail.plant", "10.0.0.1", True),
        ("10.0.0.0/8", "mail.plant", "10.0.0.1", True),
        ("10.0.0.0/8", "mail.plant", "192.168.0.1", False),
        ("10.0.0.0/8", "hooks.example", PUBLIC, False),
        ("127.0.0.1", "localhost", "127.0.0.1", True),
        ("fd00::/8", "mail.plant", "fd00::7", True),
    ],
)
def test_the_list_says_what_may_be_reached_and_a_pattern_never_opens_the_network(
    allow, host, address, passes
):
    rule = egress(allow, to=[address])
    if passes:
        assert rule.address(host, 443) == address
    else:
        with pytest.raises(EgressRefused):
            rule.address(host, 443)


@pytest.mark.parametrize(
    "entry", ["https://hooks.example", "user@host", "hooks.example:443", "10.0.0.0/99"]
)
def test_an_entry_that_is_neither_host_nor_network_is_refused(entry):
    with pytest.raises(UserError, match="neither"):
        Egress([entry])


def test_a_name_that_is_not_known_is_tried_again():
    def unknown(*_, **__):
        raise socket.gaierror

    with pytest.raises(DeliveryFailed) as failure:
        Egress(resolve=unknown).address("plant.example", 443)
    assert not failure.value.permanent


# --- webhooks
# --------------------------------------------------------------------------------------------------


def hook(rule, url="https://plant.example:8443/hook"):
    seen = []

    def receive(request):
        seen.append(request)
        return httpx.Response(204)

    return WebhookChannel(
        "plant", url, egress=rule, client=httpx.Client(transport=httpx.MockTransport(receive))
    ), seen


def test_a_webhook_connects_to_the_address_that_was_checked_and_names_the_host():
    channel, seen = hook(egress())
    channel.deliver(MESSAGE)
    [request] = seen
    assert (request.url.host, request.headers["host"]) == (PUBLIC, "plant.example:8443")
    assert request.extensions["sni_hostname"] == "plant.example"


def test_a_name_that_changes_its_meaning_after_the_check_is_never_asked_again():
    answers = iter([PUBLIC, "127.0.0.1"])
    rule = Egress(resolve=lambda host, port, **_: [(0, 0, 0, "", (next(answers), port))])
    channel, seen = hook(rule)
    channel.deliver(MESSAGE)
    assert seen[0].url.host == PUBLIC
    with pytest.raises(EgressRefused):
        channel.deliver(MESSAGE)
    assert len(seen) == 1
