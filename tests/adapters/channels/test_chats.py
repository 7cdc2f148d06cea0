"""Slack, Teams, ntfy and a webhook against a real server: the whole body that each of them is sent,
and servers that behave badly."""

from dataclasses import replace

import httpx
import pytest

from alerting.adapters.receivers.egress import Egress, EgressRefused
from alerting.adapters.receivers.http_channels import (
    LONGEST_HEADER,
    LONGEST_OF_NTFY,
    LONGEST_SECTION,
    NtfyChannel,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from alerting.ports import DeliveryFailed, Message, MessageLink
from tests.helpers.http_receiver import http_receiver

LINKS = tuple(
    MessageLink(label, f"https://alerting.plant.example/{path}")
    for label, path in (
        ("I have seen it", "f/a"),
        ("It was right", "f/b"),
        ("It was wrong", "f/c"),
        ("I acted on it", "f/d"),
        ("Open the alarm", "episodes/e1"),
    )
)
MESSAGE = Message(
    "e1:raised:chat",
    "HIGH: Oven <1> & 2 too hot",
    "218 °C > 215 °C in zone_2_temperature\n\n<!channel> *see* [here](https://evil.example)",
    {"severity": "high", "transition": "raised"},
    LINKS,
)
OVER = replace(MESSAGE, payload={"severity": "high", "transition": "closed"}, links=LINKS[-1:])
LONG = replace(MESSAGE, subject="ö" * 5000, text="°" * 50_000)
ALLOWED = Egress(["127.0.0.1"])
CHANNELS = [SlackChannel, TeamsChannel, NtfyChannel]


@pytest.fixture
def server():
    with http_receiver() as found:
        yield found


def channel(kind, server, egress=ALLOWED):
    return kind("shift", f"http://127.0.0.1:{server.server_port}/s3cret/line-3", egress=egress)


def test_slack_shows_headline_text_and_links_and_reads_no_marks_in_them(server):
    channel(SlackChannel, server).deliver(MESSAGE)
    [(path, headers, body)] = server.seen
    assert (path, headers["content-type"]) == ("/s3cret/line-3", "application/json")
    base = "https://alerting.plant.example"
    links = (
        f"<{base}/f/a|I have seen it> · <{base}/f/b|It was right> · <{base}/f/c|It was wrong> · "
        f"<{base}/f/d|I acted on it> · <{base}/episodes/e1|Open the alarm>"
    )
    plain = {"type": "plain_text", "emoji": False}
    assert body == {
        "text": "HIGH: Oven &lt;1&gt; &amp; 2 too hot",
        "blocks": [
            {"type": "header", "text": {**plain, "text": MESSAGE.subject}},
            {"type": "section", "text": {**plain, "text": MESSAGE.text}},
            {"type": "section", "text": {"type": "mrkdwn", "text": links}},
        ],
    }


def test_slack_refuses_no_message_for_its_length(server):
    channel(SlackChannel, server).deliver(LONG)
    channel(SlackChannel, server).deliver(replace(MESSAGE, text="", links=()))
    [long, empty] = server.bodies
    assert [len(b["text"]["text"]) for b in long["blocks"][:2]] == [LONGEST_HEADER, LONGEST_SECTION]
    assert all(block["text"]["text"] for block in empty["blocks"])
    assert len(empty["blocks"]) == 2


def test_teams_is_sent_an_adaptive_card_that_reads_no_marks(server):
    channel(TeamsChannel, server).deliver(MESSAGE)

    def line(text, **style):
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}

    first, _, last = MESSAGE.text.splitlines()
    headline = {"size": "Medium", "weight": "Bolder", "color": "Attention"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [line(MESSAGE.subject, **headline), line(first), line(last)],
        "actions": [{"type": "Action.OpenUrl", "title": x.label, "url": x.url} for x in LINKS],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": kind, "contentUrl": None, "content": card}
    assert server.bodies == [{"type": "message", "attachments": [attachment]}]


def test_a_message_of_teams_stays_below_its_28_kilobytes(server):
    for text in ("°" * 50_000, "x\n" * 50_000, "🔥 too hot\n" * 5000):
        channel(TeamsChannel, server).deliver(replace(LONG, text=text))
    assert max(int(headers["content-length"]) for _, headers, _ in server.seen) < 28_000


def test_ntfy_is_sent_a_topic_with_priority_buttons_and_the_page(server):
    NtfyChannel(
        "shift", f"http://127.0.0.1:{server.server_port}/line-3", "tk_t0ps3cret", ALLOWED
    ).deliver(MESSAGE)
    [(path, headers, body)] = server.seen
    assert (path, headers["authorization"]) == ("/", "Bearer tk_t0ps3cret")
    assert body == {
        "topic": "line-3",
        "title": MESSAGE.subject,
        "message": f"{MESSAGE.text}\nI acted on it: https://alerting.plant.example/f/d",
        "priority": 4,
        "tags": ["rotating_light"],
        "click": "https://alerting.plant.example/episodes/e1",
        "actions": [{"action": "view", "label": x.label, "url": x.url} for x in LINKS[:3]],
    }


def test_ntfy_wakes_nobody_for_the_end_and_shows_a_long_text_instead_of_a_file(server):
    channel(NtfyChannel, server).deliver(OVER)
    channel(NtfyChannel, server).deliver(LONG)
    [over, long] = server.bodies
    assert (over["priority"], over["tags"], over["actions"]) == (3, ["white_check_mark"], [])
    assert over["click"] == LINKS[-1].url
    assert LONGEST_OF_NTFY - 4 < len(long["message"].encode()) <= LONGEST_OF_NTFY
    assert long["message"].endswith(LINKS[3].url)


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_chat_that_refuses_is_told_without_its_path_and_one_inside_needs_to_be_allowed(
    server, kind
):
    server.status = 404
    with pytest.raises(DeliveryFailed, match="answered 404") as failure:
        channel(kind, server).deliver(MESSAGE)
    assert (failure.value.permanent, "s3cret" in str(failure.value)) == (True, False)
    with pytest.raises(EgressRefused):
        channel(kind, server, Egress()).deliver(MESSAGE)
    assert len(server.seen) == 1


# A webhook, whose answers all HTTP channels read alike


def hook(server, seconds):
    url = f"http://127.0.0.1:{server.server_port}/hook"
    return WebhookChannel("plant", url, timeout=httpx.Timeout(seconds))


def test_an_answer_whose_body_never_ends_counts_as_delivered_at_once(server):
    server.ended.clear()
    hook(server, 300).deliver(MESSAGE)
    assert not server.ended.is_set()  # the receiver still writes its answer


def test_a_receiver_that_does_not_answer_is_given_up_in_time(server):
    server.released.clear()
    with pytest.raises(DeliveryFailed, match="no answer in time") as failure:
        hook(server, 0.3).deliver(MESSAGE)
    assert not failure.value.permanent


def test_a_redirect_is_not_followed(server):
    server.status = 302
    with pytest.raises(DeliveryFailed, match="answered 302"):
        hook(server, 300).deliver(MESSAGE)
    assert len(server.seen) == 1
