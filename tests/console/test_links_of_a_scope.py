"""Links in messages lead to one alarm: by a signed link without a login, else to the console, where
the scope holds."""

from dataclasses import replace
from datetime import timedelta

from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.two_lines import (
    FIRST,
    NOW,
    SECOND,
    TOKENS_FILE,
    UNKNOWN,
    in_a_browser,
    names_of,
    plant,
    sender,
)

ADDRESS = "https://plant.example"


def test_a_link_in_a_message_shows_its_alarm_alone_and_the_page_asks_who_it_is():
    links = SignedLinks(b"k" * 40, ADDRESS, timedelta(days=7), now=lambda: at(NOW))
    app = create_app(replace(plant(FIRST, SECOND), links=links), TOKENS_FILE, now=lambda: at(NOW))

    def get(address, headers=()):
        client = TestClient(app, base_url=ADDRESS, headers=dict(headers), follow_redirects=False)
        return client.get(address)

    operator = in_a_browser(sender("operator")).headers
    *answers, page = links.answer_links(names_of(FIRST).episodes[-2], "mail", acknowledge=True)
    for link in answers:
        shown = get(link.url)
        assert (shown.status_code, SECOND in shown.text) == (200, False)
    assert get(page.url).headers["location"].startswith("/login?next=")
    assert get(page.url, operator).status_code == 200

    *_, foreign = links.answer_links(names_of(SECOND).episodes[-2], "mail")
    refused = get(foreign.url, operator)
    unknown = get(f"{ADDRESS}/episodes/{UNKNOWN}", operator)
    assert refused.status_code == unknown.status_code == 404
    own_words = refused.text.replace(names_of(SECOND).episodes[-2], UNKNOWN)
    assert own_words == unknown.text
    assert get(f"{ADDRESS}/reports/{SECOND}-hot:2026-W02:1", operator).status_code == 404
