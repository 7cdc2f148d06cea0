"""E-mail to a real SMTP server on this machine, with and without TLS, password and good will."""

import asyncio
import socket
import ssl
import subprocess
import threading
from dataclasses import replace
from functools import partial

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from alerting.adapters.receivers.egress import Egress, EgressRefused
from alerting.adapters.receivers.email import EmailChannel
from alerting.ports import DeliveryFailed, Message, MessageLink, Picture
from alerting.settings.environment import Smtp
from tests.helpers.console.pages import lacks
from tests.helpers.mail_server import Inbox, serving_mail
from tests.support import free_port

LOOPBACK = Egress(["127.0.0.1", "localhost"])
PASSWORD = "correct horse"
LINKS = (MessageLink("It was right", "https://alerting.plant.example/f/abc.def?x=1&y=2"),)
MESSAGE = Message(
    "e1:raised:shift",
    "HIGH: Oven <too> hot\r\nBcc: everyone@plant.example",
    "HIGH: Oven <too> hot\nWhy: zone 2 is 12 °C above its usual\nWhat-if of the model: lower zone "
    "2",
    {"episode": "e1"},
    LINKS,
)


@pytest.fixture
def serving():
    with serving_mail() as start:
        yield start


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return folder


def tls(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def channel(port, server=None, egress=LOOPBACK, **options):
    plain = Smtp("127.0.0.1", port, "none", "Alerting <alerting@plant.example>")
    return EmailChannel(
        "shift", "shift@plant.example", server or plain, egress, **{"timeout": 600, **options}
    )


def sent(serving, **changes):
    """Return the mail that comes of a message."""
    inbox, port = serving()
    channel(port).deliver(replace(MESSAGE, **changes))
    [(_, mail)] = inbox.mails
    return mail


def texts_of(mail):
    return [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]


def test_an_e_mail_arrives_as_text_and_html_with_reasons_advice_and_links(serving):
    mail = sent(serving)
    assert {name: mail[name] for name in ("To", "Subject", "Bcc")} == {
        "To": "shift@plant.example",
        "Subject": "HIGH: Oven <too> hot Bcc: everyone@plant.example",
        "Bcc": None,
    }
    text, html = texts_of(mail)
    link = "https://alerting.plant.example/f/abc.def?x=1"
    words = ("zone 2 is 12 °C above", "What-if", f"It was right: {link}&y=2")
    assert lacks(text, *words) == []
    assert lacks(html, "Oven &lt;too&gt; hot", f'href="{link}&amp;y=2"') == []


def test_a_line_that_begins_with_from_arrives_as_it_is(serving):
    text, html = texts_of(sent(serving, text="Over: source\nFrom today 13:40 to 15:01: no row"))
    assert "\nFrom today 13:40" in text
    assert (">From" in text, "&gt;From" in html) == (False, False)


def test_a_link_of_a_french_mail_has_the_space_before_its_colon(serving):
    text, _ = texts_of(sent(serving, language="fr"))
    assert "It was right : https://alerting.plant.example" in text.replace("\u00a0", " ")


def test_the_figure_stands_in_the_html_with_its_words_for_who_cannot_see_it(serving):
    picture = Picture(b"\x89PNG figure", 'Zone 2 temperature, °C: 203 to 231, "limit" 215')
    mail = sent(serving, draw=lambda: picture)
    text, related = mail.iter_parts()
    html, image = related.iter_parts()
    assert [part.get_content_type() for part in (mail, text, related)] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
    ]
    assert "Figure: Zone 2 temperature, °C: 203 to 231" in text.get_content()
    source = f'src="cid:{image["Content-ID"].strip("<>")}"'
    words = 'alt="Zone 2 temperature, °C: 203 to 231, &quot;limit&quot; 215"'
    assert lacks(html.get_content(), source, words) == []
    assert (image.get_content_disposition(), image.get_content()) == ("inline", picture.png)


def cannot_draw():
    raise OverflowError("cannot be drawn")


def test_an_alert_without_a_figure_goes_out_all_the_same(serving):
    mails = [sent(serving, draw=draw) for draw in (lambda: None, cannot_draw)]
    types = [[part.get_content_type() for part in mail.walk()] for mail in mails]
    assert types == [["multipart/alternative", "text/plain", "text/html"]] * 2


class BreaksOff(SMTP):
    async def smtp_QUIT(self, arg):
        await self.push("421 going down")


