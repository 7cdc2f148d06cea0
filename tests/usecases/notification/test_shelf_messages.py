"""The reminder of a shelf leads to the list of what is muted."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.usecases.notification.deliver import deliver_due
from tests.builders import at
from tests.helpers.console.api import TOKENS, VIEWER
from tests.helpers.ovens import oven_platform, shelved
from tests.in_memory_platform import Mailbox


def test_the_link_of_a_reminder_opens_the_shelf_in_the_list_of_what_is_muted():
    mail = Mailbox("mail")
    platform = oven_platform(mail)
    clock = platform.clock
    links = SignedLinks(b"k" * 40, "http://testserver", timedelta(hours=1), clock.now)
    platform = replace(platform, links=links)
    shelved(60)(platform, 0)
    clock.instant = at(45)
    deliver_due(platform, at(45))
    [reminder] = mail.messages
    assert "is sent at once, and can be shelved again" in reminder.text
    assert "alerting " not in reminder.text
    address = urlsplit(reminder.links[0].url)
    page = TestClient(create_app(platform, TOKENS, now=clock.now)).get(address.path, headers=VIEWER)
    assert "ann: cleaning" in page.text.partition(f'id="{address.fragment}"')[2]
