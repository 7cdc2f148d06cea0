"""The reminder of a shelf leads to the list of what is muted."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.usecases.definitions.sync import apply
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators.operate import Actor
from alerting.usecases.operators.shelving import shelve
from tests.builders import at, oven, too_hot
from tests.helpers.console.api import TOKENS, VIEWER
from tests.in_memory_platform import HandClock, Mailbox, in_memory_platform


def test_the_link_of_a_reminder_opens_the_shelf_in_the_list_of_what_is_muted():
    mail = Mailbox("mail")
    clock = HandClock(at(45))
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
    platform = replace(in_memory_platform(mail), links=links, clock=clock)
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(stale_after="10h")], "engineer", at(0), "test")
    shelve(platform, "too-hot", "oven-1", Actor("ann", "operator"), at(0), at(60), "cleaning")
    deliver_due(platform, at(45))
    [reminder] = mail.messages
    assert "is sent at once, and can be shelved again" in reminder.text
    assert "alerting " not in reminder.text
    [link] = reminder.links
    address = urlsplit(link.url)
    client = TestClient(create_app(platform, TOKENS, now=clock.now))
    page = client.get(address.path, headers=VIEWER).text
    listed = page.partition(f'id="{address.fragment}"')[2]
    assert "ann: cleaning" in listed