def test_a_server_that_breaks_off_after_it_has_taken_a_message_has_taken_it(serving):
    inbox, port = serving(kind=BreaksOff)
    channel(port).deliver(MESSAGE)
    assert len(inbox.mails) == 1


def test_the_same_key_is_the_same_message_to_a_mail_program_and_one_episode_one_thread(serving):
    inbox, port = serving()
    mailer = channel(port)
    for key in ("e1:raised:shift", "e1:raised:shift", "e1:closed:shift"):
        mailer.deliver(replace(MESSAGE, key=key))
    ids = [mail["Message-ID"] for _, mail in inbox.mails]
    assert ids[0] == ids[1] != ids[2]
    assert len({mail["References"] for _, mail in inbox.mails}) == 1


def login(port, certificate, password=PASSWORD, host="localhost", mode="starttls"):
    given = {"user": "alerting", "ca_file": certificate / "cert.pem"}
    server = Smtp(host, port, mode, "alerting@plant.example", **given)
    return channel(port, server, password=password)


def authenticator(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False)


def secured(serving, certificate):
    return serving(
        tls_context=tls(certificate),
        require_starttls=True,
        authenticator=authenticator,
        auth_required=True,
    )


def test_starttls_and_a_password(serving, certificate):
    inbox, port = secured(serving, certificate)
    login(port, certificate).deliver(MESSAGE)
    assert [encrypted for encrypted, _ in inbox.mails] == [True]


def test_tls_from_the_first_byte(certificate):
    inbox = Inbox()
    port = free_port()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    served = partial(SMTP, inbox, loop=loop)
    listening = loop.create_server(served, "127.0.0.1", port, ssl=tls(certificate))
    asyncio.run_coroutine_threadsafe(listening, loop).result(600)
    ca_file = certificate / "cert.pem"
    smtp = Smtp("localhost", port, "tls", "alerting@plant.example", ca_file=ca_file)
    channel(port, smtp).deliver(MESSAGE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    assert len(inbox.mails) == 1


def test_a_wrong_password_is_said_without_it_and_tried_again(serving, certificate, caplog):
    _, port = secured(serving, certificate)
    with pytest.raises(DeliveryFailed, match="refuses user or password") as failure:
        login(port, certificate, password="hunter2").deliver(MESSAGE)
    assert not failure.value.permanent
    assert "hunter2" not in str(failure.value) + caplog.text


def test_a_certificate_of_another_host_gets_neither_password_nor_message(serving, certificate):
    inbox, port = secured(serving, certificate)
    with pytest.raises(DeliveryFailed, match="no trusted TLS"):
        login(port, certificate, host="127.0.0.1").deliver(MESSAGE)
    assert inbox.mails == []


def test_a_server_without_starttls_gets_nothing(serving, certificate):
    inbox, port = serving()
    with pytest.raises(DeliveryFailed, match="STARTTLS"):
        login(port, certificate).deliver(MESSAGE)
    assert inbox.mails == []


def test_a_refused_recipient_or_message_is_permanent_where_the_server_says_so(serving):
    inbox, port = serving()
    permanent = {
        ("rejected", "550 no such user"): True,
        ("rejected", "450 try later"): False,
        ("rejected", "452 full"): False,
        ("refusal", "554 spam"): True,
        ("refusal", "451 busy"): False,
    }
    found = {}
    for what, answer in permanent:
        vars(inbox).update({"rejected": None, "refusal": None, what: answer})
        with pytest.raises(DeliveryFailed) as failure:
            channel(port).deliver(MESSAGE)
        found[what, answer] = failure.value.permanent
    assert found == permanent


def test_nobody_listening_and_a_server_that_never_speaks_are_tried_again():
    with pytest.raises(DeliveryFailed, match="no connection") as failure:
        channel(free_port()).deliver(MESSAGE)
    assert not failure.value.permanent
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        threading.Thread(target=silent.accept, daemon=True).start()
        with pytest.raises(DeliveryFailed, match="did not answer in time"):
            channel(silent.getsockname()[1], timeout=2).deliver(MESSAGE)


def test_a_mail_server_inside_the_network_needs_to_be_allowed(serving):
    inbox, port = serving()
    with pytest.raises(EgressRefused):
        channel(port, egress=Egress()).deliver(MESSAGE)
    assert inbox.mails == []
